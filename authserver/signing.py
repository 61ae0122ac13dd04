"""The algorithms that sign here (RFC 7518 3.3 to 3.5, RFC 9864 2.2): a key for each of them, and the signing itself.

A key serves one algorithm only (RFC 8725 3.1), so RS256 and PS256 have an RSA key each, and the two names of Ed25519 a
key each: a reader that holds keys to their ``alg`` finds what it looks for.
"""

from collections.abc import Callable
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Sign = Callable[[bytes], bytes]

OF_RSA: Final = frozenset({"RS256", "PS256", "RSA-OAEP-256"})
OF_ED25519: Final = frozenset({"Ed25519", "EdDSA"})  # RFC 9864 2.2; the other is its older name here (4.1.2)
_RSA_BITS: Final = 2048
_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ECDH-ES": ec.SECP256R1(),
}
_RSA_PADDINGS: Final[dict[str, padding.AsymmetricPadding]] = {
    "RS256": padding.PKCS1v15(),
    # RFC 7518 3.5: the salt is as long as the hash.
    "PS256": padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size),
}
# Hash, and bytes of a coordinate (RFC 7518 3.4).
_ECDSA: Final[dict[str, tuple[HashAlgorithm, int]]] = {"ES256": (SHA256(), 32), "ES384": (SHA384(), 48)}


def make_private(algorithm: str) -> PrivateKey:
    """Generate a private key for an algorithm of signatures or of encryption."""
    if algorithm in OF_RSA:
        return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    if algorithm in OF_ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(_CURVES[algorithm])


def signing_function(algorithm: str, private: Any) -> Sign | None:
    """Return what signs under the algorithm with this key; None when the key is not one for it."""
    if isinstance(private, rsa.RSAPrivateKey) and algorithm in _RSA_PADDINGS:
        scheme, digest = _RSA_PADDINGS[algorithm], SHA256()
        return lambda signed: private.sign(signed, scheme, digest)
    if isinstance(private, ec.EllipticCurvePrivateKey) and algorithm in _ECDSA:
        return _ecdsa(algorithm, private) if private.curve.name == _CURVES[algorithm].name else None
    if isinstance(private, ed25519.Ed25519PrivateKey) and algorithm in OF_ED25519:
        return private.sign
    return None


def _ecdsa(algorithm: str, private: ec.EllipticCurvePrivateKey) -> Sign:
    digest, size = _ECDSA[algorithm]
    scheme = ec.ECDSA(digest)

    def sign(signed: bytes) -> bytes:
        # RFC 7518 3.4: R and S as octets of one length, not the DER that the library answers.
        r, s = decode_dss_signature(private.sign(signed, scheme))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return sign

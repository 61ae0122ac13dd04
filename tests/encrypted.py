"""Opening what the server encrypted, written from RFC 7516 and RFC 7518 alone: a second reader beside joserfc."""

import hmac
import json
from base64 import urlsafe_b64decode
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.signing import key, pem

BITS = {"A128CBC-HS256": 256, "A256GCM": 256}
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}


def jwk(name: str, **members: str) -> dict[str, Any]:
    """Return a public key of the tests as a client registers it for encryption; empty members are left out."""
    made = {"kid": f"{name}-enc", "use": "enc", **members}
    return dict(key(name, **{member: value for member, value in made.items() if value}).as_dict(private=False))


def head(token: str) -> dict[str, Any]:
    """Return the protected header."""
    members: dict[str, Any] = json.loads(_decode(token.partition(".")[0]))
    return members


def opened(token: str, name: str) -> str:
    """Decrypt a compact JWE with a private key of the tests (RFC 7516 5.2)."""
    first, encrypted_key, vector, text, tag = token.split(".")
    header = head(token)
    content_key = _content_key(header, _decode(encrypted_key), name)
    sealed = (_decode(vector), _decode(text), _decode(tag), first.encode())
    return (_gcm if header["enc"] == "A256GCM" else _cbc)(content_key, *sealed).decode()


def _content_key(header: dict[str, Any], encrypted: bytes, name: str) -> bytes:
    private = load_pem_private_key(pem(name).encode(), None)
    if header["alg"] == "RSA-OAEP-256":
        assert isinstance(private, rsa.RSAPrivateKey)
        return private.decrypt(encrypted, padding.OAEP(padding.MGF1(SHA256()), SHA256(), None))
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert encrypted == b""
    point, bits = header["epk"], BITS[header["enc"]]
    x, y = (int.from_bytes(_decode(point[name])) for name in ("x", "y"))
    theirs = ec.EllipticCurvePublicNumbers(x, y, CURVES[point["crv"]]).public_key()
    # RFC 7518 4.6.2: the content encryption's name, two empty party names, the length of the key.
    about = len(header["enc"]).to_bytes(4) + header["enc"].encode() + bytes(8) + bits.to_bytes(4)
    return ConcatKDFHash(SHA256(), bits // 8, about).derive(private.exchange(ec.ECDH(), theirs))


def _gcm(content_key: bytes, vector: bytes, text: bytes, tag: bytes, about: bytes) -> bytes:
    return AESGCM(content_key).decrypt(vector, text + tag, about)


def _cbc(content_key: bytes, vector: bytes, text: bytes, tag: bytes, about: bytes) -> bytes:
    # RFC 7518 5.2.2.2: half of the key authenticates, the other half encrypts.
    authenticated = about + vector + text + (8 * len(about)).to_bytes(8)
    assert hmac.digest(content_key[:16], authenticated, "sha256")[:16] == tag
    cipher = Cipher(algorithms.AES(content_key[16:]), modes.CBC(vector)).decryptor()
    padded = cipher.update(text) + cipher.finalize()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def _decode(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))

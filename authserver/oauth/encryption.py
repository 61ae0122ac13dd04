"""JSON Web Encryption (RFC 7516).

https://www.rfc-editor.org/rfc/rfc7516

What goes out encrypted (authorization responses, introspection answers) is a JWT that was signed before: a nested JWT
(RFC 7519 5.2). The key is the client's own, and without one nothing is sent: never the signed JWT alone instead. What
comes in encrypted (request objects) was encrypted to a key of ours; anybody can do that, so it proves nothing yet.

Plugs into: ``jarm``, ``introspection_jwt``, ``jar``.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from authserver import jwt
from authserver.records import Client

if TYPE_CHECKING:
    from authserver.oauth.server import Server

# Kind of key for each algorithm. Left out: RSA1_5 and RSA-OAEP (RFC 8725 3.2), and all that need a shared secret.
_KINDS: Final[Mapping[str, type[RSAKey | ECKey]]] = {"RSA-OAEP-256": RSAKey, "ECDH-ES": ECKey}
ALGORITHMS: Final = tuple(_KINDS)
METHODS: Final = ("A128CBC-HS256", "A256GCM")
_NESTED: Final = frozenset({"jwt", "oauth-authz-req+jwt"})  # RFC 7519 5.2, RFC 9101 9.4.1
_POINT: Final = 43  # base64url characters of a P-256 coordinate
DEFAULT_METHOD: Final = "A128CBC-HS256"  # JARM 3, RFC 9701 6: where only the algorithm is registered


class NoKey(Exception):
    """The client has no key to encrypt to; the message is a fixed sentence."""


def as_registered(server: "Server", client: Client, token: str, kind: str) -> str:
    """Encrypt a response as the client has registered for this kind of it, or return it as it is; raises NoKey."""
    algorithm = client.metadata.get(f"{kind}_encrypted_response_alg")
    if algorithm is None:
        return token
    method = client.metadata.get(f"{kind}_encrypted_response_enc", DEFAULT_METHOD)
    return encrypt(server, client, token, algorithm, method)


def encrypt(server: "Server", client: Client, token: str, alg: str, enc: str) -> str:
    """Return a signed JWT encrypted to the client, in compact form (RFC 7516 3.1); raises NoKey."""
    key = find_key(server, client, alg)
    header = {"alg": alg, "enc": enc, "cty": "JWT"}  # RFC 7519 5.2
    if key.kid is not None:
        header["kid"] = key.kid
    try:
        return jwe.encrypt_compact(header, token, key, algorithms=[alg, enc])
    except (JoseError, ValueError):
        msg = "the client's key does not encrypt"
        raise NoKey(msg) from None


def decrypt(server: "Server", token: str, algorithms: Collection[str]) -> str:
    """Return the JWT inside a JWE that was made for us (RFC 7516 5.2); raises jwt.InvalidJWT.

    The key that ``kid`` names decides on the algorithm; nothing is computed for a header that asks for anything else.
    """
    header = jwt.parse_encrypted(token)
    alg, enc, kid, content = (jwt.text(header, name) for name in ("alg", "enc", "kid", "cty"))
    if alg not in algorithms or enc not in METHODS or content.lower().removeprefix("application/") not in _NESTED:
        msg = "the header of the encrypted token is not accepted"
        raise jwt.InvalidJWT(msg)
    if alg == "ECDH-ES":
        _check_ephemeral_key(header.get("epk"))
    key = server.keys.decryption_key(kid, alg)
    # RFC 7515 4: members that nobody knows are ignored.
    registry = jwe.JWERegistry(algorithms=[alg, enc], strict_check_header=False)
    try:
        plain = jwe.decrypt_compact(token, key, registry=registry).plaintext
        return (plain or b"").decode("ascii")
    except (JoseError, ValueError, TypeError):
        # One sentence for whatever went wrong: an answer that tells is an oracle (RFC 7516 11.5).
        msg = "the token cannot be decrypted"
        raise jwt.InvalidJWT(msg) from None


def find_key(server: "Server", client: Client, alg: str) -> RSAKey | ECKey:
    """Return the client's key for this algorithm, one for encryption alone before one for everything; raises NoKey."""
    fitting = [key for key in _keys(server, client) if _fits(key, alg)]
    for members in sorted(fitting, key=lambda key: "use" not in key):
        try:
            return _KINDS[alg].import_key(members)
        except (JoseError, ValueError, TypeError):
            continue
    msg = "the client's key set has no key for the algorithm"
    raise NoKey(msg)


def _keys(server: "Server", client: Client) -> list[dict[str, Any]]:
    if client.jwks is not None:
        keys: list[dict[str, Any]] = client.jwks["keys"]
        return keys
    try:
        return list(server.outbound.encryption_keys(client)["keys"])
    except jwt.InvalidJWT:
        return []


def _fits(key: Mapping[str, Any], alg: str) -> bool:
    # RFC 7517 4.2, 4.4: a key says what it is for; one that says nothing may be used.
    kind = _KINDS[alg].key_type
    return key.get("kty") == kind and key.get("use", "enc") == "enc" and key.get("alg", alg) == alg


def _check_ephemeral_key(key: Any) -> None:
    """Check the sender's half of the agreement (RFC 7518 4.6.1.1): a point of our curve, and nothing private."""
    good = isinstance(key, dict) and key.get("kty") == "EC" and key.get("crv") == "P-256" and "d" not in key
    if not good or not all(isinstance(key.get(name), str) and len(key[name]) == _POINT for name in ("x", "y")):
        msg = "the ephemeral key is not accepted"
        raise jwt.InvalidJWT(msg)

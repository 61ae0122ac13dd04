"""JSON Web Encryption (RFC 7516).

https://www.rfc-editor.org/rfc/rfc7516

What goes out encrypted (ID tokens, userinfo, authorization responses, introspection answers, access tokens) is a JWT
that was signed before: a nested JWT (RFC 7519 5.2). Userinfo alone may be registered to be encrypted only. The key is
the client's or the resource's own, and without one nothing is sent: never the signed JWT alone instead. What comes in
encrypted (request objects) was encrypted to a key of ours; anybody can do that, so it proves nothing yet.

Plugs into: ``id_token``, ``userinfo``, ``jarm``, ``introspection_jwt``, ``access_token``, ``jar``.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from authserver import jwt
from authserver.records import Client, Resource

if TYPE_CHECKING:
    from authserver.oauth.server import Server

ALGORITHMS: Final = jwt.ENCRYPTION_ALGORITHMS
METHODS: Final = jwt.ENCRYPTION_METHODS
_NESTED: Final = frozenset({"jwt", "oauth-authz-req+jwt"})  # RFC 7519 5.2, RFC 9101 9.4.1
_POINT: Final = 43  # base64url characters of a P-256 coordinate
DEFAULT_METHOD: Final = "A128CBC-HS256"  # JARM 3, RFC 9701 6: where only the algorithm is registered


class NoKey(Exception):
    """The client has no key to encrypt to; the message is a fixed sentence."""


def as_registered(server: "Server", client: Client, token: str, kind: str, *, nested: bool = True) -> str:
    """Encrypt a response as the client has registered for this kind of it, or return it as it is; raises NoKey.

    It is a signed JWT, or, where it is not ``nested``, the claims themselves.
    """
    algorithm = client.metadata.get(f"{kind}_encrypted_response_alg")
    if algorithm is None:
        return token
    method = client.metadata.get(f"{kind}_encrypted_response_enc", DEFAULT_METHOD)
    return encrypt(server, client, token, algorithm, method, nested=nested)


def encrypt(server: "Server", client: Client, token: str, alg: str, enc: str, *, nested: bool = True) -> str:
    """Return a signed JWT, or claims, encrypted to the client, in compact form (RFC 7516 3.1); raises NoKey."""
    try:
        return jwt.encrypt(token, jwt.Recipient(find_key(server, client, alg), alg, enc), nested=nested)
    except jwt.InvalidJWT as problem:
        raise NoKey(str(problem)) from None


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
    """Return the client's key for this algorithm; raises NoKey."""
    try:
        return jwt.encryption_key(_keys(server, client), alg)
    except jwt.InvalidJWT as problem:
        raise NoKey(str(problem)) from None


class ResourceKeys:
    """The keys that access tokens are encrypted to (RFC 9068 4): a resource's is made ready once and kept."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Mapping[str, Any], jwt.Recipient]] = {}

    def encrypt(self, token: str, resource: Resource) -> str:
        """Return a signed access token encrypted to its resource, which has ``encryption``; raises jwt.InvalidJWT."""
        wanted = resource.encryption or {}
        kept = self._kept.get(resource.identifier)
        if kept is None or kept[0] != wanted:
            key = jwt.encryption_key(wanted["jwks"]["keys"], wanted["alg"])
            kept = self._kept[resource.identifier] = wanted, jwt.Recipient(key, wanted["alg"], wanted["enc"])
        return jwt.encrypt(token, kept[1])


def _keys(server: "Server", client: Client) -> list[dict[str, Any]]:
    if client.jwks is not None:
        keys: list[dict[str, Any]] = client.jwks["keys"]
        return keys
    try:
        return list(server.outbound.encryption_keys(client)["keys"])
    except jwt.InvalidJWT:
        return []


def _check_ephemeral_key(key: Any) -> None:
    """Check the sender's half of the agreement (RFC 7518 4.6.1.1): a point of our curve, and nothing private."""
    good = isinstance(key, dict) and key.get("kty") == "EC" and key.get("crv") == "P-256" and "d" not in key
    if not good or not all(isinstance(key.get(name), str) and len(key[name]) == _POINT for name in ("x", "y")):
        msg = "the ephemeral key is not accepted"
        raise jwt.InvalidJWT(msg)

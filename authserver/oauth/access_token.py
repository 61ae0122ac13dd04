"""Access tokens on the wire: JWT (RFC 9068) or opaque.

https://www.rfc-editor.org/rfc/rfc9068

Opaque is the default; a resource or a client may ask for JWTs. An opaque token has a row with its claims; a JWT carries
them and has no row. Its ``jti`` begins with the grant's id, so that introspection can ask whether the grant lives.

A resource with a key of its own gets JWTs that are signed and then encrypted to it. This server could not read them
again, so the claims have a row, found by the digest of the text. The row says only what is inside: whether it lives is
asked by its ``jti`` as for every JWT, because the resource server may present the JWT that it has found inside, while
the client has nothing but the encrypted text. To revoke the one is to revoke the other.

Plugs into: TOKEN_CLAIMS (session, confirmation), ``issue``, introspection, revocation, userinfo.
"""

from typing import TYPE_CHECKING, Any, Final

import orjson

from authserver import jwt
from authserver.clock import SECOND, now
from authserver.crypto import Kind, digest_of, encrypted_token_digest, new_handle, new_id
from authserver.oauth import errors
from authserver.oauth.request import Request
from authserver.records import AccessTokenRow, LiveToken, Resource

if TYPE_CHECKING:
    from authserver.oauth.server import Server

TYP: Final = "at+jwt"  # 2.1


def base_claims(server: "Server", request: Request, subject: str, lifetime: int) -> dict[str, Any]:
    """Return the claims that every access token has (2.2); ``jti`` is unique, ``sub`` a random id or the client's."""
    issued_at = request.issued_at // SECOND
    jti = new_id() if request.grant is None else f"{request.grant.grant_id}.{new_id(12)}"
    return {
        "iss": server.settings.issuer,
        "sub": subject,
        "aud": request.audience,
        "client_id": request.client.client_id,
        "scope": request.token_scope,
        "iat": issued_at,
        "exp": issued_at + lifetime,
        "jti": jti,
    }


def session(server: "Server", request: Request) -> None:
    """Add how and when the user signed in (2.2.1), and in which session."""
    del server
    grant = request.grant
    # A grant that no person has given here tells of no sign-in.
    if grant is None or not grant.acr:
        return
    request.claims["auth_time"] = grant.auth_time // SECOND
    request.claims["acr"] = grant.acr
    request.claims["amr"] = grant.amr.split()
    if grant.sid is not None:
        request.claims["sid"] = grant.sid


def confirmation(server: "Server", request: Request) -> None:
    """Bind the token to what the client has proven to hold (RFC 7800 3.1)."""
    del server
    if request.jkt is not None or request.x5t is not None:
        request.claims["cnf"] = request.confirmation


def is_jwt(request: Request) -> bool:
    """Say whether the token will be a JWT: its resource or its client asks for that."""
    asked = request.target.token_format if request.target else None
    return "jwt" in (asked, request.client.access_token_format)


def write(server: "Server", request: Request) -> str:
    """Return the token's text; for one that cannot be read again also fill ``access_row``."""
    target, client = request.target, request.client
    if is_jwt(request):
        algorithm = (target.signing_alg if target else None) or client.access_token_signed_response_alg
        text = server.keys.sign(algorithm, TYP, request.claims)
        if target is None or target.encryption is None:
            return text
        text = _encrypted(server, target, text)
        digest = encrypted_token_digest(text)
    else:
        text, digest = new_handle(Kind.ACCESS)
    request.access_row = _row(request, digest)
    return text


def find(server: "Server", text: str) -> LiveToken | None:
    """Return the live access token of either form, or None: unknown, expired, revoked, or its grant is not in force."""
    if text.startswith(Kind.ACCESS.prefix):
        digest = digest_of(Kind.ACCESS, text)
        return None if digest is None else server.store.tokens.find(digest)
    token = read(server, text)
    if token is None or token.expires_at <= now():
        return None
    claims = orjson.loads(token.claims)
    live = server.store.tokens.find_jwt(
        jti=claims["jti"],
        grant_id=token.grant_id,
        client_id=token.client_id,
        sub=token.sub,
        issued_at=claims["iat"] * SECOND,
    )
    return None if live is None else token._replace(requested_claims=live.requested_claims)


def read(server: "Server", text: str) -> LiveToken | None:
    """Return one of our JWT access tokens, by its signature alone or, encrypted, by its row; or None."""
    if text.count(".") == 4:  # RFC 7516 9
        return server.store.tokens.find(encrypted_token_digest(text))
    return _read_signed(server, text)


def is_opaque(text: str) -> bool:
    """Say whether an access token of ours is opaque; otherwise it is a JWT, signed or encrypted (RFC 7519 1)."""
    return text.startswith(Kind.ACCESS.prefix)


def _encrypted(server: "Server", target: Resource, token: str) -> str:
    try:
        return server.resource_keys.encrypt(token, target)
    except jwt.InvalidJWT:
        # A key is tried before it is stored, so this one was put there by another hand.
        raise errors.InvalidTarget(errors.RESOURCE_KEY) from None


def _row(request: Request, digest: bytes) -> AccessTokenRow:
    claims = request.claims
    return AccessTokenRow(
        digest=digest,
        grant_id=request.grant.grant_id if request.grant else None,
        client_id=request.client.client_id,
        sub=claims["sub"],
        audience=request.audience,
        scope=request.token_scope,
        claims=orjson.dumps({"token_type": request.token_type, **claims}).decode(),
        issued_at=request.issued_at,
        expires_at=claims["exp"] * SECOND,
    )


def _read_signed(server: "Server", text: str) -> LiveToken | None:
    try:
        parsed = jwt.parse(text)
        # 2.1 and RFC 8725 3.11: an ID token or another JWT of ours is not an access token.
        if jwt.media_type(parsed) != TYP:
            return None
        claims = server.keys.verify(parsed)
    except jwt.InvalidJWT:
        return None
    if claims.get("iss") != server.settings.issuer:
        return None
    grant_id, dot, _ = claims["jti"].partition(".")
    token_type = "DPoP" if "jkt" in claims.get("cnf", ()) else "Bearer"
    return LiveToken(
        grant_id=grant_id if dot else None,
        client_id=claims["client_id"],
        sub=claims["sub"],
        audience=claims["aud"],
        scope=claims["scope"],
        claims=orjson.dumps({"token_type": token_type, **claims}).decode(),
        expires_at=claims["exp"] * SECOND,
    )

"""ID token (OpenID Connect Core 1.0, 2, 3.1.3.3, 12.2).

https://openid.net/specs/openid-connect-core-1_0.html#IDToken

Tells the client who signed in, when and how; claims of the profile come from userinfo, unless the client is registered
for ``id_token_claims``. A refresh answers a new one with the same iss, sub, aud, auth_time and sid, without a nonce.

Plugs into: TOKEN_RESPOND, METADATA.
"""

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from authserver.clock import SECOND
from authserver.crypto import b64
from authserver.keys import ALGORITHMS
from authserver.oauth.request import Request
from authserver.oidc import claims
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

TYP: Final = "JWT"
_HALF: Final = 16  # bytes: the left half of a SHA-256, the hash of all algorithms that sign here


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce subjects and algorithms (OpenID Connect Discovery 1.0, 3)."""
    del server, settings
    return {"subject_types_supported": ["public"], "id_token_signing_alg_values_supported": list(ALGORITHMS)}


def add(server: "Server", request: Request) -> None:
    """Add the ID token to the response of a grant with the scope openid."""
    grant = request.grant
    if grant is None or "openid" not in request.granted_scope.split():
        return
    issued_at = request.issued_at // SECOND
    token: dict[str, Any] = {
        "iss": server.settings.issuer,
        "sub": grant.sub,
        "aud": request.client.client_id,
        "exp": issued_at + server.settings.tokens.id_token_seconds,
        "iat": issued_at,
        "auth_time": grant.auth_time // SECOND,
        "acr": grant.acr,
        "amr": grant.amr.split(),
        "at_hash": half_hash(request.response["access_token"]),
    }
    if grant.sid is not None:
        token["sid"] = grant.sid
    # 12.2: a refreshed ID token has no nonce, because no authentication request stands behind it.
    if grant.nonce is not None and request.parameters.get("grant_type") == "authorization_code":
        token["nonce"] = grant.nonce
    if request.client.id_token_claims:
        token |= _profile(server, request)
    request.response["id_token"] = server.keys.sign(request.client.id_token_signed_response_alg, TYP, token)


def half_hash(text: str) -> str:
    """Return the left half of the hash, as ``at_hash`` has it (3.1.3.6)."""
    return b64(sha256(text.encode()).digest()[:_HALF])


def _profile(server: "Server", request: Request) -> dict[str, Any]:
    user = server.store.users.get(request.grant.sub) if request.grant else None
    return claims.of(user, request.granted_scope) if user is not None else {}

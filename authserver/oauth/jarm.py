"""JWT Secured Authorization Response Mode for OAuth 2.0 (JARM).

https://openid.net/specs/oauth-v2-jarm.html

The authorization response, success or error, goes out as one signed JWT: the client sees that nobody changed it on its
way through the browser, who made it, and that it is meant for this client. It may be encrypted, too; a client that is
registered for that gets no answer where it cannot be done.

Plugs into: AUTHORIZE_CHECK (after ``response_modes``), AUTHORIZE_RESPOND (last: whatever stands in the response then is
in the JWT), RESPONSE_MODES, METADATA, CLIENT_METADATA.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from authserver.clock import SECOND, now
from authserver.keys import SIGNING
from authserver.manage.client_metadata import words
from authserver.oauth import encryption, errors, response_modes
from authserver.oauth.request import Answer, AuthorizationRequest, FormPost, Request
from authserver.records import Client
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "jarm"
MODES: Final = frozenset({"query.jwt", "fragment.jwt", "form_post.jwt", "jwt"})  # 2.3
CLIENT_METADATA: Final = {  # 3
    "authorization_signed_response_alg": words(*SIGNING),
    "authorization_encrypted_response_alg": words(*encryption.ALGORITHMS),
    "authorization_encrypted_response_enc": words(*encryption.METHODS),
}
# 2.1 names no type, and readers of JWTs take this one by default. No other JWT of ours looks alike: see the claims.
TYP: Final = "JWT"
LIFETIME: Final = 300  # seconds; 2.1 recommends ten minutes at the most, and a code lives for one


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the algorithms (4); ``response_modes`` announces the modes."""
    del server, settings
    return {
        "authorization_signing_alg_values_supported": list(SIGNING),
        "authorization_encryption_alg_values_supported": list(encryption.ALGORITHMS),
        "authorization_encryption_enc_values_supported": list(encryption.METHODS),
    }


def check(server: "Server", request: Request) -> None:
    """Refuse a request whose response could not be encrypted, before anybody signs in for nothing (2.2)."""
    if request.response_mode not in MODES:
        return
    algorithm = request.client.metadata.get("authorization_encrypted_response_alg")
    if algorithm is None:
        return
    try:
        encryption.find_key(server, request.client, algorithm)
    except encryption.NoKey:
        if request.pushed == "":
            raise errors.InvalidRequest(errors.ENCRYPTION_KEY) from None
        raise _unanswerable() from None


def sign(server: "Server", request: AuthorizationRequest, parameters: dict[str, str]) -> None:
    """Put all parameters of the response into one JWT, which then is its only parameter (2.1, 2.2)."""
    if request.response_mode not in MODES:
        return
    client = server.query_client(request.client_id)
    if client is None:
        raise errors.NotRedirectable("invalid_client", errors.UNKNOWN_CLIENT, errors.ASK_DEVELOPER)
    claims = {
        **parameters,
        "iss": server.settings.issuer,
        "aud": client.client_id,
        "exp": now() // SECOND + LIFETIME,
    }
    algorithm = client.metadata.get("authorization_signed_response_alg", "RS256")
    response = _encrypted(server, client, server.keys.sign(algorithm, TYP, claims))
    # 2.3 and RFC 9207 2.4: nothing stands beside the JWT, which holds the issuer already.
    parameters.clear()
    parameters["response"] = response


def query(redirect_uri: str, parameters: Mapping[str, str]) -> Answer:
    """Answer in the query (2.3.1); ``jwt`` means the same for a code (2.3.4)."""
    return response_modes.query(redirect_uri, parameters)


def fragment(redirect_uri: str, parameters: Mapping[str, str]) -> Answer:
    """Answer in the fragment (2.3.2)."""
    return response_modes.fragment(redirect_uri, parameters)


def form_post(redirect_uri: str, parameters: Mapping[str, str]) -> FormPost:
    """Answer by a form that the browser posts (2.3.3)."""
    return response_modes.form_post(redirect_uri, parameters)


def _encrypted(server: "Server", client: Client, token: str) -> str:
    try:
        return encryption.as_registered(server, client, token, "authorization")
    except encryption.NoKey:
        raise _unanswerable() from None


def _unanswerable() -> errors.NotRedirectable:
    # An error response would have to be encrypted, too: there is no way to tell the client by its redirect URI.
    return errors.NotRedirectable("encryption_key_missing", errors.UNANSWERABLE, errors.ASK_DEVELOPER)

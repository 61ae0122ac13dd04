"""Authentication request (OpenID Connect Core 1.0, 3.1.2.1).

https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest

``nonce``, ``prompt``, ``max_age``, ``login_hint``, ``id_token_hint``; ``display`` and ``ui_locales`` are wishes and
never an error. ``acr_values`` is in ``step_up.py``, ``claims`` in ``claims_request.py``, ``claims_locales`` in the file
of its name.

Plugs into: AUTHORIZE_CHECK, METADATA.
"""

from typing import TYPE_CHECKING, Any, Final

from authserver import jwt
from authserver.oauth import errors
from authserver.oauth.request import Request
from authserver.oidc import id_token
from authserver.records import Client
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PARAMETERS: Final = frozenset(
    {
        "nonce",
        "prompt",
        "max_age",
        "acr_values",
        "login_hint",
        "id_token_hint",
        "display",
        "ui_locales",
        "claims_locales",
        "request",
        "request_uri",
        "registration",
    }
)
_MAX_TEXT: Final = 2048
_MAX_DIGITS: Final = 10


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce what is understood (OpenID Connect Discovery 1.0, 3; Initiating User Registration 1.0)."""
    del settings
    return {
        "prompt_values_supported": [value for value, _ in server.registry.PROMPTS],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def unsupported(server: "Server", request: Request) -> None:
    """Refuse what would change the request if it were understood; ignoring it is not allowed (6.1, 6.2, 7.2.1).

    So is a client that may only push or only sign its requests, where the extension for that is switched off.
    """
    sent, client, features = request.parameters, request.client, server.settings.features
    if not features.par and client.metadata.get("require_pushed_authorization_requests"):
        raise errors.InvalidRequest(errors.PUSH_FIRST)
    if not features.jar and client.metadata.get("require_signed_request_object"):
        raise errors.InvalidRequest(errors.SIGN_FIRST)
    if "request" in sent:
        raise errors.RequestNotSupported(errors.REQUEST_OBJECT)
    if "request_uri" in sent:
        raise errors.RequestURINotSupported(errors.REQUEST_URI)
    if "registration" in sent:
        raise errors.RegistrationNotSupported(errors.REGISTRATION)


def nonce(server: "Server", request: Request) -> None:
    """Check the nonce; it is returned whole or refused, never cut."""
    del server
    value = request.parameters.get("nonce")
    if value is not None and (len(value) > _MAX_TEXT or not value.isprintable()):
        raise errors.InvalidRequest(errors.NONCE)


def prompt(server: "Server", request: Request) -> None:
    """Read ``prompt``: a list of known values, ``none`` only alone."""
    values = request.parameters.get("prompt", "").split()
    if not values:
        return
    if not dict(server.registry.PROMPTS).keys() >= set(values) or ("none" in values and len(values) > 1):
        raise errors.InvalidRequest(errors.PROMPT)
    request.prompt = frozenset(values)


def max_age(server: "Server", request: Request) -> None:
    """Read ``max_age`` in seconds, or take the client's own (Registration 2, ``default_max_age``)."""
    del server
    value = request.parameters.get("max_age")
    if value is None:
        request.max_age = request.client.metadata.get("default_max_age")
        return
    if not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS):
        raise errors.InvalidRequest(errors.MAX_AGE)
    request.max_age = int(value)


def hints(server: "Server", request: Request) -> None:
    """Read ``login_hint`` and ``id_token_hint``; an expired ID token is a good hint."""
    login_hint = request.parameters.get("login_hint")
    if login_hint is not None and len(login_hint) > _MAX_TEXT:
        raise errors.InvalidRequest(errors.PARAMETER)
    hint = request.parameters.get("id_token_hint")
    if hint is not None:
        request.hinted_sub = hinted_sub(server, request.client, hint)


def hinted_sub(server: "Server", client: Client, hint: str) -> str:
    """Return the user whom an ID token names that this client was given; raises InvalidRequest for any other one."""
    try:
        claims = read_id_token(server, hint)
        named = jwt.text(claims, "sub")
    except jwt.InvalidJWT:
        raise errors.InvalidRequest(errors.HINT) from None
    # Whoever came by the ID token of another client must not ask with it who is signed in here.
    if claims.get("aud") != client.client_id:
        raise errors.InvalidRequest(errors.HINT)
    return server.subjects.find(client, named)


def read_id_token(server: "Server", token: str) -> dict[str, Any]:
    """Return the claims of an ID token of ours, expired or not; raises jwt.InvalidJWT."""
    parsed = jwt.parse(token)
    # RFC 8725 3.11: what says that it is something else (an access token, an introspection answer) is not an ID token.
    if jwt.media_type(parsed) != id_token.TYP.lower():
        msg = "the type is not an ID token's"
        raise jwt.InvalidJWT(msg)
    claims = server.keys.verify(parsed, hint=True)
    if claims.get("iss") != server.settings.issuer or "auth_time" not in claims:
        msg = "not an ID token of this issuer"
        raise jwt.InvalidJWT(msg)
    return claims

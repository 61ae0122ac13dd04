"""Identity Assertion JWT Authorization Grant, ID-JAG (OAuth 2.0 working group draft, revision 04).

https://datatracker.ietf.org/doc/draft-ietf-oauth-identity-assertion-authz-grant/

Two applications have their people sign in at the same provider. One of them wants to call the API of the other for a
person who has signed in: the provider gives it an assertion for the authorization server of that API, which gives it a
token, and no page is shown. This server can be the provider, by token exchange, and the one that takes the assertion,
by the JWT bearer grant; never both for the same assertion.

The draft lets an assertion be shown again until it ends; here it is good once. What it leaves to later documents is
refused: actors, and authorization details while nothing here understands them.

Plugs into: EXCHANGES, ASSERTIONS, METADATA; ``id_jag_audiences``, an administrator's member of a client.
"""

from typing import TYPE_CHECKING, Any, Final

from authserver import jwt
from authserver.clock import SECOND, now
from authserver.crypto import new_id
from authserver.oauth import errors, issue, jwt_bearer, scope, token_exchange
from authserver.oauth.jwt_bearer import Allowed
from authserver.oauth.request import Request
from authserver.oauth.server import Issuing
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "id_jag"
TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:id-jag"
PROFILE: Final = "urn:ietf:params:oauth:grant-profile:id-jag"
TYP: Final = "oauth-id-jag+jwt"
_LIFETIME: Final = 300  # seconds
_UNDERSTOOD_BY_NOBODY: Final = frozenset({"act", "authorization_details"})


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce what is given out and what is taken (Authorization Server Metadata)."""
    del settings
    grants = {grant.GRANT_TYPE for grant in server.registry.GRANTS}
    document: dict[str, Any] = {}
    if token_exchange.TokenExchangeGrant.GRANT_TYPE in grants:
        document["identity_chaining_requested_token_types_supported"] = [TOKEN_TYPE]
    if jwt_bearer.JWTBearerGrant.GRANT_TYPE in grants:
        document["authorization_grant_profiles_supported"] = [PROFILE]
    return document


def give(grant: Issuing) -> dict[str, Any]:
    """Exchange an ID token of the client for an assertion about its user (Token Exchange)."""
    server, request, sent = grant.server, grant.request, grant.request.parameters
    audience, policy = _policy(server, request)
    if sent["subject_token_type"] != token_exchange.ID_TOKEN or "actor_token" in sent:
        raise errors.InvalidRequest(errors.TOKEN_TYPE)
    if "authorization_details" in sent:
        raise errors.InvalidAuthorizationDetails(errors.DETAILS_NOT_GRANTED)
    subject = token_exchange.read_id_token(server, request.client, sent["subject_token"])
    left = 0 if subject is None else (subject.expires_at - now()) // SECOND
    if subject is None or left <= 0:
        raise errors.InvalidRequest(errors.SUBJECT_INVALID)
    issue.require_binding(request)
    granted, lifetime, issued_at = scope.narrowed(policy["scope"], request.scope), min(left, _LIFETIME), now() // SECOND
    claims: dict[str, Any] = {
        "iss": server.settings.issuer,
        "sub": subject.sub,
        "aud": audience,
        "client_id": policy["client_id"],
        "jti": new_id(),
        "iat": issued_at,
        "exp": issued_at + lifetime,
        **{name: subject.claims[name] for name in ("auth_time", "acr", "amr") if name in subject.claims},
        **_limits(granted, _resources(request, policy["resources"])),
        **_email(server, request, subject.sub),
        **({"cnf": request.confirmation} if request.confirmation else {}),
    }
    token = server.keys.sign(request.client.id_token_signed_response_alg, TYP, claims)
    # Nobody can call an API with it (RFC 8693 2.2.1).
    answer = {"access_token": token, "token_type": "N_A", "expires_in": lifetime}
    return {**answer, "scope": granted} if granted else answer


def take(server: "Server", request: Request, claims: dict[str, Any]) -> Allowed:
    """Check an assertion that a trusted issuer made for this client, and say what it allows (Access Token Request)."""
    # Processing Rules: "an array [...] MUST contain exactly one element", and our issuer is what it names.
    if jwt.audiences(claims) != (server.settings.issuer,) or claims.get("client_id") != request.client.client_id:
        msg = "the assertion is for another server or another client"
        raise jwt.InvalidJWT(msg)
    if jwt.seconds(claims, "iat") is None or not _UNDERSTOOD_BY_NOBODY.isdisjoint(claims):
        msg = "the assertion lacks a time, or says what is not understood here"
        raise jwt.InvalidJWT(msg)
    return Allowed(_text(claims, "scope"), _identifiers(claims))


def _policy(server: "Server", request: Request) -> tuple[str, dict[str, Any]]:
    """Return for whom the assertion will be, and what the administrator lets the client ask there."""
    audiences = request.payload.lists.get("audience", ())
    allowed: dict[str, dict[str, Any]] = request.client.metadata.get("id_jag_audiences") or {}
    if not allowed:
        raise errors.UnauthorizedClient(errors.EXCHANGE_REFUSED)
    if not audiences:
        raise errors.InvalidRequest(errors.AUDIENCE_MISSING)
    # Cross-Domain Use: an assertion for ourselves would be taken by nobody.
    if len(audiences) > 1 or audiences[0] not in allowed or audiences[0] == server.settings.issuer:
        raise errors.InvalidTarget(errors.AUDIENCE_REFUSED)
    return audiences[0], allowed[audiences[0]]


def _resources(request: Request, allowed: list[str]) -> list[str]:
    asked = list(dict.fromkeys(request.payload.lists.get("resource", ())))
    if not set(allowed).issuperset(asked):
        raise errors.InvalidTarget(errors.RESOURCE_REFUSED)
    return asked or allowed


def _limits(granted: str, resources: list[str]) -> dict[str, Any]:
    document: dict[str, Any] = {"scope": granted} if granted else {}
    if resources:
        document["resource"] = resources[0] if len(resources) == 1 else resources
    return document


def _email(server: "Server", request: Request, sub: str) -> dict[str, Any]:
    """Return the address by which the other side may know the person, where the client may know it, too."""
    user = server.store.users.get(sub) if "email" in request.client.scopes else None
    known = user is not None and user.email is not None and user.email_verified
    return {"email": user.email, "email_verified": True} if user is not None and known else {}


def _text(claims: dict[str, Any], name: str) -> str | None:
    return jwt.text(claims, name) if name in claims else None


def _identifiers(claims: dict[str, Any]) -> tuple[str, ...] | None:
    if "resource" not in claims:
        return None
    value = claims["resource"]
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(one, str) for one in values):
        msg = "the resource is not a string or a list of strings"
        raise jwt.InvalidJWT(msg)
    return tuple(values)

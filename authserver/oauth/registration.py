"""OAuth 2.0 Dynamic Client Registration Protocol (RFC 7591).

https://www.rfc-editor.org/rfc/rfc7591

A program registers itself: it sends what it says of itself, and gets a ``client_id`` and, where its method needs one, a
secret. Who may, the settings say: nobody, whoever brings an initial access token, or anybody. What such a client may
become is bounded by one policy; what only an administrator decides is dropped. Nobody vouches for it, so people are
told that, and asked again in every browser session.

Plugs into: ENDPOINTS, TAKE_JSON, METADATA; runs REGISTRATION_CHECK.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from authserver import jwt
from authserver.clock import HOUR, SECOND, now
from authserver.limits import Exceeded, network_of
from authserver.manage import clients, registration_tokens, uris
from authserver.manage.client_metadata import CODE, Check
from authserver.manage.client_rules import grants_of
from authserver.manage.errors import InvalidMetadata
from authserver.manage.profiles import PROFILES
from authserver.oauth import client_auth, errors
from authserver.oauth.request import Answer, Request, json_answer
from authserver.records import Client
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "registration"
PATH: Final = "/register"
METHODS: Final = ("POST",)
CONFIGURATION_PATH: Final = "/register/client"  # RFC 7592 2
STATEMENT: Final = "software_statement"
# Members of extensions that a client may say of itself: those of the IANA registry of client metadata, and ours that
# bind nobody but the client. Whatever is not here is an administrator's to say.
SELF_DECLARED: Final = frozenset(
    {
        "authorization_details_types",
        "authorization_encrypted_response_alg",
        "authorization_encrypted_response_enc",
        "authorization_signed_response_alg",
        "backchannel_authentication_request_signing_alg",
        "backchannel_client_notification_endpoint",
        "backchannel_logout_session_required",
        "backchannel_logout_uri",
        "backchannel_token_delivery_mode",
        "backchannel_user_code_parameter",
        "dpop_bound_access_tokens",
        "dpop_require_nonce",
        "frontchannel_logout_session_required",
        "frontchannel_logout_uri",
        "grant_types",
        "id_token_encrypted_response_alg",
        "id_token_encrypted_response_enc",
        "introspection_encrypted_response_alg",
        "introspection_encrypted_response_enc",
        "introspection_signed_response_alg",
        "request_object_encryption_alg",
        "request_object_encryption_enc",
        "request_object_signing_alg",
        "request_uris",
        "require_pushed_authorization_requests",
        "require_signed_request_object",
        "response_modes",
        "response_types",
        "sector_identifier_uri",
        "tls_client_auth_san_dns",
        "tls_client_auth_san_email",
        "tls_client_auth_san_ip",
        "tls_client_auth_san_uri",
        "tls_client_auth_subject_dn",
        "tls_client_certificate_bound_access_tokens",
        "use_mtls_endpoint_aliases",
        "userinfo_encrypted_response_alg",
        "userinfo_encrypted_response_enc",
        "userinfo_signed_response_alg",
    }
)
_NEVER_STATED: Final = frozenset({"client_id", "client_secret", STATEMENT})
_SKEW: Final = 60  # seconds of clock difference that other parties may have


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the endpoint to those who may use it (RFC 8414 2)."""
    del server
    return {} if settings.registration.mode == "closed" else {"registration_endpoint": settings.issuer + PATH}


def respond(server: "Server", request: Request) -> Answer:
    """Register the client (3.1), and answer what was stored of it, with the secret that is shown only now (3.2.1)."""
    token = bearer(request)
    ends = _admit(server, request, token)
    try:
        given = narrowed(server, stated(server, request.document))
        profile, known = server.settings.registration.profile, members(server)
        approve(server, clients.described("", given, profile=profile, members=known, moment=now()))
        registered = clients.register(
            server.store,
            server.sealer,
            given,
            profile=profile,
            actor="registration",
            members=known,
            origin="registration",
        )
    except (InvalidMetadata, errors.OAuth2Error) as problem:
        if token is not None and ends is not None:
            registration_tokens.return_initial(server.store, token, ends)
        raise refused(problem) from None
    access = registration_tokens.make_access(server.store, registered["client_id"])
    return json_answer(201, {**registered, **door(server, registered["client_id"], access)})


def bearer(request: Request) -> str | None:
    """Return the access token of the header (RFC 6750 2.1); in no other place is one looked for."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def stated(server: "Server", document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata with what a software statement says in the place of what the client says (2.3, 3.1.1)."""
    statement = document.get(STATEMENT)
    if statement is None:
        if server.settings.registration.require_statement:
            raise errors.InvalidSoftwareStatement(errors.STATEMENT_MISSING)
        return dict(document)
    try:
        claims = _read_statement(server, statement)
    except jwt.InvalidJWT:
        raise errors.InvalidSoftwareStatement(errors.STATEMENT_INVALID) from None
    return {**document, **{name: value for name, value in claims.items() if name not in _NEVER_STATED}}


def narrowed(server: "Server", given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the policy leaves of the metadata (3.2.1: the server may "replace any of the client's requested").

    Of a list, what may not be is left out; where nothing remains, or a URI may not be, the registration is refused.
    What is not of the right shape is left to the check of each member.
    """
    policy, kept = server.settings.registration, dict(given)
    if kept.get("grant_types") is None:
        kept["grant_types"] = [CODE]  # 2: what is left out is this one, which the policy may not allow either
    grants, responses = _grants_and_responses(server)
    for name, allowed, sentence in (
        ("grant_types", grants, errors.GRANT_TYPES_CLOSED),
        ("response_types", responses, errors.RESPONSE_TYPES_CLOSED),
    ):
        asked = kept.get(name)
        if isinstance(asked, list) and all(isinstance(entry, str) for entry in asked):
            # RFC 6749 3.1.1: the order of the words of a response type does not matter.
            kept[name] = [entry for entry in asked if " ".join(sorted(entry.split(" "))) in allowed]
            if asked and not kept[name]:
                raise errors.InvalidClientMetadata(sentence)
    scope = kept.get("scope")
    if scope is None:
        kept["scope"] = " ".join(policy.scopes)
    elif isinstance(scope, str):
        kept["scope"] = " ".join(value for value in scope.split(" ") if value in policy.scopes)
        if scope and not kept["scope"]:
            raise errors.InvalidClientMetadata(errors.SCOPE_CLOSED)
    for name, refusal in (
        ("redirect_uris", errors.InvalidRedirectURI),
        ("post_logout_redirect_uris", errors.InvalidClientMetadata),
    ):
        places = kept.get(name)
        if isinstance(places, list) and not all(_is_allowed(server.settings, place) for place in places):
            raise refusal(errors.REDIRECT_CLOSED)
    return kept


def _grants_and_responses(server: "Server") -> tuple[frozenset[str], frozenset[str]]:
    """Return the grant types and response types that the policy leaves to whoever registers."""
    policy = server.settings.registration
    front = PROFILES[policy.profile].front_channel
    grants = frozenset(policy.grant_types) | (grants_of(server.response_types) - {CODE} if front else frozenset())
    return grants, frozenset(kind for kind in server.response_types if grants_of((kind,)) <= grants)


def members(server: "Server") -> dict[str, Check]:
    """Return the members of extensions that a client may say of itself, and the statement, which is kept as it came."""
    known = server.registry.CLIENT_METADATA.items()
    return {name: check for name, check in known if name in SELF_DECLARED} | {STATEMENT: lambda _name, value: value}


def approve(server: "Server", client: Client) -> None:
    """Check what a client has to show that nobody vouches for; raises InvalidMetadata or OAuth2Error."""
    for step in server.registry.REGISTRATION_CHECK:
        step(server, client.metadata)


def refused(problem: Exception) -> errors.OAuth2Error:
    """Return the error of the protocol (3.2.2) for a refusal."""
    if isinstance(problem, errors.OAuth2Error):
        return problem
    if not isinstance(problem, InvalidMetadata):
        return errors.TooManyRequests(errors.CHANGED_AT_ONCE)
    known = {"invalid_redirect_uri": errors.InvalidRedirectURI}
    return known.get(problem.error, errors.InvalidClientMetadata)(problem.description)


def door(server: "Server", client_id: str, access_token: str) -> dict[str, str]:
    """Return what the client needs to manage its registration (RFC 7592 3)."""
    place = f"{server.settings.issuer}{CONFIGURATION_PATH}?client_id={quote(client_id, safe='')}"
    return {"registration_client_uri": place, "registration_access_token": access_token}


def _admit(server: "Server", request: Request, token: str | None) -> int | None:
    """Let in who may register (3), so many from one address; return the end of the initial access token, if any."""
    mode = server.settings.registration.mode
    if mode == "closed" or (token is None and mode == "token"):
        raise errors.TokenWanted(errors.INITIAL_TOKEN) if token is None else errors.InvalidToken(errors.INITIAL_TOKEN)
    if token is not None:
        ends = registration_tokens.spend_initial(server.store, token)
        if ends is None:
            raise errors.InvalidToken(errors.INITIAL_TOKEN)
        return ends
    try:
        most = server.settings.limits.registrations
        server.limits.count("registration", network_of(request.address), HOUR, most)
    except Exceeded as limit:
        raise errors.TooManyRequests(errors.REGISTERED_TOO_OFTEN, limit.retry_after) from None
    return None


def _read_statement(server: "Server", statement: Any) -> dict[str, Any]:
    """Return the claims of a software statement that a trusted issuer has signed (2.3); raises InvalidJWT."""
    if not isinstance(statement, str):
        msg = "not a string"
        raise jwt.InvalidJWT(msg)
    parsed = jwt.parse(statement)
    issuer = jwt.text(parsed.claims, "iss")
    trusted = {entry.issuer: entry.jwks_uri for entry in server.settings.registration.statement_issuers}
    if issuer not in trusted:
        raise errors.UnapprovedSoftwareStatement(errors.STATEMENT_UNAPPROVED)
    key = client_auth.choose_key(server.outbound.issuer_keys(issuer, trusted[issuer], parsed), parsed)
    jwt.verify(parsed, key, jwt.ASYMMETRIC)
    moment = now() // SECOND
    expires_at, not_before, issued_at = (jwt.seconds(parsed.claims, name) for name in ("exp", "nbf", "iat"))
    wrong = (
        # RFC 8725 3.11, 3.12: another kind of token of the same issuer, or one for somebody else, states nothing here.
        jwt.media_type(parsed) not in {None, "jwt"}
        or ("aud" in parsed.claims and server.settings.issuer not in jwt.audiences(parsed.claims))
        or (expires_at is not None and expires_at <= moment - _SKEW)
        or (not_before is not None and not_before > moment + _SKEW)
        or (issued_at is not None and issued_at > moment + _SKEW)
    )
    if wrong:
        msg = "the statement's claims are not accepted"
        raise jwt.InvalidJWT(msg)
    return parsed.claims


def _is_allowed(settings: Settings, place: Any) -> bool:
    """Say whether the policy allows a redirect URI; one that is none is refused for that."""
    if uris.post_logout_redirect_uri(place) is not None:
        return True
    policy, parts = settings.registration, urlsplit(place)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"}:
        return "private" in policy.redirects
    if host in uris.LOOPBACK:
        return "loopback" in policy.redirects
    listed = any(host == entry or (entry.startswith(".") and host.endswith(entry)) for entry in policy.redirect_hosts)
    return "https" in policy.redirects and (listed or not policy.redirect_hosts)

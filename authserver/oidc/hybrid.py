"""Hybrid and Implicit Flow (OpenID Connect Core 1.0, 3.2 and 3.3): more than a code from the authorization endpoint.

https://openid.net/specs/openid-connect-core-1_0.html#HybridFlowAuth

What passes through the browser lies open there. So nothing of this exists unless it is switched on, and then only for
clients of a profile that allows it and that are registered for it; it is never in a query; an access token of this way
lives for minutes and can be refreshed by nothing; a client whose tokens are bound to a key gets none. Response types
are sets of words (OAuth 2.0 Multiple Response Types): here they are written in alphabetical order.

Plugs into: RESPONSE_TYPES, AUTHORIZE_CHECK (``place`` first: all errors go where the response would; ``check`` after
what it looks at), CLIENT_METADATA. ``oauth/token.py`` and ``oauth/authorization_code.py`` announce it.
"""

import hmac
from typing import TYPE_CHECKING, Any, Final

from authserver.clock import DAY, SECOND, now
from authserver.crypto import new_id
from authserver.manage.client_metadata import GRANT_TYPES, IMPLICIT, some
from authserver.manage.profiles import PROFILES
from authserver.oauth import authorization_code, errors, issue, scope
from authserver.oauth.request import AuthorizationRequest, Parameters, Request
from authserver.oauth.server import error_parameters
from authserver.oidc import id_token
from authserver.records import Client, Event, Grant, Session
from authserver.store.errors import Conflict

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "hybrid"
TOKEN_SECONDS: Final = 300
"""What an access token from the authorization endpoint lives at the longest (RFC 9700 2.1.2)."""
_TYPES: Final = frozenset({"code", "code id_token", "code id_token token", "code token", "id_token", "id_token token"})
_FRONT: Final = frozenset({"id_token", "token"})
_IN_QUERY: Final = frozenset({"query", "query.jwt", "jwt"})


def response_types(name: str, value: Any) -> list[str]:
    """Check what a client registers, its words in any order (Registration 2)."""
    ordered = (
        [_ordered(entry) if isinstance(entry, str) else entry for entry in value] if type(value) is list else value
    )
    return list(some(_TYPES)(name, ordered))


def grant_types(name: str, value: Any) -> list[str]:
    """Check the grant types that a client registers: ``implicit`` belongs to these response types (Registration 2)."""
    return list(some(GRANT_TYPES | {IMPLICIT})(name, value))


CLIENT_METADATA: Final = {"response_types": response_types, "grant_types": grant_types}


def place(server: "Server", request: Request) -> None:
    """Choose where the answer goes (3.3.2.5): to the fragment unless a form or a JWT is asked for."""
    asked = request.parameters.get("response_type", "")
    if _FRONT.isdisjoint(asked.split()):
        return
    request.parameters["response_type"] = _ordered(asked)
    mode = request.parameters.get("response_mode", "fragment")
    # JARM 2.3.4: what ``jwt`` means depends on the response type.
    mode = "fragment.jwt" if mode == "jwt" else mode
    registered = request.client.metadata.get("response_modes", server.response_modes)
    # Multiple Response Types 3: never in the query, where it would end in logs and Referer headers.
    possible = [known for known in registered if known in server.response_modes and known not in _IN_QUERY]
    if mode in possible:
        request.parameters["response_mode"] = mode
        return
    # Nor does an error go there, or out without the signature that a client relies on.
    signed = all(known.endswith("jwt") for known in registered)
    first = "fragment.jwt" if signed else "fragment"
    request.response_mode = first if first in possible or not possible else possible[0]
    raise errors.InvalidRequest(errors.RESPONSE_MODE)


def check(server: "Server", request: Request) -> None:
    """Check what these response types need (3.2.2.1, 3.3.2.11)."""
    del server
    words = request.parameters["response_type"].split()
    if words == ["code"]:
        return
    _check_client(request.client, words)
    if "token" in words:
        if request.dpop_jkt is not None:
            raise errors.InvalidRequest(errors.BINDING_IMPOSSIBLE)
        if len(request.resources) > 1:
            raise errors.InvalidTarget(errors.RESOURCE_AMBIGUOUS)
    if "id_token" in words:
        if "openid" not in request.granted_scope.split():
            raise errors.InvalidScope(errors.OPENID_MISSING)
        if "nonce" not in request.parameters:
            raise errors.InvalidRequest(errors.NONCE_MISSING)
    if "code" not in words:
        # 11: without a code there is nothing to keep access with.
        request.granted_scope = " ".join(value for value in request.granted_scope.split() if value != "offline_access")


def answer(server: "Server", request: AuthorizationRequest, session: Session, *, seed: bytes | None) -> dict[str, str]:
    """Answer an authorization request with what it asks for (3.2.2.5, 3.3.2.5), or with an error (3.3.2.6)."""
    try:
        return _answer(server, request, session, seed)
    except errors.OAuth2Error as error:
        return error_parameters(error)


def _answer(server: "Server", request: AuthorizationRequest, session: Session, seed: bytes | None) -> dict[str, str]:
    """Make everything first and open the grant last: what is refused leaves nothing behind."""
    words = request.response_type.split()
    client = server.query_client(request.client_id)
    if client is None:
        raise errors.UnauthorizedClient(errors.RESPONSE_TYPE_REFUSED)
    # It may have been changed while the user was asked.
    _check_client(client, words)
    grant = authorization_code.new_grant(server, request, session, _grant_id(seed))
    if "code" not in words:
        # Nothing refreshes what it gives: it need not live as long as one of a refresh chain.
        grant = grant._replace(expires_at=min(grant.expires_at, grant.created_at + DAY))
    given = _given(server, client, grant)
    response, code_digest = {}, None
    if "code" in words:
        response["code"], code_digest = authorization_code.new_code(seed)
    if "token" in words:
        for step in server.registry.TOKEN_CHECK:
            step(server, given)
        response |= _token_parameters(issue.prepare(server, given, subject=grant.sub, longest=TOKEN_SECONDS))
    if "id_token" in words:
        response["id_token"] = _id_token(server, request, given, grant, response)
    _open(server, request, session, grant, code_digest)
    if given.access_row is not None:
        server.store.tokens.add(given.access_row)
    return response


def _check_client(client: Client, words: list[str]) -> None:
    """Refuse a client that is not registered for this, or that may have bound tokens alone (RFC 9449 5)."""
    bound = client.metadata.get("dpop_bound_access_tokens") or client.metadata.get(
        "tls_client_certificate_bound_access_tokens"
    )
    if (
        not PROFILES[client.profile].front_channel
        or not client.check_grant_type(IMPLICIT)
        or ("token" in words and bound)
    ):
        raise errors.UnauthorizedClient(errors.RESPONSE_TYPE_REFUSED)


def _given(server: "Server", client: Client, grant: Grant) -> Request:
    """Return the request that tokens are issued by: a token request in which nothing is asked for and nothing shown."""
    given = Request(Parameters({}), {}, endpoint=f"{server.settings.issuer}/authorize")
    given.client, given.grant, given.user = client, grant, grant.sub
    given.granted_scope = scope.of_today(client, grant.scope)
    given.issued_at = now()
    return given


def _token_parameters(response: dict[str, Any]) -> dict[str, str]:
    """Return an access token as parameters (RFC 6749 4.2.2); of rich requests, introspection tells."""
    return {
        name: str(response[name]) for name in ("access_token", "token_type", "expires_in", "scope") if response[name]
    }


def _id_token(
    server: "Server", request: AuthorizationRequest, given: Request, grant: Grant, response: dict[str, str]
) -> str:
    """Make the ID token that vouches for what stands beside it (3.2.2.10, 3.3.2.11; FAPI 1.0 Advanced 5.1.1)."""
    algorithm = given.client.id_token_signed_response_alg
    hashed = {"c_hash": response.get("code"), "at_hash": response.get("access_token"), "s_hash": request.state}
    about = {name: id_token.half_hash(text, algorithm) for name, text in hashed.items() if text is not None}
    # 5.4: where no access token is given at all, this is the only place for the claims of the scope.
    alone = request.response_type == "id_token"
    return id_token.make(server, given, grant, {**about, "nonce": request.nonce}, alone=alone)


def _open(
    server: "Server", request: AuthorizationRequest, session: Session, grant: Grant, code_digest: bytes | None
) -> None:
    """Open the grant that code and tokens belong to; at a second submission it is there, the same and in force."""
    ends = grant.created_at + authorization_code.code_seconds(server, request) * SECOND
    try:
        server.store.grants.open(grant, code_digest, None if code_digest is None else ends)
        opened = True
    except Conflict:
        opened = False
        before = server.store.grants.get(grant.grant_id)
        if before is None or (before.sid, before.scope) != (grant.sid, grant.scope):
            raise errors.AccessDenied(errors.DENIED) from None
    # Whoever ends the session between its look-up and now has found no grant to revoke, and no redemption looks again.
    if server.store.sessions.get(session.sid) is None:
        if opened:
            event = Event("grant.revoked", grant.sub, grant.client_id, grant.sub, {"grant_id": grant.grant_id})
            server.store.grants.revoke(grant.grant_id, "session.ended", event)
        raise errors.LoginRequired(errors.NEED_LOGIN)


def _grant_id(seed: bytes | None) -> str:
    """Return the grant's identifier, the same for a second submission; it stands in tokens and tells of no code."""
    return new_id() if seed is None else hmac.digest(seed, b"grant", "sha256").hex()[:32]


def _ordered(response_type: str) -> str:
    """Return a response type with its words in order (RFC 6749 3.1.1: the order does not matter)."""
    return " ".join(sorted(response_type.split()))

"""OAuth 2.0 Token Exchange (RFC 8693): one token for another, for the next service of a chain.

https://www.rfc-editor.org/rfc/rfc8693

A service that was called with a token asks here for the one with which it calls the next service. What it gets is
never more than what it had: the same person, no scope beyond that of the token and of the client, no longer life, the
same grant, so that all of a chain dies at once. Who acts is written into it (delegation), unless an administrator has
allowed the client to leave that out (impersonation). For which targets it may ask is an administrator's word, too.

RFC 8693 is silent about bound tokens. Whoever a token was given to has to prove its key; a service that was called with
it cannot, and has to prove a key of its own: what was bound never becomes a bearer token.

Plugs into: GRANTS, EXCHANGES, TOKEN_CLAIMS, PARAMETERS; administrators' members of a client: ``exchange_audiences``,
``may_impersonate``, ``may_act``.
"""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from authlib.oauth2 import rfc6749

from authserver import audit, jwt
from authserver.clock import SECOND, now
from authserver.manage import client_metadata
from authserver.oauth import access_token, errors, introspection, issue, scope
from authserver.oauth.request import Request
from authserver.oauth.server import Issuing
from authserver.records import Client, Grant, LiveToken

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "token_exchange"
PARAMETERS: Final = frozenset(
    {"subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type"}
)
_TYPE: Final = "urn:ietf:params:oauth:token-type:"  # 3
ACCESS_TOKEN: Final = f"{_TYPE}access_token"
JWT: Final = f"{_TYPE}jwt"
ID_TOKEN: Final = f"{_TYPE}id_token"
_MAX_ACTORS: Final = 4


class Party(NamedTuple):
    """Whom a subject or actor token speaks of, once it has been checked; its claims, and its end."""

    sub: str
    claims: dict[str, Any]
    expires_at: int


class Exchanged(NamedTuple):
    """What the claims of the issued token say of the exchange: the actors, the current one outermost (4.1)."""

    act: dict[str, Any] | None


class TokenExchangeGrant(Issuing, rfc6749.BaseGrant, rfc6749.TokenEndpointMixin):  # type: ignore[misc] # Authlib's hooks are untyped
    """The grant (2.1); what is issued is decided by ``requested_token_type``."""

    GRANT_TYPE = client_metadata.TOKEN_EXCHANGE

    def validate_token_request(self) -> None:
        """Check the client and the form of the request (2.1)."""
        self.check_grant_type()
        request, sent = self.request, self.request.parameters
        if request.client.public:
            # 2.1: without authentication anybody who has a leaked token could use it to get another one.
            raise errors.UnauthorizedClient(errors.GRANT_TYPE_REFUSED)
        if "subject_token" not in sent or "subject_token_type" not in sent:
            raise errors.InvalidRequest(errors.SUBJECT_MISSING)
        # 2.1: actor_token_type "is REQUIRED when the actor_token parameter is present [...] MUST NOT [...] otherwise".
        if ("actor_token" in sent) != ("actor_token_type" in sent):
            raise errors.InvalidRequest(errors.ACTOR_INCOMPLETE)
        if sent.get("requested_token_type", ACCESS_TOKEN) not in self.server.registry.EXCHANGES:
            raise errors.InvalidRequest(errors.REQUESTED_TYPE)

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:  # type: ignore[override] # no text yet
        """Issue what was asked for (2.2.1)."""
        kind = self.request.parameters.get("requested_token_type", ACCESS_TOKEN)
        body = self.server.registry.EXCHANGES[kind](self)
        return 200, {**body, "issued_token_type": kind}, self.TOKEN_RESPONSE_HEADER


def to_access_token(grant: Issuing) -> dict[str, Any]:
    """Exchange an access token of ours for another one, opaque or a JWT as its target has it."""
    server, request = grant.server, grant.request
    if not request.client.metadata.get("exchange_audiences"):
        raise errors.UnauthorizedClient(errors.EXCHANGE_REFUSED)
    moment = now()  # before anything is looked at: whoever is switched off from now on is seen when a grant is opened
    live, subject = _read_subject(server, request)
    acting = _read_actor(server, request)
    request.credential = Exchanged(_chain(request.client, subject, acting))
    request.grant = _grant(server, request.client, live, subject, moment)
    request.granted_scope = _scope(request.client, live.scope, request.scope)
    _name_target(request)
    grant.run_checks()
    # Never longer than what it was got with.
    ends = [subject.expires_at, *([] if acting is None else [acting.expires_at])]
    left = (min(ends) - now()) // SECOND
    if left <= 0:
        raise errors.InvalidRequest(errors.SUBJECT_INVALID)
    longest = min(left, server.settings.tokens.exchanged_token_seconds)
    body = issue.prepare(server, request, subject=subject.sub, longest=longest)
    if request.parameters.get("requested_token_type") == JWT and access_token.is_opaque(body["access_token"]):
        raise errors.InvalidRequest(errors.REQUESTED_TYPE)
    if live.grant_id is None and not issue.open_grant(server, request):
        raise errors.InvalidRequest(errors.SUBJECT_INVALID)
    _record(server, request, subject, acting)
    grant.store_tokens()
    # RFC 9396 7: "MUST also return the authorization details as granted".
    return {**body, "authorization_details": request.details} if request.details else body


def actor(server: "Server", request: Request) -> None:
    """Write who acts (4.1), and who alone may do so next, where the client has named somebody (4.4)."""
    del server
    if isinstance(request.credential, Exchanged) and request.credential.act is not None:
        request.claims["act"] = request.credential.act
    named = request.client.metadata.get("may_act")
    if named is not None:
        request.claims["may_act"] = {"sub": named}


def read_id_token(server: "Server", client: Client, text: str) -> Party | None:
    """Return whom an ID token that we gave to this client speaks of; None when it is not in force."""
    try:
        parsed = jwt.parse(text)
        claims = server.keys.verify(parsed)
        named, expires_at = jwt.text(claims, "sub"), jwt.seconds(claims, "exp") or 0
        # RFC 8725 3.12: no other JWT of ours has this type and a time of authentication.
        good = jwt.media_type(parsed) == "jwt" and jwt.seconds(claims, "auth_time") is not None
    except jwt.InvalidJWT:
        return None
    if not good or claims.get("iss") != server.settings.issuer or claims.get("aud") != client.client_id:
        return None
    # It names no grant. Whether its user and its session are in force can be asked, and sessions end with their users.
    sub = server.subjects.find(client, named)
    sessions = server.store.sessions.of_user(sub, 0) if expires_at * SECOND > now() else ()
    alive = claims.get("sid") in {server.subjects.session_of(client, sub, session.sid) for session in sessions}
    return Party(sub, claims, expires_at * SECOND) if alive else None


def _read_subject(server: "Server", request: Request) -> tuple[LiveToken, Party]:
    """Return the subject token (2.1); 2.2.2 knows one error for all that may be wrong with it."""
    live = _live(server, request.parameters["subject_token"], request.parameters["subject_token_type"])
    if live is None:
        raise errors.InvalidRequest(errors.SUBJECT_INVALID)
    claims, client = orjson.loads(live.claims), request.client
    # 4.4: whoever is named may act, though the token was neither given to it nor meant for it.
    if claims.get("may_act", {}).get("sub") != client.client_id and not _is_meant(server, client, live):
        raise errors.InvalidRequest(errors.SUBJECT_INVALID)
    _check_binding(request, live, claims, errors.SUBJECT_BOUND)
    return live, Party(live.sub, claims, live.expires_at)


def _read_actor(server: "Server", request: Request) -> Party | None:
    """Return the actor token, if one was sent (2.1): it stands for the party that will act."""
    sent = request.parameters
    text, kind = sent.get("actor_token"), sent.get("actor_token_type", "")
    if text is None:
        return None
    if kind == ID_TOKEN:
        read = read_id_token(server, request.client, text)
        if read is None:
            raise errors.InvalidRequest(errors.ACTOR_INVALID)
        return read
    live = _live(server, text, kind)
    claims = {} if live is None else orjson.loads(live.claims)
    # An actor for whom somebody else acts would have to be two actors at once.
    if live is None or "act" in claims or not _is_meant(server, request.client, live):
        raise errors.InvalidRequest(errors.ACTOR_INVALID)
    _check_binding(request, live, claims, errors.ACTOR_INVALID)
    return Party(live.sub, claims, live.expires_at)


def _live(server: "Server", text: str, kind: str) -> LiveToken | None:
    if kind not in {ACCESS_TOKEN, JWT}:
        raise errors.InvalidRequest(errors.TOKEN_TYPE)
    if kind == JWT and access_token.is_opaque(text):
        return None
    return access_token.find(server, text)


def _is_meant(server: "Server", client: Client, live: LiveToken) -> bool:
    return introspection.is_meant_for(server, client, live.client_id, live.audience)


def _check_binding(request: Request, live: LiveToken, claims: dict[str, Any], sentence: str) -> None:
    cnf = claims.get("cnf")
    if cnf is None:
        return
    own = live.client_id == request.client.client_id
    if not (request.proves(cnf) if own else request.confirmation):
        raise errors.InvalidRequest(sentence)


def _chain(client: Client, subject: Party, acting: Party | None) -> dict[str, Any] | None:
    """Return the actors of the issued token (4.1); raises InvalidRequest when the subject token names another one.

    The actors before are kept, also where the client may impersonate: what others have done stays to be seen.
    """
    before: dict[str, Any] | None = subject.claims.get("act")
    who = client.client_id if acting is None else acting.sub
    may_act = subject.claims.get("may_act")
    if may_act is not None and may_act.get("sub") != who:
        raise errors.InvalidRequest(errors.ACTOR_REFUSED)
    impersonates = acting is None and client.metadata.get("may_impersonate") is True
    if impersonates or (before is not None and before["sub"] == who):
        return before
    act = {"sub": who} if before is None else {"sub": who, "act": before}
    if _length(act) > _MAX_ACTORS:
        raise errors.InvalidRequest(errors.ACTORS)
    return act


def _length(act: dict[str, Any] | None) -> int:
    return 0 if act is None else 1 + _length(act.get("act"))


def _grant(server: "Server", client: Client, live: LiveToken, subject: Party, moment: int) -> Grant:
    """Return the grant of the subject token as far as this client may use it.

    For its targets, with no more authorization details than the token has (RFC 9396 6), and without the binding.
    """
    found = _of_itself(live, moment) if live.grant_id is None else server.store.grants.get(live.grant_id)
    if found is None:
        raise errors.InvalidRequest(errors.SUBJECT_INVALID)
    targets = " ".join(client.metadata["exchange_audiences"])
    details = subject.claims.get("authorization_details")
    known = None if details is None else orjson.dumps(details).decode()
    return found._replace(resources=targets, authorization_details=known, cnf=None, claims=None, nonce=None)


def _of_itself(live: LiveToken, moment: int) -> Grant:
    """Make a grant for the token of a client that acts for itself: it ends with that client, as the token does."""
    return issue.unattended_grant(live.client_id, live.sub, live.scope, "", moment, live.expires_at)


def _scope(client: Client, had: str, asked: str | None) -> str:
    """Return the scope, never wider than the token's and the client's; nothing outlives it, so not offline access."""
    values = [value for value in scope.of_today(client, had).split() if value != "offline_access"]
    return scope.narrowed(" ".join(values), asked)


def _name_target(request: Request) -> None:
    """Read an ``audience`` as a ``resource`` (2.1): here the logical name of a target is its identifier."""
    lists = request.payload.lists
    if "audience" in lists:
        request.payload.lists = {**lists, "resource": (*lists.get("resource", ()), *lists["audience"])}


def _record(server: "Server", request: Request, subject: Party, acting: Party | None) -> None:
    """Note an impersonation, of which the token itself tells nothing."""
    if acting is None and request.client.metadata.get("may_impersonate") is True:
        client_id, facts = request.client.client_id, {"audience": request.audience, "scope": request.token_scope}
        audit.record(server.store, "token.impersonated", client_id, client_id=client_id, sub=subject.sub, facts=facts)

"""What the user must still do (OpenID Connect Core 1.0, 3.1.2.3, 3.1.2.4): sign in, choose, step up, consent.

https://openid.net/specs/openid-connect-core-1_0.html#Authenticates

The request is validated once and kept; pages carry only the interaction's id, which counts together with the cookie of
the browser that began it. Each browser has a fixed number of places for open interactions; a new one takes the
oldest's.

Plugs into: ``web/authorize.py``, ``web/login.py``, ``web/consent.py``.
"""

import hmac
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from authserver.clock import SECOND, now
from authserver.crypto import Kind, b64, digest_of, new_handle
from authserver.language import N_
from authserver.oauth import errors
from authserver.oauth.request import Answer, AuthorizationRequest, FormPost
from authserver.oidc import consent, step_up, user_registration
from authserver.records import Client, Item, Session
from authserver.store.errors import Conflict

if TYPE_CHECKING:
    from authserver.oauth.server import Server

SPACE: Final = "interaction"
REPEAT: Final = 10 * SECOND  # a second submission within this time gets the same answer
_GONE: Final = N_("This sign-in was already completed.")
_TOO_MANY: Final = N_("Too many sign-ins were started at once.")
_CLIENT_GONE: Final = N_("The application that sent you here was switched off or changed in the meantime.")


@dataclass(frozen=True, slots=True)
class Interaction:
    """A validated authorization request that waits for its user."""

    interaction_id: str
    browser_id: str
    created_at: int
    expires_at: int
    version: int
    request: AuthorizationRequest
    client: Client
    sid: str | None = None  # the account chosen
    decision: str | None = None  # "allow" or "deny", by ``decided_by``
    decided_by: str | None = None
    done_at: int | None = None
    without: str | None = None  # the account that goes on without the second factor that was wished for


def begin(server: "Server", request: AuthorizationRequest, browser_id: str) -> str:
    """Keep a request for its user; return the interaction's id."""
    handle, digest = new_handle(Kind.INTERACTION)
    lifetime = server.settings.sessions.interaction_seconds * SECOND
    places = server.settings.sessions.interactions_per_browser
    place = server.store.ephemeral.count("interactions", browser_id, lifetime) % places
    key, moment = f"{browser_id}.{place}", now()
    value = {"digest": b64(digest), "created_at": moment, "request": request.dump()}
    for _ in range(3):
        server.store.ephemeral.take(SPACE, key)
        try:
            server.store.ephemeral.put(SPACE, key, orjson.dumps(value).decode(), moment + lifetime, request.client_id)
        except Conflict:
            continue
        return f"{handle}.{place}"
    raise errors.NotRedirectable("too_many_sign_ins", _TOO_MANY, errors.ASK_DEVELOPER)


def load(server: "Server", interaction_id: str, browser_id: str) -> Interaction | None:
    """Return an open interaction of this browser, or None: unknown, expired, of another browser."""
    found = _find(server, interaction_id, browser_id)
    if found is None:
        return None
    item, value = found
    request = AuthorizationRequest.load(value["request"])
    state = {name: value.get(name) for name in ("sid", "decision", "decided_by", "done_at", "without")}
    return Interaction(
        interaction_id=interaction_id,
        browser_id=browser_id,
        created_at=value["created_at"],
        expires_at=item.expires_at,
        version=item.version,
        request=request,
        client=_client(server, request),
        **state,
    )


def transient(server: "Server", request: AuthorizationRequest) -> Interaction:
    """Make an interaction that is kept nowhere, for the case that nothing needs to be asked."""
    moment = now()
    return Interaction("", "", moment, moment, 0, request, _client(server, request))


def step(server: "Server", interaction: Interaction, sessions: tuple[Session, ...]) -> str:
    """Say which page comes next, by the names of ``web/authorize.py``, or ``done``."""
    if interaction.done_at is not None or interaction.decision == "deny":
        return "done"
    session = account(interaction, sessions)
    if session is None:
        chosen = interaction.sid is not None
        if not chosen and user_registration.comes_first(server, interaction.request):
            return "create"
        return (
            "select_account" if "select_account" in interaction.request.prompt and sessions and not chosen else "login"
        )
    if not _fresh(interaction, session):
        return "login"
    if interaction.request.hinted_sub not in {None, session.sub}:
        # 3.1.2.1: the answer is login_required, so there is nothing to consent to.
        return "done"
    missing = step_up.missing(server, interaction.request, session)
    if missing == "second_factor" or (missing and _may_offer(interaction, session)):
        return missing
    if step_up.told(interaction.request, session) is None:
        # Nor is there anything to consent to where the answer is unmet_authentication_requirements.
        return "done"
    decided = interaction.decision == "allow" and interaction.decided_by == session.sub
    return (
        "done"
        if decided or not consent.is_needed(server, interaction.client, interaction.request, session)
        else "consent"
    )


def account(interaction: Interaction, sessions: tuple[Session, ...]) -> Session | None:
    """Return the session that the request is about: chosen, hinted, or the newest of the browser."""
    request = interaction.request
    if interaction.sid is not None:
        return next((session for session in sessions if session.sid == interaction.sid), None)
    if not {"select_account", "create"}.isdisjoint(request.prompt):
        return None
    if request.hinted_sub is not None:
        return next((session for session in sessions if session.sub == request.hinted_sub), None)
    return sessions[0] if sessions else None


def refuse(server: "Server", request: AuthorizationRequest, outcome: str) -> Answer | FormPost:
    """Answer a ``prompt=none`` request that needs a page (3.1.2.6)."""
    for complete in server.registry.AUTHORIZE_FINISH:
        complete(server, request, "")
    return server.refuse_authorization(request, _refusal(outcome))


def _refusal(outcome: str) -> errors.OAuth2Error:
    if outcome == "consent":
        return errors.ConsentRequired(errors.NEED_CONSENT)
    if outcome == "select_account":
        return errors.AccountSelectionRequired(errors.NEED_SELECTION)
    return errors.LoginRequired(errors.NEED_LOGIN)


def choose(server: "Server", interaction: Interaction, sid: str) -> None:
    """Take the account that was signed in to or chosen."""
    _store(server, interaction, sid=sid, decision=None, decided_by=None)


def go_on_without(server: "Server", interaction: Interaction, session: Session) -> None:
    """Take the word of somebody who has no second factor and does not want one now (RFC 9470 5)."""
    _store(server, interaction, sid=session.sid, without=session.sid)


def decide(server: "Server", interaction: Interaction, session: Session, *, allow: bool) -> None:
    """Take the user's decision; remember a consent where it may be remembered."""
    if interaction.done_at is not None:
        return
    if allow:
        consent.remember(server, interaction.client, interaction.request, session)
    _store(server, interaction, sid=session.sid, decision="allow" if allow else "deny", decided_by=session.sub)


def finish(server: "Server", interaction: Interaction, sessions: tuple[Session, ...]) -> Answer | FormPost:
    """Answer the authorization request; ``step`` has said ``done``.

    A second submission within seconds gets the same code, a later one a page that says so. What may have changed since
    the request was validated is checked again: client, redirect URI, scope, session.
    """
    if interaction.done_at is not None and now() > interaction.done_at + REPEAT:
        raise errors.NotRedirectable("interaction_completed", _GONE, errors.ASK_DEVELOPER)
    session = account(interaction, sessions)
    for complete in server.registry.AUTHORIZE_FINISH:
        complete(server, interaction.request, interaction.interaction_id)
    if interaction.interaction_id and interaction.done_at is None:
        _store(server, interaction, done_at=now(), sid=session.sid if session else interaction.sid)
    if interaction.decision == "deny":
        return server.refuse_authorization(interaction.request, errors.AccessDenied(errors.DENIED))
    if session is None or interaction.request.hinted_sub not in {None, session.sub}:
        return server.refuse_authorization(interaction.request, errors.LoginRequired(errors.NEED_LOGIN))
    acr = step_up.told(interaction.request, session)
    if acr is None:
        unmet = errors.UnmetAuthenticationRequirements(errors.ACR)
        return server.refuse_authorization(interaction.request, unmet)
    session = session._replace(acr=acr)
    request = replace(
        interaction.request,
        scope=consent.granted_scope(server, interaction.client, interaction.request, session),
    )
    seed = None
    if interaction.interaction_id:
        seed = hmac.digest(server.sealer.derive("code"), interaction.interaction_id.encode(), "sha256")
    answer = server.response_types[request.response_type]
    parameters = answer(server, request, session, seed=seed)
    if "error" not in parameters:
        for add in server.registry.AUTHORIZE_ANSWER:
            add(server, request, sessions, parameters)
    return server.respond_authorization(request, parameters)


def _fresh(interaction: Interaction, session: Session) -> bool:
    """Say whether the sign-in is as recent as prompt=login, prompt=create and max_age ask (3.1.2.1)."""
    request = interaction.request
    if not {"login", "create"}.isdisjoint(request.prompt) and session.auth_time < interaction.created_at:
        return False
    # What counts is the age when the answer goes out; but who has signed in for this request is not asked again.
    return request.max_age is None or session.auth_time >= min(interaction.created_at, now() - request.max_age * SECOND)


def _may_offer(interaction: Interaction, session: Session) -> bool:
    """Say whether somebody without a second factor is asked: not where no page may be shown, and only once."""
    return "none" not in interaction.request.prompt and interaction.without != session.sid


def _client(server: "Server", request: AuthorizationRequest) -> Client:
    client = server.query_client(request.client_id)
    good = (
        client is not None
        and client.disabled_at is None
        and client.check_redirect_uri(request.redirect_uri)
        and client.check_response_type(request.response_type)
        and request.response_type in server.response_types
        and client.scopes.issuperset(request.scope.split())
        # What an answer has to be since then (signed, say) counts for requests that were begun before, too.
        and request.response_mode in client.metadata.get("response_modes", (request.response_mode,))
    )
    if client is None or not good:
        raise errors.NotRedirectable("invalid_client", _CLIENT_GONE, errors.ASK_DEVELOPER)
    return client


def _find(server: "Server", interaction_id: str, browser_id: str) -> tuple[Item, dict[str, Any]] | None:
    """Return what is kept of an interaction, unless another one has taken its place."""
    handle, _, place = interaction_id.rpartition(".")
    digest = digest_of(Kind.INTERACTION, handle)
    if digest is None or not (place.isascii() and place.isdigit() and len(place) < 4):
        return None
    item = server.store.ephemeral.get(SPACE, f"{browser_id}.{place}")
    if item is None:
        return None
    value: dict[str, Any] = orjson.loads(item.value)
    return (item, value) if hmac.compare_digest(value["digest"], b64(digest)) else None


def _store(server: "Server", interaction: Interaction, **changes: Any) -> None:
    """Write changes; when another tab was faster, write them over what it wrote.

    What was answered stays as it was answered: a decision is not taken back to make another answer.
    """
    key = f"{interaction.browser_id}.{interaction.interaction_id.rpartition('.')[2]}"
    for _ in range(5):
        found = _find(server, interaction.interaction_id, interaction.browser_id)
        if found is None or found[1].get("done_at") is not None:
            return
        item, value = found
        text = orjson.dumps({**value, **changes}).decode()
        if server.store.ephemeral.swap(SPACE, key, text, item.version, item.expires_at):
            return

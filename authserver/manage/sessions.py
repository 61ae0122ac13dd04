"""Browser sessions, as administrators see them: where an account is signed in, and how that ends."""

from typing import Any

from authserver.clock import SECOND
from authserver.identity.sessions import in_force, since
from authserver.manage.errors import NotThere
from authserver.records import Event, Session
from authserver.settings import Settings
from authserver.store import Store

_REASON = "administrator"


def of_user(store: Store, settings: Settings, sub: str) -> tuple[Session, ...]:
    """Return the live sessions of an account, the newest sign-in first."""
    return tuple(in_force(settings, session) for session in store.sessions.of_user(sub, *since(settings)))


def end(store: Store, sid: str, *, actor: str) -> None:
    """End one session and revoke its grants, but for offline ones; raises NotThere."""
    event = Event("session.ended", actor, facts={"reason": _REASON, "sid": sid})
    if not store.sessions.end([sid], _REASON, event):
        raise NotThere("there is no session with this sid")


def end_all(store: Store, sub: str, *, actor: str) -> int:
    """End every session of an account and revoke their grants, but for offline ones; return how many."""
    return store.sessions.end_all(sub, _REASON, Event("session.ended", actor, sub=sub, facts={"reason": _REASON}))


def describe(session: Session) -> dict[str, Any]:
    """Return what may be shown of a session."""
    return {
        "sid": session.sid,
        "sub": session.sub,
        "auth_time": session.auth_time // SECOND,
        "acr": session.acr,
        "amr": session.amr.split(),
        "created_at": session.created_at // SECOND,
        "seen_at": session.seen_at // SECOND,
        "expires_at": session.expires_at // SECOND,
        "remembered": session.remembered_at > 0,
        "user_agent": session.user_agent,
        "address": session.address,
    }

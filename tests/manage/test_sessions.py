"""Sessions, as administrators see and end them."""

import pytest

from authserver.clock import HOUR, now
from authserver.manage import sessions, users
from authserver.manage.errors import NotThere
from authserver.records import Event, User
from authserver.settings import Settings
from authserver.store import Store


def _signed_in(store: Store, sid: str, sub: str) -> None:
    store.sessions.start(
        sid=sid,
        browser=sid.encode(),
        sub=sub,
        acr="urn:authserver:pwd",
        amr="pwd otp",
        user_agent="Firefox",
        address="192.0.2.1",
        expires_at=now() + HOUR,
        event=Event("sign_in.succeeded", sub, sub=sub),
    )


@pytest.fixture
def anna(store: Store) -> User:
    user = users.make_user("anna")
    users.add(store, user, None, actor="test")
    return user


def test_live_sessions_are_listed_and_ended(store: Store, settings: Settings, anna: User):
    for sid in ("first", "second", "third"):
        _signed_in(store, sid, anna.sub)
    shown = [sessions.describe(one) for one in sessions.of_user(store, settings, anna.sub)]
    assert {one["sid"] for one in shown} == {"first", "second", "third"}
    assert shown[0]["amr"] == ["pwd", "otp"]
    sessions.end(store, "first", actor="somebody")
    with pytest.raises(NotThere):
        sessions.end(store, "first", actor="somebody")
    assert sessions.end_all(store, anna.sub, actor="somebody") == 2
    assert sessions.of_user(store, settings, anna.sub) == ()
    ended = [line.event for line in store.audit.list(0, 100, "session.ended")]
    assert [(event.actor, event.facts["reason"]) for event in ended] == [("somebody", "administrator")] * 2

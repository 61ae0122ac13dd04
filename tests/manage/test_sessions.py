"""Sessions, as administrators see and end them."""

import pytest

from authserver.manage import sessions, users
from authserver.manage.errors import NotThere
from authserver.records import User
from authserver.settings import Settings
from authserver.store import Store
from tests.store.makers import start_session


@pytest.fixture
def anna(store: Store) -> User:
    user = users.make_user("anna")
    users.add(store, user, None, actor="test")
    return user


def test_live_sessions_are_listed_and_ended(store: Store, settings: Settings, anna: User):
    for sid in ("first", "second", "third"):
        start_session(store, sid, anna.sub, sid.encode(), amr="pwd otp")
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

"""Browser sessions and remembered consents."""

import pytest

from authserver.clock import MINUTE
from authserver.records import Session
from authserver.store import Conflict, Store
from tests.store.conftest import StillClock
from tests.store.makers import EVENT, NOW, a_consent, a_grant, a_user, digest, furnish, start_session

BROWSER = b"b" * 32


@pytest.mark.usefixtures("still")
def test_a_session_is_found_by_its_browser_with_the_name_of_its_user(store: Store):
    furnish(store)
    start_session(store, expires_at=NOW + 9)
    assert store.sessions.of_browser(BROWSER, NOW) == (
        Session("session", "sub-1", NOW, "a", "pwd", NOW, NOW, NOW + 9, "Browser/1", "127.0.0.1", 0, "alice"),
    )
    assert store.sessions.of_browser(b"c" * 32, NOW) == ()
    with pytest.raises(Conflict):
        start_session(store)
    with pytest.raises(Conflict):
        start_session(store, "other", "nobody")


def test_only_live_sessions_are_found_the_newest_sign_in_first(store: Store, still: StillClock):
    furnish(store)
    store.users.add(a_user("sub-2", "bob", None), None, EVENT)
    start_session(store, "first")
    still.move(1)
    start_session(store, "second", "sub-2")
    start_session(store, "ends", expires_at=NOW + 2)
    assert [session.sid for session in store.sessions.of_browser(BROWSER, 0)] == ["ends", "second", "first"]
    assert store.sessions.get("ends") == store.sessions.of_browser(BROWSER, 0)[0]
    still.move(1)
    assert [store.sessions.get(sid) for sid in ("ends", "other", "", "\0")] == [None] * 4
    assert [session.sid for session in store.sessions.of_browser(BROWSER, 0)] == ["second", "first"]
    assert [session.sid for session in store.sessions.of_browser(BROWSER, NOW + 1)] == ["second"]
    store.sessions.touch("first", NOW + 3)
    store.sessions.touch("first", NOW + 1)
    assert [session.sid for session in store.sessions.of_browser(BROWSER, NOW + 3)] == ["first"]
    store.users.set_disabled("sub-2", True, EVENT)
    assert [session.sid for session in store.sessions.of_browser(BROWSER, 0)] == ["first"]
    assert store.sessions.get("second") is None
    store.sessions.end(["first"], "logout", EVENT)
    assert store.sessions.get("first") is None


@pytest.mark.usefixtures("still")
def test_a_session_is_proven_anew_only_while_it_lives(store: Store):
    furnish(store)
    start_session(store)
    assert store.sessions.renew("session", NOW + 5, "mfa", "pwd otp")
    (session,) = store.sessions.of_user("sub-1", 0)
    assert (session.auth_time, session.acr, session.amr) == (NOW + 5, "mfa", "pwd otp")
    assert store.sessions.renew("session", NOW + 4, "pwd", "pwd")
    assert store.sessions.upgrade("session", "mfa", "pwd hwk")
    (session,) = store.sessions.of_user("sub-1", 0)
    assert (session.auth_time, session.acr, session.amr) == (NOW + 4, "mfa", "pwd hwk"), "a step-up is no sign-in"
    store.sessions.end(["session"], "logout", EVENT)
    assert not store.sessions.renew("session", NOW + 6, "mfa", "pwd")
    assert not store.sessions.upgrade("session", "mfa", "pwd")


def test_sessions_move_to_a_new_cookie(store: Store):
    furnish(store)
    start_session(store)
    assert store.sessions.move(BROWSER, b"n" * 32) == 1
    assert store.sessions.of_browser(BROWSER, 0) == ()
    assert len(store.sessions.of_browser(b"n" * 32, 0)) == 1


def test_only_what_is_remembered_moves_where_that_is_asked_for(store: Store):
    furnish(store)
    for sid, remembered_at in (("not", 0), ("kept", NOW)):
        start_session(store, sid, remembered_at=remembered_at)
    assert store.sessions.move(BROWSER, b"n" * 32, 1) == 1
    assert [session.sid for session in store.sessions.of_browser(BROWSER, 0)] == ["not"]
    assert [session.sid for session in store.sessions.of_browser(b"n" * 32, 0)] == ["kept"]


@pytest.mark.usefixtures("still")
def test_a_remembered_session_has_limits_of_its_own_where_they_are_given(store: Store):
    furnish(store)
    start_session(store, "ordinary")
    start_session(store, "kept")
    assert store.sessions.remember("kept", NOW, NOW + 99)
    (session,) = store.sessions.of_browser(BROWSER, NOW + 1, 0, NOW - 1, NOW)
    assert (session.sid, session.remembered_at, session.expires_at) == ("kept", NOW, NOW + 99)
    # Seen too long ago for either; asked to be remembered too long ago; not offered any more.
    for limits in ((NOW + 1, 0, NOW - 1, NOW + 1), (NOW + 1, 0, NOW, NOW), (NOW + 1,), (NOW, NOW + 1)):
        assert store.sessions.of_browser(BROWSER, *limits) == store.sessions.of_user("sub-1", *limits) == ()
    assert {session.sid for session in store.sessions.of_browser(BROWSER, NOW, NOW)} == {"ordinary", "kept"}
    assert store.sessions.remember("kept", 0, NOW + 9)
    assert store.sessions.of_browser(BROWSER, NOW + 1, 0, 0, 0) == ()
    store.sessions.end(["kept"], "logout", EVENT)
    assert not store.sessions.remember("kept", NOW, NOW + 99)


@pytest.mark.usefixtures("still")
def test_ending_a_session_revokes_its_grants_but_for_offline_ones(store: Store):
    furnish(store)
    start_session(store, "s")
    start_session(store, "t")
    store.grants.open(a_grant("bound", sid="s"))
    store.grants.open(a_grant("offline", sid="s", offline=1))
    store.grants.open(a_grant("other", sid="t"))
    assert store.sessions.end(["s", "s", "unknown"], "logout", EVENT) == 1
    assert store.sessions.end(["s"], "logout", EVENT) == 0
    assert {grant.grant_id for grant in store.grants.of_user("sub-1")} == {"offline", "other"}
    # What is opened or redeemed for an ended session is dead from the start.
    store.grants.open(a_grant("late", sid="s"), digest("late"), NOW + MINUTE)
    assert store.grants.redeem(digest("late"), "client") is None


@pytest.mark.usefixtures("still")
def test_every_session_of_a_user_is_ended_but_one(store: Store):
    furnish(store)
    for sid in ("s", "t", "u"):
        start_session(store, sid)
        store.grants.open(a_grant(sid, sid=sid))
    store.grants.open(a_grant("sessionless"))
    assert store.sessions.end_all("sub-1", "account", EVENT, keep_sid="t") == 2
    assert [session.sid for session in store.sessions.of_user("sub-1", 0)] == ["t"]
    assert {grant.grant_id for grant in store.grants.of_user("sub-1")} == {"t", "sessionless"}
    assert store.sessions.end_all("sub-1", "account", EVENT) == 1


def test_a_consent_is_remembered_per_resource_and_merged_by_the_caller(store: Store, still: StillClock):
    store.consents.allow([a_consent(), a_consent(resource="urn:r", scope="r")])
    still.move(3)
    store.consents.allow([a_consent(scope="openid", sid="s")], EVENT)
    found = store.consents.find("sub-1", "client", "https://app.example")
    assert set(found) == {
        a_consent(scope="openid", sid="s", created_at=NOW, updated_at=NOW + 3),
        a_consent(resource="urn:r", scope="r", created_at=NOW, updated_at=NOW),
    }
    assert store.consents.find("sub-1", "client", "https://other.example") == ()
    assert store.consents.of_user("sub-1") == tuple(sorted(found, key=lambda consent: -consent.updated_at))


@pytest.mark.usefixtures("still")
def test_withdrawing_a_consent_revokes_every_grant_of_the_pair(store: Store):
    furnish(store)
    store.consents.allow([a_consent(), a_consent(client_id="other")])
    store.grants.open(a_grant("a", offline=1))
    store.grants.open(a_grant("b"))
    assert store.consents.withdraw("sub-1", "client", EVENT)
    assert not store.consents.withdraw("sub-1", "client", EVENT)
    assert store.grants.of_user("sub-1") == ()
    assert [consent.client_id for consent in store.consents.of_user("sub-1")] == ["other"]

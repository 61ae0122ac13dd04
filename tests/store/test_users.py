"""Accounts and what proves them."""

from dataclasses import replace

import pytest

from authserver.clock import MINUTE
from authserver.records import Credential
from authserver.store import Conflict, Store
from authserver.store.users import canonical
from tests.store.conftest import StillClock
from tests.store.makers import EVENT, NOW, a_grant, a_user, an_access_token, digest, furnish, start_session


@pytest.mark.usefixtures("still")
def test_a_user_comes_back_as_it_was_added(store: Store):
    store.users.add(a_user(), "hash", EVENT)
    assert store.users.get("sub-1") == a_user(created_at=NOW, updated_at=NOW)
    assert [credential.secret for credential in store.credentials.of_user("sub-1", "password")] == ["hash"]
    assert store.users.get("sub-2") is None


@pytest.mark.parametrize(
    "login", ["alice", " ALICE ", "\uff21\uff4c\uff49\uff43\uff45", "alice@people.test", "Alice@People.TEST"]
)
def test_a_user_signs_in_with_any_spelling_of_name_or_address(sqlite_store: Store, login: str):
    sqlite_store.users.add(a_user(), None, EVENT)
    found = sqlite_store.users.by_login(login)
    assert found
    assert found.sub == "sub-1"


def test_the_canonical_form_of_a_canonical_form_is_itself():
    letters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    changed = [letter for letter in letters if canonical(letter) != letter]
    assert [letter for letter in changed if canonical(canonical(letter)) != canonical(letter)] == []
    assert canonical("\u0130") == canonical(canonical("\u0130")) != ""


@pytest.mark.parametrize(
    ("username", "email", "named"),
    [
        ("ALICE", "b@people.test", "username"),
        ("bob", "ALICE@people.test", "email"),
        ("Alice@People.test", "b@people.test", "username"),
        ("bob", "alice", "email"),
    ],
)
def test_names_and_addresses_are_unique_together_and_the_conflict_says_which(
    store: Store, username: str, email: str, named: str
):
    store.users.add(a_user(), None, EVENT)
    with pytest.raises(Conflict) as refused:
        store.users.add(a_user("sub-2", username, email), None, EVENT)
    assert refused.value.name == named
    store.users.add(a_user("sub-2", "bob", "bob@people.test"), None, EVENT)
    with pytest.raises(Conflict) as refused:
        store.users.update(a_user("sub-2", username, email), EVENT)
    assert refused.value.name == named
    with pytest.raises(Conflict) as refused:
        store.users.add(a_user("sub-2", "carol", None), None, EVENT)
    assert refused.value.name == "sub"


def test_several_users_may_have_no_address(store: Store):
    for number in range(3):
        store.users.add(a_user(f"sub-{number}", f"user{number}", None), None, EVENT)
    assert store.users.count() == 3
    assert [user.sub for user in store.users.all(None, 2)] == ["sub-0", "sub-1"]
    assert [user.sub for user in store.users.all("sub-1", 2)] == ["sub-2"]


def test_an_address_that_nobody_has_confirmed_is_nobodys(store: Store):
    for number, name in enumerate(("carol", "dan")):
        store.users.add(a_user(f"sub-{number}", name, None, unconfirmed_email="Alice@People.test"), None, EVENT)
    noted = store.users.get("sub-0")
    assert noted
    assert (noted.email, noted.unconfirmed_email) == (None, "Alice@People.test")
    assert store.users.by_login("alice@people.test") is None
    store.users.add(a_user("sub-2"), None, EVENT)
    owner = store.users.by_login("alice@people.test")
    assert owner
    assert owner.sub == "sub-2"
    # Whoever changes something else leaves it as it is.
    assert store.users.update(replace(noted, claims={}), EVENT)
    after = store.users.get("sub-0")
    assert after == replace(noted, claims={}, updated_at=after.updated_at if after else 0)
    with pytest.raises(Conflict) as refused:
        store.users.update(replace(noted, email="ALICE@people.test", unconfirmed_email=None), EVENT)
    assert refused.value.name == "email"


def test_an_update_keeps_times_and_state(store: Store, still: StillClock):
    store.users.add(a_user(), None, EVENT)
    still.move(7)
    assert store.users.update(a_user(username="Alicia", email=None), EVENT)
    assert store.users.get("sub-1") == a_user(username="Alicia", email=None, created_at=NOW, updated_at=NOW + 7)
    assert not store.users.update(a_user("none", "bob", None), EVENT)


def test_a_disabled_user_loses_everything_for_good(store: Store, still: StillClock):
    furnish(store)
    start_session(store)
    store.grants.open(a_grant(offline=1), digest("code"), NOW + MINUTE)
    store.tokens.add(an_access_token())
    still.move(1)
    assert store.users.set_disabled("sub-1", True, EVENT)
    assert not store.users.set_disabled("sub-1", True, EVENT)
    user = store.users.get("sub-1")
    assert user
    assert (user.disabled_at, user.not_before) == (NOW + 1, NOW + 1)
    still.move(1)
    assert store.users.set_disabled("sub-1", False, EVENT)
    assert store.sessions.of_browser(b"b" * 32, 0) == ()
    assert store.grants.redeem(digest("code"), "client") is None
    assert store.tokens.find(digest("access")) is None
    assert not store.tokens.find_jwt(jti="j", grant_id=None, client_id="client", sub="sub-1", issued_at=NOW - 10**6)


def test_a_new_password_ends_sessions_and_grants_but_keeps_the_session_it_was_set_in(store: Store, still: StillClock):
    furnish(store)
    start_session(store, "here")
    start_session(store, "elsewhere")
    store.grants.open(a_grant(offline=1))
    still.move(1)
    store.credentials.replace("sub-1", "password", "new", EVENT, keep_sid="here")
    assert [session.sid for session in store.sessions.of_user("sub-1", 0)] == ["here"]
    assert store.grants.get("grant") is None
    assert [credential.secret for credential in store.credentials.of_user("sub-1", "password")] == ["new"]
    # A code that was prepared before and stored after is dead, too.
    store.grants.open(a_grant("late"), digest("late"), NOW + MINUTE)
    assert store.grants.redeem(digest("late"), "client") is None
    still.move(1)
    store.credentials.replace("sub-1", "password", "newer", EVENT)
    assert store.sessions.of_user("sub-1", 0) == ()


def test_a_first_password_may_be_set_by_replacing_none(store: Store):
    store.users.add(a_user(), None, EVENT)
    store.credentials.replace("sub-1", "password", "hash", EVENT)
    assert [credential.secret for credential in store.credentials.of_user("sub-1", "password")] == ["hash"]


@pytest.mark.usefixtures("still")
def test_credentials_are_added_rehashed_and_removed(store: Store):
    store.users.add(a_user(), None, EVENT)
    credential = Credential("c-1", "sub-1", "totp", "old", NOW, NOW)
    store.credentials.add(credential, EVENT)
    assert store.credentials.of_user("sub-1", "totp") == (credential,)
    assert store.credentials.of_user("sub-1", "password") == ()
    with pytest.raises(Conflict):
        store.credentials.add(credential, EVENT)
    with pytest.raises(Conflict):
        store.credentials.add(replace(credential, credential_id="c-2", sub="nobody"), EVENT)
    assert store.credentials.upgrade("c-1", "old", "new")
    assert not store.credentials.upgrade("c-1", "old", "newer")
    assert store.credentials.remove("c-1", EVENT)
    assert not store.credentials.remove("c-1", EVENT)


@pytest.mark.usefixtures("still")
def test_credentials_are_exchanged_all_together_or_not_at_all(store: Store):
    store.users.add(a_user(), None, EVENT)
    codes = [Credential(f"r-{number}", "sub-1", "recovery", "", NOW, NOW) for number in range(3)]
    app = Credential("app", "sub-1", "totp", "sealed", NOW, NOW)
    assert store.credentials.exchange("sub-1", ("recovery",), (app, *codes[:2]), EVENT) == 0
    assert store.credentials.of_kind("totp") == (app,)
    with pytest.raises(Conflict):
        store.credentials.exchange("sub-1", ("recovery",), (codes[2], app), EVENT)
    assert store.credentials.of_user("sub-1", "recovery") == (codes[0], codes[1])
    assert store.credentials.exchange("sub-1", ("recovery",), codes[2:], EVENT) == 2
    assert store.credentials.of_user("sub-1", "recovery") == (codes[2],)
    assert store.credentials.exchange("sub-1", ("totp", "recovery"), (), EVENT) == 2
    with pytest.raises(Conflict):
        store.credentials.exchange("nobody", ("totp",), (replace(app, sub="nobody"),), EVENT)

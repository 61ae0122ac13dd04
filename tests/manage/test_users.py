"""Accounts as administrators handle them."""

from dataclasses import replace
from typing import Any

import pytest

from authserver.identity.passwords import Passwords
from authserver.manage import users
from authserver.manage.errors import ManageError
from authserver.settings import Settings
from authserver.store import Store

PASSWORD = "correct horse battery staple"


def test_an_account_is_found_by_name_address_and_sub(store: Store):
    alice = users.make_user("Alice", email="Alice@people.test")
    users.add(store, alice, None, actor="test")
    for name in ("alice", "ALICE", " alice@PEOPLE.test ", alice.sub):
        assert users.existing(store, name).sub == alice.sub
    with pytest.raises(ManageError, match="no account"):
        users.existing(store, "bob")


def test_a_sub_means_its_account_whatever_others_call_themselves(store: Store):
    alice = users.make_user("alice")
    users.add(store, alice, None, actor="test")
    users.add(store, users.make_user(alice.sub.upper()), None, actor="test")
    assert users.existing(store, alice.sub).username == "alice"


def test_an_address_is_confirmed_once_and_for_one_account(store: Store):
    for name in ("carol", "dan"):
        user = replace(users.make_user(name), unconfirmed_email="c@people.test")
        users.add(store, user, None, actor="test")
    shown = users.describe(users.existing(store, "carol"))
    assert (shown["email"], shown["unconfirmed_email"]) == (None, "c@people.test")
    users.confirm_email(store, users.existing(store, "carol"), actor="test")
    carol = users.existing(store, "C@people.test")
    assert (carol.username, carol.email_verified, carol.unconfirmed_email) == ("carol", True, None)
    with pytest.raises(ManageError, match="no address"):
        users.confirm_email(store, carol, actor="test")
    with pytest.raises(ManageError, match="there already"):
        users.confirm_email(store, users.existing(store, "dan"), actor="test")
    assert users.existing(store, "dan").unconfirmed_email == "c@people.test"


def test_sub_is_random_and_no_name(store: Store):
    subs = {users.make_user("alice").sub for _ in range(3)}
    assert len(subs) == 3
    assert "alice" not in subs


@pytest.mark.parametrize(
    ("name", "email", "word"), [("ALICE", None, "user name"), ("bob", "ALICE@people.test", "e-mail address")]
)
def test_a_taken_name_or_address_is_refused_in_any_spelling(store: Store, name: str, email: str | None, word: str):
    users.add(store, users.make_user("alice", email="alice@people.test"), None, actor="test")
    with pytest.raises(ManageError, match=word):
        users.add(store, users.make_user(name, email=email), None, actor="test")


@pytest.mark.parametrize("name", ["", " ", " alice", "a\nb", "a\x00b", "a\u202eb", "x" * 129])
def test_a_name_that_could_deceive_is_refused(name: str):
    with pytest.raises(ManageError, match="user name"):
        users.make_user(name)


@pytest.mark.parametrize("email", ["", "alice", "@x.test", "a@", "a b@x.test", "a@x\n.test", "a@b@c"])
def test_what_is_no_address_is_refused(email: str):
    with pytest.raises(ManageError, match="e-mail"):
        users.make_user("alice", email=email)


def test_claims_may_bring_the_address_and_its_state():
    alice = users.make_user("alice", claims={"email": "a@people.test", "email_verified": True, "name": "Alice"})
    assert (alice.email, alice.email_verified, dict(alice.claims)) == ("a@people.test", True, {"name": "Alice"})


def test_claims_may_be_said_in_several_languages():
    claims = {"name": "Hanako Yamada", "name#ja-Hani-JP": "山田花子"}
    assert dict(users.make_user("hanako", claims=claims).claims) == claims


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "x"},
        {"iss": "x"},
        {"acr": "x"},
        {"cnf": {}},
        {"_claim_names": {"credit": "bank"}},
        {"sub#de": "x"},
        {"name#de": "Alice, aber nur auf Deutsch"},
        {"name": "Alice", "name#de": "Alice", "name#DE": "Alicia"},
        {"birthdate": "1990-01-31", "birthdate#de": "31.1.1990"},
        {"email": "a@people.test", "email#de": "b@people.test"},
        {"email": "other@people.test"},
        {"email_verified": "yes"},
        {"text": "x" * 33_000},
        {"number": 2**64},
        {"text": "\ud800"},
    ],
    ids=str,
)
def test_claims_of_the_protocol_and_contradictions_are_refused(claims: dict[str, Any]):
    with pytest.raises(ManageError):
        users.make_user("alice", email="alice@people.test", claims=claims)


def test_a_password_is_checked_and_hashed(settings: Settings):
    alice = users.make_user("alice", email="alice@people.test")
    hasher = Passwords(settings.passwords)
    assert hasher.verify(users.hash_password(hasher, alice, PASSWORD), PASSWORD).right
    for weak in ("short", "alice", "passwordpassword"):
        with pytest.raises(ManageError):
            users.hash_password(hasher, alice, weak)


def test_switching_off_is_seen_and_audited(store: Store):
    alice = users.make_user("alice")
    users.add(store, alice, None, actor="test")
    users.set_disabled(store, alice, disabled=True, actor="test")
    assert users.describe(users.existing(store, "alice"))["disabled"] is True
    users.set_disabled(store, alice, disabled=False, actor="test")
    assert users.describe(users.existing(store, "alice"))["disabled"] is False
    names = [line.event.name for line in store.audit.list(0, 10)]
    assert names == ["user.added", "user.disabled", "user.enabled"]

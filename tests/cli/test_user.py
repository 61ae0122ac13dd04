"""``authserver user``."""

import json
from pathlib import Path

import pytest

from authserver.identity.passwords import KIND, Passwords
from authserver.records import Credential, Event, User
from authserver.settings import Settings
from authserver.store import Store
from tests.cli.conftest import Run

PASSWORD = "correct horse battery staple"
CHEAP = {"AUTHSERVER_PASSWORDS__MEMORY_KIB": "64", "AUTHSERVER_PASSWORDS__TIME_COST": "1"}


def test_an_account_is_added_with_its_password_from_standard_input(run: Run, store: Store):
    arguments = ("user", "add", "alice", "--email", "alice@people.test", "--password-stdin", "--json")
    answer = json.loads(run(*arguments, given=PASSWORD + "\n", **CHEAP).stdout)
    assert (answer["username"], answer["email"]) == ("alice", "alice@people.test")
    (credential,) = store.credentials.of_user(answer["sub"], KIND)
    passwords = Passwords(Settings(development=True).passwords)
    assert passwords.verify(credential.secret, PASSWORD).right
    assert PASSWORD not in credential.secret


@pytest.mark.parametrize(
    "given", ["short\n", "alice\n", "first line\nsecond line\n", "", b"\xff\xfe long enough \xff\n"]
)
def test_a_password_that_is_not_accepted_adds_nothing(run: Run, store: Store, given: str | bytes):
    result = run("user", "add", "alice", "--password-stdin", given=given, status=1, **CHEAP)
    assert result.stderr.startswith("authserver: ")
    assert store.users.count() == 0


def test_claims_come_from_a_file(run: Run, tmp_path: Path):
    file = tmp_path / "claims.json"
    file.write_text(json.dumps({"name": "Alice", "address": {"country": "NZ"}, "email_verified": True}))
    run("user", "add", "alice", "--email", "alice@people.test", "--claims", str(file))
    shown = json.loads(run("user", "show", "alice", "--json").stdout)
    assert shown["claims"] == {"name": "Alice", "address": {"country": "NZ"}}
    assert shown["email_verified"] is True


def test_a_taken_name_is_a_sentence(run: Run):
    run("user", "add", "alice")
    assert "user name" in run("user", "add", "ALICE", status=1).stderr


def test_an_address_from_the_sign_up_page_is_confirmed(run: Run, store: Store):
    store.users.add(User("sub-carol", "carol", unconfirmed_email="carol@people.test"), None, Event("user.signed_up"))
    assert run("user", "confirm-email", "carol").stdout == "confirmed carol@people.test\n"
    shown = json.loads(run("user", "show", "carol@people.test", "--json").stdout)
    assert (shown["email"], shown["email_verified"], shown["unconfirmed_email"]) == ("carol@people.test", True, None)
    assert "no address" in run("user", "confirm-email", "carol", status=1).stderr


def test_an_account_is_switched_off_and_on(run: Run):
    run("user", "add", "alice")
    run("user", "disable", "alice")
    assert json.loads(run("user", "show", "alice", "--json").stdout)["disabled"] is True
    run("user", "enable", "alice")
    assert json.loads(run("user", "show", "alice", "--json").stdout)["disabled"] is False
    assert "no account" in run("user", "disable", "bob", status=1).stderr


def test_a_lost_second_factor_is_taken_away(run: Run, store: Store):
    sub = json.loads(run("user", "add", "alice", "--json").stdout)["sub"]
    assert "no second factor" in run("user", "reset-second-factor", "alice", status=1).stderr
    app = Credential(f"totp.{sub}", sub, "totp", "sealed", 0, 0)
    code = Credential("digest", sub, "recovery", "", 0, 0)
    store.credentials.exchange(sub, (), (app, code), Event("second_factor.added"))
    run("user", "reset-second-factor", "alice")
    assert store.credentials.of_user(sub, "totp") == store.credentials.of_user(sub, "recovery") == ()
    names = [line.event.name for line in store.audit.list(0, 100)]
    assert names.count("second_factor.removed") == 1
    assert "no account" in run("user", "reset-second-factor", "bob", status=1).stderr

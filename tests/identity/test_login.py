from concurrent.futures import ThreadPoolExecutor

import pytest

from authserver.identity import login, sessions
from authserver.identity.login import SignIn
from authserver.identity.passwords import TooBusy
from authserver.identity.sessions import Visit, live_sessions, new_browser
from authserver.records import Event, User
from authserver.store.errors import Unavailable
from pytest_authserver import AuthServer
from pytest_authserver.server import PASSWORD

WRONG = "not the password"


def _from(visit: Visit, address: str) -> Visit:
    return Visit(new_browser(), visit.user_agent, address)


def _try(at: AuthServer, visit: Visit, username: str = "alice", password: str = WRONG) -> SignIn:
    return login.sign_in(at.server, visit, username, password)


def test_the_right_password_starts_a_session(authserver: AuthServer, alice: User, visit: Visit) -> None:
    outcome = _try(authserver, visit, password=PASSWORD)
    assert outcome.browser is not None
    (session,) = live_sessions(authserver.server, outcome.browser)
    assert (session.sid, session.sub) == (outcome.sid, alice.sub)
    assert (session.acr, session.amr) == ("urn:authserver:pwd", "pwd")


@pytest.mark.parametrize("name", ["ALICE", " alice ", "alice@example.test", "Alice@Example.TEST", "\uff41lice"])
def test_every_spelling_of_the_name_is_the_same_account(
    authserver: AuthServer, alice: User, visit: Visit, name: str
) -> None:
    assert _try(authserver, visit, name, PASSWORD).sid is not None


@pytest.mark.parametrize("name", ["bob", "", "\x00", "a\ud800", "x" * 100_000, "' OR 1=1 --", "alice."])
def test_a_name_that_nobody_has_is_refused(authserver: AuthServer, alice: User, visit: Visit, name: str) -> None:
    assert _try(authserver, visit, name, PASSWORD) == SignIn()


def test_a_disabled_account_is_refused_like_a_wrong_password(authserver: AuthServer, alice: User, visit: Visit) -> None:
    authserver.store.users.set_disabled(alice.sub, True, Event("user.disabled", "test", sub=alice.sub))
    assert _try(authserver, visit, password=PASSWORD) == SignIn()


def test_an_account_without_a_password_is_refused(authserver: AuthServer, visit: Visit) -> None:
    from authserver.manage import users

    users.add(authserver.store, users.make_user("carol"), None, actor="test")
    assert _try(authserver, visit, "carol", "") == SignIn()
    assert _try(authserver, visit, "carol", PASSWORD) == SignIn()


def test_a_malformed_hash_is_a_refusal(authserver: AuthServer, alice: User, visit: Visit) -> None:
    authserver.store.credentials.replace(alice.sub, "password", "garbage", Event("password.changed", "test"))
    assert _try(authserver, visit, password=PASSWORD) == SignIn()


def test_a_weak_hash_is_replaced_at_the_first_sign_in(authserver: AuthServer, alice: User, visit: Visit) -> None:
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, hash_len=16).hash(PASSWORD)
    authserver.store.credentials.replace(alice.sub, "password", weak, Event("password.changed", "test"))
    assert _try(authserver, visit, password=PASSWORD).sid is not None
    (credential,) = authserver.store.credentials.of_user(alice.sub, "password")
    assert credential.secret != weak
    assert _try(authserver, visit, password=PASSWORD).sid is not None
    assert authserver.store.credentials.of_user(alice.sub, "password")[0].secret == credential.secret


def test_success_and_failure_are_in_the_audit_trail_without_what_was_typed(
    authserver: AuthServer, alice: User, visit: Visit
) -> None:
    _try(authserver, visit, "my secret typed into the wrong field", WRONG)
    _try(authserver, visit, password=WRONG)
    _try(authserver, visit, password=PASSWORD)
    lines = [line.event for line in authserver.store.audit.list(0, 100) if line.event.name.startswith("sign_in")]
    assert [(event.name, event.sub) for event in lines] == [
        ("sign_in.failed", None),
        ("sign_in.failed", alice.sub),
        ("sign_in.succeeded", alice.sub),
    ]
    assert "secret" not in str(lines)
    assert WRONG not in str(lines)
    assert lines[2].facts["address"] == "192.0.2.1"


# Guessing


def test_after_five_wrong_tries_the_account_waits(authserver: AuthServer, alice: User, visit: Visit) -> None:
    assert [_try(authserver, _from(visit, f"192.0.2.{n}")).wait for n in range(5)] == [0] * 5
    assert _try(authserver, _from(visit, "192.0.2.99"), password=PASSWORD).wait == 1


def test_the_wait_doubles_up_to_five_minutes_and_never_becomes_a_lock(
    authserver: AuthServer, alice: User, visit: Visit
) -> None:
    for number in range(5):
        _try(authserver, _from(visit, f"192.0.2.{number}"))
    waits, elapsed = [], 0
    for number in range(12):
        with authserver.later(elapsed):
            waits.append(_try(authserver, _from(visit, f"198.51.100.{number}")).wait)
        elapsed += waits[-1]
        with authserver.later(elapsed):
            assert _try(authserver, _from(visit, f"203.0.113.{number}")).wait == 0, "one try after each wait"
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_everything_is_forgotten_after_an_hour(authserver: AuthServer, alice: User, visit: Visit) -> None:
    for number in range(6):
        _try(authserver, _from(visit, f"192.0.2.{number}"))
    with authserver.later(3601):
        assert _try(authserver, _from(visit, "192.0.2.50")).wait == 0
        assert _try(authserver, _from(visit, "192.0.2.50"), password=PASSWORD).sid is not None


def test_all_spellings_of_a_name_count_together(authserver: AuthServer, alice: User, visit: Visit) -> None:
    names = ["alice", "ALICE", "alice@example.test", " alice", "\uff41lice"]
    for number, name in enumerate(names):
        assert _try(authserver, _from(visit, f"192.0.2.{number}"), name).wait == 0
    assert _try(authserver, _from(visit, "192.0.2.9"), "aLiCe@example.test").wait == 1


def test_the_right_password_forgets_the_wrong_ones(authserver: AuthServer, alice: User, visit: Visit) -> None:
    for _ in range(4):
        _try(authserver, visit)
    assert _try(authserver, visit, password=PASSWORD).sid is not None
    stranger = _from(visit, "192.0.2.77")
    assert [_try(authserver, stranger).wait for _ in range(5)] == [0] * 5


def test_an_unknown_name_waits_exactly_like_an_account(authserver: AuthServer, alice: User, visit: Visit) -> None:
    outcomes = {}
    for name in ("alice", "nobody"):
        at = _from(visit, f"192.0.2.{len(name)}")
        outcomes[name] = [_try(authserver, at, name) for _ in range(7)]
    assert outcomes["alice"] == outcomes["nobody"]


def test_the_owner_signs_in_where_she_did_before_while_strangers_wait(
    authserver: AuthServer, alice: User, visit: Visit
) -> None:
    known = _try(authserver, visit, password=PASSWORD).browser
    assert known is not None
    for number in range(8):
        _try(authserver, _from(visit, f"198.51.100.{number}"))
    assert _try(authserver, _from(visit, "198.51.100.50"), password=PASSWORD).wait > 0
    assert _try(authserver, visit._replace(browser=known), password=PASSWORD).sid is not None


def test_the_owners_own_browser_is_no_way_around_the_wait(authserver: AuthServer, alice: User, visit: Visit) -> None:
    known = _try(authserver, visit, password=PASSWORD).browser
    assert known is not None
    at = visit._replace(browser=known)
    assert [_try(authserver, at).wait for _ in range(6)] == [0, 0, 0, 0, 0, 1]


def test_one_address_has_thirty_tries_a_minute_over_all_accounts(authserver: AuthServer, visit: Visit) -> None:
    waits = [_try(authserver, _from(visit, "192.0.2.1"), f"user{n}").wait for n in range(31)]
    assert waits[:30] == [0] * 30
    assert waits[30] > 0
    assert _try(authserver, _from(visit, "192.0.2.2"), "user31").wait == 0


def test_a_network_of_ipv6_counts_as_one_address(authserver: AuthServer, visit: Visit) -> None:
    waits = [_try(authserver, _from(visit, f"2001:db8:0:1::{n:x}"), f"user{n}").wait for n in range(1, 32)]
    assert waits[:30] == [0] * 30
    assert waits[30] > 0
    assert _try(authserver, _from(visit, "2001:db8:0:2::1"), "user").wait == 0


def test_twenty_at_once_get_five_answers(authserver: AuthServer, alice: User, visit: Visit) -> None:
    with ThreadPoolExecutor(20) as pool:
        waits = list(pool.map(lambda n: _try(authserver, _from(visit, f"192.0.2.{n}")).wait, range(20)))
    assert waits.count(0) == 5
    with authserver.later(2):
        assert _try(authserver, _from(visit, "192.0.2.99"), password=PASSWORD).sid is not None


def test_too_busy_is_not_a_try_on_the_account(
    authserver: AuthServer, alice: User, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise TooBusy

    with monkeypatch.context() as patch:
        patch.setattr(authserver.server.passwords, "verify", busy)
        for _ in range(8):
            with pytest.raises(TooBusy):
                _try(authserver, visit)
    assert [_try(authserver, visit).wait for _ in range(5)] == [0] * 5


def test_counters_that_are_away_leave_a_limit_of_this_process(
    authserver: AuthServer, alice: User, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable

    ephemeral = authserver.server.limits._store.ephemeral
    for verb in ("count", "counted", "get", "first_time", "forget"):
        monkeypatch.setattr(ephemeral, verb, away)
    assert _try(authserver, visit, password=PASSWORD).sid is not None
    assert [_try(authserver, _from(visit, f"192.0.2.{n}")).wait for n in range(6)] == [0, 0, 0, 0, 0, 1]


# The moment between checking and starting


def test_a_session_does_not_outlive_the_password_that_it_was_started_with(
    authserver: AuthServer, alice: User, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sessions.sign_in

    def changed_meanwhile(*args: object, **kwargs: object) -> object:
        hashed = authserver.passwords.hash("another good password 7")
        authserver.store.credentials.replace(alice.sub, "password", hashed, Event("password.changed", alice.sub))
        return real(*args, **kwargs)  # type: ignore[arg-type] # handed through

    monkeypatch.setattr(sessions, "sign_in", changed_meanwhile)
    assert _try(authserver, visit, password=PASSWORD) == SignIn()
    assert sessions.sessions_of(authserver.server, alice.sub) == ()

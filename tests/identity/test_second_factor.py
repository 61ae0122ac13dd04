"""The second factor below the pages: once is once, also at the same time and on two nodes; faults refuse."""

from base64 import b32decode
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest

from authserver import clock
from authserver.crypto import Sealer
from authserver.identity import accounts, login, second_factor, sessions, totp
from authserver.identity.sessions import Visit, new_browser
from authserver.manage import keys, users
from authserver.manage.errors import ManageError
from authserver.records import Credential, Event, Session, User
from authserver.store.errors import Unavailable
from pytest_authserver import AuthServer
from pytest_authserver.server import PASSWORD


@pytest.fixture
def session(authserver: AuthServer, alice: User, visit: Visit) -> Session:
    """Alice's session, in a browser that she has just signed in with."""
    outcome = login.sign_in(authserver.server, visit, "alice", PASSWORD)
    assert outcome.browser is not None
    return sessions.live_sessions(authserver.server, outcome.browser)[0]


@pytest.fixture
def enrolled(authserver: AuthServer, session: Session) -> tuple[bytes, tuple[str, ...]]:
    """The secret and the recovery codes of alice."""
    return _enrol(authserver, session)


def _enrol(at: AuthServer, session: Session) -> tuple[bytes, tuple[str, ...]]:
    offer = second_factor.offer(at.server, session)
    secret = b32decode(parse_qs(urlsplit(offer.uri).query)["secret"][0])
    # A minute ago: the code of now is still to be used.
    with at.later(-60):
        outcome = second_factor.enrol(at.server, session, offer.sealed, _code(secret))
    assert outcome.refused is None
    return secret, outcome.codes


def _code(secret: bytes, steps: int = 0) -> str:
    return totp.code_at(secret, clock.now() // totp.PERIOD + steps)


def _check(at: AuthServer, alice: User, visit: Visit, typed: str) -> bool:
    return second_factor.check(at.server, visit, alice.sub, typed).amr is not None


def test_a_code_counts_once_of_many_at_the_same_time(
    authserver: AuthServer, alice: User, visit: Visit, enrolled: tuple[bytes, tuple[str, ...]]
):
    for typed in (_code(enrolled[0]), enrolled[1][0]):
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda code: _check(authserver, alice, visit, code), [typed] * 4))
        assert results.count(True) == 1


def test_while_the_memory_of_used_codes_is_away_none_is_taken(
    authserver: AuthServer,
    alice: User,
    visit: Visit,
    enrolled: tuple[bytes, tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
):
    def away(*_: object) -> bool:
        raise Unavailable

    monkeypatch.setattr(authserver.store.single_use, "first_time", away)
    with pytest.raises(Unavailable):
        _check(authserver, alice, visit, _code(enrolled[0]))


def test_two_who_set_up_at_once_leave_one_factor(authserver: AuthServer, session: Session):
    offers = [second_factor.offer(authserver.server, session) for _ in range(2)]
    secrets = [b32decode(parse_qs(urlsplit(offer.uri).query)["secret"][0]) for offer in offers]
    outcomes = [
        second_factor.enrol(authserver.server, session, offer.sealed, _code(secret, steps))
        for offer, secret, steps in zip(offers, secrets, (0, 1), strict=True)
    ]
    assert [bool(outcome.codes) for outcome in outcomes] == [True, False]
    assert len(authserver.store.credentials.of_user(session.sub, "recovery")) == 10


def test_without_an_app_recovery_codes_open_nothing(
    authserver: AuthServer, alice: User, visit: Visit, enrolled: tuple[bytes, tuple[str, ...]]
):
    row = authserver.store.credentials.of_user(alice.sub, "totp")[0]
    authserver.store.credentials.exchange(alice.sub, ("totp",), (), Event("second_factor.removed"))
    assert row
    assert not _check(authserver, alice, visit, enrolled[1][0])


def test_the_secret_opens_in_its_own_row_only(
    authserver: AuthServer, alice: User, visit: Visit, enrolled: tuple[bytes, tuple[str, ...]]
):
    bob = authserver.user("bob")
    mine = authserver.store.credentials.of_user(alice.sub, "totp")[0]
    moved = Credential(f"totp.{bob.sub}", bob.sub, "totp", mine.secret, 0, 0)
    authserver.store.credentials.add(moved, Event("second_factor.added"))
    assert not second_factor.check(
        authserver.server, Visit(new_browser(), "", "192.0.2.9"), bob.sub, _code(enrolled[0])
    ).amr


def test_wrong_codes_are_counted_and_noted_without_the_code(
    authserver: AuthServer, alice: User, visit: Visit, enrolled: tuple[bytes, tuple[str, ...]]
):
    for _ in range(5):
        assert second_factor.check(authserver.server, visit, alice.sub, "000000") == second_factor.Verdict()
    elsewhere = Visit(new_browser(), "", "198.51.100.1")
    assert second_factor.check(authserver.server, elsewhere, alice.sub, _code(enrolled[0])).wait > 0
    events = [line for line in authserver.store.audit.list(0, 100) if line.event.name == "second_factor.failed"]
    assert len(events) == 5
    assert "000000" not in str(events)


def test_patience_finds_no_code_either(
    authserver: AuthServer, alice: User, visit: Visit, enrolled: tuple[bytes, tuple[str, ...]]
):
    guessed = 0
    for hour in range(24):
        for minute in range(0, 60, 6):
            with authserver.later(3600 * hour + 60 * minute):
                guessed += second_factor.check(authserver.server, visit, alice.sub, "000000").wait == 0
    assert guessed <= second_factor.MOST_A_DAY
    with authserver.later(3600 * 24 - 60):
        assert second_factor.check(authserver.server, visit, alice.sub, _code(enrolled[0])).wait > 0
        assert _check(authserver, alice, visit, enrolled[1][0])
    with authserver.later(3600 * 25):
        assert _check(authserver, alice, visit, _code(enrolled[0]))


def test_a_step_up_does_not_begin_a_session_that_has_ended(
    authserver: AuthServer, alice: User, visit: Visit, session: Session, enrolled: tuple[bytes, tuple[str, ...]]
):
    sessions.end_by_id(authserver.server, alice.sub, session.sid, "user")
    outcome = login.step_up(authserver.server, visit, session, _code(enrolled[0]))
    assert outcome == login.SignIn(over=True)
    assert authserver.store.sessions.of_user(alice.sub, 0) == ()


def test_a_session_from_before_the_factor_changes_no_password(
    authserver: AuthServer, alice: User, visit: Visit, session: Session, enrolled: tuple[bytes, tuple[str, ...]]
):
    sent = {"current": PASSWORD, "new": "another correct horse battery", "repeat": "another correct horse battery"}
    refused = accounts.change_password(authserver.server, session, visit.browser, **sent)
    assert refused is not None
    assert refused.sentence == accounts.BOTH_STEPS
    stronger = session._replace(acr=second_factor.ACR)
    assert accounts.change_password(authserver.server, stronger, visit.browser, **sent) is None


def test_secrets_are_sealed_anew_with_the_other_values(
    authserver: AuthServer, alice: User, visit: Visit, enrolled: tuple[bytes, tuple[str, ...]]
):
    former = authserver.settings.secret()
    sealer = Sealer("another secret key, thirty-two bytes long", (former,))
    assert second_factor.reseal(authserver.store, sealer) == 1
    assert second_factor.reseal(authserver.store, sealer) == 0
    assert all(sealer.is_current(sealed) for sealed in second_factor.sealed_secrets(authserver.store))
    assert not any(authserver.sealer.is_current(sealed) for sealed in second_factor.sealed_secrets(authserver.store))
    assert keys.sealed_by_former_keys(authserver.store, sealer) >= 1  # the signing keys are still to come
    authserver.server.sealer = sealer
    assert _check(authserver, alice, visit, _code(enrolled[0]))


def test_a_secret_that_cannot_be_opened_is_refused_and_a_recovery_code_still_helps(
    authserver: AuthServer, alice: User, visit: Visit, enrolled: tuple[bytes, tuple[str, ...]]
):
    authserver.server.sealer = Sealer("another secret key, thirty-two bytes long")
    assert not _check(authserver, alice, visit, _code(enrolled[0]))
    assert second_factor.reseal(authserver.store, authserver.server.sealer) == 0
    assert _check(authserver, alice, visit, enrolled[1][0])


def test_an_administrator_takes_the_factor_away_and_ends_the_sessions(
    authserver: AuthServer, alice: User, enrolled: tuple[bytes, tuple[str, ...]]
):
    users.reset_second_factor(authserver.store, alice, actor="test")
    assert not second_factor.is_enrolled(authserver.server, alice.sub)
    assert second_factor.codes_left(authserver.server, alice.sub) == 0
    assert authserver.store.sessions.of_user(alice.sub, 0) == ()
    with pytest.raises(ManageError):
        users.reset_second_factor(authserver.store, alice, actor="test")

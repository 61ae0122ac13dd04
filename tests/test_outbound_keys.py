"""The key sets of clients behind a ``jwks_uri``: how often they are fetched, and what slow and broken ones cost."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore
from typing import Any

import pytest
from joserfc.jwk import ECKey

from authserver import clock, outbound
from authserver.clock import HOUR, MINUTE, SECOND
from authserver.jwt import InvalidJWT, Parsed
from authserver.outbound import Outbound
from authserver.records import Client
from authserver.settings import Settings
from tests.listener import KEYS, Answer, Listener, says, silent

PUBLIC = ECKey.import_key((KEYS / "p256.pem").read_text()).as_dict(private=False)


@pytest.fixture
def later() -> Iterator[Any]:
    """Call it with microseconds: so long after the real time everything then happens."""
    yield lambda microseconds: clock.shift(microseconds / SECOND)
    clock.shift(0)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow listeners end when the test says so, never by themselves."""
    monkeypatch.setattr(outbound, "DEADLINE", 60.0)


@pytest.fixture
def outgoing() -> Outbound:
    return make()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener(publishes("one")) as running:
        yield running


def make(threads: int = 64) -> Outbound:
    return Outbound(Settings(issuer="https://as.example", outbound_allow=("127.0.0.1",), threads=threads))


def publishes(*kids: str) -> Answer:
    return says(json.dumps({"keys": [{**PUBLIC, "kid": kid} for kid in kids]}).encode())


def asks(listener: Listener, name: str = "") -> Client:
    return Client("client" + name, jwks_uri=listener.url + name, token_endpoint_auth_method="private_key_jwt")


def with_kid(kid: Any) -> Parsed:
    return Parsed("", {} if kid is None else {"kid": kid}, {})


def kids(outgoing: Outbound, listener: Listener, kid: str | None = "one") -> list[str]:
    return [key["kid"] for key in outgoing.client_keys(asks(listener), with_kid(kid))["keys"]]


def test_a_set_is_fetched_once_and_serves_five_minutes(outgoing: Outbound, listener: Listener, later: Any) -> None:
    for moment in (0, MINUTE, 5 * MINUTE - SECOND):
        later(moment)
        assert kids(outgoing, listener) == ["one"]
        assert kids(outgoing, listener, None) == ["one"]
    assert listener.connections == 1
    later(5 * MINUTE + SECOND)
    assert kids(outgoing, listener) == ["one"]
    assert listener.connections == 2


def test_a_key_that_was_added_is_found_at_once(outgoing: Outbound, listener: Listener) -> None:
    assert kids(outgoing, listener) == ["one"]
    listener.answer = publishes("one", "two")
    assert kids(outgoing, listener, "two") == ["one", "two"]


def test_a_key_that_was_removed_counts_no_more_after_five_minutes(
    outgoing: Outbound, listener: Listener, later: Any
) -> None:
    kids(outgoing, listener)
    listener.answer = publishes("two")
    later(5 * MINUTE + SECOND)
    assert kids(outgoing, listener) == ["two"]


def test_unknown_key_identifiers_cause_one_fetch_a_minute(outgoing: Outbound, listener: Listener, later: Any) -> None:
    kids(outgoing, listener)
    for number in range(50):
        assert kids(outgoing, listener, f"unknown-{number}") == ["one"]
    assert listener.connections == 2
    later(MINUTE + SECOND)
    for number in range(50):
        kids(outgoing, listener, f"unknown-{number}")
    assert listener.connections == 3


def test_unknown_key_identifiers_do_not_double_the_fetch_that_was_due(
    outgoing: Outbound, listener: Listener, later: Any
) -> None:
    kids(outgoing, listener)
    later(5 * MINUTE + SECOND)
    for number in range(10):
        kids(outgoing, listener, f"unknown-{number}")
    assert listener.connections == 2


@pytest.mark.parametrize("kid", [1, 1.5, True, ["one"], {"a": "b"}])
def test_a_key_identifier_that_is_not_a_string_fetches_nothing(
    outgoing: Outbound, listener: Listener, kid: Any
) -> None:
    with pytest.raises(InvalidJWT):
        outgoing.client_keys(asks(listener), with_kid(kid))
    assert listener.connections == 0


def test_a_client_without_a_key_set_is_refused(outgoing: Outbound) -> None:
    with pytest.raises(InvalidJWT):
        outgoing.client_keys(Client("client"), with_kid("one"))


BROKEN = {
    "500": says(b"", "500 Broken"),
    "redirect": says(b"", "302 Found", "Location: http://127.0.0.1:1/"),
    "empty": says(b""),
    "not JSON": says(b"{"),
    "a list": says(b"[]"),
    "no keys": says(b'{"keys": []}'),
    "keys of no use": says(b'{"keys": [1, {"kty": "oct", "k": "AAAA"}, {"kty": "new"}]}'),
    "too many keys": publishes(*(str(number) for number in range(41))),
    "too large": says(b"x" * 70_000),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_the_last_good_keys_serve_an_hour_when_the_set_is_broken(
    outgoing: Outbound, listener: Listener, later: Any, answer: Answer
) -> None:
    kids(outgoing, listener)
    listener.answer = answer
    for moment in (6 * MINUTE, HOUR - SECOND):
        later(moment)
        assert kids(outgoing, listener) == ["one"]
    later(HOUR + MINUTE)
    with pytest.raises(InvalidJWT):
        kids(outgoing, listener)
    assert listener.connections == 4
    listener.answer = publishes("two")
    later(HOUR + 2 * MINUTE + SECOND)
    assert kids(outgoing, listener, "two") == ["two"]


def test_a_broken_set_is_asked_for_once_a_minute(outgoing: Outbound, listener: Listener, later: Any) -> None:
    kids(outgoing, listener)
    listener.answer = BROKEN["500"]
    later(6 * MINUTE)
    for _ in range(20):
        assert kids(outgoing, listener) == ["one"]
        assert kids(outgoing, listener, "unknown") == ["one"]
    assert listener.connections == 2


def test_a_set_that_was_never_good_is_tried_again_after_ten_seconds(
    outgoing: Outbound, listener: Listener, later: Any
) -> None:
    listener.answer = BROKEN["500"]
    for _ in range(5):
        with pytest.raises(InvalidJWT):
            kids(outgoing, listener)
    assert listener.connections == 1
    listener.answer = publishes("one")
    later(11 * SECOND)
    assert kids(outgoing, listener) == ["one"]


def test_a_clock_that_is_set_back_does_not_keep_a_broken_set_for_long(
    outgoing: Outbound, listener: Listener, later: Any
) -> None:
    listener.answer = BROKEN["500"]
    later(24 * HOUR)
    with pytest.raises(InvalidJWT):
        kids(outgoing, listener)
    listener.answer = publishes("one")
    later(0)
    assert kids(outgoing, listener) == ["one"]


def test_a_failed_fetch_is_logged_with_owner_and_reason_but_without_the_url(
    outgoing: Outbound, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    listener.answer = BROKEN["500"]
    with pytest.raises(InvalidJWT):
        kids(outgoing, listener)
    assert [(vars(record)["owner"], vars(record)["reason"]) for record in caplog.records] == [
        ("client", "the answer is not 200")
    ]
    assert listener.url not in caplog.text


@pytest.mark.usefixtures("patient")
def test_many_threads_share_one_fetch(outgoing: Outbound, listener: Listener) -> None:
    arrived, go = Event(), Event()

    def slow(running: Listener, connection: Any) -> None:
        arrived.set()
        go.wait()
        publishes("one")(running, connection)

    listener.answer = slow
    with ThreadPoolExecutor(16) as threads:
        asked = [threads.submit(kids, outgoing, listener) for _ in range(16)]
        arrived.wait()
        go.set()
        assert [one.result() for one in asked] == [["one"]] * 16
    assert listener.connections == 1


@pytest.mark.usefixtures("patient")
def test_the_old_keys_serve_while_a_slow_fetch_runs(outgoing: Outbound, listener: Listener, later: Any) -> None:
    kids(outgoing, listener)
    arrived = Event()

    def slow(running: Listener, _connection: Any) -> None:
        arrived.set()
        running.ending.wait()

    listener.answer = slow
    later(6 * MINUTE)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(kids, outgoing, listener)
        arrived.wait()
        second = threads.submit(kids, outgoing, listener)
        try:
            assert second.result(timeout=30) == ["one"]
            assert not first.done()
        finally:
            listener.ending.set()
        assert first.result() == ["one"]


@pytest.mark.usefixtures("patient")
def test_a_slow_key_set_holds_no_other_client_and_few_threads(listener: Listener) -> None:
    outgoing, arrived = make(threads=8), Event()

    def slow(running: Listener, connection: Any) -> None:
        arrived.set()
        silent(running, connection)

    with Listener(slow) as tarpit, ThreadPoolExecutor(6) as threads:
        stuck = [threads.submit(kids, outgoing, tarpit) for _ in range(6)]
        arrived.wait()
        assert kids(outgoing, listener) == ["one"]
        # One fetches, two wait with it to the end; the other three gave up after a moment.
        while sum(one.done() for one in stuck) < 3:
            assert kids(outgoing, listener) == ["one"]
        assert sum(one.done() for one in stuck) == 3
        tarpit.ending.set()
        for one in stuck:
            assert isinstance(one.exception(), InvalidJWT)
        assert tarpit.connections == 1


@pytest.mark.usefixtures("patient")
def test_slow_key_sets_of_many_clients_leave_the_old_keys_of_others_alone(listener: Listener, later: Any) -> None:
    outgoing, arrived = make(threads=8), Semaphore(0)

    def slow(running: Listener, connection: Any) -> None:
        arrived.release()
        silent(running, connection)

    kids(outgoing, listener)
    later(6 * MINUTE)
    with Listener(slow) as tarpit, ThreadPoolExecutor(2) as threads:
        stuck = [threads.submit(outgoing.client_keys, asks(tarpit, name), with_kid("one")) for name in ("a", "b")]
        for _ in stuck:
            arrived.acquire()
        assert kids(outgoing, listener) == ["one"]
        with pytest.raises(InvalidJWT):
            outgoing.client_keys(asks(listener, "new"), with_kid("one"))
        tarpit.ending.set()
        assert [isinstance(one.exception(), InvalidJWT) for one in stuck] == [True, True]
    # A place is free again, and what was turned away did not count as a try.
    assert outgoing.client_keys(asks(listener, "new"), with_kid("one"))


def test_keys_to_encrypt_to_are_kept_apart_from_those_that_sign(
    outgoing: Outbound, listener: Listener, later: Any
) -> None:
    keys = [{**PUBLIC, "kid": kid, "use": use} for kid, use in (("one", "sig"), ("two", "enc"))]
    listener.answer = says(json.dumps({"keys": [*keys, {**PUBLIC, "kid": "three"}]}).encode())
    for moment in (0, MINUTE):
        later(moment)
        assert kids(outgoing, listener) == ["one", "three"]
        assert [key["kid"] for key in outgoing.encryption_keys(asks(listener))["keys"]] == ["two", "three"]
    assert listener.connections == 2


def test_a_set_without_keys_to_encrypt_to_still_verifies(outgoing: Outbound, listener: Listener) -> None:
    listener.answer = says(json.dumps({"keys": [{**PUBLIC, "kid": "one", "use": "sig"}]}).encode())
    for _ in range(5):
        with pytest.raises(InvalidJWT):
            outgoing.encryption_keys(asks(listener))
        assert kids(outgoing, listener) == ["one"]
    assert listener.connections == 2


def test_a_client_without_a_key_set_has_no_keys_to_encrypt_to(outgoing: Outbound) -> None:
    with pytest.raises(InvalidJWT):
        outgoing.encryption_keys(Client("client"))


def test_few_key_sets_are_kept(listener: Listener, outgoing: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "KEPT", 2)
    for name in ("a", "b", "a", "c", "a", "b"):
        outgoing.client_keys(asks(listener, name), with_kid("one"))
    # "b" was used the longest time ago when "c" came.
    assert [head.split()[1] for head in listener.heads] == [b"/jwksa", b"/jwksb", b"/jwksc", b"/jwksb"]

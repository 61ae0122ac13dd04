"""Streams of revocations beside each other: how many, how long, and what ends them."""

import re
import threading
import time
from itertools import islice
from pathlib import Path

import pytest

from authserver import feed as feeds
from authserver.manage import clients
from authserver.oauth import revocation_events
from authserver.store.errors import Unavailable
from pytest_authserver import AuthServer, RegisteredClient
from tests.following import BEGINNING, PATH, RESET, following, poll, resource_server, revoke_some
from tests.world import API

# How long, and how many.


def test_a_stream_ends_after_a_while(
    at: AuthServer, follower: RegisteredClient, caller: RegisteredClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(feeds, "_SHORTEST", 0)
    monkeypatch.setattr(feeds, "_MORE", 1)
    with following(at, follower) as stream:
        assert stream.read() == [RESET]
        assert stream.read() is None
    revoke_some(at, caller)
    told = poll(at, follower, BEGINNING)
    assert told is not None
    assert [event.name for event in told] == ["revocation"]


def test_whoever_finds_no_place_polls(at: AuthServer, follower: RegisteredClient, caller: RegisteredClient):
    with following(at, follower) as one, following(at, follower) as two:
        assert (one.read(), two.read()) == ([RESET], [RESET])
        with following(at, follower) as third:
            assert (third.read(), third.read()) == ([RESET], None)
            assert "content-length" in third.answer.headers
        revoke_some(at, caller)
        with following(at, follower, BEGINNING) as third:
            told = third.read()
            assert told is not None
            assert [event.name for event in told] == ["revocation"]
        assert (one.next(), two.next()) == (told, told)
    with following(at, follower) as one:
        one.read()
        assert one.read() == []


def test_a_poll_of_a_long_backlog_takes_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(revocation_events, "_PAGE", 2)
    at = AuthServer(tmp_path, threads=3)
    follower, caller = resource_server(at), at.client()
    at.resource(API, "api:read")
    revoke_some(at, caller, 3)
    first = at.post(PATH, follower, last_event_id="\u0663.\u0663").text
    assert first.count("event: revocation") == 2
    assert "\n:" not in first
    last = first.rpartition("id: ")[2].partition("\n")[0]
    second = at.post(PATH, follower, last_event_id=last).text
    assert second.count("event: ") == 1
    assert re.search(r"\n:[0-9]+\n\n\Z", second)
    at.close()


def watchers() -> int:
    return sum(thread.name == "revocations" for thread in threading.enumerate())


def test_one_thread_looks_for_all_while_there_is_a_stream(at: AuthServer, follower: RegisteredClient):
    before = watchers()
    with following(at, follower) as one:
        with following(at, follower) as two:
            one.read()
            two.read()
            assert watchers() == before + 1
        one.read()
        assert watchers() == before + 1
        thread = at.server.feed._thread
    assert thread is not None
    thread.join(60)
    assert watchers() == before
    with following(at, follower) as again:
        assert again.read() == [RESET]
        assert again.read() == []


def test_without_a_thread_to_look_out_followers_poll_and_the_next_one_tries_again(
    at: AuthServer, follower: RegisteredClient, monkeypatch: pytest.MonkeyPatch
):
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "revocations":
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as scarce:
        scarce.setattr(threading.Thread, "start", refuse)
        with following(at, follower) as stream:
            assert (stream.read(), stream.read()) == ([RESET], None)
    with following(at, follower) as stream:
        assert stream.read() == [RESET]
        assert stream.read() == []


def test_an_answer_that_nobody_reads_holds_no_place(at: AuthServer, follower: RegisteredClient):
    with at.http(auth=follower.basic) as http:
        for _ in range(5):
            request = http.build_request("GET", PATH)
            http.send(request, auth=follower.basic, stream=True).close()
    with following(at, follower) as stream:
        stream.read()
        assert stream.read() == []


def test_a_mark_says_when_the_look_began_and_not_when_it_was_over(
    at: AuthServer, follower: RegisteredClient, monkeypatch: pytest.MonkeyPatch
):
    latest = at.store.revocations.latest

    def slow() -> object:
        seen = latest()
        time.sleep(1)
        return seen

    monkeypatch.setattr(at.store.revocations, "latest", slow)
    began = time.monotonic()
    with at.http(auth=follower.basic) as http, http.stream("GET", PATH) as answer:
        pieces = answer.iter_text()
        next(pieces)
        for piece in islice(pieces, 2):
            assert int(piece.removeprefix(":")) / 1000 <= time.monotonic() - began - 1


# What goes wrong.


def test_no_stream_says_that_all_is_told_while_the_store_is_away(
    at: AuthServer, follower: RegisteredClient, monkeypatch: pytest.MonkeyPatch
):
    def away() -> None:
        raise Unavailable("the database is away")

    with following(at, follower) as stream:
        stream.read()
        with monkeypatch.context() as patch:
            patch.setattr(at.store.revocations, "latest", away)
            stream.end()
    with following(at, follower) as stream:
        stream.read()
        assert stream.read() == []


@pytest.mark.parametrize("verb", ["since", "knows"])
def test_a_request_while_the_store_is_away_is_answered_503(
    at: AuthServer, follower: RegisteredClient, monkeypatch: pytest.MonkeyPatch, verb: str
):
    def away(*_: object) -> None:
        raise Unavailable("the database is away")

    monkeypatch.setattr(at.store.revocations, verb, away)
    answer = at.post(PATH, follower, last_event_id="1.1")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_a_stream_ends_when_the_store_goes_away_before_it_has_read(
    at: AuthServer, follower: RegisteredClient, caller: RegisteredClient, monkeypatch: pytest.MonkeyPatch
):
    def away(*_: object) -> None:
        raise Unavailable("the database is away")

    with following(at, follower) as stream:
        stream.read()
        monkeypatch.setattr(at.store.revocations, "since", away)
        revoke_some(at, caller)
        stream.end()


def test_whoever_may_not_follow_any_more_is_told_nothing_more(
    at: AuthServer, follower: RegisteredClient, caller: RegisteredClient
):
    with following(at, follower) as stream:
        stream.read()
        clients.set_disabled(at.store, follower.client_id, disabled=True, actor="test")
        at.server.forget()
        revoke_some(at, caller)
        stream.end()


def test_streams_end_when_the_server_does(at: AuthServer, follower: RegisteredClient):
    with following(at, follower) as stream:
        stream.read()
        at.server.feed.close()
        stream.end()
    with following(at, follower) as late:
        assert (late.read(), late.read()) == ([RESET], None)


def test_a_server_without_the_gateway_streams_as_well(tmp_path: Path):
    at = AuthServer(tmp_path, threads=8, gateway=False)
    at.resource(API, "api:read")
    follower, caller = resource_server(at), at.client()
    with following(at, follower) as stream:
        assert stream.answer.headers["content-type"] == "text/event-stream"
        assert stream.read() == [RESET]
        revoke_some(at, caller)
        assert [told.name for told in stream.next()] == ["revocation"]
    at.close()

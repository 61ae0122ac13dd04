"""Old news of a revocation feed: what is late, however alive the feed looks, makes nothing current."""

import threading
import time
from collections.abc import Iterator

import pytest

from resourceserver import Fetcher, IssuerMetadata
from resourceserver.descriptions import Verdict
from resourceserver.revocations import BOUND, SILENCE, Revocations
from tests.resourceserver.conftest import Clock
from tests.resourceserver.scripted_feed import ALIVE, RESET, ScriptedFeed, event, until
from tests.resourceserver.test_revocations import becomes, token

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture
def following(feed: ScriptedFeed, metadata: IssuerMetadata, fetcher: Fetcher, clock: Clock) -> Iterator[Revocations]:
    revocations = Revocations(metadata, fetcher, client_id="rs", client_secret="secret", clock=clock)
    yield revocations
    feed.over.set()
    revocations.close()


def test_after_a_silence_it_is_not_current_and_what_was_late_does_not_count(
    following: Revocations, feed: ScriptedFeed
) -> None:
    until(following.is_current)
    silent = feed.last
    silent.beats = False
    until(lambda: not following.is_current())
    assert following.judge(token(), None) is Verdict.UNSURE
    silent.say(ALIVE)
    assert feed.reconnected().last_event_id == "0.0"
    until(following.is_current)


def test_a_stream_that_drips_without_ending_a_line_is_silent(following: Revocations, feed: ScriptedFeed) -> None:
    until(following.is_current)
    dripping = feed.last
    dripping.beats = False
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.05):
            dripping.say(b"d")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        until(lambda: not following.is_current())
        feed.reconnected()
        until(following.is_current)
    finally:
        stop.set()
        thread.join()


def test_events_alone_do_not_keep_it_current(following: Revocations, feed: ScriptedFeed) -> None:
    until(following.is_current)
    feed.last.beats = False
    stop = threading.Event()

    def tell() -> None:
        number = 0
        while not stop.wait(0.05):
            number += 1
            feed.connections[0].say(event(number, jti="x"))

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        until(lambda: not following.is_current())
        assert len(feed.connections) == 1
    finally:
        stop.set()
        thread.join()


def test_news_that_comes_ever_later_does_not_count(following: Revocations, feed: ScriptedFeed) -> None:
    feed.greeting = RESET + b":0\n\n"
    until(following.is_current)
    slow = feed.last
    slow.beats = False
    stop = threading.Event()

    def tell() -> None:
        looked = 0
        while not stop.wait(0.1):
            # Somebody in between takes twice the time that has passed.
            looked += 50
            slow.say(b": %d\n\n" % looked)

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        assert feed.reconnected().last_event_id == "0.0"
    finally:
        stop.set()
        thread.join()


def test_an_issuer_that_is_always_late_is_asked_ever_more_seldom(
    following: Revocations, feed: ScriptedFeed, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []
    monkeypatch.setattr("resourceserver.revocations._pause", lambda _retry, failures: pauses.append(failures) or 0.01)
    monkeypatch.setattr("resourceserver.revocations._looked", lambda _text, moment, _sent: moment - 10)
    following.follow()
    until(lambda: len(pauses) >= 3)
    assert pauses[:3] == [1, 2, 3]
    assert "late" in caplog.text


def test_a_mark_from_the_future_counts_from_now(following: Revocations, feed: ScriptedFeed) -> None:
    feed.greeting = RESET + b":999999999\n\n"
    until(following.is_current)
    assert following._state.get().heard <= time.monotonic()


def test_after_the_clock_was_set_back_everything_is_told_again(
    following: Revocations, feed: ScriptedFeed, clock: Clock
) -> None:
    clock.now += 7200
    feed.greeting = RESET + event(1, grant_id="grant", expires_at=time.time() + 600) + event(2, sub="z") + ALIVE
    until(following.is_current)
    clock.now -= 7200
    assert feed.reconnected().last_event_id is None
    becomes(following, Verdict.DEAD)


def test_silence_leaves_room_for_the_issuers_own_look_within_a_second() -> None:
    assert SILENCE + 0.2 <= BOUND < 1

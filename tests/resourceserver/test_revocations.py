"""Following a revocation feed: what makes it current, what ends that, and where it goes on."""

import base64
import logging
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from resourceserver import Fetcher, IssuerMetadata
from resourceserver.access_token import AccessToken, read_access_token
from resourceserver.descriptions import Verdict
from resourceserver.event_stream import MAX_LINE
from resourceserver.revocations import Revocations
from tests.resourceserver.conftest import Clock
from tests.resourceserver.scripted_feed import ALIVE, FEED, RESET, ScriptedFeed, event, until
from tests.resourceserver.stub_issuer import METADATA, StubIssuer, replying

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def following(feed: ScriptedFeed, metadata: IssuerMetadata, fetcher: Fetcher) -> Iterator[Revocations]:
    revocations = Revocations(metadata, fetcher, client_id="my rs", client_secret="secret", most=20)
    yield revocations
    feed.over.set()
    revocations.close()


def token(**members: object) -> AccessToken:
    now = int(time.time())
    claims = {"sub": "user-1", "client_id": "client-1", "jti": "grant.1", "iat": now - 5, "exp": now + 600} | members
    return read_access_token(claims, "https://as.example", checked_by="keys", token_format="jwt")


def becomes(following: Revocations, verdict: Verdict, **members: object) -> None:
    until(lambda: following.judge(token(**members), None) is verdict)


def test_nothing_is_fetched_before_the_first_use(issuer: StubIssuer, following: Revocations) -> None:
    assert not issuer.hits


def test_it_is_current_after_the_first_reset_and_what_follows_it(following: Revocations, feed: ScriptedFeed) -> None:
    feed.greeting = RESET + event(1, sub="user-1")
    assert not following.is_current()
    until(lambda: feed.connections)
    feed.last.beats = False
    becomes(following, Verdict.DEAD)
    assert not following.is_current()
    assert following.judge(token(sub="user-2"), None) is Verdict.UNSURE
    feed.last.say(ALIVE)
    until(following.is_current)
    assert following.judge(token(sub="user-2"), None) is Verdict.GOOD


def test_it_shows_its_credentials_and_wants_a_stream(following: Revocations, feed: ScriptedFeed) -> None:
    until(following.is_current)
    headers = feed.last.headers
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"my%20rs:secret"
    assert headers["Accept"] == "text/event-stream"
    assert feed.last.last_event_id is None


def test_without_a_reset_nothing_is_known_however_alive_the_feed_is(following: Revocations, feed: ScriptedFeed) -> None:
    feed.greeting = ALIVE
    assert not following.is_current()
    becomes(following, Verdict.UNSURE)
    until(lambda: feed.connections and feed.last.pieces.empty())
    feed.last.say(event(1, sub="user-1"))
    becomes(following, Verdict.DEAD)
    assert not following.is_current()


def test_a_revocation_is_known_when_it_arrives_in_whatever_order(following: Revocations, feed: ScriptedFeed) -> None:
    until(following.is_current)
    feed.last.say(event(7, grant_id="other"), event(3, grant_id="grant"))
    becomes(following, Verdict.DEAD)
    becomes(following, Verdict.DEAD, jti="other.x")
    becomes(following, Verdict.GOOD, jti="third.x")
    before = time.monotonic()
    assert following.judge(token(), before) is Verdict.GOOD
    feed.last.say(event(8, what="is this?"))
    becomes(following, Verdict.UNSURE, jti="third.x")
    assert following.judge(token(sub="z"), before) is Verdict.UNSURE
    assert following.judge(token(sub="z"), time.monotonic()) is Verdict.GOOD


def test_an_event_of_an_unknown_kind_makes_everything_doubtful(following: Revocations, feed: ScriptedFeed) -> None:
    until(following.is_current)
    feed.last.say(b"event: amnesty\ndata: {}\n\n")
    becomes(following, Verdict.UNSURE)


def test_a_stream_that_ends_goes_on_where_it_was(following: Revocations, feed: ScriptedFeed) -> None:
    until(following.is_current)
    feed.last.say(event(3, grant_id="grant"), b"id: 4.5\nevent: revocation\ndata: {")
    becomes(following, Verdict.DEAD)
    feed.greeting = event(4, grant_id="other") + ALIVE
    feed.last.end()
    assert feed.reconnected().last_event_id == "3.5"
    becomes(following, Verdict.DEAD, jti="other.x")
    becomes(following, Verdict.DEAD)


def test_a_reset_forgets_the_answers_and_the_revocations(following: Revocations, feed: ScriptedFeed) -> None:
    until(following.is_current)
    asked = time.monotonic()
    feed.last.say(event(3, grant_id="grant"))
    becomes(following, Verdict.DEAD)
    feed.greeting = RESET + event(9, sub="user-9") + ALIVE
    feed.last.end()
    becomes(following, Verdict.GOOD)
    becomes(following, Verdict.DEAD, sub="user-9")
    assert following.judge(token(), asked) is Verdict.UNSURE
    assert following.judge(token(), time.monotonic()) is Verdict.GOOD


def test_a_short_answer_that_is_complete_keeps_it_current(following: Revocations, feed: ScriptedFeed) -> None:
    until(following.is_current)
    feed.last.end()
    for times in range(2, 8):
        feed.reconnected(times).end()
        assert following.is_current()


def test_who_cannot_say_where_to_go_on_needs_a_reset(following: Revocations, feed: ScriptedFeed) -> None:
    until(following.is_current)
    feed.greeting = ALIVE + event(1, grant_id="grant")
    feed.last.say(b"id:\n\n:\n\n")
    feed.last.end()
    assert feed.reconnected().last_event_id is None
    becomes(following, Verdict.DEAD)
    assert not following.is_current()


def test_without_a_thread_nothing_is_current_and_the_next_one_tries_again(
    following: Revocations, feed: ScriptedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as scarce:
        scarce.setattr(threading.Thread, "start", refuse)
        assert following.judge(token(), None) is Verdict.UNSURE
    following.wait()
    assert following.is_current()


def _end_at_once(to: BaseHTTPRequestHandler) -> None:
    to.close_connection = True


ODD = {
    "html": replying(b"<html>Sign in</html>", content_type="text/html"),
    "json": replying({}),
    "401": replying({"error": "invalid_client"}, status=401),
    "403": replying({"error": "access_denied"}, status=403),
    "204": replying(b"", status=204, content_type="text/event-stream"),
    "500": replying(RESET + ALIVE, status=500, content_type="text/event-stream"),
    "redirect": replying(b"", status=307, headers={"Location": "/elsewhere"}),
    "zipped": replying(RESET, content_type="text/event-stream", headers={"Content-Encoding": "gzip"}),
    "garbage": replying(os.urandom(2000), content_type="text/event-stream"),
    "huge line": replying(RESET + b"x" * (MAX_LINE + 1) + b"\n" + ALIVE, content_type="text/event-stream"),
    "nothing": replying(b"", content_type="text/event-stream"),
    "hang up": _end_at_once,
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_makes_nothing_current_and_is_got_over(
    issuer: StubIssuer, following: Revocations, feed: ScriptedFeed, name: str
) -> None:
    issuer.faults[FEED] = ODD[name]
    assert following.judge(token(), None) is Verdict.UNSURE
    until(lambda: issuer.hits[FEED] >= 2)
    assert not following.is_current()
    issuer.faults[FEED] = feed
    until(following.is_current)
    assert issuer.hits["/elsewhere"] == 0


def test_refused_credentials_are_said_in_the_log_and_an_outage_once(
    issuer: StubIssuer, following: Revocations, feed: ScriptedFeed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "resourceserver")
    issuer.faults[FEED] = replying({}, status=401)
    following.is_current()
    until(lambda: issuer.hits[FEED] >= 3)
    issuer.faults[FEED] = feed
    until(following.is_current)
    feed.last.end()
    feed.reconnected()
    until(lambda: "heard again" in caplog.text)
    assert "does not let this resource server follow" in caplog.text
    assert caplog.text.count("is not heard") == 1
    assert "secret" not in caplog.text


def test_a_flood_of_revocations_ends_trust_in_what_was_there_before_it(
    following: Revocations, feed: ScriptedFeed
) -> None:
    until(following.is_current)
    feed.last.say(b"".join(event(number, sub=f"user-{number}") for number in range(21)))
    becomes(following, Verdict.UNSURE, sub="somebody")
    until(lambda: following.judge(token(sub="somebody"), time.monotonic()) is Verdict.GOOD)
    later = int(time.time()) + 90
    becomes(following, Verdict.GOOD, sub="somebody", iat=later)
    feed.last.say(event(50, sub="user-50"))
    becomes(following, Verdict.DEAD, sub="user-50", iat=later)
    assert len(feed.connections) == 1


@pytest.mark.parametrize("last", ["caf\u00e9", "x" * 300, " 7"])
def test_an_id_that_no_header_can_hold_is_not_sent(following: Revocations, feed: ScriptedFeed, last: str) -> None:
    until(following.is_current)
    feed.last.say(f"id: {last}\n\n:\n\n".encode())
    feed.last.end()
    assert feed.reconnected().last_event_id is None


# An issuer without a feed.


@pytest.fixture
def optional(metadata: IssuerMetadata, fetcher: Fetcher) -> Iterator[Revocations]:
    revocations = Revocations(metadata, fetcher, client_id="rs", client_secret="secret", required=False)
    yield revocations
    revocations.close()


def test_an_issuer_without_a_feed_changes_nothing_where_that_is_allowed(
    issuer: StubIssuer, optional: Revocations, caplog: pytest.LogCaptureFixture
) -> None:
    becomes(optional, Verdict.GOOD)
    assert optional.judge(token(), 0.0) is Verdict.GOOD
    assert not optional.is_current()
    optional.wait()
    assert caplog.text.count("has no revocation feed") == 1
    assert issuer.hits == {METADATA: 1}


def test_an_issuer_that_cannot_be_reached_may_have_a_feed(issuer: StubIssuer, optional: Revocations) -> None:
    issuer.faults[METADATA] = replying({}, status=500)
    optional.is_current()
    until(lambda: issuer.hits[METADATA] >= 1)
    assert optional.judge(token(), None) is Verdict.UNSURE


def test_without_that_permission_a_missing_feed_is_one_that_is_not_heard(
    issuer: StubIssuer, metadata: IssuerMetadata, fetcher: Fetcher
) -> None:
    revocations = Revocations(metadata, fetcher, client_id="rs", client_secret="secret")
    revocations.wait()
    assert revocations.judge(token(), None) is Verdict.UNSURE
    revocations.close()


def test_a_feed_on_another_kind_of_address_is_not_followed(issuer: StubIssuer, optional: Revocations) -> None:
    issuer.metadata["revocation_events_endpoint"] = "http://as.example/revocations"
    optional.wait()
    assert optional.judge(token(), None) is Verdict.UNSURE


def test_a_fixed_endpoint_spares_the_discovery(issuer: StubIssuer, feed: ScriptedFeed, fetcher: Fetcher) -> None:
    revocations = Revocations(issuer.url, fetcher, client_id="rs", client_secret="s", endpoint=issuer.url + FEED)
    until(revocations.is_current)
    assert issuer.hits == {FEED: 1}
    feed.over.set()
    revocations.close()


def test_what_was_dead_stays_dead_when_the_feed_goes_away(
    issuer: StubIssuer, optional: Revocations, feed: ScriptedFeed, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    until(optional.is_current)
    feed.last.say(event(1, grant_id="grant"))
    becomes(optional, Verdict.DEAD)
    del issuer.metadata["revocation_events_endpoint"]
    clock.now += 3601
    feed.last.end()
    until(lambda: "has no revocation feed" in caplog.text)
    assert optional.judge(token(jti="other.1"), None) is Verdict.GOOD
    assert optional.judge(token(), None) is Verdict.DEAD


# Beginning, ending, forking.


def test_who_has_just_begun_to_follow_may_wait_a_moment(following: Revocations) -> None:
    following.wait()
    assert following.is_current()


@pytest.mark.usefixtures("impatient")
def test_closed_it_follows_nothing_and_is_not_current(following: Revocations, feed: ScriptedFeed) -> None:
    until(following.is_current)
    following.close()
    until(lambda: not following.is_current())
    assert not [thread for thread in threading.enumerate() if thread.name == "follow-revocations" and thread.is_alive()]
    connected = len(feed.connections)
    following.wait()
    assert len(feed.connections) == connected


def test_many_threads_start_one_follower(following: Revocations, feed: ScriptedFeed) -> None:
    threads = [threading.Thread(target=following.wait) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert following.is_current()
    assert len(feed.connections) == 1

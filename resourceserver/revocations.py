"""Following an issuer's revocation feed: what it takes back is known here within a second, and nobody has to ask.

The feed is a stream of server-sent events (`resourceserver.event_stream`) at the `revocation_events_endpoint` of the
issuer: `reset` says that all which still counts follows, `revocation` describes dead tokens
(`resourceserver.descriptions`), and a comment says that everything up to now has been sent. A feed that has said
nothing for a moment is worth nothing until it speaks again.
"""

import logging
import random
import threading
import time
from collections.abc import Callable

from resourceserver.access_token import AccessToken
from resourceserver.descriptions import Descriptions, Verdict
from resourceserver.discovery import IssuerMetadata
from resourceserver.errors import UnavailableError
from resourceserver.event_stream import MEDIA_TYPE, Comment, EventStreamParser, Item
from resourceserver.fetch import Fetcher, FetchError, Stream, check_url
from resourceserver.introspect import basic_credentials
from resourceserver.per_process import PerProcess

log = logging.getLogger("resourceserver")

MEMBER = "revocation_events_endpoint"
# The issuer looks every 0.2 s for what is new, and says each time when it has looked.
SILENCE = 0.75
BOUND = 0.95
RETRY = 250
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
MOST_DOUBLINGS = 7
ABSENT_SECONDS = 60.0
WAIT_AT_START = 1.0
MAX_ID = 256
_DIGITS = 9


class Revocations:
    """The revocations of one issuer, followed by one background thread per process, from the first use on.

    Share one between all verifiers of an issuer. `issuer` is the issuer's identifier, or its IssuerMetadata to share;
    `endpoint` spares the discovery. With `required=False` an issuer that announces no feed is taken as one that has
    none: then answers are kept as they are without a feed, and the log says so. At most `most` descriptions of dead
    tokens are remembered; of more the oldest go, and older tokens are asked about. Safe for many threads.
    """

    def __init__(
        self,
        issuer: str | IssuerMetadata,
        fetcher: Fetcher | None = None,
        *,
        client_id: str,
        client_secret: str,
        endpoint: str = "",
        required: bool = True,
        most: int = 100_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fetcher = fetcher or Fetcher()
        self._metadata = issuer if isinstance(issuer, IssuerMetadata) else IssuerMetadata(issuer, self._fetcher)
        self.issuer = self._metadata.issuer
        self._endpoint = check_url(endpoint) if endpoint else ""
        self._authorization = basic_credentials(client_id, client_secret)
        self._required = required
        self._clock = clock
        self._closed = threading.Event()
        self._state = PerProcess(lambda: _State(most))

    def follow(self) -> None:
        """Begin to follow, where that has not happened; the first question does so too."""
        self._followed()

    def is_current(self) -> bool:
        """Say whether everything that was revoked until a moment ago is known."""
        state = self._followed()
        with state.changed:
            return state.is_current()

    def judge(self, token: AccessToken, asked: float | None) -> Verdict:
        """Say whether what is known of `token` still holds.

        `asked` is the moment (monotonic) at which its issuer was asked; None for a JWT that was checked with keys.
        """
        state = self._followed()
        with state.changed:
            verdict = state.descriptions.judge(token, asked, self._clock())
            if verdict is Verdict.DEAD:
                return verdict
            if state.absent:
                return Verdict.GOOD
            return verdict if state.is_current() else Verdict.UNSURE

    def wait(self) -> None:
        """Wait for the feed to become current if it has just begun to be followed; not while it is away."""
        state = self._followed()
        with state.changed:
            left = state.started + WAIT_AT_START - time.monotonic()
            if left > 0:
                state.changed.wait_for(lambda: state.is_current() or state.absent, left)

    def close(self) -> None:
        """Stop following. From then on nothing is current."""
        self._closed.set()
        thread = self._state.get().thread
        if thread is not None:
            thread.join(self._fetcher.seconds + SILENCE)

    def _followed(self) -> "_State":
        """Return this process's state, which a thread keeps up to date."""
        state = self._state.get()
        if not state.following and not self._closed.is_set() and time.monotonic() >= state.absent_until:
            with state.changed:
                if not state.following:
                    self._start(state)
        return state

    def _start(self, state: "_State") -> None:
        state.following = True
        state.started = time.monotonic()
        thread = threading.Thread(target=self._follow, args=(state,), daemon=True, name="follow-revocations")
        try:
            thread.start()
        except RuntimeError:
            # Out of threads: nothing is current, and the next question tries again.
            state.following = False
            log.warning("the revocation feed of %s cannot be followed: no thread", self.issuer)
        else:
            state.thread = thread

    def _follow(self, state: "_State") -> None:
        failures = 0
        try:
            while not self._closed.is_set():
                state.caught_up = False
                problem = self._follow_once(state)
                if state.absent:
                    state.absent_until = time.monotonic() + ABSENT_SECONDS
                    return
                failures = 0 if state.caught_up else failures + 1
                self._tell(state, problem, failures)
                self._closed.wait(_pause(state.retry, failures))
        finally:
            state.following = False

    def _follow_once(self, state: "_State") -> str:
        """Read the feed until it ends; return why."""
        try:
            url = self._url(state)
            if not state.absent:
                self._read(state, url)
        except FetchError as failure:
            return str(failure)
        except UnavailableError as failure:
            return failure.reason
        return "ended"

    def _url(self, state: "_State") -> str:
        if self._endpoint:
            return self._endpoint
        absent = not self._required and not self._metadata.announces(MEMBER)
        with state.changed:
            if absent and not state.absent:
                log.warning("issuer %s has no revocation feed: answers are kept without it", self.issuer)
            state.absent = absent
            state.changed.notify_all()
        return "" if absent else self._metadata.url(MEMBER)

    def _read(self, state: "_State", url: str) -> None:
        headers = [("Authorization", self._authorization)]
        if state.last_event_id:
            headers.append(("Last-Event-ID", state.last_event_id))
        else:
            state.complete = False
        with self._fetcher.stream(url, headers, accept=MEDIA_TYPE, silence=SILENCE) as answer:
            _check(answer)
            parser = EventStreamParser(state.last_event_id)
            heard = time.monotonic()
            for piece in answer.pieces:
                moment = time.monotonic()
                # What has waited that long, here or on its way, says nothing about now.
                if moment - heard > SILENCE:
                    raise FetchError("silence")
                if self._closed.is_set():
                    return
                items = parser.feed(piece)
                if items:
                    heard = moment
                    self._take(state, items, parser, moment, answer.sent)

    def _take(self, state: "_State", items: list[Item], parser: EventStreamParser, moment: float, sent: float) -> None:
        """Take in what has arrived together. Only then does any of it count as heard."""
        with state.changed:
            for item in items:
                state.take(item, moment, self._clock(), sent)
            if not state.descriptions.is_whole(self._clock()):
                state.forget(moment)
                raise FetchError("the clock was set back")
            state.last_event_id = _sendable(parser.last_event_id)
            state.retry = RETRY if parser.retry is None else parser.retry
            state.changed.notify_all()
            marked = any(isinstance(item, Comment) for item in items)
            if marked and state.caught_up and moment - state.heard > SILENCE:
                # A busy issuer is not asked again and again.
                state.caught_up = False
                raise FetchError("late")

    def _tell(self, state: "_State", problem: str, failures: int) -> None:
        if failures == 1:
            log.warning("the revocation feed of %s is not heard: %s", self.issuer, problem)
        elif failures == 0 and state.told_failures:
            log.info("the revocation feed of %s is heard again", self.issuer)
        state.told_failures = failures


class _State:
    """What one process knows; guarded by `changed`."""

    def __init__(self, most: int) -> None:
        self.changed = threading.Condition()
        self.descriptions = Descriptions(most)
        self.thread: threading.Thread | None = None
        self.following = False
        self.started = 0.0
        # Whether a reset was heard since nothing was known; whether this connection has told all that there was.
        self.complete = self.caught_up = False
        self.heard = float("-inf")
        self.last_event_id = ""
        self.retry = RETRY
        self.absent = False
        self.absent_until = float("-inf")
        self.told_failures = 0

    def is_current(self) -> bool:
        return self.complete and time.monotonic() - self.heard < BOUND

    def take(self, item: Item, moment: float, now: float, sent: float) -> None:
        if isinstance(item, Comment):
            # Events alone do not say that there are no more of them.
            if self.complete:
                self.caught_up, self.heard = True, max(self.heard, _looked(item.text, moment, sent))
        elif item.kind == "reset":
            self.descriptions.reset(moment)
            self.complete, self.caught_up = True, False
            self.heard = float("-inf")
        elif item.kind == "revocation":
            self.descriptions.add(item.data, moment, now)
        else:
            self.descriptions.doubt(moment, now)

    def forget(self, moment: float) -> None:
        self.descriptions.reset(moment)
        self.complete = self.caught_up = False
        self.heard = float("-inf")
        self.last_event_id = ""


def _check(answer: Stream) -> None:
    if answer.status in {401, 403}:
        log.error("the issuer does not let this resource server follow its revocations")
        raise FetchError("own credentials refused")
    if answer.status != 200 or answer.media_type != MEDIA_TYPE:
        raise FetchError("unexpected status or media type")


def _looked(text: bytes, moment: float, sent: float) -> float:
    """Return the moment up to which the issuer has looked, at the least.

    It says how many milliseconds after the request came. So nobody on the way, however slow, makes old news look new.
    """
    if text.isdigit() and len(text) <= _DIGITS:
        return min(moment, sent + int(text) / 1000)
    return moment - (BOUND - SILENCE)


def _sendable(last_event_id: str) -> str:
    """Return the id if a header field can hold it; without one, everything is told again."""
    fits = last_event_id.isascii() and last_event_id.isprintable() and len(last_event_id) <= MAX_ID
    return last_event_id if fits and last_event_id == last_event_id.strip() else ""


def _pause(retry: int, failures: int) -> float:
    usual = max(retry / 1000, SHORTEST_PAUSE)
    longest = min(usual * 2 ** min(failures, MOST_DOUBLINGS), LONGEST_PAUSE)
    return float(longest * random.uniform(0.5, 1.0))  # noqa: S311 spread, not secrecy

"""Descriptions of dead tokens, as an issuer's revocation feed gives them, and whether they mean a certain token.

One description is a JSON object. It means the access tokens that all of its members fit: `jti`, `sub` and `client_id`
equal the token's, `grant_id` equals what stands before the first dot of its jti, `granted` is true for tokens of a
grant, and `issued_before` is a time. `expires_at` says until when a token of this kind may live. Whatever cannot be
read may mean every token.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from resourceserver.access_token import AccessToken
from resourceserver.errors import InvalidTokenError
from resourceserver.jwt import TOLERANCE, numeric_date
from resourceserver.strict_json import parse_object

SWEEP_SECONDS = 60.0
# Beyond the issuer's clock, which may be behind ours.
LINGER = 2.0 * TOLERANCE
AFTERWARDS = 5  # seconds after a revocation in which a token may be issued that it means
LONGEST_NAME = 2_048  # beyond it, a few descriptions would fill the memory

# The first of these that a description has is where it is found.
_NAMES = ("jti", "grant_id", "sub", "client_id")
_KNOWN = frozenset({*_NAMES, "granted", "issued_before", "expires_at"})

Pair = tuple[str, object]


class Verdict(Enum):
    """What the revocations say about a token: nothing, that it is dead, or that they cannot tell."""

    GOOD = "good"
    DEAD = "dead"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Description:
    """One kind of dead token: what its claims equal, when it was issued, until when it may live, when it was heard."""

    equal: tuple[Pair, ...]
    issued_before: float | None
    expires_at: float
    heard: float

    def verdict(self, shown: dict[str, object], issued_at: int | None) -> Verdict:
        """Say whether a token that shows these claims is meant."""
        if any(shown[name] != value for name, value in self.equal):
            return Verdict.GOOD
        if self.issued_before is None:
            return Verdict.DEAD
        if issued_at is None:
            return Verdict.UNSURE
        # A token states whole seconds: in the second of the revocation, only the issuer knows which was first. And one
        # that was issued while the issuer was writing the revocation states a later time, its machines' clocks another.
        if issued_at < int(self.issued_before):
            return Verdict.DEAD
        return Verdict.UNSURE if issued_at <= self.issued_before + AFTERWARDS else Verdict.GOOD

    def joined(self, other: "Description | None") -> "Description":
        """Return one description that means all tokens of this one and of an earlier one with the same claims."""
        if other is None:
            return self
        both = (self.issued_before, other.issued_before)
        before = None if None in both else max(time for time in both if time is not None)
        return Description(self.equal, before, max(self.expires_at, other.expires_at), self.heard)


class Descriptions:
    """At most `most` descriptions, until the tokens that they mean are gone. Not safe for threads by itself.

    Anybody with tokens to give back can make many. Beyond `most` the oldest go, and then nothing is trusted that was
    there when the youngest of those was heard.
    `moment` is monotonic time, `now` POSIX seconds.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[Pair, dict[tuple[Pair, ...], Description]] = {}
        self._size = 0
        self._next_sweep = self._swept = float("-inf")
        self._latest = float("-inf")
        self._answers_from = float("-inf")
        self._jwts_from = float("-inf")

    def __len__(self) -> int:
        return self._size

    def reset(self, moment: float) -> None:
        """Forget all descriptions, and trust no answer from before: what still counts is told again."""
        self._found.clear()
        self._size = 0
        self._next_sweep = self._swept = float("-inf")
        self._latest = self._answers_from = moment

    def doubt(self, moment: float, now: float) -> None:
        """Trust nothing from before: something was said that cannot be read."""
        self._latest = self._answers_from = moment
        self._jwts_from = now

    def add(self, data: bytes, moment: float, now: float) -> None:
        """Take in one description."""
        try:
            heard = _read(data, moment)
        except (ValueError, InvalidTokenError):
            self.doubt(moment, now)
            return
        self._latest = moment
        place = self._found.setdefault(heard.equal[0], {})
        earlier = place.get(heard.equal)
        place[heard.equal] = heard.joined(earlier)
        self._size += earlier is None
        if now >= self._next_sweep or self._size > self._most:
            self._sweep(now)
        if self._size > self._most:
            self._make_room(moment, now)

    def is_whole(self, now: float) -> bool:
        """Say whether all is there that counts; after the clock was set back, what has gone may count again."""
        return now + TOLERANCE >= self._swept

    def judge(self, token: AccessToken, asked: float | None, now: float) -> Verdict:
        """Say what is known against `token`: its issuer was asked at the moment `asked`, or it speaks for itself."""
        if asked is not None and asked > self._latest:
            return Verdict.GOOD
        if not self.is_whole(now) or self._is_doubtful(token, asked, now) or token.jti is None:
            return Verdict.UNSURE
        grant_id, dot, _ = token.jti.partition(".")
        shown: dict[str, object] = {
            "jti": token.jti,
            "grant_id": grant_id if dot else None,
            "sub": token.subject,
            "client_id": token.client_id,
            "granted": bool(dot),
        }
        found = Verdict.GOOD
        for name in _NAMES:
            for description in self._found.get((name, shown[name]), {}).values():
                # Who was asked after that has known of it.
                if asked is not None and asked > description.heard:
                    continue
                verdict = description.verdict(shown, token.issued_at)
                if verdict is Verdict.DEAD:
                    return verdict
                if verdict is Verdict.UNSURE:
                    found = verdict
        return found

    def _is_doubtful(self, token: AccessToken, asked: float | None, now: float) -> bool:
        if asked is not None:
            return asked <= self._answers_from
        # Of a token that lives on only because clocks differ, its issuer says nothing any more. And what could not be
        # read can only be about tokens that were there; the issuer's clock may be ahead of ours.
        return token.expires_at <= now or token.issued_at is None or token.issued_at <= self._jwts_from + TOLERANCE

    def _sweep(self, now: float) -> None:
        self._next_sweep = now + SWEEP_SECONDS
        if self._remove(lambda one: one.expires_at + LINGER <= now):
            self._swept = now

    def _make_room(self, moment: float, now: float) -> None:
        heard = sorted(one.heard for kept in self._found.values() for one in kept.values())
        last = heard[len(heard) // 4]
        self._remove(lambda one: one.heard <= last)
        self._answers_from = max(self._answers_from, last)
        self._jwts_from = max(self._jwts_from, now - (moment - last))

    def _remove(self, gone: Callable[[Description], bool]) -> bool:
        before = self._size
        for place, kept in list(self._found.items()):
            for equal in [equal for equal, one in kept.items() if gone(one)]:
                del kept[equal]
                self._size -= 1
            if not kept:
                del self._found[place]
        return self._size < before


def _read(data: bytes, moment: float) -> Description:
    members = parse_object(data)
    if not members.keys() <= _KNOWN or members.get("granted", True) is not True:
        raise ValueError("unknown member")
    equal: list[Pair] = []
    for name in _NAMES:
        value = members.get(name)
        if isinstance(value, str) and len(value) <= LONGEST_NAME:
            equal.append((name, value))
        elif name in members:
            raise ValueError("not a string of usual length")
    if not equal:
        raise ValueError("means everything")
    if "granted" in members:
        equal.append(("granted", True))
    before = numeric_date(members["issued_before"]) if "issued_before" in members else None
    return Description(tuple(equal), before, numeric_date(members.get("expires_at")), moment)

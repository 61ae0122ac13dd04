"""Token Status List (TSL), revision 21, for JWT access tokens (RFC 9068): one bit says whether a token lives.

https://datatracker.ietf.org/doc/html/draft-ietf-oauth-status-list-21

A resource can ask for this (``status_list``): its JWTs then name a place in a list, and whoever checks them without
introspection fetches the list of 65,536 places once or twice a second. A bit is 1 when introspection would call its
token dead; both ask the store the same. Of a token that is expired the bit says nothing: it is 0 again after a while.

Between two polls nothing is made anew. A list is as good as the last revocation that it was read after: that costs a
look at the last row. Where there are new ones, only the entries that they mean are looked at; all of them now and then.
That nothing dies without a revocation but by expiring is what ``issue`` sees to: no token outlives its grant.

Places are drawn without order (12.4, 12.5), and an unused one looks like a good one (13.3), so neither a token nor a
list says how many tokens there are. Left out: the CWT form, history (8.4, 12.7), other states than the two (12.8), and
the Content-Encoding of 8.2: a proxy may add it to what is small already.

Plugs into: ENDPOINTS, TAKE_QUERY, CORS_ANY, TOKEN_CLAIMS, METADATA; ``status_list``, an administrator's member of a
resource.
"""

import re
import zlib
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from hashlib import shake_256
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from authserver.clock import MINUTE, SECOND, now
from authserver.crypto import b64, new_id
from authserver.keys import KeyRing
from authserver.oauth import access_token, errors
from authserver.oauth.metadata import cacheable, dump, entity_tag
from authserver.oauth.request import NO_STORE, Answer, Request
from authserver.records import Cursor, Revocation, StatusEntry
from authserver.settings import Settings
from authserver.store import Conflict, Store
from authserver.store.statuses import SIZE

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "status_list"
PATH: Final = "/status-list"
AGGREGATION_PATH: Final = "/status-lists"
METHODS: Final = ("GET", "HEAD")
TYP: Final = "statuslist+jwt"  # 5.1
MEDIA_TYPE: Final = f"application/{TYP}"  # 8.2
TTL: Final = 1  # seconds (13.7)
_LIFETIME: Final = 2 * MINUTE
_REREAD: Final = MINUTE  # after which a list is read as a whole, whatever happened
_OPENING: Final = 10 * SECOND  # in which a grant has to be there after the entry of its first token
_MOST_NEWS: Final = 200  # revocations that are looked at one by one: as dear as a list that is read as a whole
_ROUNDS: Final = 10
_SECRET: Final = ("status-list", "secret")
_NEVER: Final = 2**62
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,11}", re.ASCII)


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce where the lists are listed (9.1)."""
    del server
    return {"status_list_aggregation_endpoint": settings.issuer + AGGREGATION_PATH}


def reference(server: "Server", request: Request) -> None:
    """Give a JWT its place in a list (6.1, 6.2), where its resource asks for that."""
    if request.target is None or not request.target.status_list or not access_token.is_jwt(request):
        return
    claims, statuses = request.claims, server.store.statuses
    of_list, number = statuses.add(
        jti=claims["jti"],
        grant_id=request.grant.grant_id if request.grant else None,
        client_id=claims["client_id"],
        sub=claims["sub"],
        issued_at=claims["iat"] * SECOND,
        expires_at=claims["exp"] * SECOND,
    )
    # What was revoked before the entry was there is news to nobody any more. A grant may be opened after this.
    if any(not entry.lacks_grant for entry in statuses.dead_of(of_list, "jti", claims["jti"])):
        raise errors.InvalidGrant(errors.OVERTAKEN)
    index = server.status_lists.index(of_list, number)
    claims["status"] = {"status_list": {"idx": index, "uri": server.status_lists.uri(of_list)}}


def respond(server: "Server", request: Request) -> Answer:
    """Answer a status list token (8.1, 8.2)."""
    if "time" in request.parameters:
        # 8.4; nobody needs to learn when somebody's token died (12.7).
        return Answer(501, b"", [NO_STORE])
    asked = request.parameters.get("id", "")
    token = server.status_lists.current(int(asked)) if _NUMBER.fullmatch(asked) else None
    if token is None:
        return Answer(404, b"", [NO_STORE])
    return cacheable(request, token.body, token.etag, media_type=MEDIA_TYPE, max_age=TTL)


def respond_all(server: "Server", request: Request) -> Answer:
    """Answer where the lists are (9.3)."""
    return cacheable(request, *server.status_lists.all(), max_age=TTL)


class _Basis(NamedTuple):
    """What a status list token was made of, beside the time."""

    cursor: Cursor
    keys: str  # entity tag of the key set


class StatusListToken(NamedTuple):
    """A status list token, and what it takes to make the next one of it."""

    basis: _Basis
    made_at: int
    until: int
    bits: bytes
    body: bytes
    etag: str

    def holds(self, basis: _Basis) -> bool:
        """Say whether making it again would say the same."""
        return self.basis == basis and self.made_at <= now() < self.until


class StatusLists:
    """The status list tokens of this process, kept until there is news."""

    def __init__(self, settings: Settings, store: Store, keys: KeyRing) -> None:
        self._issuer = settings.issuer
        self._store = store
        self._keys = keys
        self._secret = b""
        self._making = Lock()
        self._kept: dict[int, StatusListToken] = {}
        self._all: tuple[int, tuple[bytes, str]] = (0, (b"", ""))

    def uri(self, of_list: int) -> str:
        """Return the one URI of a list (12.2)."""
        return f"{self._issuer}{PATH}?id={of_list}"

    def index(self, of_list: int, number: int) -> int:
        """Return the place of an entry: a permutation of its list, by a Feistel network with rounds of its own."""
        left, right = divmod(number, 256)
        for table in _rounds(self._read_secret(), of_list):
            left, right = right, left ^ table[right]
        return left * 256 + right

    def all(self) -> tuple[bytes, str]:
        """Return the aggregation (9.3) as bytes, at most a second old, with its entity tag."""
        moment = now()
        if not 0 <= moment - self._all[0] < TTL * SECOND:
            uris = [self.uri(of_list) for of_list in self._store.statuses.lists()]
            self._all = moment, dump({"status_lists": uris})
        return self._all[1]

    def current(self, of_list: int) -> StatusListToken | None:
        """Return the token of a list, with everything in it that is revoked now; None when there is no such list."""
        kept = self._kept.get(of_list)
        if kept is None and not self._store.statuses.has(of_list):
            return None
        if kept is not None and kept.holds(self._basis()):
            return kept
        with self._making:
            kept, basis = self._kept.get(of_list), self._basis()
            return kept if kept is not None and kept.holds(basis) else self._make(of_list, basis)

    def _basis(self) -> _Basis:
        # Read before what is made of it: what is revoked meanwhile is news to the next poll.
        return _Basis(self._store.revocations.latest(), self._keys.public_set().etag)

    def _make(self, of_list: int, basis: _Basis) -> StatusListToken | None:
        moment = now()
        self._kept = {number: one for number, one in self._kept.items() if one.made_at <= moment < one.until}
        kept = self._kept.get(of_list)
        made = self._go_on(of_list, kept, basis, moment) if kept is not None else None
        if made is None and self._store.statuses.has(of_list):
            bits = self._mark(of_list, bytes(SIZE // 8), self._store.statuses.dead(of_list))
            made = StatusListToken(basis, moment, moment + _REREAD, bits, *self._sign(of_list, bits, moment))
        if made is not None:
            self._kept[of_list] = made
        return made

    def _go_on(self, of_list: int, kept: StatusListToken, basis: _Basis, moment: int) -> StatusListToken | None:
        """Return the token with the news in it, or None when the list has to be read as a whole."""
        news = self._news(of_list, kept, basis)
        if news is None:
            return None
        bits = self._mark(of_list, kept.bits, news)
        if (bits, basis.keys) == (kept.bits, kept.basis.keys):
            return kept._replace(basis=basis)
        return StatusListToken(basis, moment, kept.until, bits, *self._sign(of_list, bits, moment))

    def _news(self, of_list: int, kept: StatusListToken, basis: _Basis) -> list[StatusEntry] | None:
        """Return the entries of a list that have died since it was read, or None when all have to be looked at."""
        before, cursor = kept.basis.cursor, basis.cursor
        if cursor == before:
            return []
        told = self._store.revocations.since(before.number, _MOST_NEWS) if cursor.number > before.number else ()
        meant = {_meant(revocation) for revocation in told}
        # Numbers that go back are those of another database.
        if not 0 < len(told) < _MOST_NEWS or None in meant:
            return None
        dead_of = self._store.statuses.dead_of
        return [entry for one in meant if one is not None for entry in dead_of(of_list, *one)]

    def _mark(self, of_list: int, before: bytes, dead: Iterable[StatusEntry]) -> bytes:
        """Return a list with the bits of dead tokens set (4.1, 7.1)."""
        bits, moment = bytearray(before), now()
        for entry in dead:
            # Nobody is given a token before its grant is there: this one is still being made.
            if entry.lacks_grant and moment - entry.issued_at < _OPENING:
                continue
            index = self.index(of_list, entry.number)
            bits[index // 8] |= 1 << index % 8
        return bytes(bits)

    def _sign(self, of_list: int, bits: bytes, moment: int) -> tuple[bytes, str]:
        """Return the token (5.1) as bytes, with its entity tag."""
        claims = {
            "iss": self._issuer,
            "sub": self.uri(of_list),
            "iat": moment // SECOND,
            "exp": (moment + _LIFETIME) // SECOND,
            "ttl": TTL,
            # 4.1: "Implementations are RECOMMENDED to use the highest compression level available."
            "status_list": {"bits": 1, "lst": b64(zlib.compress(bits, zlib.Z_BEST_COMPRESSION))},
        }
        body = self._keys.sign("ES256", TYP, claims).encode()
        return body, entity_tag(body)

    def _read_secret(self) -> bytes:
        """Return what makes the order of places a secret: one for all nodes, and as lasting as the entries."""
        if not self._secret:
            drawn = self._store.single_use.get(*_SECRET)
            if drawn is None:
                with suppress(Conflict):
                    self._store.single_use.put(*_SECRET, new_id(32), _NEVER)
                return self._read_secret()
            self._secret = drawn.value.encode()
        return self._secret


def _meant(revocation: Revocation) -> tuple[str, str] | None:
    """Return which entries a revocation means at the most: of a token, of a grant, or of the grants of a user."""
    description = orjson.loads(revocation.description)
    for member in ("jti", "grant_id", "sub"):
        if member in description and (member != "sub" or description.get("granted")):
            return member, description[member]
    return None


@lru_cache(maxsize=256)
def _rounds(secret: bytes, of_list: int) -> tuple[bytes, ...]:
    """Return the round functions of a list, as tables (Luby and Rackoff: a permutation, whatever they are)."""
    drawn = shake_256(secret + of_list.to_bytes(8, "big")).digest(_ROUNDS * 256)
    return tuple(drawn[start : start + 256] for start in range(0, len(drawn), 256))

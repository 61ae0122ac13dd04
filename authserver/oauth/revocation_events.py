"""Revocation events: server-sent events (WHATWG HTML, 9.2), an extension of our own beside token revocation (RFC 7009).

https://html.spec.whatwg.org/multipage/server-sent-events.html

A resource server that keeps the answers of introspection follows this stream, and forgets what is revoked a moment
after it is. An event describes dead tokens (``store/revoking.py``). The mark, a comment line, says that all has been
sent that was revoked until so many milliseconds after the request came: so a follower knows how old its knowledge is,
and after a second has none. A stream goes on behind the last event that its follower has got; one that cannot is told
to forget everything, and gets all that still counts.

Followers are the resource servers that an administrator has registered. When the places of a process are taken, an
answer ends where it would wait, and its follower comes again after a moment: it polls.

Plugs into: ENDPOINTS, METADATA.
"""

import logging
import re
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from authserver.clock import SECOND
from authserver.feed import Look
from authserver.oauth import client_auth, errors
from authserver.oauth.request import NO_STORE, Answer, Request, Stream
from authserver.records import Client, Cursor, Revocation
from authserver.settings import Settings
from authserver.store.errors import StoreError

if TYPE_CHECKING:
    from authserver.feed import Seat
    from authserver.oauth.server import Server

log = logging.getLogger(__name__)

FEATURE: Final = "revocation_events"
PATH: Final = "/revocations"
METHODS: Final = ("GET", "POST")
PARAMETERS: Final = frozenset({"last_event_id"})
_PAGE: Final = 1000  # events in one piece
_RETRY: Final = b"retry: 250\n\n"
_RESET: Final = b"id: 0.0\nevent: reset\ndata: {}\n\n"
_ID: Final = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})", re.ASCII)
# A proxy that collects the answer before it hands it on would keep everything back (nginx knows the header).
_HEADERS: Final = [("Content-Type", "text/event-stream"), NO_STORE, ("X-Accel-Buffering", "no")]


class _Piece(NamedTuple):
    text: bytes
    place: int  # number of the last revocation that is in it
    complete: bool


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the endpoint."""
    del server
    return {"revocation_events_endpoint": settings.issuer + PATH}


def respond(server: "Server", request: Request) -> Answer | Stream:
    """Answer with the events behind the last one that the follower has got, and those to come."""
    begun = monotonic()
    if request.method == "GET" and (client_auth.PARAMETERS - {"client_id"}) & request.parameters.keys():
        # RFC 6749 2.3.1: credentials are never in the URL.
        raise errors.InvalidRequest(errors.IN_QUERY)
    client_auth.authenticate(server, request, "introspection")
    if not _may_follow(request.client):
        raise errors.AccessDenied(errors.NO_RESOURCE_SERVER, 403)
    known = _place(server, request)
    begin = _RETRY if known is not None else _RETRY + _RESET
    first = _read(server, known or 0, begun)
    first = first._replace(text=begin + first.text)
    seat = server.feed.sit_down()
    if seat is None:
        return Answer(200, first.text, _HEADERS)
    return Stream(200, _follow(server, request.client.client_id, seat, first, begun), _HEADERS)


def _may_follow(client: Client) -> bool:
    # Introspection shows a pairwise client other names of its users than the events have (OpenID Connect Core 8.1).
    return not client.pairwise and (bool(client.resource_server_for) or client.introspects_all)


def _place(server: "Server", request: Request) -> int | None:
    """Return the number behind which to go on (9.2.4), None where this database knows of no such place."""
    last = request.parameters.get("last_event_id") or request.headers.get("Last-Event-ID")
    named = _ID.fullmatch(last or "")
    cursor = Cursor(int(named[1]), int(named[2])) if named else None
    return cursor.number if cursor is not None and server.store.revocations.knows(cursor) else None


def _follow(server: "Server", client_id: str, seat: "Seat", piece: _Piece, begun: float) -> Iterator[bytes]:
    """Yield the first piece, then what each look of the process finds; ends when the follower has to come again."""
    try:
        yield piece.text
        place, complete = piece.place, piece.complete
        while True:
            look = Look(place, begun) if not complete else seat.wait()
            if look is None:
                return
            if complete and look.latest <= place:
                yield _mark(look.began - begun)
                continue
            client = server.query_client(client_id)
            if client is None or client.disabled_at is not None or not _may_follow(client):
                return
            text, place, complete = _read(server, place, begun)
            if complete:
                # What has expired meanwhile was not read, and need not be looked for again.
                place = max(place, look.latest)
            yield text
    except StoreError as error:
        # Silence tells the follower what a mark would deny: that nobody knows.
        log.warning("a stream of revocations ends: %s", type(error).__name__)
    finally:
        seat.leave()


def _read(server: "Server", place: int, begun: float) -> _Piece:
    looked = monotonic()
    rows = server.store.revocations.since(place, _PAGE)
    complete = len(rows) < _PAGE
    text = b"".join(map(_event, rows)) + (_mark(looked - begun) if complete else b"")
    return _Piece(text, rows[-1].number if rows else place, complete)


def _mark(seconds: float) -> bytes:
    # Who sits down while a look is going on has read since it began.
    return b":%d\n\n" % (max(seconds, 0.0) * 1000)


def _event(row: Revocation) -> bytes:
    # The description is a JSON object with members; so it ends with what a further one comes before.
    data = f'{row.description[:-1]},"expires_at":{-(-row.expires_at // SECOND)}}}'
    return f"id: {row.number}.{row.at}\nevent: revocation\ndata: {data}\n\n".encode()

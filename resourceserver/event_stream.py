"""Reading a stream of server-sent events.

HTML, section 9.2 (Server-sent events), https://html.spec.whatwg.org/multipage/server-sent-events.html

Bytes go in as they arrive, cut anywhere; events come out whole. What the network may fill without end is bounded here:
one line, and the data of one event.
"""

from dataclasses import dataclass

MAX_LINE = 8_192
MAX_DATA = 65_536
MEDIA_TYPE = "text/event-stream"

_BOM = b"\xef\xbb\xbf"
_RETRY_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its type ("message" when unnamed) and its data, lines joined by a line feed."""

    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Comment:
    """A line that is no event, and what it says."""

    text: bytes = b""


Item = Event | Comment


class EventStreamParser:
    """Takes one stream apart (9.2.5, 9.2.6).

    `last_event_id` is that of the last block that was complete, and `retry` the reconnection time in milliseconds, or
    None. What follows the last blank line when the stream ends was not complete and counts for nothing.
    """

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self.retry: int | None = None
        self._id = last_event_id
        self._kind = b""
        self._data: list[bytes] = []
        self._size = 0
        self._rest = b""
        self._at_start = True
        self._after_cr = False

    def feed(self, piece: bytes) -> list[Item]:
        """Return what `piece` completes. Raises ValueError for a line or an event that is too long."""
        found: list[Item] = []
        for line in self._lines(piece):
            item = self._take(line)
            if item is not None:
                found.append(item)
        return found

    def _lines(self, piece: bytes) -> list[bytes]:
        if self._after_cr and piece:
            # A CRLF that was cut in two: its line has ended with the CR.
            piece = piece.removeprefix(b"\n")
            self._after_cr = False
        if piece:
            self._after_cr = piece.endswith(b"\r")
        text = self._rest + piece
        if self._at_start:
            if len(text) < len(_BOM) and _BOM.startswith(text):
                self._rest = text
                return []
            text = text.removeprefix(_BOM)
            self._at_start = False
        *lines, self._rest = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        if max(map(len, lines), default=0) > MAX_LINE or len(self._rest) > MAX_LINE:
            raise ValueError("line too long")
        return lines

    def _take(self, line: bytes) -> Item | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        if not name:
            return Comment(value.removeprefix(b" "))
        self._field(name, value.removeprefix(b" "))
        return None

    def _field(self, name: bytes, value: bytes) -> None:
        if name == b"event":
            self._kind = value
        elif name == b"data":
            self._size += len(value) + 1
            if self._size > MAX_DATA:
                raise ValueError("event too long")
            self._data.append(value)
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _RETRY_DIGITS:
            self.retry = int(value)

    def _dispatch(self) -> Event | None:
        self.last_event_id = self._id
        kind, data = self._kind.decode("utf-8", "replace") or "message", self._data
        self._kind, self._data, self._size = b"", [], 0
        return Event(kind, b"\n".join(data)) if data else None

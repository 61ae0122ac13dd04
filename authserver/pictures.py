"""What the first bytes of a picture say of it: its kind, how large it is drawn, and whether it stands still.

Nothing is decoded here. What a browser is given to decode is bounded: four kinds that every browser draws and that
hold no script (no SVG), few points on each side, and no frames that follow each other (WCAG 2.2, 2.2.2).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

LONGEST: Final = 1024  # points on a side

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
# Baseline, extended and progressive (ITU-T T.81, table B.1): the frames that browsers draw.
_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a segment
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B  # GIF 89a, appendix A
_ANIMATED: Final = 0x02  # of the flags of an extended WebP file


class Size(NamedTuple):
    """Points from side to side and from top to bottom."""

    width: int
    height: int


def media_type(data: bytes) -> str | None:
    """Return the media type of a picture that may be shown, or None: another kind, too large, cut short, in motion."""
    for kind, read in _KINDS.items():
        try:
            size = read(data)
        except (IndexError, ValueError):
            continue
        if size is not None and 0 < size.width <= LONGEST and 0 < size.height <= LONGEST:
            return kind
    return None


def _png(data: bytes) -> Size | None:
    """Read a PNG file (W3C PNG 3, 5 and 11.2.1)."""
    if not data.startswith(_PNG) or data[8:16] != b"\x00\x00\x00\rIHDR":
        return None
    at, end = 8, len(data)
    while at < end:
        length, name = _big(data, at, 4), data[at + 4 : at + 8]
        if name == b"acTL":  # of an animated one, before its first points
            return None
        if name == b"IDAT":
            return Size(_big(data, 16, 4), _big(data, 20, 4))
        at += 12 + length
    return None


def _jpeg(data: bytes) -> Size | None:
    """Read a JPEG file up to the header of its frame (ITU-T T.81, B.2.2)."""
    if not data.startswith(_JPEG):
        return None
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
        elif marker in _FRAMES:
            return Size(_big(data, at + 7, 2), _big(data, at + 5, 2))
        else:
            at += 2 + max(2, _big(data, at + 2, 2))
    return None


def _gif(data: bytes) -> Size | None:
    """Read a GIF file of one image (GIF 89a, 18 to 24)."""
    if data[:6] not in (b"GIF87a", b"GIF89a"):
        return None
    size, images, at = Size(_little(data, 6, 2), _little(data, 8, 2)), 0, 13 + _colours(data[10])
    while data[at] != _TRAILER:
        if data[at] == _IMAGE:
            images += 1
            left, top, width, height = (_little(data, at + 1 + 2 * number, 2) for number in range(4))
            if images > 1 or left + width > size.width or top + height > size.height:
                return None
            at += 11 + _colours(data[at + 9])
        elif data[at] == _EXTENSION:
            at += 2
        else:
            return None
        while data[at]:
            at += 1 + data[at]
        at += 1
    return size if images else None


def _webp(data: bytes) -> Size | None:
    """Read a WebP file (RFC 9649 2): lossy (2.5), lossless (3.4) or extended (2.7)."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    kind, body = data[12:16], data[20:]
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return Size(_little(body, 6, 2) & 0x3FFF, _little(body, 8, 2) & 0x3FFF)
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = _little(body, 1, 4)
        return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8X" and not body[0] & _ANIMATED:
        return Size(_little(body, 4, 3) + 1, _little(body, 7, 3) + 1)
    return None


_KINDS: Final[Mapping[str, Callable[[bytes], Size | None]]] = MappingProxyType(
    {"image/png": _png, "image/jpeg": _jpeg, "image/gif": _gif, "image/webp": _webp}
)
MEDIA_TYPES: Final = tuple(_KINDS)


def _colours(flags: int) -> int:
    """Return the length of a table of colours (GIF 89a, 19 and 21)."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _big(data: bytes, at: int, length: int) -> int:
    return _number(data[at : at + length], length, "big")


def _little(data: bytes, at: int, length: int) -> int:
    return _number(data[at : at + length], length, "little")


def _number(piece: bytes, length: int, order: Literal["big", "little"]) -> int:
    if len(piece) != length:
        msg = "the file is cut short"
        raise ValueError(msg)
    return int.from_bytes(piece, order)

"""Pictures by their bytes: as small as each kind can be, and as bad as a test wants."""

import struct
import zlib


def png(
    width: int = 2, height: int = 2, *before: tuple[bytes, bytes], rgb: tuple[int, int, int] = (42, 79, 184)
) -> bytes:
    """Return a PNG picture of one colour; ``before`` are chunks that come before its points."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    points = zlib.compress((b"\0" + bytes(rgb) * width) * height)
    chunks = ((b"IHDR", header), *before, (b"IDAT", points), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def gif(width: int = 1, height: int = 1, *, images: int = 1, frame: tuple[int, int, int, int] | None = None) -> bytes:
    """Return a GIF picture with a table of colours, a comment, and so many images."""
    place = struct.pack("<HHHH", *(frame or (0, 0, width, height)))
    image = b"\x2c" + place + b"\x00" + b"\x02\x02\x4c\x01\x00"
    comment = b"\x21\xfe\x05hello\x00"
    head = b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\x00\x00"
    return head + b"\xff\xff\xff\x00\x00\x00" + comment + image * images + b"\x3b"


def jpeg(width: int = 1, height: int = 1, frame: int = 0xC0) -> bytes:
    """Return the head of a JPEG picture: an APP0 segment, a table, and the header of the frame."""
    app0 = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\x00" + bytes(9)
    table = b"\xff\xff\xdb" + struct.pack(">H", 67) + bytes(65)
    start = bytes([0xFF, frame]) + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + app0 + table + start


def webp(kind: bytes = b"VP8X", width: int = 1, height: int = 1, *, flags: int = 0) -> bytes:
    """Return the head of a WebP picture: lossy (``VP8 ``), lossless (``VP8L``) or extended (``VP8X``)."""
    if kind == b"VP8 ":
        body = b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height)
    elif kind == b"VP8L":
        body = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
    else:
        body = bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    riff = b"WEBP" + kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(riff)) + riff

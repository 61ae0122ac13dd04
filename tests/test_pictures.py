"""What pictures say of themselves in their first bytes, and which of them may be shown."""

import random
import struct
from collections.abc import Callable
from functools import partial

import pytest

from authserver.pictures import LONGEST, media_type
from tests.drawing import chunk, gif, jpeg, png, webp


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (png(), "image/png"),
        (png(2, 2, (b"tEXt", b"Title\0logo")), "image/png"),
        (jpeg(), "image/jpeg"),
        (jpeg(frame=0xC2), "image/jpeg"),
        (gif(), "image/gif"),
        (webp(b"VP8 "), "image/webp"),
        (webp(b"VP8L"), "image/webp"),
        (webp(b"VP8X"), "image/webp"),
    ],
)
def test_four_kinds_of_pictures_are_known_by_their_bytes(data: bytes, kind: str) -> None:
    assert media_type(data) == kind


WEBP = tuple(partial(webp, kind) for kind in (b"VP8 ", b"VP8L", b"VP8X"))


@pytest.mark.parametrize("draw", [png, jpeg, gif, *WEBP])
def test_a_picture_may_have_so_many_points_and_no_more(draw: Callable[[int, int], bytes]) -> None:
    assert media_type(draw(LONGEST, 1)) is not None
    assert media_type(draw(1, LONGEST)) is not None
    assert media_type(draw(LONGEST + 1, 1)) is None
    assert media_type(draw(1, LONGEST + 1)) is None


@pytest.mark.parametrize("data", [png(0, 1), jpeg(0, 1), jpeg(1, 0), gif(0, 1), webp(b"VP8 ", 0, 1)])
def test_a_picture_without_points_is_none(data: bytes) -> None:
    assert media_type(data) is None


@pytest.mark.parametrize(
    "data",
    [
        png(2, 2, (b"acTL", struct.pack(">II", 2, 0))),
        gif(images=2),
        webp(b"VP8X", flags=0x02),
    ],
)
def test_what_moves_is_not_shown(data: bytes) -> None:
    """WCAG 2.2, 2.2.2: nobody could stop it."""
    assert media_type(data) is None


def test_a_gif_is_not_larger_inside_than_outside() -> None:
    assert media_type(gif(1, 1, frame=(0, 0, 60000, 60000))) is None
    assert media_type(gif(2, 2, frame=(1, 1, 2, 1))) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><script>alert(1)</script>",
        b"BM" + bytes(60),
        b"\x00\x00\x01\x00" + bytes(60),
        b"\x00\x00\x00\x20ftypavif" + bytes(60),
        b"%PDF-1.7",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        jpeg(frame=0xC3),
        webp(b"VP8?"),
        png()[:8] + chunk(b"IDAT", b"") + chunk(b"IHDR", bytes(13)),
    ],
)
def test_nothing_else_is_a_picture(data: bytes) -> None:
    assert media_type(data) is None


@pytest.mark.parametrize("data", [png(), jpeg(), gif(), webp(b"VP8 "), webp(b"VP8L"), webp(b"VP8X")])
def test_a_file_that_is_cut_short_or_spoilt_is_refused_or_bounded(data: bytes) -> None:
    for length in range(len(data)):
        assert media_type(data[:length]) in {None, media_type(data)}
    draw = random.Random(7)
    for _ in range(300):
        spoilt = bytearray(data + bytes(40))
        for _ in range(3):
            spoilt[draw.randrange(len(spoilt))] = draw.randrange(256)
        media_type(bytes(spoilt))

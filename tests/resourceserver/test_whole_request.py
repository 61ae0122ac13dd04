"""A request is read to its end before it is answered, or the connection is closed aloud (RFC 9112 9.3, 9.6)."""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import pytest

from resourceserver.whole_request import MOST, WholeRequests

PLAIN = [("X-Plain", "yes")]


class Gone(BytesIO):
    """A sender who goes away in the middle."""

    def read(self, _size: int | None = -1, /) -> bytes:
        raise OSError


class Untouchable(BytesIO):
    def read(self, _size: int | None = -1, /) -> bytes:
        raise AssertionError("a request without a body has nothing to read")


def answered(body: BytesIO, *, reads: int = 0, **environ: Any) -> list[tuple[str, str]]:
    """Return the headers of an answer by an application that reads so many octets."""

    def application(given: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        given["wsgi.input"].read(reads) if reads else None
        start_response("200 OK", PLAIN)
        return [b"answer"]

    seen: list[list[tuple[str, str]]] = []
    pieces = WholeRequests(application)(
        {"wsgi.input": body, "wsgi.input_terminated": True, **environ},
        lambda _status, headers, *_more: seen.append(headers),
    )
    assert list(pieces) == [b"answer"]
    return seen[0]


@pytest.mark.parametrize("reads", [0, 1, 5, 9])
@pytest.mark.parametrize("environ", [{"CONTENT_LENGTH": "5"}, {"HTTP_TRANSFER_ENCODING": "chunked"}])
def test_what_the_application_leaves_is_read(reads: int, environ: dict[str, str]):
    body = BytesIO(b"a=b&c")
    assert answered(body, reads=reads, **environ) == PLAIN
    assert body.tell() == 5


@pytest.mark.parametrize("environ", [{}, {"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "0"}])
def test_a_request_without_a_body_is_left_alone(environ: dict[str, str]):
    assert answered(Untouchable(), **environ) == PLAIN


def test_a_server_whose_streams_have_no_end_is_left_alone():
    assert answered(Untouchable(), CONTENT_LENGTH="5", **{"wsgi.input_terminated": False}) == PLAIN


def test_a_sender_of_more_than_anybody_wants_is_told_that_the_connection_ends():
    body = BytesIO(b"a" * (MOST + 100))
    assert answered(body, CONTENT_LENGTH=str(MOST + 100)) == [*PLAIN, ("Connection", "close")]
    assert body.tell() == MOST


def test_a_sender_who_goes_away_is_answered_all_the_same():
    assert answered(Gone(), CONTENT_LENGTH="5") == [*PLAIN, ("Connection", "close")]

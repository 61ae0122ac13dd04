"""A request is read to its end before it is answered, or the connection is closed aloud (RFC 9112 9.3, 9.6)."""

from collections.abc import Callable, Iterable
from io import BytesIO
from threading import Event, Semaphore, Thread
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


def answered(body: BytesIO, *, reads: int | None = 0, threads: int = 4, **environ: Any) -> list[tuple[str, str]]:
    """Return the headers of an answer by an application that reads so many octets."""

    def application(given: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        given["wsgi.input"].read(reads) if reads != 0 else None
        start_response("200 OK", PLAIN)
        return [b"answer"]

    seen: list[list[tuple[str, str]]] = []
    pieces = WholeRequests(application, threads=threads)(
        {"wsgi.input": body, "wsgi.input_terminated": True, **environ},
        lambda _status, headers, *_more: seen.append(headers),
    )
    assert list(pieces) == [b"answer"]
    return seen[0]


@pytest.mark.parametrize("reads", [0, 1, 5, 9, -1, None])
@pytest.mark.parametrize("environ", [{"CONTENT_LENGTH": "5"}, {"HTTP_TRANSFER_ENCODING": "chunked"}])
def test_what_the_application_leaves_is_read(reads: int, environ: dict[str, str]):
    body = BytesIO(b"a=b&c")
    assert answered(body, reads=reads, **environ) == PLAIN
    assert body.tell() == 5


@pytest.mark.parametrize("environ", [{}, {"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "0"}])
def test_a_request_without_a_body_is_left_alone(environ: dict[str, str]):
    assert answered(Untouchable(), **environ) == PLAIN


@pytest.mark.parametrize("environ", [{"CONTENT_LENGTH": "5"}, {"HTTP_TRANSFER_ENCODING": "chunked"}])
def test_a_request_that_the_application_has_read_keeps_its_connection(environ: dict[str, str]):
    # Whatever else it says, and though no thread may wait for anybody.
    told = answered(BytesIO(b"a=b&c"), reads=9, threads=1, HTTP_EXPECT="100-continue", **environ)
    assert told == PLAIN


def test_a_sender_who_breaks_off_is_told_that_the_connection_ends():
    assert answered(BytesIO(b"a="), CONTENT_LENGTH="5") == [*PLAIN, ("Connection", "close")]


def test_a_server_whose_streams_have_no_end_is_left_alone():
    assert answered(Untouchable(), CONTENT_LENGTH="5", **{"wsgi.input_terminated": False}) == PLAIN


@pytest.mark.parametrize("length", [str(MOST + 1), "9" * 5000, "-1", "+3", "five"])
def test_who_announces_more_than_anybody_wants_is_not_waited_for(length: str):
    assert answered(Untouchable(), CONTENT_LENGTH=length) == [*PLAIN, ("Connection", "close")]


def test_a_sender_of_more_than_anybody_wants_is_told_that_the_connection_ends():
    body = BytesIO(b"a" * (MOST + 100))
    assert answered(body, HTTP_TRANSFER_ENCODING="chunked") == [*PLAIN, ("Connection", "close")]
    assert body.tell() == MOST


def test_a_sender_who_goes_away_is_answered_all_the_same():
    assert answered(Gone(), CONTENT_LENGTH="5") == [*PLAIN, ("Connection", "close")]


def test_who_waits_for_an_invitation_to_send_is_not_invited_any_more():
    # RFC 9110 10.1.1: reading is what makes a server say 100 (Continue).
    assert answered(Untouchable(), CONTENT_LENGTH="5", HTTP_EXPECT="100-continue") == [*PLAIN, ("Connection", "close")]


def test_a_few_slow_senders_are_waited_for_and_the_others_lose_their_connection():
    reading, on = Semaphore(0), Event()

    class Slow(BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            reading.release()
            on.wait(60)
            return b"a=b&c"

    seen: list[list[tuple[str, str]]] = []
    application = WholeRequests(lambda _environ, start: start("404 Not Found", PLAIN) or [], threads=8)

    def ask(body: BytesIO) -> None:
        environ = {"wsgi.input": body, "wsgi.input_terminated": True, "CONTENT_LENGTH": "5"}
        application(environ, lambda _status, headers, *_more: seen.append(headers))

    waiting = [Thread(target=ask, args=(Slow(),)) for _ in range(2)]
    for thread in waiting:
        thread.start()
        assert reading.acquire(timeout=60)
    ask(Untouchable())
    assert seen == [[*PLAIN, ("Connection", "close")]]
    on.set()
    for thread in waiting:
        thread.join(60)
    ask(BytesIO(b"a=b&c"))
    assert seen[1:] == [PLAIN, PLAIN, PLAIN], "and their places are free again"

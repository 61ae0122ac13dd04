"""What is sent beside the requests: tried once, out of a queue with an end, by few threads."""

import logging
from threading import Event, Lock, Thread
from time import monotonic, sleep
from typing import cast

import pytest

from authserver import courier
from authserver.courier import Courier, Message
from authserver.outbound import Outbound, OutboundError

_PATIENCE = 10  # seconds


class Door:
    """Takes the place of the way out: holds everybody up until it is opened."""

    def __init__(self) -> None:
        self.opened, self.inside, self.full = Event(), 0, Event()
        self.bodies: list[bytes] = []
        self.done = Event()
        self.expected = 0
        self._lock = Lock()

    def post(self, url: str, _headers: tuple[tuple[str, str], ...], body: bytes) -> int:
        with self._lock:
            self.inside += 1
            if self.inside == courier.THREADS:
                self.full.set()
        self.opened.wait(_PATIENCE)
        with self._lock:
            self.bodies.append(body)
            if len(self.bodies) == self.expected:
                self.done.set()
        if url == "refused":
            return 401
        if url == "away":
            raise OutboundError("no connection")
        if url == "broken":
            raise RuntimeError
        return 204


def _message(number: int, url: str = "here") -> Message:
    return Message("shop", url, (), str(number).encode())


def ended(sender: Courier) -> bool:
    """Wait until none of its threads is left; say whether that has happened."""
    until = monotonic() + _PATIENCE
    while sender._threads and monotonic() < until:
        sleep(0.005)
    return not sender._threads


def test_few_threads_send_the_rest_waits_and_what_does_not_fit_is_dropped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(courier, "PLACES", 6)
    door = Door()
    sender = Courier(cast(Outbound, door))
    assert all(sender.send(_message(number)) for number in range(courier.THREADS))
    assert door.full.wait(_PATIENCE)
    door.expected = courier.THREADS + 6
    assert [sender.send(_message(number)) for number in range(10, 17)] == [True] * 6 + [False]
    assert door.inside == courier.THREADS
    door.opened.set()
    assert door.done.wait(_PATIENCE)
    assert b"16" not in door.bodies


def test_nothing_is_tried_twice_and_no_failure_ends_the_sending(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(courier, "THREADS", 1)
    door = Door()
    door.opened.set()
    door.expected = 5
    sender = Courier(cast(Outbound, door))
    with caplog.at_level(logging.WARNING, "authserver.courier"):
        for number, url in enumerate(("refused", "away", "broken", "here", "here")):
            assert sender.send(_message(number, url))
        assert door.done.wait(_PATIENCE)
    assert door.bodies == [b"0", b"1", b"2", b"3", b"4"]
    told = [(record.getMessage(), vars(record)["owner"]) for record in caplog.records]
    assert told == [("message refused", "shop"), ("message not sent", "shop"), ("message failed", "shop")]


def test_where_there_is_no_thread_nothing_fails_and_the_message_goes_with_the_next_one(monkeypatch: pytest.MonkeyPatch):
    door = Door()
    door.opened.set()
    door.expected = 2
    sender = Courier(cast(Outbound, door))

    def refuse(_self: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as poor:
        poor.setattr(Thread, "start", refuse)
        assert sender.send(_message(1))
    assert sender.send(_message(2))
    assert door.done.wait(_PATIENCE)
    assert sorted(door.bodies) == [b"1", b"2"]


def test_threads_without_work_end_and_others_come_when_there_is_some(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(courier, "_IDLE", 0.01)
    door = Door()
    door.opened.set()
    sender = Courier(cast(Outbound, door))
    for number in range(1, 4):
        door.expected = number
        door.done.clear()
        assert sender.send(_message(number))
        assert door.done.wait(_PATIENCE)
        assert ended(sender)

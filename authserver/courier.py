"""What is sent to clients beside the requests: by a few threads of this process, out of a queue with an end.

Each message is tried once. What does not fit into the queue, or is still in it when the process ends, is lost: nothing
may be sent this way that its receiver does not also learn by asking.
"""

import logging
from queue import Empty, Full, Queue
from threading import Lock, Thread
from typing import Final, NamedTuple

from authserver.outbound import Outbound, OutboundError

logger = logging.getLogger(__name__)

THREADS: Final = 4
PLACES: Final = 1000  # messages that may wait
_IDLE = 5.0  # seconds after which a thread without work ends


class Message(NamedTuple):
    """A POST to an address that a client has registered."""

    owner: str  # the client, for the log
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Courier:
    """Sends for this process; safe for many threads, and for a fork before the first message."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._waiting: Queue[Message] = Queue(PLACES)
        self._lock = Lock()
        self._threads = 0

    def send(self, message: Message) -> bool:
        """Take a message on its way; say whether there was a place for it."""
        try:
            self._waiting.put_nowait(message)
        except Full:
            logger.warning("message dropped: too many wait", extra={"owner": message.owner})
            return False
        with self._lock:
            if self._threads < THREADS:
                # A daemon: a slow receiver must not hold up the end of the process.
                thread = Thread(target=self._work, name="courier", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    # The machine has no thread to give: the message goes with a later one.
                    logger.warning("no thread to send messages", extra={"owner": message.owner})
                else:
                    self._threads += 1
        return True

    def _work(self) -> None:
        while True:
            try:
                message = self._waiting.get(timeout=_IDLE)
            except Empty:
                with self._lock:
                    # What came since was left to this thread, which then was one of all that there may be.
                    if self._waiting.empty():
                        self._threads -= 1
                        return
                continue
            self._deliver(message)

    def _deliver(self, message: Message) -> None:
        try:
            status = self._outbound.post(message.url, message.headers, message.body)
        except OutboundError as error:
            logger.warning("message not sent", extra={"owner": message.owner, "reason": str(error)})
        except Exception:
            logger.exception("message failed", extra={"owner": message.owner})
        else:
            if not 200 <= status < 300:
                logger.warning("message refused", extra={"owner": message.owner, "status": status})

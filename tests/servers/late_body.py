"""A client whose body comes a moment after its head, as over any real network, and who then asks once more."""

import re
import socket
import time

_LENGTH = re.compile(rb"content-length: ([0-9]+)", re.IGNORECASE)
_LATE = 0.2  # seconds
_AGAIN = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def statuses(port: int, line: str, body: bytes = b"a=b&c=d", *, chunked: bool = False) -> tuple[int, int]:
    """Send a request with a late body and another one behind it; return both statuses, 0 for no answer."""
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    head = b"%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded" % line.encode()
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(b"%s\r\n%s\r\n\r\n" % (head, framing))
        time.sleep(_LATE)
        first = _exchange(connection, sent)
        # A connection that is closed behind an answer is closed by now.
        time.sleep(_LATE)
        return first, _exchange(connection, _AGAIN)


def _exchange(connection: socket.socket, sent: bytes) -> int:
    """Send, and return the status of what comes back when it has come to its end."""
    answer = b""
    try:
        connection.sendall(sent)
        while not _whole(answer):
            piece = connection.recv(65536)
            if not piece:
                return 0
            answer += piece
    except OSError:
        return 0
    return int(answer[9:12])


def _whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return bool(end) and (length is None or len(body) >= int(length[1]))

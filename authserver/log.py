"""Log lines: one event per line, JSON or text, without secrets, and cheap where there is one per request.

Everything goes through the standard loggers to standard error. The access log collects its lines and writes them
together: a write per line hands the interpreter over to another thread, which costs more than the line.
"""

import atexit
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from time import perf_counter_ns, time
from typing import Any, Final, TextIO

import orjson

from authserver.crypto import Kind
from authserver.settings import Settings

ACCESS: Final = "authserver.access"
_LINES: Final = 64
_PATH: Final = 256  # characters shown of a path
_SECONDS: Final = 0.2
_NOTHING_NEW: Final = 304
# Our own handles by their prefix and length, and whatever begins like a JWT. A match needs no letter at its end:
# looking for one from each of many beginnings takes the square of a long path's time.
_BEGINNING: Final = "as"  # of every prefix
_PREFIXES: Final = "|".join(kind.prefix for kind in Kind)
_HANDLE: Final = re.compile(rf"({_PREFIXES})[A-Za-z0-9_-]{{24,}}")
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*")
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_access: Final = logging.getLogger(ACCESS)
_SIZE: Final = len(vars(logging.makeLogRecord({})))
# What the records of all requests have in common; working it out for each is a third of a line's cost.
_RECORD: Final = vars(logging.LogRecord(ACCESS, logging.INFO, "", 0, "request", None, None))


def redact(text: str) -> str:
    """Return the text with every token and secret of ours, and every JWT, cut out."""
    # Most lines hold neither, and "in" is twenty times as fast as a search.
    if _BEGINNING in text:
        text = _HANDLE.sub(r"[\1...]", text)
    return _JWT.sub("[jwt...]", text) if "eyJ" in text else text


def one_line(text: str) -> str:
    """Return the text with whatever would break the line or steer a terminal written as an escape."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape", "backslashreplace").decode(), text)


class JsonFormatter(logging.Formatter):
    """A line of JSON: time, level, logger, message, then the record's extra members."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            text = orjson.dumps(line, default=str).decode()
        except (TypeError, ValueError):
            # Half a surrogate pair, or a number beyond 64 bits: slower, and it takes everything.
            text = json.dumps(line, default=str)
        return redact(
            text if text.isascii() and "\x7f" not in text else json.dumps(orjson.loads(text)).replace("\x7f", "\\u007f")
        )


class TextFormatter(logging.Formatter):
    """A line for people: time of day, level, message, then name=value of the extra members; requests are shorter."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        extra = _extra(record)
        if record.name == ACCESS:
            said = "{method} {path} {status} {ms}ms".format_map(extra)
        else:
            said = record.getMessage() + "".join(f" {name}={value}" for name, value in extra.items())
        text = one_line(f"{moment} {record.levelname.lower():<7} {said}")
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            text += "".join(f"\n    {one_line(part)}" for part in trace.splitlines())
        return redact(text)


class CollectingHandler(logging.Handler):
    """Writes lines to a file descriptor: 64 at once, or what came in 0.2 seconds.

    A full disk loses lines, never requests. No lock is taken, because a list's append is one step.
    """

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._kept: list[str] = []
        self._waiting = threading.Event()
        self._writer: tuple[int, threading.Thread] | None = None
        atexit.register(self.flush)

    def handle(self, record: logging.LogRecord) -> bool:
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append(self.format(record))
        if len(self._kept) >= _LINES:
            self.flush()
        elif not self._waiting.is_set():
            self._waiting.set()
            if self._writer is None or self._writer[0] != os.getpid():
                self._writer = os.getpid(), threading.Thread(target=self._write, name="access-log", daemon=True)
                self._writer[1].start()

    def close(self) -> None:
        self.flush()
        atexit.unregister(self.flush)
        super().close()

    def flush(self) -> None:
        kept, self._kept = self._kept, []
        if kept:
            data = ("\n".join(kept) + "\n").encode("utf-8", "backslashreplace")
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError:
                return

    def _write(self) -> None:
        while self._waiting.wait():
            # What comes in this time goes out together.
            threading.Event().wait(_SECONDS)
            self._waiting.clear()
            self.flush()


class StandardError(logging.StreamHandler[TextIO]):
    """Writes each line at once to what standard error is at that moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override] # asked anew for each line
        """Standard error."""
        return sys.stderr


def access(environ: Mapping[str, Any], endpoint: str, status: int, started: int) -> None:
    """Log one answered request; ``started`` is its ``perf_counter_ns``. The query holds secrets and is left out.

    Who polls, and hears that nothing is new, is worth a line to somebody who looks for it only.
    """
    if _access.isEnabledFor(logging.DEBUG if status == _NOTHING_NEW else logging.INFO):
        facts = {
            "method": environ.get("REQUEST_METHOD"),
            "path": str(environ.get("PATH_INFO"))[:_PATH],
            "endpoint": endpoint,
            "status": status,
            "ms": (perf_counter_ns() - started) // 10_000 / 100,
            "address": environ.get("REMOTE_ADDR"),
            "request_id": environ.get("authserver.request_id"),
        }
        record = logging.LogRecord.__new__(logging.LogRecord)
        record.__dict__ = {**_RECORD, "args": facts, "created": time()}
        _access.handle(record)


def configure(settings: Settings) -> None:
    """Set up the loggers of this process; may be called again."""
    formatter = JsonFormatter() if settings.log_format == "json" else TextFormatter()
    root, ours = logging.getLogger(), StandardError()
    ours.setFormatter(formatter)
    # Handlers of others stay: a test runner's, or those of a program that this application is part of.
    root.handlers[:] = [kept for kept in root.handlers if not isinstance(kept, StandardError)] + [ours]
    root.setLevel(settings.log_level.upper())
    collecting = CollectingHandler()
    collecting.setFormatter(formatter)
    for before in _access.handlers[:]:
        _access.removeHandler(before)
        before.close()
    _access.addHandler(collecting)
    _access.propagate = False
    # A log that cannot be written must not write about it; and the documented switches for a cheaper record.
    logging.raiseExceptions = False
    logging._srcfile = None  # noqa: SLF001 - documented in the logging HOWTO
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    vars(logging)["logAsyncioTasks"] = False
    # These print tokens or one line per request at their lower levels.
    for name, level in (("authlib", logging.INFO), ("httpx2", logging.WARNING), ("httpcore2", logging.WARNING)):
        logging.getLogger(name).setLevel(max(level, root.level))


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    """Return the members beside the message: a mapping given as its argument (the cheap way), or ``extra``."""
    if isinstance(record.args, Mapping):
        return dict(record.args)
    if len(record.__dict__) <= _SIZE:
        return {}
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD and value is not None}


def _time(created: float) -> str:
    seconds = int(created)
    return f"{_second(seconds)}.{int((created - seconds) * 1000):03}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")

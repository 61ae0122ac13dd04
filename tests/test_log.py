"""Log lines: one event a line, no secret, no steering of terminals, no failure that matters."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import pytest

from authserver import crypto, log
from authserver.settings import Settings

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
HOSTILE = "a\r\nb\x1b[31m\x9b31m\u2028\u202e\x00\x7f\ud800\"},{'"


def line(message: str, formatter: logging.Formatter | None = None, *arguments: Any, **extra: Any) -> str:
    record = logging.LogRecord("authserver.x", logging.INFO, "", 0, message, arguments, None)
    record.__dict__.update(extra)
    return (formatter or log.JsonFormatter()).format(record)


@pytest.mark.parametrize("kind", list(crypto.Kind))
@pytest.mark.parametrize("formatter", [log.JsonFormatter(), log.TextFormatter()], ids=["json", "text"])
def test_handles_and_jwts_are_cut_out(kind: crypto.Kind, formatter: logging.Formatter):
    handle = crypto.new_handle(kind)[0]
    for text in (
        line(f"token {handle} and {JWT}", formatter),
        line("token %s", formatter, handle),
        line("x", formatter, value=handle, other={"deep": [JWT]}),
        line(f"Bearer {JWT[:-4]}", formatter),
    ):
        assert handle[:20] not in text
        assert JWT[:30] not in text
        assert "..." in text


def test_ordinary_text_stays_as_it_is():
    assert log.redact("asa_short eyJ ask_me_anything_about_this_really_long_word") == (
        "asa_short eyJ ask_me_anything_about_this_really_long_word"
    )


def test_what_only_begins_like_a_jwt_is_cut_out_in_one_piece():
    # Looking for a dot from each of the beginnings would take the square of the time.
    assert log.redact("/" + "eyJ" * 10_000 + "!") == "/[jwt...]!"
    assert log.redact(JWT.partition(".")[0]) == "[jwt...]"


def test_a_json_line_has_time_level_logger_message_and_extras():
    read = json.loads(line("hello %s", None, "you", client_id="c", empty=None))
    assert read["message"] == "hello you"
    assert (read["level"], read["logger"], read["client_id"]) == ("info", "authserver.x", "c")
    assert read["time"].endswith("Z")
    assert "empty" not in read


@pytest.mark.parametrize("formatter", [log.JsonFormatter(), log.TextFormatter()], ids=["json", "text"])
def test_hostile_text_stays_on_its_line(formatter: logging.Formatter):
    for text in (
        line(HOSTILE, formatter),
        line("%s", formatter, HOSTILE),
        line("x", formatter, user=HOSTILE),
        line("x", formatter, {"user": HOSTILE}),
    ):
        assert text.isprintable()
        if isinstance(formatter, log.JsonFormatter):
            assert text.isascii()
            json.loads(text)


def test_an_exception_is_part_of_its_json_line():
    error = ValueError("wrong\nreally")
    record = logging.LogRecord("authserver.x", logging.ERROR, "", 0, "failed", (), (ValueError, error, None))
    text = log.JsonFormatter().format(record)
    assert "\n" not in text
    assert "wrong\nreally" in json.loads(text)["exception"]


def test_numbers_beyond_64_bits_are_written():
    assert json.loads(line("x", None, {"n": 10**30}))["n"] == 10**30


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_collected_lines_come_out_together(pipe: tuple[int, int]):
    handler = log.CollectingHandler(pipe[1])
    for number in range(64):
        handler.handle(logging.LogRecord("a", logging.INFO, "", 0, f"line {number}", (), None))
    assert os.read(pipe[0], 65536).decode().splitlines() == [f"line {number}" for number in range(64)]
    handler.close()


def test_a_single_line_does_not_wait_for_others(pipe: tuple[int, int]):
    handler = log.CollectingHandler(pipe[1])
    for number in range(2):
        handler.handle(logging.LogRecord("a", logging.INFO, "", 0, f"line {number}", (), None))
        assert os.read(pipe[0], 100).decode() == f"line {number}\n"
    handler.close()


def test_what_was_collected_is_written_at_the_end():
    code = (
        "import logging\nfrom authserver import log\nfrom authserver.settings import Settings\n"
        "log.configure(Settings(development=True))\nlog.access({'PATH_INFO': '/x'}, 'token', 200, 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stderr)["path"] == "/x"


def test_a_log_that_cannot_be_written_takes_nothing_down(pipe: tuple[int, int]):
    handler = log.CollectingHandler(pipe[1])
    os.close(pipe[1])
    record = logging.LogRecord("a", logging.INFO, "", 0, "line", (), None)
    assert [handler.handle(record) for _ in range(200)] == [True] * 200
    handler.close()
    assert os.read(pipe[0], 1) == b"", "the lines are lost"


@pytest.mark.parametrize(("status", "least"), [(200, logging.INFO), (304, logging.DEBUG), (404, logging.INFO)])
def test_who_hears_that_nothing_is_new_is_logged_for_who_looks_for_it(
    status: int, least: int, monkeypatch: pytest.MonkeyPatch
):
    kept: list[logging.LogRecord] = []
    access = logging.getLogger(log.ACCESS)
    monkeypatch.setattr(access, "handle", kept.append)
    for shown in (logging.DEBUG, logging.INFO, logging.WARNING):
        kept.clear()
        monkeypatch.setattr(access, "isEnabledFor", lambda level, shown=shown: level >= shown)
        log.access({"PATH_INFO": "/status-list"}, "status_list", status, perf_counter_ns())
        assert len(kept) == (least >= shown)


def test_an_access_line_leaves_the_query_out(monkeypatch: pytest.MonkeyPatch):
    kept: list[logging.LogRecord] = []
    access = logging.getLogger(log.ACCESS)
    monkeypatch.setattr(access, "handle", kept.append)
    monkeypatch.setattr(access, "isEnabledFor", lambda _level: True)  # others have set levels, and it remembers them
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/authorize",
        "QUERY_STRING": "login_hint=private",
        "HTTP_COOKIE": "private",
    }
    log.access(environ, "authorize", 303, perf_counter_ns())
    text = log.JsonFormatter().format(kept[0])
    assert json.loads(text)["status"] == 303
    assert "private" not in text


def test_configuring_keeps_the_handlers_of_others(tmp_path: Path):
    root, other = logging.getLogger(), logging.NullHandler()
    before, level = root.handlers[:], root.level
    root.addHandler(other)
    try:
        for _ in range(2):
            log.configure(Settings(development=True, log_level="warning"))
        assert other in root.handlers
        assert sum(isinstance(handler, log.StandardError) for handler in root.handlers) == 1
        assert len(logging.getLogger(log.ACCESS).handlers) == 1
        assert not logging.getLogger("authlib").isEnabledFor(logging.DEBUG)
    finally:
        root.handlers[:] = before
        root.setLevel(level)

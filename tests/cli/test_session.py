"""``authserver session``."""

import json

from authserver.store import Store
from tests.cli.conftest import Run
from tests.store.makers import start_session


def test_sessions_are_listed_and_ended_one_by_one_or_all(run: Run, store: Store):
    run("user", "add", "alice")
    assert json.loads(run("session", "list", "alice", "--json").stdout) == []
    user = store.users.by_login("alice")
    assert user is not None
    for sid in ("first", "second", "third"):
        start_session(store, sid, user.sub, sid.encode(), user_agent="Firefox\x1b[31m")
    table = run("session", "list", "alice").stdout
    assert "first" in table
    assert "\x1b" not in table
    assert "ended first" in run("session", "end", "first").stdout
    assert "there is no session" in run("session", "end", "first", status=1).stderr
    assert "ended 2 sessions" in run("session", "end", "--user", "alice").stdout
    assert json.loads(run("session", "list", "alice", "--json").stdout) == []
    assert "no account" in run("session", "list", "bob", status=1).stderr
    assert {line.event.actor[:4] for line in store.audit.list(0, 100, "session.ended")} == {"cli:"}


def test_no_session_is_ended_without_a_name(run: Run):
    run("session", "end", status=2)
    run("session", "end", "x", "--user", "alice", status=2)

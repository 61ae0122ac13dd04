"""``authserver grant``."""

import json

from tests.cli.conftest import Run


def test_grants_of_a_user_are_listed(run: Run):
    run("user", "add", "alice")
    assert json.loads(run("grant", "list", "alice", "--json").stdout) == []
    assert "GRANT" in run("grant", "list", "alice").stdout
    assert "no account" in run("grant", "list", "bob", status=1).stderr


def test_grants_are_revoked_by_user_or_client(run: Run):
    run("user", "add", "alice")
    assert "revoked 0 grants" in run("grant", "revoke", "--user", "alice").stdout
    assert "revoked 0 grants" in run("grant", "revoke", "--client", "c").stdout
    assert "there is no grant" in run("grant", "revoke", "unknown", status=1).stderr


def test_nothing_is_revoked_without_a_name(run: Run):
    run("grant", "revoke", status=2)
    run("grant", "revoke", "x", "--user", "alice", status=2)

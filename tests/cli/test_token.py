"""``authserver token``."""

from authserver import crypto
from authserver.store import Store
from tests.cli.conftest import Run
from tests.store.makers import a_grant


def test_a_token_is_read_from_standard_input_and_never_shown(run: Run):
    token = crypto.new_handle(crypto.Kind.ACCESS)[0]
    result = run("token", "revoke", given=token + "\n", status=1)
    assert "there is no access token" in result.stderr
    assert token not in result.output


def test_what_is_no_token_is_refused(run: Run):
    assert "not a token of this server" in run("token", "revoke", "abc", status=1).stderr


def test_every_token_of_a_user_or_client_is_revoked(run: Run, store: Store):
    run("user", "add", "alice")
    members = {"client_id": "service", "grant_types": ["client_credentials"]}
    run("client", "add", "--json", "-", given=members)
    user = store.users.by_login("alice")
    assert user is not None
    store.grants.open(a_grant(client_id="service", sub=user.sub, sid=None))
    assert "every token of alice (1 grants)" in run("token", "revoke", "--user", "alice").stdout
    assert "every token of service" in run("token", "revoke", "--client", "service").stdout
    assert "no account" in run("token", "revoke", "--user", "bob", status=1).stderr
    assert "no client" in run("token", "revoke", "--client", "other", status=1).stderr
    events = [line.event for line in store.audit.list(0, 100, "token.revoked_all")]
    assert [(event.sub, event.client_id) for event in events] == [(user.sub, None), (None, "service")]


def test_one_thing_is_revoked_at_a_time(run: Run):
    run("token", "revoke", "abc", "--user", "alice", status=2)
    run("token", "revoke", "--user", "alice", "--client", "service", status=2)

"""What clients have not been told yet, over the management API; and what the API ends is told at once."""

from authserver.records import User
from pytest_authserver import AuthServer
from tests.api.conftest import Manager
from tests.world import assert_refused

_PATIENCE = 10


def test_what_waits_is_listed_until_it_is_told(authserver: AuthServer, manager: Manager, alice: User):
    # Inside, so that nothing is sent.
    client = authserver.client(trusted=True, backchannel_logout_uri="http://127.0.0.1:9/bye")
    sid = authserver.allow(client, alice).session.sid
    manager("POST", "/session/end", sid=sid)
    authserver.server.deliveries.wait(_PATIENCE)
    (job,) = [job for job in manager.good("GET", "/jobs", {"limit": 200})["jobs"] if job["sid"] == sid]
    assert (job["kind"], job["client_id"], job["sub"]) == ("backchannel_logout", client.client_id, alice.sub)
    assert job["attempts"] == 1, "tried without a worker, and at once"
    assert "loopback" in job["problem"]


def test_it_takes_the_scope_of_the_audit_trail(authserver: AuthServer):
    reader, other = Manager(authserver, "manage:audit:read"), Manager(authserver, "manage:sessions:read")
    assert "jobs" in reader.good("GET", "/jobs")
    assert_refused(other("GET", "/jobs"), "insufficient_scope", 403)

"""``authserver job``."""

import json

from authserver.store import Store
from tests.cli.conftest import Run
from tests.store.makers import EVENT, a_client, a_grant, start_session


def test_what_waits_is_listed_with_its_problem_and_the_worker_tells_it(run: Run, store: Store):
    assert json.loads(run("job", "list", "--json").stdout) == []
    run("user", "add", "alice")
    user = store.users.by_login("alice")
    assert user is not None
    address = "https://127.0.0.1/bye"  # inside, so that nothing is sent
    store.clients.add(a_client("album", backchannel_logout_uri=address), EVENT)
    start_session(store, "s", user.sub)
    store.grants.open(a_grant(client_id="album", sub=user.sub, sid="s"))
    run("session", "end", "s")
    (job,) = json.loads(run("job", "list", "--json").stdout)
    assert (job["client_id"], job["sid"], job["attempts"], job["problem"]) == ("album", "s", 0, None)
    run("worker", "--once")
    table = run("job", "list").stdout
    assert "album" in table
    assert "the address is not allowed" in table
    (job,) = json.loads(run("job", "list", "--json").stdout)
    assert job["attempts"] == 1

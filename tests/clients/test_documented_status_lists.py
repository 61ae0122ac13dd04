"""The worked examples of docs/status-lists.md, run as they stand there."""

import json
from pathlib import Path

import pytest

from authserver.manage import users
from pytest_authserver import AuthServer
from tests import documented
from tests.signing import claims_of

PAGE = "status-lists.md"
WIKI = "https://wiki.example/"


@pytest.fixture
def environment(live_authserver: AuthServer, tmp_path: Path) -> dict[str, str]:
    """What the examples find in their environment."""
    live_authserver.resource(WIKI, "wiki:read", token_format="jwt", status_list=True)
    client = live_authserver.client(trusted=True, scope="wiki:read")
    token = live_authserver.tokens(client, live_authserver.user("alice"), scope="wiki:read", resource=WIKI)
    return {"ISSUER": live_authserver.issuer, "TOKEN": token["access_token"], "FOLDER": str(tmp_path)}


def test_finding_and_fetching_a_list_with_curl(live_authserver: AuthServer, environment: dict[str, str]):
    find, fetch = documented.blocks(PAGE, "sh")
    claim, lists = (json.loads(block) for block in documented.blocks(PAGE, "json"))
    of_token = claims_of(environment["TOKEN"])["status"]["status_list"]
    assert of_token.keys() == claim["status"]["status_list"].keys()
    found = json.loads(documented.run_shell(find, **environment))
    assert found == {"status_lists": [of_token["uri"]]}
    assert lists["status_lists"][0].rpartition("/")[2] == of_token["uri"].rpartition("/")[2]
    assert documented.run_shell(fetch, **environment) == "304"


def test_reading_the_state_of_a_token_with_python(live_authserver: AuthServer, environment: dict[str, str]):
    (source,) = documented.blocks(PAGE, "python")
    assert documented.run_python(source, **environment) == "alive"
    user = users.existing(live_authserver.store, "alice")
    users.set_disabled(live_authserver.store, user, disabled=True, actor="test")
    assert documented.run_python(source, **environment) == "dead"

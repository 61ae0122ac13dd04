"""Changing what is there: ``client update``, ``resource update``, ``user set-password``."""

import json

from tests.cli.conftest import Run

CLIENT = {"client_name": "A", "grant_types": ["client_credentials"], "scope": "x"}
API = "https://api.test/"
PASSWORD = "correct horse battery staple\n"


def test_a_client_is_changed_and_keeps_its_id(run: Run):
    client_id = json.loads(run("client", "add", "--json", "-", given=CLIENT).stdout)["client_id"]
    run("client", "update", client_id, "--json", "-", given={**CLIENT, "client_name": "B"})
    assert json.loads(run("client", "show", client_id, "--json").stdout)["client_name"] == "B"


def test_a_client_that_is_not_there_is_not_changed(run: Run):
    run("client", "update", "nobody", "--json", "-", given=CLIENT, status=1)


def test_a_resource_is_changed(run: Run):
    run("resource", "add", API, "--scope", "a=Do a")
    run("resource", "update", "--json", "-", given={"identifier": API, "scopes": {"b": "Do b"}})
    assert "Do b" in run("resource", "show", API, "--json").stdout
    run("resource", "update", "--json", "-", given={"identifier": "https://other.test/"}, status=1)


def test_a_password_is_set(run: Run):
    run("user", "add", "alice")
    assert "set the password" in run("user", "set-password", "alice", given=PASSWORD).stdout
    run("user", "set-password", "alice", given="short\n", status=1)
    run("user", "set-password", "nobody", given=PASSWORD, status=1)

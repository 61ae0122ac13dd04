"""``authserver resource``."""

import json

from tests.cli.conftest import Run

API = "https://api.example/"


def test_a_resource_is_added_by_options(run: Run):
    result = run(
        "resource", "add", API, "--name", "Api", "--scope", "a:read=Read a=b", "--scope", "b", "--format", "jwt"
    )
    answer = json.loads(result.stdout)
    assert answer["scopes"] == {"a:read": "Read a=b", "b": "b"}
    assert answer["token_format"] == "jwt"


def test_a_resource_is_added_by_json(run: Run):
    given = {"identifier": API, "name": "Api", "scopes": {"a": "Do a"}, "access_token_seconds": 60}
    assert json.loads(run("resource", "add", "--json", "-", given=given).stdout)["access_token_seconds"] == 60
    assert "registered already" in run("resource", "add", API, status=1).stderr


def test_a_resource_needs_an_identifier(run: Run):
    assert "identifier" in run("resource", "add", status=1).stderr
    assert "absolute URI" in run("resource", "add", "api", status=1).stderr


def test_resources_are_listed_shown_and_removed(run: Run):
    run("resource", "add", API, "--name", "Api", "--scope", "a=Do a")
    assert API in run("resource", "list").stdout
    assert json.loads(run("resource", "list", "--json").stdout)[0]["identifier"] == API
    assert "Do a" in run("resource", "show", API).stdout
    assert json.loads(run("resource", "show", API, "--json").stdout)["name"] == "Api"
    run("resource", "remove", API)
    assert "there is no resource" in run("resource", "remove", API, status=1).stderr

"""``authserver resource``."""

import json
from pathlib import Path

from tests import encrypted
from tests.cli.conftest import Run
from tests.listener import Listener, says

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


def test_a_resource_is_protected_by_options(run: Run, tmp_path: Path):
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [encrypted.jwk("p256")]}))
    options = ["--format", "jwt", "--status-list", "--encryption-alg", "ECDH-ES"]
    answer = json.loads(run("resource", "add", API, *options, "--encryption-keys", str(keys)).stdout)
    assert answer["status_list"] is True
    assert answer["encryption"] == {"alg": "ECDH-ES", "enc": "A256GCM", "jwks": {"keys": [encrypted.jwk("p256")]}}


def test_encryption_is_said_whole(run: Run, tmp_path: Path):
    keys = tmp_path / "keys.json"
    keys.write_text("{}")
    for options in (["--encryption-enc", "A256GCM"], ["--encryption-alg", "ECDH-ES"], ["--encryption-keys", str(keys)]):
        assert "encryption needs" in run("resource", "add", API, "--format", "jwt", *options, status=1).stderr


def test_who_may_introspect_is_said_with_the_resource_and_shown(run: Run):
    for name in ("one", "two"):
        run("client", "add", "--json", "-", given={"client_id": name, "grant_types": []})
    assert "no client" in run("resource", "add", API, "--introspected-by", "three", status=1).stderr
    run("resource", "add", API, "--introspected-by", "one", "--introspected-by", "two")
    shown = json.loads(run("resource", "show", API, "--json").stdout)
    assert shown["introspection_clients"] == ["one", "two"]
    assert json.loads(run("client", "show", "one", "--json").stdout)["resource_server_for"] == [API]
    given = {"identifier": API, "introspection_clients": ["two"]}
    assert json.loads(run("resource", "update", "--json", "-", given=given).stdout)["introspection_clients"] == ["two"]
    run("resource", "remove", API)
    assert json.loads(run("client", "show", "two", "--json").stdout)["resource_server_for"] == []


def test_an_api_joins_with_its_own_document_and_gets_a_client(run: Run):
    with Listener(says(b"")) as listener:
        api = f"http://127.0.0.1:{listener.port}/things"
        document = {"resource": api, "resource_name": "Things", "scopes_supported": ["things:read"]}
        listener.answer = says(json.dumps(document).encode(), "200 OK", "Content-Type: application/json")
        words = ["resource", "add", "--from", api, "--scope", "things:read=See your things", "--format", "jwt"]
        assert "not to be had" in run(*words, status=1).stderr
        allowed = {"AUTHSERVER_OUTBOUND_ALLOW": f"127.0.0.1:{listener.port}"}
        answer = json.loads(run(*words, "--with-client", **allowed).stdout)
    assert answer["resource"]["name"] == "Things"
    assert answer["resource"]["scopes"] == {"things:read": "See your things"}
    assert answer["resource"]["token_format"] == "jwt"
    assert answer["resource"]["introspection_clients"] == [answer["client"]["client_id"]]
    assert answer["client"]["client_secret"] not in run("client", "show", answer["client"]["client_id"]).stdout


def test_the_document_takes_the_place_of_the_other_ways(run: Run):
    for more in ([API], ["--json", "-"]):
        assert "takes the place" in run("resource", "add", "--from", API, *more, given={}, status=1).stderr

"""Every operation of the management API, from its table: methods, bodies, and what nobody sends by accident."""

import json
import random
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from authserver import registry
from authserver.api.endpoint import OPERATIONS
from authserver.api.operation import Operation
from authserver.manage import client_metadata, resources
from authserver.oauth.errors import REPEATED
from pytest_authserver import AuthServer
from tests.api.conftest import PREFIX, Manager
from tests.web.bad_values import BAD_VALUES
from tests.world import assert_refused

ALL = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
PATHS = sorted({operation.path for operation in OPERATIONS})
WITH_BODY = [operation for operation in OPERATIONS if operation.method in {"POST", "PUT"}]
OF_QUERY = [operation for operation in OPERATIONS if operation.method != "POST"]
FIELDS = [operation for operation in WITH_BODY if not operation.document]
VALUES = (
    None,
    True,
    -1,
    1.5,
    10**30,
    "",
    "\0",
    "\ud800",
    "a\r\nSet-Cookie: x=1",
    "' OR 1=1 --",
    "\u202e",
    "x" * 20_000,
    [],
    ["x"],
    {},
    {"a": {"b": None}},
)
# What is added by a whole object, and the least that it needs.
DOCUMENTS: dict[str, dict[str, Any]] = {
    "/clients": {"redirect_uris": ["https://client.test/callback"]},
    "/resources": {"identifier": "https://tried.test/"},
}
MEMBERS = {*client_metadata.MEMBERS, *client_metadata.ADMINISTRATOR_MEMBERS, *registry.CLIENT_METADATA}
BODIES = {
    "nothing": b"",
    "not utf-8": b'{"a":"\xff"}',
    "utf-16": '{"a":1}'.encode("utf-16"),
    "a list": b"[]",
    "text": b'"x"',
    "null": b"null",
    "cut off": b'{"a":',
    "twice": b'{"client_id":"a","client_id":"b"}',
    "nan": b'{"a":NaN}',
    "infinity": b'{"a":1e999999}',
    "a huge number": b'{"a":' + b"9" * 5001 + b"}",
    "deep": b'{"a":' * 40 + b"1" + b"}" * 40,
    "very deep": b"[" * 16_000 + b"]" * 16_000,
    "half a surrogate pair": rb'{"a":"\ud800"}',
    "a mark first": b'\xef\xbb\xbf{"a":1}',
    "two objects": b"{}{}",
}


def _id(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def check(answer: httpx2.Response) -> None:
    """Check what every refusal owes: JSON with a code, in fixed words, kept by nobody."""
    assert 400 <= answer.status_code < 500, answer.text[:300]
    assert_refused(answer, answer.json()["error"], answer.status_code)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def tried(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """A manager of a server that can be spoilt, on either database."""
    settings: dict[str, Any] = {"features": {"management_api": True}}
    if request.param == "postgresql":
        settings["database_url"] = request.getfixturevalue("postgres").create()
    at = AuthServer(tmp_path_factory.mktemp("tried"), **settings)
    yield Manager(at)
    at.close()


def described() -> dict[str, Any]:
    """Return the members of a resource."""
    return resources.describe(resources.make_resource(DOCUMENTS["/resources"]))


def _remove(manager: Manager, added: dict[str, Any]) -> None:
    """Take away what a try has added."""
    kind, name = ("client", "client_id") if "client_id" in added else ("resource", "identifier")
    assert manager("DELETE", f"/{kind}", {name: added[name]}).status_code == 204


def _query(operation: Operation) -> dict[str, str]:
    """Return a query that names something, of the right form."""
    return {} if operation.method == "POST" else dict.fromkeys(operation.needs, "something")


def _send(manager: Manager, operation: Operation, content: bytes, content_type: str | None = None) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {manager.token}", "Content-Type": content_type or "application/json"}
    with manager.at.http(headers={**headers, "If-Match": '"x"'}) as http:
        return http.request(operation.method, PREFIX + operation.path, params=_query(operation), content=content)


@pytest.mark.parametrize("path", PATHS)
def test_each_path_knows_its_methods_and_no_other_ones(manager: Manager, path: str):
    known = {operation.method for operation in OPERATIONS if operation.path == path}
    for method in ALL:
        answer = manager(method, path, {"no": "such"} if method != "POST" else None, surprise=1)
        if method == "OPTIONS":
            assert answer.status_code == 204
        elif method in known:
            check(answer)
            continue
        else:
            assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == {*known, "OPTIONS"}
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("operation", OPERATIONS, ids=_id)
def test_no_operation_says_anything_without_a_token(authserver: AuthServer, operation: Operation):
    with authserver.http(headers={"Origin": "https://spa.test"}) as http:
        answer = http.request(operation.method, PREFIX + operation.path, params=_query(operation))
    assert (answer.status_code, answer.content) == (401, b"{}")
    assert f'scope="{operation.scope}"' in answer.headers["www-authenticate"]
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("operation", OPERATIONS, ids=_id)
def test_no_operation_is_done_with_the_scopes_of_all_the_others(authserver: AuthServer, operation: Operation):
    covering = {operation.scope, operation.scope.removesuffix(":read")}
    others = {other.scope for other in OPERATIONS} - covering
    client = Manager(authserver, " ".join(sorted(others)))
    answer = client(operation.method, operation.path, _query(operation))
    assert_refused(answer, "insufficient_scope", 403)


@pytest.mark.parametrize("operation", WITH_BODY, ids=_id)
def test_a_body_that_is_no_json_object_is_refused(tried: Manager, operation: Operation):
    for body in BODIES.values():
        check(_send(tried, operation, body))
    assert_refused(_send(tried, operation, b'{"a":"' + b"x" * 40_000 + b'"}'), "invalid_request", 413)
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-16", "multipart/x"):
        assert_refused(_send(tried, operation, b"{}", kind), "invalid_request", 415)


@pytest.mark.parametrize("operation", FIELDS, ids=_id)
def test_a_member_of_the_wrong_kind_is_refused(tried: Manager, operation: Operation):
    known = {**operation.needs, **operation.takes}
    for name in (*known, "unknown"):
        for value in VALUES:
            body = json.dumps({**dict.fromkeys(operation.needs, "x"), name: value}).encode()
            answer = _send(tried, operation, body)
            # A fitting value of what is not there, or of something that may be left out or be nothing.
            assert answer.status_code < 500, f"{name} {value!r} {answer.text[:200]}"
            if name == "unknown":
                assert_refused(answer, "invalid_request")


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_member_of_a_whole_object_takes_every_bad_value(tried: Manager, path: str):
    operation = next(one for one in OPERATIONS if (one.method, one.path) == ("POST", path))
    usual = DOCUMENTS[path]
    members = MEMBERS if path == "/clients" else {*described(), "introspection_clients"}
    for name in (*members, "client_name#de", "unknown"):
        for value in (*VALUES, {"keys": [{}]}, [{"name": 1}], {"alg": 1, "jwks": 2}):
            answer = _send(tried, operation, json.dumps({**usual, name: value}).encode())
            assert answer.status_code < 500, f"{name} {value!r} {answer.text[:200]}"
            if answer.status_code == 201:
                # What was accepted can be written and read again.
                assert tried("GET", path, {"limit": 200}).status_code == 200
                _remove(tried, answer.json())


@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_every_parameter_of_every_query_takes_every_bad_value(tried: Manager, value: str):
    headers = {"Authorization": f"Bearer {tried.token}", "If-Match": '"x"'}
    with tried.at.http(headers=headers) as http:
        for operation in OF_QUERY:
            for name in (*operation.needs, *operation.takes, "unknown"):
                url = f"{PREFIX}{operation.path}?{name}={value}"
                answer = http.request(operation.method, url, json={} if operation.method == "PUT" else None)
                assert answer.status_code < 500, f"{url[:80]} {answer.text[:200]}"
                if answer.status_code >= 400 and answer.content:
                    check(answer)


@pytest.mark.parametrize("operation", OPERATIONS, ids=_id)
def test_a_name_as_long_as_a_name_may_be_is_only_not_there(tried: Manager, operation: Operation):
    # Random, because what can be compressed fits into an index.
    name = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=4096))
    for field in (*operation.needs, *operation.takes):
        sent = {**dict.fromkeys(operation.needs, "something"), field: name}
        query, body = ({}, sent) if operation.method == "POST" else (sent, {})
        answer = tried(operation.method, operation.path, query, headers={"If-Match": '"x"'}, json=body)
        assert answer.status_code < 500, f"{field} {answer.text[:200]}"


@pytest.mark.parametrize("operation", OF_QUERY, ids=_id)
def test_a_parameter_that_stands_twice_or_is_unknown_is_refused(manager: Manager, operation: Operation):
    with manager.at.http(headers={"Authorization": f"Bearer {manager.token}", "If-Match": '"x"'}) as http:
        for name in (*operation.needs, *operation.takes):
            twice = [*_query(operation).items(), (name, "a"), (name, "a")]
            answer = http.request(
                operation.method, PREFIX + operation.path, params=twice, json={} if operation.document else None
            )
            assert_refused(answer, "invalid_request")
            assert answer.json()["error_description"] == REPEATED
        for name in ("resource", "access_token", "sort"):
            query = {**_query(operation), name: "x"}
            answer = http.request(
                operation.method, PREFIX + operation.path, params=query, json={} if operation.document else None
            )
            assert_refused(answer, "invalid_request")


def test_a_post_has_nothing_in_its_url(manager: Manager):
    answer = manager("POST", "/client/disable", {"client_id": "x"}, client_id="x")
    assert_refused(answer, "invalid_request")


def test_what_is_accepted_says_nothing_about_the_answer(manager: Manager):
    """The endpoint decides about the form of its answers."""
    for accept in ("text/html", "application/xml", "*/*", "x" * 200):
        assert manager("GET", "/clients", headers={"Accept": accept}).headers["content-type"] == "application/json"
        assert_refused(manager("GET", "/client", headers={"Accept": accept}), "invalid_request")


def test_a_failure_tells_nothing(manager: Manager, monkeypatch: pytest.MonkeyPatch):
    def fail(*_arguments: object) -> None:
        raise RuntimeError("a secret of the house")

    monkeypatch.setattr(manager.at.store.clients, "page", fail)
    answer = manager("GET", "/clients")
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")
    assert "house" not in answer.text


@pytest.mark.parametrize("gateway", [True, False])
def test_both_ways_to_the_api_are_the_same(
    authserver: AuthServer, tmp_path_factory: pytest.TempPathFactory, manager: Manager, *, gateway: bool
):
    url = authserver.settings.database_url
    folder = tmp_path_factory.mktemp("way")
    at = AuthServer(folder, database_url=url, features={"management_api": True}, gateway=gateway)
    assert manager.good("GET", "/client", {"client_id": manager.client.client_id}, at=at)
    assert manager("DELETE", "/client", {"client_id": "x"}, at=at).status_code == 404
    assert manager("PATCH", "/client", at=at).status_code == 405
    assert manager("POST", "/clients", at=at, json=[]).status_code == 400
    at.close()


def test_every_operation_has_a_sentence_and_a_path_of_the_registry():
    paths = {path: methods for _, path, methods, _ in registry.MANAGEMENT}
    for operation in OPERATIONS:
        assert operation.method in paths[PREFIX + operation.path]
        assert operation.summary.endswith(".")
    assert len(paths) == len(registry.MANAGEMENT)

"""Malformed and oversized input at every public endpoint and page: the right 4xx, never a 5xx.

The tables are made from the registry and from the views, so what is new is in them from its first day; on SQLite and on
PostgreSQL alike, because the two refuse different things (a NUL in a text is an error of the second only). Good
requests that are spoiled in one place are ``test_bad_parameters``'s.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver import registry, web
from pytest_authserver import AuthServer, RegisteredClient
from tests.web.bad_values import BAD_TEXTS, BAD_VALUES, WORST
from tests.web.good_requests import EVERYTHING

FORM = "application/x-www-form-urlencoded"
POSTS = [path for _, path, methods, _ in registry.ENDPOINTS if "POST" in methods]
GETS = [path for _, path, methods, _ in registry.ENDPOINTS if "GET" in methods]
FORMS = [path for name, path, methods, _ in registry.ENDPOINTS if "POST" in methods and name not in registry.TAKE_JSON]
METHODS = {path: methods for _, path, methods, _ in registry.ENDPOINTS}
WEB = Path(web.__file__).parent
READS = re.compile(r"""request\.(args|form)(?:\.get\(|\[)"(\w+)"|"(\w+)" (?:not )?in request\.(args|form)""")


def read_by_pages(what: str) -> list[str]:
    """Return the names that the views look up in a query (``args``) or a form, so that a new one is tried, too."""
    found = [match for file in WEB.rglob("*.py") for match in READS.findall(file.read_text())]
    return sorted({one or other for before, one, other, behind in found if what in {before, behind}})


NAMES = sorted({*read_by_pages("args"), "posted", "unknown"})
FIELDS = sorted({*read_by_pages("form"), "csrf_token"})


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    settings: dict[str, Any] = {"features": EVERYTHING}
    if request.param == "postgresql":
        settings["database_url"] = request.getfixturevalue("postgres").create()
    with_world = AuthServer(tmp_path_factory.mktemp("bad-input"), **settings)
    with_world.user("alice")
    yield with_world
    with_world.close()


@pytest.fixture(scope="module")
def client(server: AuthServer) -> RegisteredClient:
    return server.client(resource_server_for=["https://api.test/"])


@pytest.fixture(scope="module")
def http(server: AuthServer) -> Iterator[httpx2.Client]:
    with server.http() as http:
        yield http


@pytest.fixture(scope="module")
def pages(server: AuthServer) -> list[str]:
    """The pages that can be asked for."""
    return places(server, "GET")


def places(server: AuthServer, method: str) -> list[str]:
    """Return the paths of all pages, forms included, that take the method."""
    rules = [rule for rule in server.app.url_map.iter_rules() if not rule.endpoint.startswith("protocol")]
    return sorted(rule.rule for rule in rules if method in (rule.methods or ()) and not rule.arguments)


def send(http: httpx2.Client, path: str, body: str, client: RegisteredClient | None, **headers: str) -> httpx2.Response:
    auth = client.basic if client is not None else None
    return http.post(path, content=body.encode(), headers={"Content-Type": FORM, **headers}, auth=auth)


def check(answer: httpx2.Response, about: str) -> None:
    """Check what every answer owes: no 5xx, no trace, an error of the protocol as JSON where it is one."""
    assert answer.status_code < 500, f"{about}: {answer.status_code} {answer.text[:200]}"
    assert "Traceback" not in answer.text, about
    assert "\r" not in str(answer.headers.get("location", "")), about
    assert "<script>alert" not in answer.text, about
    if answer.status_code >= 400 and answer.headers.get("content-type") == "application/json":
        assert set(answer.json()) <= {"error", "error_description"}, about
        assert answer.headers["cache-control"] == "no-store", about


def test_every_parameter_of_a_page_takes_every_bad_value(server: AuthServer, pages: list[str]) -> None:
    stranger, alice = server.browser(), server.browser(server.store.users.by_login("alice"))
    for path in pages:
        for name in NAMES:
            for about in (*WORST, "empty", "quotes", "line break", "sixteen thousand", "a handle"):
                check(alice.http.get(f"{path}?{name}={BAD_VALUES[about]}"), f"{path} {name}: {about}")
            for about in ("nul", "half a surrogate pair", "a handle"):
                check(stranger.http.get(f"{path}?{name}={BAD_VALUES[about]}"), f"{path} {name}: {about}")


def test_every_field_of_a_form_that_nobody_was_shown_takes_every_bad_value(
    server: AuthServer, client: RegisteredClient
) -> None:
    browser = server.browser()
    page = browser.authorize(server.request(client, server.pkce()))
    token = page.form("login-submit").fields["csrf_token"]
    for path in places(server, "POST"):
        for name in FIELDS:
            for about in BAD_TEXTS if server.settings.database_url.startswith("sqlite") else WORST:
                body = f"{name}={BAD_VALUES[about]}" + ("" if name == "csrf_token" else f"&csrf_token={token}")
                answer = browser.http.post(path, content=body.encode(), headers={"Content-Type": FORM})
                check(answer, f"{path} {name}: {about}")


@pytest.mark.parametrize("path", POSTS)
def test_a_repeated_parameter_is_an_invalid_request(http: httpx2.Client, client: RegisteredClient, path: str) -> None:
    for name in sorted(registry.PARAMETERS):
        answer = send(http, path, f"{name}=a&{name}=a", client)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), name


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "content_type",
    ["application/json", "multipart/form-data; boundary=x", "text/plain", "", f"{FORM}; charset=utf-16", "x"],
)
def test_a_body_of_another_type_is_an_invalid_request(
    http: httpx2.Client, client: RegisteredClient, path: str, content_type: str
) -> None:
    answer = send(http, path, '{"grant_type":"client_credentials"}', client, **{"Content-Type": content_type})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("path", POSTS)
def test_parameters_in_the_query_of_a_post_are_an_invalid_request(
    http: httpx2.Client, client: RegisteredClient, path: str
) -> None:
    answer = send(http, f"{path}?grant_type=client_credentials&token=a", "token=a", client)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("path", POSTS)
def test_a_body_over_the_limit_is_413(http: httpx2.Client, client: RegisteredClient, path: str) -> None:
    answer = send(http, path, "token=" + "a" * 65_536, client)
    assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")


@pytest.mark.parametrize("path", POSTS)
def test_more_than_a_hundred_fields_are_an_invalid_request(
    http: httpx2.Client, client: RegisteredClient, path: str
) -> None:
    answer = send(http, path, "&".join(f"f{number}=a" for number in range(101)), client)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_url_over_the_limit_is_414(http: httpx2.Client, pages: list[str]) -> None:
    for path in (*GETS, *pages):
        assert http.get(f"{path}?a={'a' * 9000}").status_code == 414, path


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (path, method)
        for path in sorted({*POSTS, *GETS})
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "BREW")
        if method not in METHODS[path]
    ],
)
def test_another_method_is_405_and_names_the_right_ones(http: httpx2.Client, path: str, method: str) -> None:
    answer = http.request(method, path)
    assert answer.status_code == 405
    assert {"GET", "POST"} & set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize(
    "accept", ["text/html", "image/png", "*/*;q=0", "application/jwt", "x", "", ";;,,\x7f", "a" * 4000]
)
def test_the_kind_of_an_error_is_the_endpoints_and_not_what_is_accepted(http: httpx2.Client, accept: str) -> None:
    for path in POSTS:
        answer = http.post(path, content=b"a=b", headers={"Content-Type": "text/plain", "Accept": accept})
        assert (answer.status_code // 100, answer.headers["content-type"]) == (4, "application/json"), path
        assert answer.json()["error"], path
    for path in ("/nowhere", "/consent", "/authorize?client_id=x", "/logout?id_token_hint=x&id_token_hint=x"):
        answer = http.get(path, headers={"Accept": accept})
        assert (answer.status_code // 100, answer.headers["content-type"]) == (4, "text/html; charset=utf-8"), path
        assert 'id="error-code"' in answer.text, path


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "TRACE"])
def test_authorize_knows_get_and_post_only(http: httpx2.Client, method: str) -> None:
    assert http.request(method, "/authorize?client_id=a").status_code == 405


@pytest.mark.parametrize(
    "authorization",
    ["Basic", "Basic ", "Basic =", "Basic %%%", "Basic " + "A" * 8000, "Basic AA==", "Bearer abc", "x", "Basic /w=="],
)
@pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke"])
def test_a_malformed_authorization_header_is_invalid_client(http: httpx2.Client, path: str, authorization: str) -> None:
    answer = send(http, path, "token=a&grant_type=client_credentials", None, Authorization=authorization)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer  ", "Bearer \x7f", "Bearer " + "a" * 15_000, "DPoP a", "x"]
)
def test_a_malformed_access_token_is_401_at_userinfo(http: httpx2.Client, authorization: str) -> None:
    answer = http.get("/userinfo", headers={"Authorization": authorization})
    assert answer.status_code == 401
    # RFC 9449 7.1: the challenge is for the scheme that was used.
    assert answer.headers["www-authenticate"].startswith("DPoP " if authorization.startswith("DPoP") else "Bearer ")


def test_a_malformed_cookie_is_no_cookie(http: httpx2.Client, pages: list[str]) -> None:
    for cookie in ("", "x", "asb_", "asb_" + "A" * 49, "asb_%00", "a" * 8000, "\u00e9".encode().hex()):
        for path in pages:
            check(http.get(path, headers={"Cookie": f"authserver={cookie}"}), f"{path} {cookie[:20]}")


@given(st.binary(max_size=300))
def test_no_body_makes_the_token_endpoint_fail(http: httpx2.Client, client: RegisteredClient, body: bytes) -> None:
    answer = http.post("/token", content=body, headers={"Content-Type": FORM}, auth=client.basic)
    assert answer.status_code in {200, 400}


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_pair_of_values_makes_the_authorization_endpoint_fail(
    server: AuthServer, http: httpx2.Client, client: RegisteredClient, scope: str, state: str
) -> None:
    state = state.encode("utf-8", "replace").decode()
    request = server.request(client, server.pkce(), scope=scope.encode("utf-8", "replace").decode(), state=state)
    answer = http.get("/authorize", params=request)
    assert answer.status_code in {303, 414}

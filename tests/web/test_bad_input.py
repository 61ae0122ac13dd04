"""Malformed and oversized input at every public endpoint, parameter by parameter: the right 4xx, never a 5xx.

The table is made from the registry, so a new endpoint or parameter is in it from its first day; on SQLite and on
PostgreSQL alike, because the two refuse different things (a NUL in a text is an error of the second only).
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver import registry
from pytest_authserver import AuthServer, RegisteredClient
from tests.web.bad_values import BAD_VALUES

FORM = "application/x-www-form-urlencoded"
POSTS = [path for _, path, methods, _ in registry.ENDPOINTS if "POST" in methods]
GETS = [path for _, path, methods, _ in registry.ENDPOINTS if "GET" in methods]
FORMS = [path for name, path, methods, _ in registry.ENDPOINTS if "POST" in methods and name not in registry.TAKE_JSON]
METHODS = {path: methods for _, path, methods, _ in registry.ENDPOINTS}
PAGES = ["/authorize", "/authorize/resume", "/login", "/consent", "/logout", "/logged-out", "/account"]
PAGE_FORMS = {
    "/login": ("username", "password", "csrf_token"),
    "/login/account": ("sid", "csrf_token"),
    "/consent": ("decision", "csrf_token"),
    "/logout/confirm": ("csrf_token",),
    "/account/sessions": ("sid", "csrf_token"),
    "/account/apps": ("client_id", "csrf_token"),
    "/account/security": ("current", "new", "csrf_token"),
}
NAMES = sorted(registry.PARAMETERS | {"resource", "interaction", "posted", "unknown"})


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    settings: dict[str, Any] = {}
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


@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES.keys())
@pytest.mark.parametrize("path", POSTS)
def test_every_parameter_of_a_protocol_endpoint_takes_every_bad_value(
    http: httpx2.Client, client: RegisteredClient, path: str, value: str
) -> None:
    for grant in ("", "grant_type=authorization_code&", "grant_type=refresh_token&", "grant_type=client_credentials&"):
        for name in NAMES:
            check(send(http, path, f"{grant}{name}={value}", client), f"{path} {grant}{name}={value[:40]}")
        if path != "/token":
            break


@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES.keys())
@pytest.mark.parametrize("path", PAGES)
def test_every_parameter_of_a_page_takes_every_bad_value(http: httpx2.Client, path: str, value: str) -> None:
    for name in NAMES:
        check(http.get(f"{path}?{name}={value}"), f"{path} {name}={value[:40]}")


@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_every_parameter_of_an_authorization_request_takes_every_bad_value(
    server: AuthServer, http: httpx2.Client, client: RegisteredClient, value: str
) -> None:
    good = server.request(client, server.pkce())
    for name in NAMES:
        others = "&".join(f"{key}={quote(str(known), safe='')}" for key, known in good.items() if key != name)
        answer = http.get(f"/authorize?{others}&{name}={value}")
        check(answer, f"{name}={value[:40]}")
        location = answer.headers.get("location", "")
        assert not location or location.startswith(("/login?interaction=", f"{client.redirect_uri}?error=")), name


@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES.keys())
@pytest.mark.parametrize("path", PAGE_FORMS)
def test_every_field_of_a_form_takes_every_bad_value(
    server: AuthServer, http: httpx2.Client, client: RegisteredClient, path: str, value: str
) -> None:
    browser = server.browser()
    page = browser.authorize(server.request(client, server.pkce()))
    token = page.form("login-submit").fields["csrf_token"]
    for name in PAGE_FORMS[path]:
        fields = "".join(f"&{other}={token}" for other in ("csrf_token",) if other != name)
        answer = browser.http.post(path, content=f"{name}={value}{fields}".encode(), headers={"Content-Type": FORM})
        check(answer, f"{path} {name}={value[:40]}")


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


@pytest.mark.parametrize("path", [*GETS, *PAGES])
def test_a_url_over_the_limit_is_414(http: httpx2.Client, path: str) -> None:
    assert http.get(f"{path}?a={'a' * 9000}").status_code == 414


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


@pytest.mark.parametrize("cookie", ["", "x", "asb_", "asb_" + "A" * 49, "asb_%00", "a" * 8000, "\u00e9".encode().hex()])
@pytest.mark.parametrize("path", PAGES)
def test_a_malformed_cookie_is_no_cookie(http: httpx2.Client, path: str, cookie: str) -> None:
    check(http.get(path, headers={"Cookie": f"authserver={cookie}"}), cookie[:20])


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

"""Requests that no well-behaved HTTP client sends: what a server in front may hand over all the same (PEP 3333)."""

import io
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver import registry
from pytest_authserver import AuthServer
from tests.web.good_requests import EVERYTHING

FORM = "application/x-www-form-urlencoded"
PATHS = [path for _, path, _, _ in registry.ENDPOINTS] + [
    "/authorize",
    "/login",
    "/consent",
    "/logout",
    "/account",
    "/x",
]
# Text of an environ is bytes read as latin-1.
STRANGE = [
    "\x00",
    "\x80",
    "\xff\xfe",
    "\xc3\xa9",
    "\x7f",
    "\t",
    "\r\n",
    "a" * 8000,
    "\xed\xa0\x80",
    "%",
    "%00",
    "\u00ad",
]
HEADERS = [
    "HTTP_AUTHORIZATION",
    "HTTP_COOKIE",
    "HTTP_HOST",
    "HTTP_ORIGIN",
    "HTTP_REFERER",
    "HTTP_USER_AGENT",
    "HTTP_ACCEPT",
    "HTTP_IF_NONE_MATCH",
    "HTTP_X_REQUEST_ID",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_SEC_FETCH_SITE",
    "HTTP_DPOP",
    "HTTP_X_CLIENT_CERT",
    "CONTENT_TYPE",
    "REMOTE_ADDR",
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    settings: dict[str, Any] = {
        "features": EVERYTHING,
        "trusted_proxies": "127.0.0.1",
        "mtls": {"certificate_header": "X-Client-Cert"},
    }
    if request.param == "postgresql":
        settings["database_url"] = request.getfixturevalue("postgres").create()
    made = AuthServer(tmp_path_factory.mktemp("bad-http"), **settings)
    yield made
    made.close()


def call(
    server: AuthServer, method: str, path: str, body: bytes = b"", **environ: str
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Call the application as a WSGI server does; return status, headers and body."""
    began: list[tuple[str, list[tuple[str, str]]]] = []
    given: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "9000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost:9000",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": FORM,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **environ,
    }

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        began.append((status, headers))

    result = server.app(given, start_response)
    content = b"".join(result)
    if hasattr(result, "close"):
        result.close()
    status, headers = began[-1]
    for name, value in headers:
        assert name.isascii()
        assert value.isprintable(), f"{name} breaks the head of the answer"
    assert b"Traceback" not in content
    return int(status[:3]), headers, content


@pytest.mark.parametrize("path", PATHS)
def test_strange_bytes_in_any_header_are_never_a_failure(server: AuthServer, path: str) -> None:
    for header, value in product(HEADERS, STRANGE):
        for method in ("GET", "POST", "OPTIONS"):
            for prefix in ("", "Basic ", "Bearer ", "authserver="):
                if prefix and header not in {"HTTP_AUTHORIZATION", "HTTP_COOKIE"}:
                    continue
                status, *_ = call(server, method, path, **{header: prefix + value})
                assert status < 500, f"{method} {path} {header}: {prefix}{value[:20]!r}"


@pytest.mark.parametrize("value", STRANGE, ids=lambda value: ascii(value)[1:20])
def test_strange_bytes_in_the_path_or_the_query_are_never_a_failure(server: AuthServer, value: str) -> None:
    for path in PATHS:
        for method in ("GET", "POST"):
            assert call(server, method, path + value)[0] < 500
            assert call(server, method, "/" + value + path)[0] < 500
            for query in (value, f"client_id={value}", f"{value}=x", f"interaction={value}", f"posted={value}"):
                assert call(server, method, path, QUERY_STRING=query)[0] < 500, f"{method} {path}?{query[:40]!r}"


@pytest.mark.parametrize("length", ["abc", "-1", "+1", "1e3", " 5", "99999999999999999999", "\u00b2", "5, 5", "0x5"])
def test_a_content_length_that_is_none_is_refused(server: AuthServer, length: str) -> None:
    for path in ("/token", "/introspect", "/revoke", "/userinfo", "/authorize", "/logout", "/login"):
        status, *_ = call(server, "POST", path, b"a=b&c", CONTENT_LENGTH=length)
        assert 400 <= status < 500, path


def test_a_body_without_a_length_is_read_to_the_limit(server: AuthServer) -> None:
    for path in ("/token", "/introspect", "/revoke"):
        assert call(server, "POST", path, b"token=x", CONTENT_LENGTH="")[0] == 401
        assert call(server, "POST", path, b"token=" + b"x" * 70_000, CONTENT_LENGTH="")[0] == 413


def test_a_body_shorter_than_it_says_is_refused(server: AuthServer) -> None:
    for path in ("/token", "/introspect", "/revoke"):
        assert call(server, "POST", path, b"token=x", CONTENT_LENGTH="60000")[0] == 400


@pytest.mark.parametrize("method", ["", "G\x00T", "CONNECT", "PROPFIND", "X" * 1000])
def test_a_method_that_nobody_knows_is_refused(server: AuthServer, method: str) -> None:
    for path in PATHS:
        assert 400 <= call(server, method, path)[0] < 500, path


def test_options_answers_without_authentication_and_names_the_methods(server: AuthServer) -> None:
    for _, path, methods, _ in registry.ENDPOINTS:
        status, headers, content = call(server, "OPTIONS", path)
        assert (status, content) == (204, b"")
        assert set(dict(headers)["Allow"].split(", ")) == {*methods, "OPTIONS"}


@given(st.sampled_from(PATHS), st.sampled_from(["GET", "POST"]), st.binary(max_size=200), st.binary(max_size=200))
def test_no_query_and_no_cookie_is_ever_a_failure(
    server: AuthServer, path: str, method: str, query: bytes, cookie: bytes
) -> None:
    environ = {"QUERY_STRING": query.decode("latin-1"), "HTTP_COOKIE": cookie.decode("latin-1")}
    assert call(server, method, path, **environ)[0] < 500

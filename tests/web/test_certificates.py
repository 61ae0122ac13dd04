"""Whose word counts for a client's certificate (RFC 8705 6.5, RFC 9440 4)."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from authserver.web.proxy import CERTIFICATE
from pytest_authserver import AuthServer, RegisteredClient
from tests.certificates import Certificate
from tests.mtls import HEADER, ITSELF, LEAF, OTHER, SUBJECT, by_subject, make
from tests.oauth.conftest import authserver as plain

__all__ = ["plain"]

PROXY = "127.0.0.1"
KEY = f"HTTP_{HEADER.upper()}"


@pytest.fixture(scope="module", params=[True, False], ids=["gateway", "flask"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server behind a proxy, both ways."""
    made = make(tmp_path_factory.mktemp("certificates"), gateway=request.param)
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(server: AuthServer) -> RegisteredClient:
    """A client that is known by its certificate."""
    return by_subject(server, tls_client_auth_subject_dn=SUBJECT)


def call(server: AuthServer, client: RegisteredClient, peer: str = PROXY, **more: Any) -> tuple[int, bytes]:
    """Make a token request as WSGI hands it over."""
    body = urlencode({**ITSELF, "client_id": client.client_id}).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/token",
        "QUERY_STRING": "",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "9000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": peer,
        "HTTP_HOST": "localhost:9000",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        **more,
    }
    said: list[int] = []
    answer = b"".join(server.app.wsgi_app(environ, lambda status, *_rest: said.append(int(status[:3]))))
    return said[0], answer


def header(certificate: Certificate = LEAF) -> dict[str, str]:
    return {KEY: certificate.escaped}


def test_the_header_of_the_proxy_counts(server: AuthServer, client: RegisteredClient):
    assert call(server, client, **header())[0] == 200
    assert call(server, client)[0] == 401


@pytest.mark.parametrize("peer", ["127.0.0.2", "10.0.0.1", "::1", "::ffff:127.0.0.1", "", "unix:", "evil"])
def test_the_header_of_anybody_else_does_not(server: AuthServer, client: RegisteredClient, peer: str):
    assert call(server, client, peer, **header())[0] == 401
    assert call(server, client, peer, **{KEY: "rubbish"})[0] == 401
    # Whoever is not a proxy does not become one by saying that a proxy stands before it.
    assert call(server, client, peer, **header(), HTTP_X_FORWARDED_FOR=PROXY)[0] == 401


def test_the_direct_peer_counts_and_not_the_client_behind_it(server: AuthServer, client: RegisteredClient):
    assert call(server, client, **header(), HTTP_X_FORWARDED_FOR="203.0.113.7")[0] == 200


@pytest.mark.parametrize(
    "name",
    [
        "CLIENT_CERT",
        "CLIENT_CERT_CHAIN",
        "X_SSL_CERT",
        "X_CLIENT_CERT",
        "X_SSL_CLIENT_CERT",
        "SSL_CLIENT_CERT",
        "X_FORWARDED_CLIENT_CERT",
        "X_FORWARDED_TLS_CLIENT_CERT",
        "X_ARR_CLIENTCERT",
    ],
)
def test_no_other_header_counts_even_from_the_proxy(server: AuthServer, client: RegisteredClient, name: str):
    for value in (LEAF.escaped, LEAF.field, "rubbish"):
        assert call(server, client, **{f"HTTP_{name}": value})[0] == 401
        assert call(server, client, **{name: value})[0] == 401
        assert call(server, client, **header(), **{f"HTTP_{name}": OTHER.escaped})[0] == 200


def test_a_header_that_came_twice_refuses_the_request(server: AuthServer, client: RegisteredClient):
    for first, second in ((LEAF, LEAF), (LEAF, OTHER), (OTHER, LEAF)):
        for joined in (f"{first.escaped},{second.escaped}", f"{first.field}, {second.field}"):
            status, body = call(server, client, **{KEY: joined})
            assert status == 400
            assert b'"invalid_request"' in body


def test_what_the_proxy_sends_is_never_repeated(
    server: AuthServer, client: RegisteredClient, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.DEBUG):
        for value in ("<script>rubbish", LEAF.escaped[:-40], LEAF.escaped):
            _status, body = call(server, client, **{KEY: value})
            assert b"rubbish" not in body
            assert LEAF.x5c[:40].encode() not in body
    assert "rubbish" not in caplog.text
    assert LEAF.x5c[:40] not in caplog.text
    assert "certificate header of a proxy refused" in caplog.text


def test_a_listener_of_our_own_knows_better_than_any_header(server: AuthServer, client: RegisteredClient):
    assert call(server, client, **{CERTIFICATE: LEAF.der})[0] == 200
    assert call(server, client, **{CERTIFICATE: LEAF.der, KEY: OTHER.escaped})[0] == 200
    assert call(server, client, **{CERTIFICATE: LEAF.der, KEY: "rubbish"})[0] == 200
    # Without a certificate there is none, whatever the header says.
    assert call(server, client, **{CERTIFICATE: None, **header()})[0] == 401


def test_a_header_with_a_dash_may_be_chosen(tmp_path: Path):
    made = make(tmp_path, mtls={"certificate_header": "Client-Cert"})
    client = by_subject(made, tls_client_auth_subject_dn=SUBJECT)
    assert call(made, client, HTTP_CLIENT_CERT=LEAF.field)[0] == 200
    assert call(made, client, **header())[0] == 401
    made.close()


def test_no_header_counts_where_none_is_chosen(plain: AuthServer):
    client = by_subject(plain, tls_client_auth_subject_dn=SUBJECT)
    for name in (KEY, "HTTP_CLIENT_CERT", "HTTP_X_SSL_CLIENT_CERT"):
        assert call(plain, client, **{name: LEAF.escaped})[0] == 401
        assert call(plain, client, **{name: "rubbish"})[0] == 401


def test_pages_do_not_look_at_certificates(server: AuthServer):
    for value in (LEAF.escaped, "rubbish"):
        with server.http(headers={HEADER: value}) as http:
            assert http.get("/login").status_code in {200, 303}
            assert http.get("/health/live").status_code == 200

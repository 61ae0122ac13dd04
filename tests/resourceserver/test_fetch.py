import os
import time
from http.server import BaseHTTPRequestHandler

import pytest

from resourceserver import Fetcher
from resourceserver.fetch import FetchError, check_url, is_loopback
from tests.resourceserver.stub_issuer import StubIssuer, reply, replying


def _drip(*, header: bool) -> object:
    def fault(to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(b"HTTP/1.1 200 OK\r\n" if header else b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        for _ in range(100):
            to.wfile.write(b"X-A: b\r\n" if header else b"x")
            to.wfile.flush()
            time.sleep(0.05)

    return fault


@pytest.mark.parametrize("where", ["silence", "header", "body"])
def test_the_deadline_is_for_the_whole_answer_however_it_trickles(issuer: StubIssuer, where: str) -> None:
    issuer.faults = {"/x": (lambda to: time.sleep(1.5)) if where == "silence" else _drip(header=where == "header")}
    fetcher = Fetcher(seconds=0.3)
    with pytest.raises(FetchError, match="no answer in time"):
        fetcher.get(issuer.url + "/x")
    fetcher.close()


def test_an_answer_above_the_limit_is_not_read_to_its_end(issuer: StubIssuer, fetcher: Fetcher) -> None:
    def endless(to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            to.wfile.write(b"x" * 65_536)

    issuer.faults = {"/x": endless}
    with pytest.raises(FetchError, match="too large"):
        fetcher.get(issuer.url + "/x")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(issuer: StubIssuer, fetcher: Fetcher, status: int) -> None:
    issuer.faults = {"/x": replying(b"", status=status, headers={"Location": issuer.url + "/jwks"})}
    assert fetcher.get(issuer.url + "/x").status == status
    assert issuer.hits == {"/x": 1}


def test_proxies_of_the_environment_are_not_used(
    issuer: StubIssuer, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert fetcher.get(issuer.url + "/jwks").status == 200


def test_each_process_has_connections_of_its_own(
    issuer: StubIssuer, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetcher.get(issuer.url + "/jwks")
    mine, parent = fetcher._opened_pool(), os.getpid()
    assert fetcher._opened_pool() is mine
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    fetcher.get(issuer.url + "/jwks")
    assert fetcher._opened_pool() is not mine
    fetcher.close()
    monkeypatch.undo()
    assert fetcher._opened_pool() is mine


def test_a_compressed_answer_is_refused(issuer: StubIssuer, fetcher: Fetcher) -> None:
    issuer.faults = {"/x": replying(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})}
    with pytest.raises(FetchError, match="compressed"):
        fetcher.get(issuer.url + "/x")


def test_a_kept_connection_that_died_is_replaced(issuer: StubIssuer, fetcher: Fetcher) -> None:
    def hang_up_once(to: BaseHTTPRequestHandler) -> None:
        if issuer.hits["/x"] == 1:
            to.close_connection = True
        else:
            reply(to, {"ok": True})

    issuer.faults = {"/x": hang_up_once}
    assert fetcher.get(issuer.url + "/jwks").status == 200
    assert fetcher.get(issuer.url + "/x").body == b'{"ok": true}'


def test_a_closed_port_is_a_fetch_error(fetcher: Fetcher) -> None:
    with StubIssuer() as gone:
        url = gone.url
    with pytest.raises(FetchError):
        fetcher.get(url + "/jwks")


def test_a_name_that_does_not_resolve_is_a_fetch_error(fetcher: Fetcher) -> None:
    with pytest.raises(FetchError):
        fetcher.get("https://nowhere.example/jwks")


def _greet(to: BaseHTTPRequestHandler) -> None:
    to.wfile.write(b"220 mail ready\r\n")
    to.close_connection = True


def test_nonsense_instead_of_http_is_a_fetch_error(issuer: StubIssuer, fetcher: Fetcher) -> None:
    issuer.faults = {"/x": _greet}
    with pytest.raises(FetchError):
        fetcher.get(issuer.url + "/x")


@pytest.mark.parametrize(
    "url",
    ["https://as.example", "http://127.0.0.1:9000/x", "http://[::1]:9000", "http://localhost", "http://127.8.9.1"],
)
def test_https_and_plain_http_on_this_machine_may_be_fetched(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1.evil.test", "http://localhost.evil.test", "http://0.0.0.0", "http://10.0.0.1", "http://[::2]"],
)
def test_plain_http_elsewhere_may_not_be_fetched(url: str) -> None:
    with pytest.raises(ValueError):
        check_url(url)


def test_names_that_only_look_like_loopback_are_not() -> None:
    assert [
        name for name in ("localhost", "127.1.2.3", "::1", "127.1", "0x7f000001", "local") if is_loopback(name)
    ] == [
        "localhost",
        "127.1.2.3",
        "::1",
    ]

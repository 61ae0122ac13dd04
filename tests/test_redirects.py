"""Which redirect URI is the registered one, and what an origin is."""

import pytest

from authserver.records import Client
from authserver.redirects import matches_redirect_uri, origin_of

WEB, NATIVE = Client("web"), Client("native", application_type="native")
DOCUMENT = Client("https://app.test/client.json", origin="document")


# RFC 9700 2.1, 4.1.3: the comparison is of two strings


@pytest.mark.parametrize(
    "presented",
    [
        *("https://app.test/cb/", "https://app.test/CB", "https://app.test/cb/../cb", "https://app.test/cb%2f"),
        *("https://app.test//cb", "https://app.test:443/cb", "https://APP.test/cb", "https://app.test/cb?a=b"),
        *("https://app.test/cb?", "https://app.test/cb#", "https://app.test/cb#a", "https://app.test/cb;x"),
        *("https://app.test\\cb", "https://app.test/\tcb", "https://app.test/%63b", "https://\u0430pp.test/cb"),
        *(
            "HTTPS://app.test/cb",
            "http://app.test/cb",
            "https://app.test./cb",
            "https://app.test/cb ",
            " https://app.test/cb",
        ),
        *(
            "https://app.test.evil.test/cb",
            "https://appXtest/cb",
            "https://x.app.test/cb",
            "https://app.test@evil.test/cb",
        ),
        *("https://app.test/cb\n", "https://app.test", "//app.test/cb", "", "https://evil.test/cb?https://app.test/cb"),
    ],
)
def test_only_the_very_string_is_the_registered_uri(presented: str):
    client = Client("web", redirect_uris=("https://other.test/cb", "https://app.test/cb"))
    assert client.check_redirect_uri("https://app.test/cb")
    assert not client.check_redirect_uri(presented)


@pytest.mark.parametrize("registered", ["https://*.app.test/cb", "https://app.test/*", ".*", "https://app.test/cb.*"])
def test_no_pattern_is_a_pattern(registered: str):
    for presented in ("https://x.app.test/cb", "https://app.test/cb", "https://app.test/cbx", ".*x"):
        assert not matches_redirect_uri(registered, presented, WEB)


@pytest.mark.parametrize(
    "presented", ["com.app:cb", "com.app://cb", "com.app:///cb", "COM.APP:/cb", "com.app:/CB", "com.app:/cb/"]
)
def test_a_private_use_scheme_is_compared_exactly(presented: str):
    # RFC 8252 7.1
    assert matches_redirect_uri("com.app:/cb", "com.app:/cb", NATIVE)
    assert not matches_redirect_uri("com.app:/cb", presented, NATIVE)


# RFC 8252 7.3: any port of a loopback address


@pytest.mark.parametrize("client", [WEB, NATIVE, DOCUMENT], ids=["web", "native", "document"])
@pytest.mark.parametrize(
    "registered", ["http://127.0.0.1/cb", "http://127.0.0.1:8080/cb", "http://[::1]/cb", "http://[::1]:1/cb"]
)
def test_a_loopback_address_may_have_any_port(registered: str, client: Client):
    host = registered.removeprefix("http://").partition("/")[0]
    host = "[::1]" if host.startswith("[") else "127.0.0.1"
    for port in ("", ":1", ":80", ":51004", ":65535"):
        assert matches_redirect_uri(registered, f"http://{host}{port}/cb", client)


@pytest.mark.parametrize(
    "presented",
    [
        *(
            "http://localhost:1/cb",
            "http://[::1]/cb",
            "http://127.0.0.1.evil.test/cb",
            "http://127.1/cb",
            "http://0.0.0.0/cb",
        ),
        *(
            "http://127.0.0.2/cb",
            "http://127.0.0.1/other",
            "http://127.0.0.1/",
            "http://127.0.0.1",
            "https://127.0.0.1/cb",
        ),
        *("http://127.0.0.1:/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:080/cb", "http://127.0.0.1:65536/cb"),
        *("http://127.0.0.1:9999999/cb", "http://127.0.0.1:-1/cb", "http://127.0.0.1:+1/cb", "http://127.0.0.1:1 /cb"),
        *(
            "http://127.0.0.1:\u0661/cb",
            "http://127.0.0.1:x/cb",
            "http://127.0.0.1:1:1/cb",
            "http://127.0.0.1:80@evil.test/cb",
        ),
        *(
            "http://127.0.0.1@evil.test/cb",
            "http://a@127.0.0.1/cb",
            "http://127.0.0.1:1/cb/",
            "http://127.0.0.1:1/cb?a",
        ),
        *(
            "http://127.0.0.1:1/cb#a",
            "http://127.0.0.1:1\\cb",
            "http://127.0.0.1\\@evil.test/cb",
            "http://127.0.0.1:1/CB",
        ),
        *(
            "HTTP://127.0.0.1:1/cb",
            "http:/127.0.0.1:1/cb",
            "http://2130706433/cb",
            "http://0x7f.1/cb",
            "http://127.0.0.1?x:1/cb",
        ),
    ],
)
def test_nothing_but_the_port_of_that_very_address_may_differ(presented: str):
    for client in (WEB, NATIVE, DOCUMENT):
        assert not matches_redirect_uri("http://127.0.0.1/cb", presented, client)


def test_the_query_of_a_loopback_uri_is_part_of_the_comparison():
    assert matches_redirect_uri("http://127.0.0.1/cb?a=b", "http://127.0.0.1:5/cb?a=b", NATIVE)
    assert not matches_redirect_uri("http://127.0.0.1/cb?a=b", "http://127.0.0.1:5/cb?a=c", NATIVE)


def test_localhost_may_have_any_port_only_where_registered_without_one_for_an_app_on_the_device():
    for client, free in ((WEB, False), (NATIVE, True), (DOCUMENT, True)):
        assert matches_redirect_uri("http://localhost/cb", "http://localhost:5/cb", client) is free
        assert not matches_redirect_uri("http://localhost:8080/cb", "http://localhost:5/cb", client)
        assert not matches_redirect_uri("http://localhost:8080/cb", "http://localhost/cb", client)
        assert matches_redirect_uri("http://localhost:8080/cb", "http://localhost:8080/cb", client)
        for presented in ("http://127.0.0.1:5/cb", "http://localhost.evil.test:5/cb", "http://LOCALHOST:5/cb"):
            assert not matches_redirect_uri("http://localhost/cb", presented, client)


def test_another_http_host_has_no_free_port():
    assert not matches_redirect_uri("http://app.test/cb", "http://app.test:5/cb", NATIVE)


def test_https_on_loopback_has_no_free_port():
    assert not matches_redirect_uri("https://127.0.0.1/cb", "https://127.0.0.1:5/cb", NATIVE)


# Origins (RFC 6454)


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("https://app.test/a/b?c#d", "https://app.test"),
        ("https://app.test:8443/a", "https://app.test:8443"),
        ("https://app.test:443/a", "https://app.test"),
        ("http://app.test:80/a", "http://app.test"),
        ("http://app.test:443/a", "http://app.test:443"),
        ("http://[::1]:80/a", "http://[::1]"),
        ("http://[::80]/a", "http://[::80]"),
        ("com.app:/cb", "com.app:"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(uri: str, origin: str):
    assert origin_of(uri) == origin

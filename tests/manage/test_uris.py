"""Which URIs may be registered (RFC 6749 3.1.2, RFC 8252 7, RFC 9700 2.1)."""

import pytest

from authserver.manage import uris

GOOD_REDIRECTS = [
    "https://client.example/cb",
    "https://client.example:8443/cb?tenant=1",
    "https://client.example",
    "http://localhost/cb",
    "http://localhost:3000/cb",
    "http://127.0.0.1:8080/",
    "http://[::1]/cb",
    "com.example.app:/oauth2redirect",
    "com.example.app://callback",
    "https://[2606:4700::1]/cb",
]
BAD_REDIRECTS = [
    "",
    "/cb",
    "client.example/cb",
    "https://client.example/cb#",
    "https://client.example/cb#fragment",
    "https://user@client.example/cb",
    "https://user:pw@client.example/cb",
    "https://client.example@evil.test/cb",
    "http://client.example/cb",
    "http://localhost.evil.test/cb",
    "http://127.0.0.1.evil.test/cb",
    "http://0x7f.1/cb",
    "http://2130706433/cb",
    "https://127.1/cb",
    "https://10.0.0.1/cb",
    "https://192.168.1.1/cb",
    "https://169.254.169.254/",
    "https://[fe80::1]/cb",
    "https://[::ffff:10.0.0.1]/cb",
    "https://*.client.example/cb",
    "https://client.example/*",
    "https://",
    "https:///cb",
    "https:client.example",
    "https://client.example:0/cb",
    "https://client.example:99999/cb",
    "https://client.example:/cb",
    "https://client..example/cb",
    "https://client.example/a b",
    "https://client.example/\\evil",
    "https://client.example/%zz",
    "https://client.example/\n",
    "https://client.example/\x00",
    "https://clïent.example/cb",
    "https://client.example%2f@evil.test/cb",
    "https://client%2eexample/cb",
    "javascript:alert(1)",
    "JavaScript:alert(1)//.example",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "about:blank",
    "blob:https://client.example/x",
    "ftp://client.example/",
    "ws://client.example/",
    "myapp:/cb",
    "myapp://cb",
    "https://client.example/cb?code=1",
    "https://client.example/cb?state=",
    "https://client.example/cb?iss=x",
    "https://client.example/cb?x=1&error=y",
    "https://client.example/cb?response=y",
    "https://client.example/" + "a" * 2048,
    None,
    1,
    ["https://client.example/cb"],
    {"": ""},
]


@pytest.mark.parametrize("uri", GOOD_REDIRECTS)
def test_good_redirect_uris_are_taken(uri: str):
    assert uris.redirect_uri(uri) is None


@pytest.mark.parametrize("uri", BAD_REDIRECTS, ids=repr)
def test_bad_redirect_uris_are_refused_with_a_sentence(uri: object):
    problem = uris.redirect_uri(uri)
    assert problem
    assert str(uri) not in problem or uri == ""


@pytest.mark.parametrize("uri", [uri for uri in BAD_REDIRECTS if "?" not in str(uri)], ids=repr)
def test_post_logout_redirect_uris_follow_the_same_rules(uri: object):
    assert uris.post_logout_redirect_uri(uri)


def test_post_logout_redirect_uris_may_have_any_query():
    assert uris.post_logout_redirect_uri("https://client.example/bye?state=1") is None


@pytest.mark.parametrize("uri", ["https://client.example", "http://localhost:3000", "http://127.0.0.1:8080"])
def test_origins_are_scheme_host_and_port(uri: str):
    assert uris.origin(uri) is None


@pytest.mark.parametrize(
    "uri",
    [
        "https://client.example/",
        "https://client.example/x",
        "https://Client.example",
        "https://client.example:443",
        "http://localhost:80",
        "http://client.example",
        "null",
        "*",
        "https://*.client.example",
        "com.example.app:",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(uri: str):
    assert uris.origin(uri)


@pytest.mark.parametrize("uri", ["http://client.example/start", "javascript:x", "http://localhost/x"])
def test_a_login_initiation_uri_must_be_https(uri: str):
    assert uris.https(uri)


@pytest.mark.parametrize("uri", ["https://api.example/", "urn:example:api", "http://localhost:9001/notes"])
def test_absolute_uris_without_fragment_are_resource_identifiers(uri: str):
    assert uris.identifier(uri) is None


@pytest.mark.parametrize("uri", ["api", "https://api.example/#x", "https://u@api.example/", "data:x", "", None, 7])
def test_other_texts_are_no_resource_identifiers(uri: object):
    assert uris.identifier(uri)

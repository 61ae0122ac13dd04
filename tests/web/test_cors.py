"""Cross-origin requests of browser-based clients (DECISIONS, Redirects and cross-origin)."""

import httpx2
import pytest

from authserver import registry
from pytest_authserver import AuthServer, RegisteredClient

ANYBODY = "https://anybody.test"
PUBLIC = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks"]
REGISTERED = ["/token", "/revoke", "/userinfo"]
NEVER = ["/introspect", "/authorize", "/login", "/consent", "/logout", "/account", "/logged-out"]


@pytest.fixture
def spa(authserver: AuthServer) -> RegisteredClient:
    """An application in a browser: its redirect URI and one more origin are registered."""
    return authserver.public_client(redirect_uris=["https://spa.test/cb"], web_origins=["https://other.spa.test:8443"])


def _ask(authserver: AuthServer, method: str, path: str, origin: str | None, **headers: str) -> httpx2.Response:
    with authserver.http() as http:
        return http.request(method, path, headers={**({"Origin": origin} if origin else {}), **headers})


def _cors(answer: httpx2.Response) -> set[str]:
    return {name for name in answer.headers if name.startswith("access-control-")}


def _preflight(authserver: AuthServer, path: str, origin: str) -> httpx2.Response:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,dpop",
    }
    return _ask(authserver, "OPTIONS", path, origin, **asked)


@pytest.mark.parametrize("path", PUBLIC)
@pytest.mark.parametrize("origin", [ANYBODY, "null", None])
def test_what_is_public_may_be_read_from_everywhere(authserver: AuthServer, path: str, origin: str | None):
    answer = _ask(authserver, "GET", path, origin)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", REGISTERED)
@pytest.mark.parametrize("origin", ["https://spa.test", "https://other.spa.test:8443"])
def test_a_registered_origin_reads_answers_and_errors(
    authserver: AuthServer, spa: RegisteredClient, path: str, origin: str
):
    answer = _ask(authserver, "POST", path, origin, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code >= 400, "an error answer carries the headers, too"
    assert answer.headers["access-control-allow-origin"] == origin
    assert "Origin" in answer.headers["vary"]
    assert answer.headers["access-control-expose-headers"] == "DPoP-Nonce, WWW-Authenticate"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", REGISTERED)
@pytest.mark.parametrize(
    "origin",
    [
        ANYBODY,
        "null",
        "",
        "*",
        "http://spa.test",
        "https://spa.test:443",
        "https://SPA.test",
        "https://spa.test/",
        "https://spa.test.evil.test",
        "https://evil-spa.test",
        "https://spa.test https://evil.test",
        "https://spa.test\x00",
    ],
)
def test_a_stranger_reads_nothing_and_caches_know_that_origins_differ(
    authserver: AuthServer, spa: RegisteredClient, path: str, origin: str
):
    answer = _ask(authserver, "POST", path, origin)
    assert _cors(answer) == set()
    assert "Origin" in answer.headers["vary"]
    assert _cors(_preflight(authserver, path, origin)) == set()


@pytest.mark.parametrize("path", REGISTERED)
def test_a_preflight_is_answered_without_authentication(authserver: AuthServer, spa: RegisteredClient, path: str):
    answer = _preflight(authserver, path, "https://spa.test")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "https://spa.test"
    assert {"GET", "POST"} == set(answer.headers["access-control-allow-methods"].split(", "))
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "dpop"} == set(allowed)
    assert int(answer.headers["access-control-max-age"]) > 0


@pytest.mark.parametrize("path", NEVER)
@pytest.mark.parametrize("origin", ["https://spa.test", "null", ANYBODY])
def test_pages_and_introspection_are_for_no_other_origin(
    authserver: AuthServer, spa: RegisteredClient, path: str, origin: str
):
    for method in ("GET", "POST", "OPTIONS"):
        assert _cors(_ask(authserver, method, path, origin)) == set()


def test_every_endpoint_is_decided_upon():
    names = {name for name, *_ in registry.ENDPOINTS}
    none = {"introspection", "client_configuration", "revocation_events", "backchannel_authentication", "management"}
    none |= {"client_logo"}  # a picture for our own pages
    assert names == registry.CORS_ANY | registry.CORS_REGISTERED | none


def test_the_origins_of_a_client_that_is_switched_off_count_no_more(authserver: AuthServer, spa: RegisteredClient):
    from authserver.manage import clients

    assert _cors(_ask(authserver, "POST", "/token", "https://spa.test"))
    clients.set_disabled(authserver.store, spa.client_id, disabled=True, actor="test")
    with authserver.later(10):
        assert _cors(_ask(authserver, "POST", "/token", "https://spa.test")) == set()


def test_an_application_in_a_browser_walks_the_whole_flow_across_origins(authserver: AuthServer, spa: RegisteredClient):
    tokens = authserver.tokens(spa, authserver.user("bob"))
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer = _ask(authserver, "GET", "/userinfo", "https://spa.test", **bearer)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://spa.test"

"""From HTTP to the protocol and back: headers, request ids, paths, counters, failures."""

from pathlib import Path

import pytest

from authserver.web import metrics
from authserver.web.gateway import STATUS
from pytest_authserver import AuthServer, RegisteredClient

SECURITY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def test_every_answer_of_the_protocol_carries_the_headers_of_security(authserver: AuthServer):
    for path in ("/jwks", "/userinfo", "/token", "/.well-known/openid-configuration"):
        answer = authserver.get(path)
        for name, value in SECURITY.items():
            assert answer.headers[name] == value, (path, name)
        assert len(answer.headers.get_list("x-request-id")) == 1


def test_strict_transport_security_is_sent_where_the_issuer_is_https(tmp_path: Path):
    server = AuthServer(tmp_path, issuer="https://as.example.test", development=False)
    for path in ("/jwks", "/login", "/token"):
        assert "max-age=" in server.get(path).headers["strict-transport-security"]
    server.close()


@pytest.mark.parametrize("sent", ["abc-123", "a" * 64])
def test_a_plain_request_id_is_taken_over(authserver: AuthServer, sent: str):
    for path in ("/jwks", "/login"):
        assert authserver.get(path, **{"X-Request-ID": sent}).headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", ["", "a" * 65, "a b", "a\tb", "<script>", "a;b", "a\x7f"])
def test_any_other_request_id_is_replaced(authserver: AuthServer, sent: str):
    for path in ("/jwks", "/login"):
        made = authserver.get(path, **{"X-Request-ID": sent}).headers["x-request-id"]
        assert made != sent
        assert made.isalnum()


def test_paths_match_exactly(authserver: AuthServer):
    for path in ("/token/", "/Token", "//token", "/token/x", "/jwks.json", "/.well-known/openid-configuration/"):
        assert authserver.get(path).status_code == 404, path


def test_an_issuer_with_a_path_serves_everything_below_it(tmp_path: Path):
    server = AuthServer(tmp_path, issuer="http://localhost:9000/tenant/one")
    user, client = server.user(), server.client(trusted=True)
    for path in ("/token", "/login", "/authorize", "/jwks", "/tenant", "/tenant/onetoken", "/tenant/on/login"):
        assert server.get(f"http://localhost:9000{path}").status_code == 404, path
    page = server.browser(user).authorize(server.request(client, server.pkce()))
    assert "code" in page.callback
    page = server.browser().authorize(server.request(client, server.pkce()), username="alice", password="wrong")
    assert page.url.startswith("http://localhost:9000/tenant/one/login")
    server.close()


def test_the_quick_case_and_the_pages_answer_the_same(authserver: AuthServer, client: RegisteredClient):
    user, trusted = authserver.user("bob"), authserver.client(trusted=True)
    browser = authserver.browser(user)
    request = authserver.request(trusted, authserver.pkce())
    quick = browser.visit_request(request)
    slow = browser.visit_request({**request, "prompt": "none"})
    assert "code" in quick.callback
    assert quick.callback.keys() == slow.callback.keys()
    assert quick.status == slow.status
    for answer in (quick, slow):
        assert answer.headers["location"].partition("code=")[0] == request["redirect_uri"] + "?"
        assert {"cache-control", "referrer-policy", "x-request-id"} <= answer.headers.keys()


@pytest.mark.parametrize("silent", [{}, {"prompt": "none"}], ids=["quick", "prompt=none"])
def test_who_is_signed_in_is_asked_once_for_a_request(
    authserver: AuthServer, monkeypatch: pytest.MonkeyPatch, silent: dict[str, str]
):
    browser, trusted = authserver.browser(authserver.user("bob")), authserver.client(trusted=True)
    sessions, asked = authserver.store.sessions, []
    read = sessions.of_browser
    monkeypatch.setattr(sessions, "of_browser", lambda *given: asked.append(given) or read(*given))
    page = browser.visit_request(authserver.request(trusted, authserver.pkce(), **silent))
    assert "code" in page.callback
    assert len(asked) == 1


def test_nothing_comes_from_the_host_header(authserver: AuthServer, client: RegisteredClient):
    for host in ("evil.test", "", "a" * 300, "\x7f", "localhost:9000@evil.test", "[", "evil.test:99999"):
        for path in ("/login", "/x", "/.well-known/openid-configuration", "/logged-out"):
            answer = authserver.get(path, Host=host)
            assert answer.status_code in {200, 404}
            assert "evil.test" not in answer.text + str(answer.headers)


def test_answers_are_counted_by_endpoint_and_status(authserver: AuthServer):
    before = metrics.counts()
    authserver.post("/token")
    authserver.get("/jwks")
    authserver.get("/login")
    after = metrics.counts()
    for key in (("token", 401), ("jwks", 200), ("page", 200)):
        assert after[key] == before.get(key, 0) + 1


def test_an_unexpected_failure_is_told_without_a_word_of_it(
    authserver: AuthServer, client: RegisteredClient, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(authserver.store.tokens, "add", fail)
    answer = authserver.token(client, grant_type="client_credentials")
    answer = (
        answer
        if answer.status_code == 500
        else authserver.redeem(client, authserver.allow(client, authserver.user("b")))
    )
    assert answer.status_code == 500
    assert answer.json()["error"] == "server_error"
    assert "inside" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_every_status_that_is_answered_has_its_words():
    for status, line in STATUS.items():
        assert line.startswith(f"{status} ")

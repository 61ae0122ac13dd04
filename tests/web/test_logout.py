from typing import Any
from urllib.parse import urlsplit

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Browser, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.web.walking import start

BACK = "https://client.test/bye"


@pytest.fixture
def client(authserver: AuthServer) -> RegisteredClient:
    return authserver.client(client_name="Holiday Photos", trusted=True, post_logout_redirect_uris=[BACK])


@pytest.fixture
def tokens(authserver: AuthServer, client: RegisteredClient, signed_in: Browser) -> dict[str, Any]:
    """The token response of a sign-in to the application in the browser ``signed_in``."""
    pkce = authserver.pkce()
    request = authserver.request(client, pkce)
    code = start(signed_in, request).callback["code"]
    answer = authserver.token(
        client,
        grant_type="authorization_code",
        code=code,
        redirect_uri=client.redirect_uri,
        code_verifier=pkce.verifier,
    )
    tokens: dict[str, Any] = answer.json()
    return tokens


def _is_signed_in(browser: Browser) -> bool:
    return browser.visit("/account").url.endswith("/account")


def test_signing_out_asks_first_and_then_ends_it(signed_in: Browser) -> None:
    page = signed_in.visit("/logout")
    assert "alice" in page.text
    assert _is_signed_in(signed_in)
    done = signed_in.submit(page, "logout-confirm")
    assert done.url.endswith("/logged-out")
    assert not _is_signed_in(signed_in)


def test_a_proven_request_ends_the_session_and_returns_to_the_client(
    signed_in: Browser, tokens: dict[str, Any]
) -> None:
    query = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BACK, "state": "a b&c"}
    response = signed_in.http.get("/logout", params=query)
    assert (response.status_code, response.headers["location"]) == (303, f"{BACK}?state=a%20b%26c")
    assert not _is_signed_in(signed_in)


def test_the_same_by_post_goes_over_a_get_of_ours(signed_in: Browser, tokens: dict[str, Any]) -> None:
    data = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BACK}
    response = signed_in.http.post("/logout", data=data, headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 303
    assert response.headers["location"].startswith("/logout?posted=")
    assert tokens["id_token"] not in response.headers["location"]
    assert signed_in.visit(response.headers["location"]).location == BACK


@pytest.mark.parametrize(
    "query", ["", "?client_id=x", f"?post_logout_redirect_uri={BACK}", "?state=x&logout_hint=alice"]
)
def test_without_a_hint_nothing_ends_by_get_alone_and_nobody_is_sent_on(signed_in: Browser, query: str) -> None:
    page = signed_in.visit("/logout" + query)
    assert page.location is None
    assert "logout-confirm" in page.text
    assert signed_in.submit(page, "logout-confirm").location is None


def test_a_post_from_elsewhere_ends_nothing(signed_in: Browser) -> None:
    form = signed_in.visit("/logout").form("logout-confirm")
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.test"}):
        assert signed_in.http.post("/logout/confirm", data=form.fields, headers=headers).status_code == 403
    assert signed_in.http.post("/logout/confirm", data={}).status_code == 403
    assert signed_in.http.post("/logout", data={"state": "x"}).status_code == 303
    assert _is_signed_in(signed_in)


@pytest.mark.parametrize(
    "changes",
    [
        {"id_token_hint": "x.y.z"},
        {"id_token_hint": ""},
        {"post_logout_redirect_uri": BACK + "?a=1"},
        {"post_logout_redirect_uri": "https://evil.test/"},
        {"client_id": "other"},
    ],
)
def test_a_request_that_is_not_proven_goes_nowhere(
    signed_in: Browser, tokens: dict[str, Any], changes: dict[str, str]
) -> None:
    query = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BACK, **changes}
    response = signed_in.http.get("/logout", params=query)
    assert "location" not in response.headers
    assert _is_signed_in(signed_in)


def test_a_hint_about_somebody_else_asks_first(
    authserver: AuthServer, client: RegisteredClient, signed_in: Browser
) -> None:
    bob = authserver.user("bob")
    hint = authserver.tokens(client, bob)["id_token"]
    page = signed_in.visit(f"/logout?id_token_hint={hint}&post_logout_redirect_uri={BACK}")
    assert page.location is None
    assert "logout-confirm" in page.text
    assert _is_signed_in(signed_in)


def test_after_logout_everything_of_the_session_is_dead(
    authserver: AuthServer, alice: User, client: RegisteredClient, signed_in: Browser, tokens: dict[str, Any]
) -> None:
    """Back button, old cookie, old form, refresh token, prompt=none."""
    page, old = signed_in.visit("/account/security"), signed_in.http.cookies["authserver"]
    form = page.form("password-submit")
    signed_in.submit(signed_in.visit("/logout"), "logout-confirm")
    assert signed_in.http.cookies["authserver"] != old
    for cookie in (old, signed_in.http.cookies["authserver"]):
        headers = {"Cookie": f"authserver={cookie}"}
        assert authserver.http().get("/account", headers=headers).headers["location"] == "/login"
        data = {**form.fields, "current": PASSWORD, "new": "x" * 20, "repeat": "x" * 20}
        refused = authserver.http().post("/account/security", data=data, headers=headers)
        assert (refused.status_code, urlsplit(refused.headers["location"]).path) == (303, "/login")
    assert authserver.refresh(client, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    silent = start(signed_in, authserver.request(client, authserver.pkce(), prompt="none"))
    assert silent.callback["error"] == "login_required"
    assert page.headers["cache-control"] == "no-store"


def test_signing_out_twice_is_no_error(signed_in: Browser, authserver: AuthServer) -> None:
    page = signed_in.visit("/logout")
    signed_in.submit(page, "logout-confirm")
    assert signed_in.submit(page, "logout-confirm").url.endswith("/logged-out")
    assert authserver.browser().visit("/logout").url.endswith("/logged-out")


def test_all_accounts_of_the_browser_are_named_and_ended(authserver: AuthServer, signed_in: Browser) -> None:
    authserver.user("bob")
    client = authserver.client()
    page = start(signed_in, authserver.request(client, authserver.pkce(), prompt="login"))
    signed_in.log_in(page, "bob", PASSWORD)
    page = signed_in.visit("/logout")
    assert "alice" in page.text
    assert "bob" in page.text
    signed_in.submit(page, "logout-confirm")
    assert not _is_signed_in(signed_in)


@pytest.mark.parametrize("query", ["?state=%ff", "?state=1&state=2", "?client_id=a&client_id=b"])
def test_a_malformed_request_is_a_page(signed_in: Browser, query: str) -> None:
    page = signed_in.visit("/logout" + query)
    assert (page.status, page.error_code) == (400, "invalid_request")


def test_a_posted_request_over_the_limits_is_a_page(signed_in: Browser) -> None:
    assert signed_in.http.post("/logout", data={"state": "x" * 70_000}).status_code == 413
    assert signed_in.http.post("/logout", json={}).status_code == 400

"""The story of an old application: RFC 6749 as written in 2012, profile ``legacy``, without PKCE (RFC 9700 2.1.1)."""

import secrets
from urllib.parse import parse_qsl, urlsplit

import pytest

from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.world import assert_refused, assert_sent_back


class OldApplication:
    """A client that protects its redirect URI with a state in its user's session, and with nothing else."""

    def __init__(self, authserver: AuthServer) -> None:
        self.authserver = authserver
        self.client: RegisteredClient = authserver.client(
            profile="legacy",
            client_name="Old application",
            redirect_uris=["https://old.test/callback"],
            grant_types=["authorization_code", "refresh_token"],
            scope="profile api:read",
        )
        self.states: dict[str, str] = {}  # its user's session → the state that it sent away with

    def start(self, session: str) -> dict[str, str]:
        """Return the authorization request for a user's session (RFC 6749 4.1.1)."""
        self.states[session] = secrets.token_urlsafe(16)
        return {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": "https://old.test/callback",
            "scope": "profile",
            "state": self.states[session],
        }

    def callback(self, session: str, page: Page) -> str | None:
        """Return the code, or None when the answer is not to a request of this session (10.12)."""
        assert page.location is not None
        answer = dict(parse_qsl(urlsplit(page.location).query))
        return answer["code"] if self.states.pop(session, None) == answer["state"] else None

    def redeem(self, code: str | None, **changes: str | None) -> dict[str, str | None]:
        """Return the token request (4.1.3)."""
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": "https://old.test/callback",
            **changes,
        }


@pytest.fixture
def old(authserver: AuthServer) -> OldApplication:
    authserver.user("alice")
    authserver.user("mallory")
    return OldApplication(authserver)


def _walk(authserver: AuthServer, request: dict[str, str], username: str = "alice") -> Page:
    return authserver.browser().authorize(request, username=username, password=PASSWORD)


def test_the_secret_may_be_sent_by_basic(authserver: AuthServer, old: OldApplication) -> None:
    code = old.callback("alice's", _walk(authserver, old.start("alice's")))
    answer = authserver.token(old.client, **old.redeem(code))
    assert answer.status_code == 200
    tokens = answer.json()
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 600, "profile")
    assert "id_token" not in tokens
    fresh = authserver.refresh(old.client, tokens["refresh_token"]).json()
    assert authserver.introspect(old.client, fresh["access_token"])["active"]


def test_the_secret_may_be_sent_in_the_body(authserver: AuthServer, old: OldApplication) -> None:
    code = old.callback("alice's", _walk(authserver, old.start("alice's")))
    in_body = {"client_id": old.client.client_id, "client_secret": old.client.client_secret}
    tokens = authserver.post("/token", **old.redeem(code), **in_body).json()
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **in_body}
    assert authserver.post("/token", **refresh).status_code == 200


def test_without_the_secret_the_code_is_worth_nothing(authserver: AuthServer, old: OldApplication) -> None:
    code = old.callback("alice's", _walk(authserver, old.start("alice's")))
    answer = authserver.post("/token", **old.redeem(code), client_id=old.client.client_id)
    assert_refused(answer, "invalid_client", 401)
    assert authserver.token(old.client, **old.redeem(code)).status_code == 200


def test_the_state_keeps_a_foreign_code_out_of_a_users_session(authserver: AuthServer, old: OldApplication) -> None:
    # RFC 6749 10.12: Mallory makes Alice's browser open the answer to Mallory's own request.
    old.start("alice's")
    page = _walk(authserver, old.start("mallory's"), "mallory")
    assert old.callback("alice's", page) is None


def test_the_state_comes_back_unchanged_whatever_it_is(authserver: AuthServer, old: OldApplication) -> None:
    for state in ("a=b&c=d", "+ /?#%25", "\N{SNOWMAN}", "x" * 1000):
        page = _walk(authserver, {**old.start("alice's"), "state": state})
        assert page.callback["state"] == state


def test_the_redirect_uri_is_compulsory_at_the_token_endpoint(authserver: AuthServer, old: OldApplication) -> None:
    code = old.callback("alice's", _walk(authserver, old.start("alice's")))
    assert_refused(authserver.token(old.client, **old.redeem(code, redirect_uri=None)), "invalid_grant")
    assert_refused(authserver.token(old.client, **old.redeem(code)), "invalid_grant")


def test_a_verifier_out_of_the_blue_is_refused(authserver: AuthServer, old: OldApplication) -> None:
    code = old.callback("alice's", _walk(authserver, old.start("alice's")))
    assert_refused(authserver.token(old.client, **old.redeem(code, code_verifier="a" * 43)), "invalid_grant")


def test_it_may_use_pkce_and_is_then_held_to_it(authserver: AuthServer, old: OldApplication) -> None:
    pkce = authserver.pkce()
    proof = {"code_challenge": pkce.challenge, "code_challenge_method": "S256"}
    code = old.callback("alice's", _walk(authserver, {**old.start("alice's"), **proof}))
    assert_refused(authserver.token(old.client, **old.redeem(code)), "invalid_grant")
    code = old.callback("alice's", _walk(authserver, {**old.start("alice's"), **proof}))
    assert authserver.token(old.client, **old.redeem(code, code_verifier=pkce.verifier)).status_code == 200


def test_a_refusal_and_a_mistake_are_told_by_redirect(authserver: AuthServer, old: OldApplication) -> None:
    authserver.resource("https://api.test/", "api:write")
    browser: Browser = authserver.browser()
    request = old.start("alice's")
    page = browser.log_in(browser.visit_request(request), "alice", PASSWORD)
    assert_sent_back(browser.deny(page), "access_denied", old.client, state=request["state"])
    for change, error in (
        ({"scope": "api:write"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ""}, "invalid_request"),
    ):
        page = browser.visit_request({**old.start("alice's"), **change})
        assert_sent_back(page, error, old.client, state=old.states["alice's"])


def test_the_password_grant_does_not_exist_even_here(authserver: AuthServer, old: OldApplication) -> None:
    sent = {"grant_type": "password", "username": "alice", "password": PASSWORD}
    assert_refused(authserver.token(old.client, **sent), "unsupported_grant_type")


def test_a_second_use_of_the_code_ends_everything(authserver: AuthServer, old: OldApplication) -> None:
    code = old.callback("alice's", _walk(authserver, old.start("alice's")))
    tokens = authserver.token(old.client, **old.redeem(code)).json()
    assert_refused(authserver.token(old.client, **old.redeem(code)), "invalid_grant")
    assert authserver.introspect(old.client, tokens["access_token"]) == {"active": False}
    assert_refused(authserver.refresh(old.client, tokens["refresh_token"]), "invalid_grant")

"""Step-up from end to end (RFC 9470): the examples of docs/second-factor.md, and the way that they describe."""

import pytest

from pytest_authserver import AuthServer, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests import documented
from tests.authenticator import Authenticator, enrol

PAGE = "second-factor.md"
API = "https://notes.example/"


@pytest.fixture
def client(live_authserver: AuthServer) -> RegisteredClient:
    live_authserver.resource(API, "notes:write")
    return live_authserver.client(
        redirect_uris=["https://client.example/callback"], scope="openid notes:write", trusted=True
    )


@pytest.fixture
def app(live_authserver: AuthServer, client: RegisteredClient) -> Authenticator:
    """The app of alice, set up in one browser; she is signed in by the password alone in another."""
    live_authserver.user("alice")
    browser = live_authserver.browser()
    browser.log_in(browser.visit("/login"), "alice", PASSWORD)
    return enrol(live_authserver, browser)


def _call(at: AuthServer, token: str) -> str:
    """Call the API of the page with a token; return what it prints."""
    api = at.client(resource_server_for=[API], grant_types=["client_credentials"], redirect_uris=None, scope=None)
    environment = {"ISSUER": at.issuer, "API_CLIENT_ID": api.client_id, "API_CLIENT_SECRET": api.client_secret}
    return documented.run_python(documented.blocks(PAGE, "python")[0], TOKEN=token, **environment)


def test_the_challenge_leads_to_a_second_factor_and_back(
    live_authserver: AuthServer, client: RegisteredClient, app: Authenticator
):
    at = live_authserver
    alice = at.store.users.by_login("alice")
    assert alice is not None
    weak = at.tokens(client, alice, scope="openid notes:write", resource=API)["access_token"]
    challenge = _call(at, weak)
    assert challenge.startswith('Bearer error="insufficient_user_authentication"')

    environment = {"ISSUER": at.issuer, "CLIENT_ID": client.client_id, "CHALLENGE": challenge}
    source = documented.blocks(PAGE, "python")[1]
    address, verifier = documented.run_python(source + "\nprint(verifier)", **environment).splitlines()
    browser = at.browser(alice)
    page = browser.submit(browser.visit(address), "second-factor-submit", code=app.code())
    strong = at.token(
        client,
        grant_type="authorization_code",
        code=page.callback["code"],
        redirect_uri="https://client.example/callback",
        code_verifier=verifier,
        resource=API,
    ).json()["access_token"]
    assert _call(at, strong) == "removed after a sign-in by urn:authserver:mfa"
    # What was proven later does not make the earlier token stronger.
    assert _call(at, weak) == challenge

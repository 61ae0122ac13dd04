"""Session OP: a page of the client asks a frame of the provider whether those are still signed in who were."""

from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests.listener import says, tls
from tests.openid.conftest import DEPLOYED
from tests.openid.deployed import Deployed
from tests.openid.party import Party, Variant
from tests.servers.fixtures import NewPage

if TYPE_CHECKING:
    from playwright.sync_api import Page

# The client's page: a frame of the provider, and a question to it whenever the test asks.
_ASKING = """<!doctype html><html lang="en"><title>Client</title><iframe id="op" src="{frame}"></iframe><script>
const frame = document.getElementById("op");
const loaded = new Promise((done) => frame.addEventListener("load", done, {{once: true}}));
const ask = (text) => new Promise((done) => {{
  setTimeout(done, 10000, ["nothing", ""]);
  addEventListener("message", (event) => done([event.data, event.origin]), {{once: true}});
  loaded.then(() => frame.contentWindow.postMessage(text, "{issuer}"));
}});
</script></html>"""


@pytest.fixture(scope="module")
def party(provider: AuthServer) -> Party:
    return Party(provider, Variant())


@pytest.fixture
def site(provider: Deployed) -> Iterator[str]:
    """Where the client's page is, whatever the path: at a port of the same host.

    Browsers show a frame no cookie where its page is of another site, and then it says ``error``.
    """
    frame = provider.get("/.well-known/openid-configuration").json()["check_session_iframe"]
    page = _ASKING.format(frame=frame, issuer=provider.issuer).encode()
    with tls("server.pem", says(page, "200 OK", "Content-Type: text/html")) as listener:
        origin = f"https://localhost:{listener.port}"
        provider.neighbours.add(origin)
        yield origin


# OIDCCSessionManagementDiscoveryEndpointVerification
def test_discovery_names_the_frame_and_where_a_session_ends(provider: AuthServer):
    document = provider.get("/.well-known/openid-configuration").json()
    for name in ("check_session_iframe", "end_session_endpoint"):
        assert document[name].startswith(f"{provider.issuer}/")


def test_an_answer_has_the_state_of_the_session_and_an_error_has_none(party: Party, berta: User):
    state = party.sign_in(party.browser(berta)).answer["session_state"]
    digest, _, salt = state.partition(".")
    assert len(digest) == len(sha256().hexdigest())
    assert salt
    assert "session_state" not in party.answer(party.ask(party.browser(), prompt="none"))


# OIDCCSessionManagementRpInitiatedLogout
@pytest.mark.parametrize("provider", [DEPLOYED], indirect=True, scope="session")
def test_the_frame_says_unchanged_before_a_logout_and_changed_after_it(
    provider: Deployed, berta: User, site: str, new_page: NewPage
):
    party = Party(provider, Variant(), redirect_uris=[f"{site}/callback"], post_logout_redirect_uris=[f"{site}/bye"])
    page = new_page(ignore_https_errors=True)
    answer = party.sign_in_on(page, berta)
    asked = f"{party.client.client_id} {answer['session_state']}"
    assert _ask(page, asked) == ["unchanged", provider.issuer]
    # Of another client, or of nobody (3.2).
    assert _ask(page, f"other {answer['session_state']}") == ["changed", provider.issuer]
    assert _ask(page, "rubbish") == ["error", provider.issuer]

    hint = party.redeem(answer).json()["id_token"]
    end = {"id_token_hint": hint, "post_logout_redirect_uri": f"{site}/bye", "state": "s"}
    page.goto(f"{provider.issuer}/logout?{urlencode(end)}")
    page.wait_for_url(f"{site}/bye?state=s")
    assert _ask(page, asked) == ["changed", provider.issuer]


def _ask(page: "Page", text: str) -> list[str]:
    answer: list[str] = page.evaluate("ask", text)
    return answer

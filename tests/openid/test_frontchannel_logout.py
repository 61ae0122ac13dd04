"""Front-Channel OP: the page after a logout loads the client's address in a frame, and goes on."""

import re
from html import unescape
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests.listener import says, tls
from tests.openid.conftest import DEPLOYED
from tests.openid.party import INTERACTION, Party, Variant
from tests.servers.fixtures import NewPage

BACK = "https://client.test/bye"
PLACE = "https://client.test/frontchannel?x=1"


# OIDCCFrontChannelLogoutDiscoveryEndpointVerification


def test_discovery_says_that_it_is_supported_with_sessions(provider: AuthServer):
    document = provider.get("/.well-known/openid-configuration").json()
    assert document["frontchannel_logout_supported"] is True
    assert document["frontchannel_logout_session_supported"] is True


# OIDCCFrontChannelRpInitiatedLogout


def test_the_page_loads_the_address_with_issuer_and_session_and_goes_on(provider: AuthServer, berta: User):
    party = Party(
        provider,
        Variant(),
        post_logout_redirect_uris=[BACK],
        frontchannel_logout_uri=PLACE,
        frontchannel_logout_session_required=True,
    )
    assert party.registration["frontchannel_logout_uri"] == PLACE
    browser = provider.browser(berta)
    signed = party.sign_in(browser)
    query = {"id_token_hint": signed.tokens["id_token"], "post_logout_redirect_uri": BACK, "state": "s"}
    page = browser.visit(f"/logout?{urlencode(query)}")
    assert page.status == 200
    (frame,) = [unescape(source) for source in re.findall(r'<iframe src="([^"]+)"', page.text)]
    assert frame.startswith(PLACE + "&")
    told = dict(parse_qsl(urlsplit(frame).query))
    assert told == {"x": "1", "iss": provider.issuer, "sid": signed.claims["sid"]}
    assert "frame-src https://client.test" in page.headers["content-security-policy"].split("; ")
    # Where it goes on to, by a script and without one.
    assert f'id="logout-continue" href="{BACK}?state=s"' in page.text
    assert party.error(party.ask(browser, prompt="none")) in INTERACTION


@pytest.mark.parametrize("provider", [DEPLOYED], indirect=True, scope="session")
def test_a_browser_tells_the_client_and_comes_back_to_it(provider: AuthServer, berta: User, new_page: NewPage):
    with tls("server.pem", says(b"here", "200 OK", "Content-Type: text/html")) as listener:
        site = f"https://127.0.0.1:{listener.port}"
        party = Party(
            provider,
            Variant(),
            redirect_uris=[f"{site}/callback"],
            post_logout_redirect_uris=[f"{site}/bye"],
            frontchannel_logout_uri=f"{site}/frontchannel?x=1",
        )
        page = new_page(ignore_https_errors=True)
        hint = party.redeem(party.sign_in_on(page, berta)).json()["id_token"]
        end = {"id_token_hint": hint, "post_logout_redirect_uri": f"{site}/bye", "state": "s"}
        page.goto(f"{provider.issuer}/logout?{urlencode(end)}", wait_until="commit")
        page.wait_for_url(f"{site}/bye?state=s")
        (told,) = [head for head in listener.heads if head.startswith(b"GET /frontchannel")]
        query = dict(parse_qsl(urlsplit(told.split(b" ")[1].decode()).query))
        assert query == {
            "x": "1",
            "iss": provider.issuer,
            "sid": jwt.decode(hint, options={"verify_signature": False})["sid"],
        }

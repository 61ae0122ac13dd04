"""Front-Channel OP: the page after a logout loads the client's address in a frame, and goes on."""

import re
from html import unescape
from urllib.parse import parse_qsl, urlencode, urlsplit

from authserver.records import User
from pytest_authserver import AuthServer
from tests.openid.party import Party, Variant

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
    # Where it goes on to, without a script and with one.
    assert f'content="3;url={BACK}?state=s"' in page.text
    assert f'id="logout-continue" href="{BACK}?state=s"' in page.text

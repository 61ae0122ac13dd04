"""Back-Channel OP: after a logout in the browser the client is told from server to server."""

from urllib.parse import parse_qsl, urlencode

import jwt
import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests.openid.party import Party, Variant
from tests.world import assert_refused

BACK = "https://client.test/bye"
PLACE = "https://client.test/backchannel"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
_PATIENCE = 10


# OIDCCBackchannelLogoutDiscoveryEndpointVerification


def test_discovery_says_that_it_is_supported_with_sessions(provider: AuthServer):
    document = provider.get("/.well-known/openid-configuration").json()
    assert document["backchannel_logout_supported"] is True
    assert document["backchannel_logout_session_supported"] is True


# OIDCCBackChannelRpInitiatedLogout


@pytest.mark.parametrize("wanted", [{"backchannel_logout_session_required": True}, {}])
def test_a_client_that_registers_for_it_gets_a_logout_token_and_the_browser_back(
    provider: AuthServer, berta: User, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, bool]
):
    sent: list[tuple[str, dict[str, str], bytes]] = []
    monkeypatch.setattr(provider.server.outbound, "post", lambda url, head, body: sent.append((url, head, body)) or 200)
    party = Party(provider, Variant(), post_logout_redirect_uris=[BACK], backchannel_logout_uri=PLACE, **wanted)
    assert party.registration["backchannel_logout_uri"] == PLACE
    browser = provider.browser(berta)
    signed = party.sign_in(browser)
    query = {"id_token_hint": signed.tokens["id_token"], "post_logout_redirect_uri": BACK, "state": "s"}
    assert browser.visit(f"/logout?{urlencode(query)}").location == f"{BACK}?state=s"
    provider.server.deliveries.wait(_PATIENCE)

    ((url, head, body),) = sent
    assert url == PLACE
    assert dict(head)["Content-Type"] == "application/x-www-form-urlencoded"
    ((name, token),) = parse_qsl(body.decode(), keep_blank_values=True)
    assert name == "logout_token"
    keys = {key["kid"]: key for key in provider.get("/jwks").json()["keys"]}
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "RS256"
    claims = jwt.decode(
        token,
        jwt.PyJWK(keys[header["kid"]], "RS256"),
        ["RS256"],
        audience=party.client.client_id,
        issuer=provider.issuer,
        options={"require": ["iss", "aud", "iat", "jti", "events"]},
    )
    assert claims["events"] == {EVENT: {}}
    assert (claims["sub"], claims["sid"]) == (signed.claims["sub"], signed.claims["sid"])
    assert "nonce" not in claims


def test_an_address_that_is_not_secure_is_not_registered(provider: AuthServer):
    answer = provider.http().post(
        "/register",
        json={"redirect_uris": ["https://client.test/callback"], "backchannel_logout_uri": "http://client.test/bye"},
    )
    assert_refused(answer, "invalid_client_metadata")

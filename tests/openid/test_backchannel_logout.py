"""Back-Channel OP: after a logout in the browser the client is told from server to server."""

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode

import jwt
import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests.listener import KEYS, Listener, says
from tests.openid.party import INTERACTION, Party, Variant
from tests.world import assert_refused

BACK = "https://client.test/bye"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
_PATIENCE = 10


# OIDCCBackchannelLogoutDiscoveryEndpointVerification


def test_discovery_says_that_it_is_supported_with_sessions(provider: AuthServer):
    document = provider.get("/.well-known/openid-configuration").json()
    assert document["backchannel_logout_supported"] is True
    assert document["backchannel_logout_session_supported"] is True


class Told(Listener):
    """A client that listens for logouts, over TLS: ``bodies`` are what was posted."""

    def __init__(self) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(KEYS / "server.pem")
        self.bodies: list[bytes] = []
        super().__init__(Told._answer, context)

    def _answer(self, connection: socket.socket) -> None:
        head, _, body = self.heads[-1].partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
        while len(body) < length:
            body += connection.recv(4096)
        self.bodies.append(body)
        says(b"")(self, connection)


@pytest.fixture
def told() -> Iterator[Told]:
    with Told() as listener:
        yield listener


# OIDCCBackChannelRpInitiatedLogout


@pytest.mark.parametrize("wanted", [{"backchannel_logout_session_required": True}, {}])
def test_a_client_that_registers_for_it_gets_a_logout_token_and_the_browser_back(
    provider: AuthServer, berta: User, told: Told, wanted: dict[str, bool]
):
    place = f"https://127.0.0.1:{told.port}/backchannel"
    party = Party(provider, Variant(), post_logout_redirect_uris=[BACK], backchannel_logout_uri=place, **wanted)
    assert party.registration["backchannel_logout_uri"] == place
    browser = provider.browser(berta)
    signed = party.sign_in(browser)
    query = {"id_token_hint": signed.tokens["id_token"], "post_logout_redirect_uri": BACK, "state": "s"}
    assert browser.visit(f"/logout?{urlencode(query)}").location == f"{BACK}?state=s"
    provider.server.deliveries.wait(_PATIENCE)
    assert party.error(party.ask(browser, prompt="none")) in INTERACTION

    (head,), (body,) = told.heads, told.bodies
    assert head.startswith(b"POST /backchannel HTTP/1.1\r\n")
    assert b"content-type: application/x-www-form-urlencoded\r\n" in head.lower()
    ((name, token),) = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)
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

"""Back-Channel Logout 1.0: who is told, what a logout token says, who may register for it."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import jwt
import pytest

from authserver import keys
from authserver.manage import clients, sessions, users
from authserver.manage.errors import InvalidMetadata
from authserver.oidc.backchannel_logout import EVENT
from authserver.records import Event, User
from pytest_authserver import AuthServer, Browser, RegisteredClient
from tests.encrypted import jwk, opened
from tests.world import code_of

_PATIENCE = 10
PLACE = "https://client.test/backchannel"
BACK = "https://client.test/bye"


class Told:
    """What was posted to clients, in place of the way out."""

    def __init__(self, at: AuthServer) -> None:
        self._at = at
        self.requests: list[tuple[str, dict[str, str], str]] = []

    def post(self, url: str, headers: tuple[tuple[str, str], ...], body: bytes) -> int:
        self.requests.append((url, dict(headers), body.decode()))
        return 200

    def tokens(self) -> list[str]:
        """Return the logout tokens, after everything that is due was sent."""
        self._at.server.deliveries.run()
        self._at.server.deliveries.wait(_PATIENCE)
        return [parse_qs(body)["logout_token"][0] for _url, _headers, body in self.requests]

    def claims(self) -> list[dict[str, Any]]:
        return [jwt.decode(token, options={"verify_signature": False}) for token in self.tokens()]


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server of its own: whoever signs out here is told to clients."""
    server = AuthServer(tmp_path_factory.mktemp("backchannel"), features={"device": True})
    yield server
    server.close()


@pytest.fixture
def told(at: AuthServer, monkeypatch: pytest.MonkeyPatch) -> Told:
    sink = Told(at)
    monkeypatch.setattr(at.server.outbound, "post", sink.post)
    return sink


@pytest.fixture
def anna(at: AuthServer) -> User:
    return at.user(f"anna-{secrets.token_hex(6)}")


@pytest.fixture(scope="module")
def shop(at: AuthServer) -> RegisteredClient:
    return at.client(trusted=True, backchannel_logout_uri=PLACE, post_logout_redirect_uris=[BACK])


def used(at: AuthServer, browser: Browser, client: RegisteredClient, **parameters: Any) -> dict[str, Any]:
    """Use a client in a browser; return the claims of the ID token there, with the token itself."""
    pkce = at.pkce()
    code = code_of(browser.visit_request(at.request(client, pkce, **parameters)))
    answer = at.token(client, grant_type="authorization_code", code=code, code_verifier=pkce.verifier).json()
    claims: dict[str, Any] = jwt.decode(answer["id_token"], options={"verify_signature": False})
    return {**claims, "token": answer["id_token"]}


# 2.1, 2.2: support, and registration.


def test_it_is_announced_2_1(at: AuthServer):
    document = at.get("/.well-known/openid-configuration").json()
    assert document["backchannel_logout_supported"] is True
    assert document["backchannel_logout_session_supported"] is True


@pytest.mark.parametrize("uri", [PLACE, PLACE + "?a=b", "http://localhost:9002/bye"])
def test_an_address_is_registered_and_told_again_2_2(at: AuthServer, uri: str):
    client = at.client(backchannel_logout_uri=uri, backchannel_logout_session_required=True)
    assert client.registration["backchannel_logout_uri"] == uri
    assert client.registration["backchannel_logout_session_required"] is True


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("backchannel_logout_uri", "http://client.test/bye"),
        ("backchannel_logout_uri", PLACE + "#x"),
        ("backchannel_logout_uri", "/bye"),
        ("backchannel_logout_uri", "com.example:/bye"),
        ("backchannel_logout_uri", "https://10.0.0.1/bye"),
        ("backchannel_logout_uri", [PLACE]),
        ("backchannel_logout_session_required", "true"),
    ],
)
def test_what_is_no_absolute_https_address_is_refused_2_2(at: AuthServer, member: str, value: Any):
    with pytest.raises(InvalidMetadata):
        at.client(**{member: value})


# 2.3: who is told.


def test_every_client_of_the_session_is_told_once_and_nobody_else_2_3(at: AuthServer, told: Told, anna: User):
    first, second, other = (at.client(trusted=True, backchannel_logout_uri=f"{PLACE}/{name}") for name in "abc")
    quiet, browser = at.client(trusted=True), at.browser(anna)
    hint = used(at, browser, first)
    for client in (first, second, quiet):
        used(at, browser, client)
    used(at, at.browser(anna), other)
    browser.visit("/logout?" + urlencode({"id_token_hint": hint["token"]}))
    told.tokens()
    assert sorted(url for url, *_ in told.requests) == [f"{PLACE}/a", f"{PLACE}/b"]


@pytest.mark.parametrize("grant_types", [["authorization_code"], ["authorization_code", "refresh_token"]])
def test_a_client_is_told_however_long_ago_it_was_used_2_3(
    at: AuthServer, told: Told, anna: User, grant_types: list[str]
):
    client = at.client(trusted=True, backchannel_logout_uri=PLACE, grant_types=grant_types)
    browser = at.browser(anna)
    hint = used(at, browser, client)
    for times in range(1, 6):
        with at.later(times * 40_000):  # seconds: within the twelve hours after which a session is idle
            browser.visit("/account")
            at.store.purge(1000)
    with at.later(5 * 40_000 + 60):
        browser.visit("/logout?" + urlencode({"id_token_hint": hint["token"]}))
        assert [claims["sid"] for claims in told.claims()] == [hint["sid"]]


def test_a_client_is_told_though_its_grant_is_over_or_outlives_the_session_2_3(
    at: AuthServer, told: Told, anna: User, shop: RegisteredClient
):
    browser = at.browser(anna)
    offline = used(at, browser, shop, scope="openid offline_access")
    withdrawn = at.client(trusted=True, backchannel_logout_uri=PLACE)
    used(at, browser, withdrawn)
    at.store.grants.revoke_all(client_id=withdrawn.client_id, reason="test", event=Event("grant.revoked_all"))
    sessions.end(at.store, offline["sid"], actor="test")
    assert {claims["aud"] for claims in told.claims()} == {shop.client_id, withdrawn.client_id}


ENDINGS: dict[str, Callable[[AuthServer, User, str], object]] = {
    "an administrator": lambda at, _user, sid: sessions.end(at.store, sid, actor="test"),
    "an administrator, everywhere": lambda at, user, _sid: sessions.end_all(at.store, user.sub, actor="test"),
    "a new password": lambda at, user, _sid: users.set_password(at.store, user, "hash", actor="test"),
    "a switched-off account": lambda at, user, _sid: users.set_disabled(at.store, user, disabled=True, actor="test"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_whoever_ends_the_session_the_client_hears_of_it_2_3(
    at: AuthServer, told: Told, anna: User, shop: RegisteredClient, ending: str
):
    claims = used(at, at.browser(anna), shop)
    ENDINGS[ending](at, anna, claims["sid"])
    assert [each["sid"] for each in told.claims()] == [claims["sid"]]


def test_a_session_that_is_ended_on_the_account_pages_is_told_at_once_2_3(
    at: AuthServer, told: Told, anna: User, shop: RegisteredClient
):
    other, here = used(at, at.browser(anna), shop), at.browser(anna)
    here.submit(here.visit("/account/sessions"), "end-others")
    assert [each["sid"] for each in told.claims()] == [other["sid"]]


def test_a_client_that_was_switched_off_or_removed_is_told_nothing(at: AuthServer, told: Told, anna: User):
    off, gone = (at.client(trusted=True, backchannel_logout_uri=PLACE) for _ in range(2))
    browser = at.browser(anna)
    claims = [used(at, browser, client) for client in (off, gone)]
    sessions.end(at.store, claims[0]["sid"], actor="test")
    clients.set_disabled(at.store, off.client_id, disabled=True, actor="test")
    clients.remove(at.store, gone.client_id, actor="test")
    at.server.forget()
    assert told.tokens() == []
    assert [job for job in at.store.jobs.list(0, 100) if job.sub == anna.sub] == []


# 2.4: the logout token.


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_logout_token_says_what_it_has_to_and_no_more_2_4(at: AuthServer, told: Told, anna: User, algorithm: str):
    client = at.client(trusted=True, backchannel_logout_uri=PLACE, id_token_signed_response_alg=algorithm)
    id_token = used(at, at.browser(anna), client, nonce="n")
    sessions.end(at.store, id_token["sid"], actor="test")
    (token,) = told.tokens()
    header = jwt.get_unverified_header(token)
    assert header.keys() == {"alg", "kid", "typ"}
    assert (header["alg"], header["typ"]) == (algorithm, "logout+jwt")
    key = next(key for key in at.get("/jwks").json()["keys"] if key["kid"] == header["kid"])
    claims = jwt.decode(token, jwt.PyJWK(key, algorithm), [algorithm], audience=client.client_id, issuer=at.issuer)
    assert claims.keys() == {"iss", "sub", "aud", "iat", "exp", "jti", "sid", "events"}
    assert (claims["sub"], claims["sid"]) == (id_token["sub"], id_token["sid"])
    assert claims["aud"] == client.client_id
    assert claims["events"] == {EVENT: {}}
    assert 0 < claims["exp"] - claims["iat"] <= 120
    assert claims["jti"]


def test_each_logout_token_has_its_own_name_2_4(at: AuthServer, told: Told, anna: User, shop: RegisteredClient):
    for _ in range(3):
        used(at, at.browser(anna), shop)
    sessions.end_all(at.store, anna.sub, actor="test")
    assert len({claims["jti"] for claims in told.claims()}) == 3


def test_a_pairwise_client_hears_its_own_names_2_4(at: AuthServer, told: Told, anna: User):
    client = at.client(trusted=True, backchannel_logout_uri=PLACE, subject_type="pairwise")
    id_token = used(at, at.browser(anna), client)
    sessions.end_all(at.store, anna.sub, actor="test")
    (claims,) = told.claims()
    assert (claims["sub"], claims["sid"]) == (id_token["sub"], id_token["sid"])
    assert claims["sub"] != anna.sub


def test_it_is_encrypted_where_id_tokens_are_2_4(at: AuthServer, told: Told, anna: User):
    client = at.client(
        trusted=True,
        backchannel_logout_uri=PLACE,
        id_token_encrypted_response_alg="ECDH-ES",
        jwks={"keys": [jwk("p256")]},
    )
    allowed = at.allow(client, anna)
    assert at.redeem(client, allowed).status_code == 200
    sessions.end(at.store, allowed.session.sid, actor="test")
    (token,) = told.tokens()
    inner = opened(token, "p256")
    assert jwt.get_unverified_header(inner)["typ"] == "logout+jwt"
    assert jwt.decode(inner, options={"verify_signature": False})["sid"] == allowed.session.sid


def test_it_is_signed_by_the_key_of_the_moment_2_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = AuthServer(tmp_path)
    sink = Told(server)
    monkeypatch.setattr(server.server.outbound, "post", sink.post)
    anna, client = server.user(), server.client(trusted=True, backchannel_logout_uri=PLACE)
    used(server, server.browser(anna), client)
    keys.rotate(server.store, server.sealer, server.settings, compromised=True)
    server.server.keys.load()
    sessions.end_all(server.store, anna.sub, actor="test")
    (token,) = sink.tokens()
    kid = jwt.get_unverified_header(token)["kid"]
    assert kid in {key["kid"] for key in server.get("/jwks").json()["keys"]}
    server.close()


def test_a_logout_token_opens_nothing_here(at: AuthServer, told: Told, anna: User, shop: RegisteredClient):
    used(at, at.browser(anna), shop)
    sessions.end_all(at.store, anna.sub, actor="test")
    (token,) = told.tokens()
    assert at.get("/userinfo", token).status_code == 401
    assert at.introspect(shop, token) == {"active": False}
    browser = at.browser(anna)
    page = browser.visit("/logout?" + urlencode({"id_token_hint": token, "post_logout_redirect_uri": BACK}))
    assert page.location is None, "it is no hint"


# 2.5: the request.


def test_it_is_a_form_with_the_token_and_nothing_else_2_5(
    at: AuthServer, told: Told, anna: User, shop: RegisteredClient
):
    used(at, at.browser(anna), shop)
    sessions.end_all(at.store, anna.sub, actor="test")
    told.tokens()
    ((url, headers, body),) = told.requests
    assert url == PLACE
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(body, keep_blank_values=True).keys() == {"logout_token"}


def test_what_was_switched_off_tells_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = AuthServer(tmp_path, features={"backchannel_logout": False})
    sink = Told(server)
    monkeypatch.setattr(server.server.outbound, "post", sink.post)
    assert "backchannel_logout_supported" not in server.get("/.well-known/openid-configuration").json()
    anna, client = server.user(), server.client(trusted=True, backchannel_logout_uri=PLACE)
    server.tokens(client, anna)
    sessions.end_all(server.store, anna.sub, actor="test")
    assert sink.tokens() == []
    assert server.store.jobs.list(0, 10) == ()
    server.close()

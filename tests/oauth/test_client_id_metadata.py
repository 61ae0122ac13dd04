"""Clients described by a document at their client_id (OAuth Client ID Metadata Document, draft 02)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authserver.clock import SECOND, now
from authserver.manage import clients
from authserver.manage.errors import ManageError
from authserver.records import User
from pytest_authserver import AuthServer, Page
from pytest_authserver.server import PASSWORD
from tests.described import CB, HOST, ID, Web, ask, at, client_at, document, is_taken, web
from tests.signing import key, token
from tests.world import assert_refused, assert_shown, code_of

__all__ = ["at", "web"]


# 3: the identifier.


@pytest.mark.parametrize(
    "client_id",
    [
        ID,
        "https://app.example/client/",
        "https://a-b.c1.example.co.uk/x.json",
        "https://app.example/a.b/..c/%7Euser;v=1/@me",
    ],
)
def test_an_https_url_with_a_path_is_an_identifier_3(at: AuthServer, web: Web, client_id: str):
    home = client_id.split("/")[2]
    web.pages[client_id] = document(client_id, redirect_uris=[f"https://{home}/cb"])
    assert is_taken(ask(at, client_id, redirect_uri=f"https://{home}/cb"))


@pytest.mark.parametrize(
    "client_id",
    [
        "http://app.example/client.json",
        "HTTPS://app.example/client.json",
        "https:app.example/client.json",
        "https://app.example",
        "https://app.example/",
        "https://app.example//client.json",
        "https://app.example/a//b",
        "https:///client.json",
        "https://app.example/./client.json",
        "https://app.example/a/../client.json",
        "https://app.example/..",
        "https://app.example/a/.",
        "https://app.example/%2e%2e/client.json",
        "https://app.example/%2E/client.json",
        "https://app.example/a%2f..%2fb",
        "https://app.example/a%5cb",
        "https://app.example/%00",
        "https://app.example/%0d%0a",
        "https://app.example/%",
        "https://app.example/%zz",
        "https://app.example/client.json#",
        "https://app.example/client.json#x",
        "https://app.example/client.json?",
        "https://app.example/client.json?x=1",
        "https://user@app.example/client.json",
        "https://user:password@app.example/client.json",
        "https://@app.example/client.json",
        "https://:@app.example/client.json",
        "https://app.example:/client.json",
        "https://app.example:0/client.json",
        "https://app.example:443/client.json",
        "https://app.example:8443/client.json",
        "https://app.example:99999/client.json",
        "https://APP.example/client.json",
        "https://app.example./client.json",
        "https://.app.example/client.json",
        "https://app..example/client.json",
        "https://-app.example/client.json",
        "https://app_1.example/client.json",
        "https://xn--80ak6aa92e.example/client.json",
        "https://app.xn--p1ai/client.json",
        "https://\u0430pp.example/client.json",
        "https://localhost/client.json",
        "https://intranet/client.json",
        "https://127.0.0.1/client.json",
        "https://93.184.215.14/client.json",
        "https://[::1]/client.json",
        "https://127.1/client.json",
        "https://0x7f000001/client.json",
        "https://app.example\\@evil.example/client.json",
        "https://app.example/a b",
        "https://app.example/\u00e9",
        "https://" + "a" * 300 + ".example/client.json",
        "https://" + "a." * 130 + "example/client.json",
        "https://app.example/" + "x" * 300,
    ],
)
def test_nothing_else_is_one_and_nothing_is_fetched_3(at: AuthServer, web: Web, client_id: str):
    web.pages[client_id] = document(client_id)
    assert not is_taken(ask(at, client_id))
    assert web.fetched == []


def test_the_identifier_is_compared_as_a_string_3(at: AuthServer, web: Web):
    web.pages[ID] = document()
    web.pages[f"{ID}/"] = document()
    assert is_taken(ask(at))
    assert not is_taken(ask(at, f"{ID}/"))


def test_a_host_that_the_settings_allow_may_be_an_address_with_a_port(tmp_path: Path):
    allowed = {"127.0.0.1", "intranet:8443"}
    settings: dict[str, Any] = {"features": {"client_id_metadata": True}, "outbound_allow": tuple(allowed)}
    server, fake = AuthServer(tmp_path, **settings), Web()
    server.server.outbound.fetch_document = fake.fetch_document  # type: ignore[method-assign]
    for client_id, good in (
        ("https://127.0.0.1:8443/c", True),
        ("https://127.0.0.1/c", True),
        ("https://intranet:8443/c", True),
        ("https://intranet:9443/c", False),
        ("https://127.0.0.2/c", False),
    ):
        home = client_id.removesuffix("/c")
        fake.pages[client_id] = document(client_id, redirect_uris=[f"{home}/cb"])
        assert is_taken(ask(server, client_id, redirect_uri=f"{home}/cb")) is good
    server.close()


# 4, 4.1: the document.


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"<html></html>",
        b'{"client_id": "https://app.example/client.json"}',
        b'{"client_id": "https://evil.example/", "client_id": "https://app.example/client.json"}',
        json.dumps(document()).encode("utf-16"),
        document(client_id="https://app.example/other.json"),
        document(client_id="https://APP.example/client.json"),
        document(client_id=None),
        document(client_id=17),
        document(token_endpoint_auth_method="client_secret_basic"),
        document(token_endpoint_auth_method="client_secret_post"),
        document(token_endpoint_auth_method="client_secret_jwt"),
        document(token_endpoint_auth_method="tls_client_auth"),
        document(token_endpoint_auth_method=["none"]),
        {**document(), "token_endpoint_auth_method": None},
        document(client_secret="x" * 40),
        {**document(), "client_secret": None},
        document(client_secret_expires_at=0),
        document(token_endpoint_auth_method="private_key_jwt"),
        document(jwks={"keys": [{**key("p256").as_dict(private=False), "d": "AAAA"}]}),
        document(jwks={"keys": [{"kty": "oct", "k": "AAAA"}]}),
        document(jwks={"keys": [{**key("p256").as_dict(private=False), "use": []}]}),
        document(redirect_uris=None),
        document(redirect_uris=[]),
        document(redirect_uris=CB),
        document(redirect_uris=[17]),
        document(redirect_uris=[CB, "javascript:alert(1)"]),
        document(redirect_uris=[CB, "https://evil.example/cb"]),
        document(redirect_uris=[CB, "https://app.example.evil.example/cb"]),
        document(redirect_uris=[CB, "https://sub.app.example/cb"]),
        document(redirect_uris=[CB, "https://app.example:8443/cb"]),
        document(redirect_uris=[CB, "http://app.example/cb"]),
        document(redirect_uris=[CB, "com.example.app:/cb"]),
        document(post_logout_redirect_uris=["https://evil.example/"]),
        document(grant_types=["client_credentials"]),
        document(grant_types=["urn:ietf:params:oauth:grant-type:token-exchange"]),
        document(grant_types=["refresh_token"], response_types=[]),
        document(response_types=["token"]),
        document(scope="admin:all"),
        document(client_name="x\u202ey"),
        document(client_uri="javascript:alert(1)"),
    ],
    ids=range(44),
)
def test_what_does_not_describe_this_client_is_no_description_4(at: AuthServer, web: Web, page: Any):
    web.pages[ID] = page
    assert not is_taken(ask(at))
    assert at.store.clients.get(ID) is None


@pytest.mark.parametrize(
    ("kind", "good"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/client-metadata+json", True),
        ("text/html", False),
        ("text/plain", False),
        ("application/jsonp", False),
        ("text/json", False),
        ("application/+json", False),
        ("", False),
    ],
)
def test_the_document_is_served_as_json_4(at: AuthServer, web: Web, kind: str, good: bool):  # noqa: FBT001
    web.pages[ID] = document()
    web.headers["content-type"] = kind
    assert is_taken(ask(at)) is good


def test_whoever_says_no_method_has_none(at: AuthServer, web: Web):
    web.pages[ID] = document(token_endpoint_auth_method=None)
    assert at.sign_in(client_at())["scope"] == "openid profile"


def test_the_document_makes_nobody_trusted_and_goes_no_further_than_the_policy(at: AuthServer, web: Web):
    wanted = {
        "trusted": True,
        "profile": "legacy",
        "require_pkce": False,
        "resources": [],
        "introspects_all": True,
        "resource_server_for": ["https://api.test/"],
        "document_expires_at": 2**50,
        "software_statement": "x",
        "origin": "administrator",
        "scope": "openid admin:all notes:read",
        "grant_types": ["authorization_code", "client_credentials"],
    }
    web.pages[ID] = document(**wanted)
    at.sign_in(client_at(), scope="openid notes:read")
    stored = at.store.clients.get(ID)
    assert stored is not None
    assert (stored.origin, stored.trusted, stored.profile, stored.require_pkce) == ("document", False, "oauth21", True)
    assert (stored.scopes, stored.grant_types) == ({"openid", "notes:read"}, {"authorization_code"})
    assert (stored.resources, stored.introspects_all, stored.resource_server_for) == (None, False, frozenset())
    assert stored.metadata["document_expires_at"] < now() // SECOND + 2 * 86400
    assert "software_statement" not in stored.metadata


# 4.2: redirect URIs.


def test_the_redirect_uri_of_a_request_has_to_be_in_the_document_4_2(at: AuthServer, web: Web):
    web.pages[ID] = document(redirect_uris=[CB, "http://127.0.0.1/cb", "http://localhost/cb"])
    for uri in (f"{CB}/x", f"{CB}?x", "https://evil.example/cb", "http://127.0.0.1/other"):
        assert_shown(ask(at, redirect_uri=uri), "invalid_redirect_uri")
    for uri in (CB, "http://127.0.0.1:50001/cb", "http://localhost:50001/cb"):
        assert is_taken(ask(at, redirect_uri=uri))


# The flow, and what is stored of the client.


def _deny(at: AuthServer) -> Page:
    browser = at.browser()
    page = browser.visit_request(at.request(client_at(), at.pkce()))
    return browser.deny(browser.log_in(page, "alice", PASSWORD))


def test_a_client_that_nobody_registered_walks_the_whole_flow(at: AuthServer, web: Web):
    web.pages[ID] = document()
    client = client_at()
    tokens = at.sign_in(client, scope="openid profile", prompt="consent")
    assert at.get("/userinfo", tokens["access_token"]).status_code == 200
    again = at.refresh(client, tokens["refresh_token"]).json()
    assert at.get("/userinfo", again["access_token"]).status_code == 200
    assert at.post("/revoke", client, token=again["refresh_token"]).status_code == 200
    assert at.get("/userinfo", again["access_token"]).status_code == 401
    assert web.fetched == [ID]


def test_nothing_is_stored_before_a_person_has_allowed_something(at: AuthServer, web: Web):
    web.pages[ID] = document()
    assert is_taken(ask(at))
    assert at.browser().visit_request(at.request(client_at(), at.pkce(), prompt="none")).callback["error"]
    assert _deny(at).callback["error"] == "access_denied"
    assert at.store.clients.get(ID) is None
    at.sign_in(client_at())
    stored = at.store.clients.get(ID)
    assert stored is not None
    assert stored.client_name == "Notes"


def test_the_client_may_push_its_requests(at: AuthServer, web: Web):
    web.pages[ID] = document(require_pushed_authorization_requests=True)
    client, pkce = client_at(), at.pkce()
    pushed = at.push(client, pkce)
    assert pushed.status_code == 201
    request = {"client_id": ID, "request_uri": pushed.json()["request_uri"]}
    page = at.browser().authorize(request, username="alice", password=PASSWORD)
    answer = at.token(client, grant_type="authorization_code", code=code_of(page), code_verifier=pkce.verifier)
    assert answer.status_code == 200


def test_a_client_with_keys_has_to_prove_them_8_2(at: AuthServer, web: Web):
    keys = {"keys": [key("p256", kid="one").as_dict(private=False)]}
    web.pages[ID] = document(token_endpoint_auth_method="private_key_jwt", jwks=keys)
    client, pkce = client_at(), at.pkce()
    page = at.browser().authorize(at.request(client, pkce), username="alice", password=PASSWORD)
    sent = {"grant_type": "authorization_code", "code": code_of(page), "code_verifier": pkce.verifier}
    assert_refused(at.token(client, **sent), "invalid_client", 401)

    def assertion(jti: str, name: str | None = None) -> dict[str, str]:
        claims = {"iss": ID, "sub": ID, "aud": at.issuer, "jti": jti, "exp": now() // SECOND + 60}
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        return {"client_assertion": token("ES256", claims, name, kid="one"), "client_assertion_type": kind}

    assert_refused(at.post("/token", **sent, **assertion("a", "p256_other")), "invalid_client", 401)
    assert at.post("/token", **sent, **assertion("b")).status_code == 200


def test_people_are_shown_the_host_and_asked_in_every_session_8_5(at: AuthServer, web: Web):
    web.pages[ID] = document(client_name="Your Bank")
    browser, request = at.browser(), at.request(client_at(), at.pkce())
    page = browser.visit_request(request)
    assert f'id="client-host"><bdi dir="ltr">{HOST}</bdi>' in page.text
    page = browser.log_in(page, "alice", PASSWORD)
    assert f'<h1><bdi>Your Bank</bdi> of <bdi dir="ltr">{HOST}</bdi> asks for access</h1>' in page.text
    assert 'id="unverified"' in page.text
    code_of(browser.allow(page))
    code_of(browser.visit_request(at.request(client_at(), at.pkce())))
    other = at.browser()
    page = other.log_in(other.visit_request(request), "alice", PASSWORD)
    assert "consent-allow" in page.text


def test_a_public_client_on_loopback_is_asked_for_each_time(at: AuthServer, web: Web):
    web.pages[ID] = document(redirect_uris=["http://127.0.0.1/cb"])
    browser, uri = at.browser(), "http://127.0.0.1:50001/cb"
    for _ in range(2):
        page = browser.visit_request(at.request(client_at(), at.pkce(), redirect_uri=uri))
        if "login-submit" in page.text:
            page = browser.log_in(page, "alice", PASSWORD)
        assert code_of(browser.allow(page))


# 6, 7: metadata, and clients that are registered.


def test_the_metadata_says_that_such_identifiers_are_taken_6(at: AuthServer):
    for place in ("oauth-authorization-server", "openid-configuration"):
        assert at.get(f"/.well-known/{place}").json()["client_id_metadata_document_supported"] is True


def test_a_client_that_an_administrator_registers_under_a_url_is_not_fetched_7_2(at: AuthServer, web: Web):
    web.pages[ID] = document(client_name="Something else")
    mine = at.public_client(client_id=ID, redirect_uris=["https://elsewhere.example/cb"], client_name="Ours")
    page = ask(at, redirect_uri="https://elsewhere.example/cb")
    assert "Ours" in page.text
    assert 'id="unverified"' not in page.text
    assert at.sign_in(mine)
    assert web.fetched == []


def test_an_administrator_can_switch_such_a_client_off_and_not_rewrite_it(at: AuthServer, web: Web):
    web.pages[ID] = document()
    tokens = at.sign_in(client_at())
    with pytest.raises(ManageError, match="document"):
        clients.update(at.store, at.sealer, ID, {"redirect_uris": [CB]}, actor="test")
    clients.set_disabled(at.store, ID, disabled=True, actor="test")
    with at.later(610):
        assert at.get("/userinfo", tokens["access_token"]).status_code == 401
        assert_refused(at.refresh(client_at(), tokens["refresh_token"]), "invalid_client", 401)
        assert not is_taken(ask(at))
    assert web.fetched == [ID]


def test_a_client_that_was_removed_comes_back_without_what_it_had(at: AuthServer, web: Web):
    web.pages[ID] = document()
    tokens = at.sign_in(client_at())
    clients.remove(at.store, ID, actor="test")
    at.server.forget()
    assert at.refresh(client_at(), tokens["refresh_token"]).json()["error"] == "invalid_grant"
    again = at.sign_in(client_at())
    assert at.get("/userinfo", again["access_token"]).status_code == 200
    assert at.get("/userinfo", tokens["access_token"]).status_code == 401


@pytest.fixture
def elsewhere(tmp_path: Path, web: Web) -> Iterator[tuple[AuthServer, User]]:
    """A server with the feature switched off again, over a database where such a client was used."""
    settings: dict[str, Any] = {"features": {"client_id_metadata": True}}
    before = AuthServer(tmp_path, **settings)
    before.server.outbound.fetch_document = web.fetch_document  # type: ignore[method-assign]
    web.pages[ID] = document()
    user = before.user("alice")
    before.sign_in(client_at())
    before.close()
    after = AuthServer(tmp_path)
    yield after, user
    after.close()


def test_switched_off_there_are_no_such_clients(elsewhere: tuple[AuthServer, User]):
    server, _user = elsewhere
    assert server.store.clients.get(ID) is not None
    assert_shown(ask(server), "invalid_client")
    assert_refused(server.refresh(client_at(), "x"), "invalid_client", 401)
    assert "client_id_metadata_document_supported" not in server.get("/.well-known/openid-configuration").json()

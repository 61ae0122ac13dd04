"""Consent (OpenID Connect Core 1.0, 3.1.2.4, 11): when it is asked for, what it says, when it is remembered."""

import re

import pytest

from authserver.clock import DAY, SECOND
from authserver.identity import accounts
from authserver.manage import clients
from authserver.records import Event, User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.world import API, OTHER_API, SCOPE, code_of


@pytest.fixture
def asking(authserver: AuthServer) -> RegisteredClient:
    """A confidential client that an administrator has registered."""
    return authserver.client(
        client_name="Asking", scope=SCOPE, redirect_uris=["https://a.test/cb", "https://a.test/2", "https://b.test/cb"]
    )


@pytest.fixture
def browser(authserver: AuthServer, alice: User) -> Browser:
    """A browser in which Alice is signed in."""
    return authserver.browser(alice)


def _open(authserver: AuthServer, browser: Browser, client: RegisteredClient, **parameters: object) -> Page:
    return browser.visit_request(authserver.request(client, authserver.pkce(), **parameters))


def _asks(page: Page) -> bool:
    if page.location is not None:
        assert code_of(page)
        return False
    assert page.status == 200, page.error_code
    assert "consent-allow" in page.text
    return True


def _allow(authserver: AuthServer, browser: Browser, client: RegisteredClient, **parameters: object) -> None:
    page = _open(authserver, browser, client, **parameters)
    assert _asks(page)
    code_of(browser.allow(page))


# When it is asked for.


def test_it_is_asked_for_once_and_remembered_for_the_same(
    authserver: AuthServer, browser: Browser, asking: RegisteredClient
):
    _allow(authserver, browser, asking)
    assert not _asks(_open(authserver, browser, asking))
    assert not _asks(_open(authserver, browser, asking, prompt="none"))


def test_it_is_remembered_in_another_browser_too(
    authserver: AuthServer, browser: Browser, asking: RegisteredClient, alice: User
):
    _allow(authserver, browser, asking)
    assert not _asks(_open(authserver, authserver.browser(alice), asking))


def test_it_is_remembered_for_one_user_only(
    authserver: AuthServer, browser: Browser, asking: RegisteredClient, bob: User
):
    _allow(authserver, browser, asking)
    assert _asks(_open(authserver, authserver.browser(bob), asking))


def test_it_is_remembered_for_one_client_only(authserver: AuthServer, browser: Browser, asking: RegisteredClient):
    _allow(authserver, browser, asking)
    assert _asks(_open(authserver, browser, authserver.client()))


def test_a_smaller_scope_was_allowed_and_a_wider_one_was_not(
    authserver: AuthServer, browser: Browser, asking: RegisteredClient
):
    _allow(authserver, browser, asking, scope="openid profile")
    assert not _asks(_open(authserver, browser, asking, scope="openid"))
    assert not _asks(_open(authserver, browser, asking, scope="profile openid"))
    assert _asks(_open(authserver, browser, asking, scope="openid profile email"))


def test_what_was_allowed_in_parts_is_allowed_together(
    authserver: AuthServer, browser: Browser, asking: RegisteredClient
):
    _allow(authserver, browser, asking, scope="openid profile")
    _allow(authserver, browser, asking, scope="openid email")
    assert not _asks(_open(authserver, browser, asking, scope="openid profile email"))


def test_another_path_of_the_same_origin_was_allowed_and_another_origin_was_not(
    authserver: AuthServer, browser: Browser, asking: RegisteredClient
):
    _allow(authserver, browser, asking)
    assert not _asks(_open(authserver, browser, asking, redirect_uri="https://a.test/2"))
    assert _asks(_open(authserver, browser, asking, redirect_uri="https://b.test/cb"))


def test_it_is_remembered_per_resource(authserver: AuthServer, browser: Browser, asking: RegisteredClient):
    scope = "openid api:read other:read"
    _allow(authserver, browser, asking, scope=scope, resource=API)
    assert not _asks(_open(authserver, browser, asking, scope="openid api:read", resource=API))
    assert _asks(_open(authserver, browser, asking, scope="openid other:read", resource=OTHER_API))
    assert _asks(_open(authserver, browser, asking, scope="openid api:read"))


def test_a_resource_at_which_nothing_is_asked_for_was_not_allowed_with_another(
    authserver: AuthServer, browser: Browser, asking: RegisteredClient
):
    _allow(authserver, browser, asking, scope="openid")
    for parameters in ({"scope": "openid", "resource": API}, {"scope": "openid", "resource": [API, OTHER_API]}):
        page = _open(authserver, browser, asking, prompt="none", **parameters)
        assert page.callback["error"] == "consent_required"
        _allow(authserver, browser, asking, **parameters)
        assert not _asks(_open(authserver, browser, asking, **parameters))


def test_a_scope_of_which_nothing_is_left_is_asked_about(
    authserver: AuthServer, browser: Browser, asking: RegisteredClient
):
    page = _open(authserver, browser, asking, scope="offline_access", prompt="none")
    assert page.callback["error"] == "consent_required"
    assert _asks(_open(authserver, browser, asking, scope="offline_access"))


def test_a_denial_is_not_remembered_as_consent(authserver: AuthServer, browser: Browser, asking: RegisteredClient):
    page = _open(authserver, browser, asking)
    assert browser.deny(page).callback["error"] == "access_denied"
    assert _asks(_open(authserver, browser, asking))


def test_a_consent_that_was_withdrawn_is_asked_for_again(
    authserver: AuthServer, browser: Browser, asking: RegisteredClient, alice: User
):
    _allow(authserver, browser, asking)
    accounts.withdraw(authserver.server, alice.sub, asking.client_id)
    assert _asks(_open(authserver, browser, asking))


def test_a_trusted_client_does_not_ask(authserver: AuthServer, browser: Browser, client: RegisteredClient):
    assert not _asks(_open(authserver, browser, client, scope=SCOPE))


# RFC 8252 8.6, RFC 9700 4.1: what is never remembered.


@pytest.mark.parametrize(
    "redirect_uri", ["com.example.app:/cb", "http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost/cb"]
)
def test_a_public_client_whose_redirect_others_can_claim_is_asked_about_each_time(
    authserver: AuthServer, browser: Browser, redirect_uri: str
):
    native = authserver.public_client(redirect_uris=[redirect_uri], application_type="native")
    for _ in range(2):
        _allow(authserver, browser, native)


def test_a_public_client_at_https_is_remembered(authserver: AuthServer, browser: Browser):
    public = authserver.public_client()
    _allow(authserver, browser, public)
    assert not _asks(_open(authserver, browser, public))


def test_a_public_client_at_a_fixed_port_here_is_remembered_while_the_issuer_is_here(
    authserver: AuthServer, browser: Browser
):
    native = authserver.public_client(redirect_uris=["http://127.0.0.1:8000/cb"], application_type="native")
    _allow(authserver, browser, native)
    assert not _asks(_open(authserver, browser, native))
    assert _asks(_open(authserver, browser, native, redirect_uri="http://127.0.0.1:8001/cb"))


def test_a_confidential_client_at_a_claimable_address_is_remembered(authserver: AuthServer, browser: Browser):
    native = authserver.client(redirect_uris=["http://127.0.0.1/cb"], application_type="native")
    _allow(authserver, browser, native)
    assert not _asks(_open(authserver, browser, native))


def test_a_self_registered_client_is_remembered_for_the_session_only(authserver: AuthServer):
    user = authserver.user("consent-registration")
    metadata = {"redirect_uris": ["https://self.test/cb"], "client_name": "Self", "scope": "openid profile"}
    answer = clients.register(authserver.store, authserver.sealer, metadata, actor="", origin="registration")
    itself = RegisteredClient(answer["client_id"], answer["client_secret"], "https://self.test/cb", answer)
    browser = authserver.browser(user)
    _allow(authserver, browser, itself)
    assert not _asks(_open(authserver, browser, itself))
    assert _asks(_open(authserver, authserver.browser(user), itself))
    authserver.store.sessions.end_all(user.sub, "logout", Event("session.ended", sub=user.sub))
    page = _open(authserver, browser, itself)
    assert "login-submit" in page.text
    assert _asks(browser.log_in(page, user.username, PASSWORD))


def test_a_self_registered_client_that_calls_itself_otherwise_is_asked_about_again(authserver: AuthServer):
    """Whoever was allowed as a photo album does not go on as a bank."""
    metadata = {"redirect_uris": ["https://self.test/cb"], "client_name": "Holiday Photos", "scope": "openid profile"}
    answer = clients.register(authserver.store, authserver.sealer, metadata, actor="", origin="registration")
    itself = RegisteredClient(answer["client_id"], answer["client_secret"], "https://self.test/cb", answer)
    browser = authserver.browser(authserver.user("consent-renamed"))
    _allow(authserver, browser, itself)
    for changes, asks in (({}, False), ({"client_name": "Your Bank"}, True), ({}, True)):
        told = {**metadata, **changes}
        clients.update(authserver.store, authserver.sealer, itself.client_id, told, actor=itself.client_id)
        authserver.server.forget()
        page = _open(authserver, browser, itself)
        assert _asks(page) is asks
        if asks:
            code_of(browser.allow(page))


# OWASP ASVS 10.7.1: after the client was changed.


@pytest.mark.parametrize(
    ("changes", "asks"),
    [
        ({"client_name": "Your Bank"}, True),
        ({"logo_uri": "https://a.test/other.png"}, True),
        ({"policy_uri": "https://a.test/other-policy"}, True),
        ({"tos_uri": "https://a.test/terms"}, True),  # it had none
        ({"client_name#de": "Ihre Bank"}, True),
        ({"policy_uri": None}, True),
        ({"client_name#fr": "Photos"}, False),  # a further translation
        ({"logo_uri#en": "https://a.test/other.png"}, True),  # it had none in any language
        ({"redirect_uris": ["https://a.test/cb", "https://a.test/new"]}, False),
        ({"scope": "openid profile email"}, False),
    ],
)
def test_a_client_that_is_shown_as_something_else_is_asked_about_again(
    authserver: AuthServer, alice: User, changes: dict[str, object], *, asks: bool
):
    said = {"client_name": "Photos", "client_name#de": "Fotos", "policy_uri": "https://a.test/policy"}
    members = {"redirect_uris": ["https://a.test/cb"], "scope": "openid profile", **said}
    client, browser = authserver.client(**members), authserver.browser(alice)
    _allow(authserver, browser, client)
    clients.update(authserver.store, authserver.sealer, client.client_id, {**members, **changes}, actor="test")
    authserver.server.forget()
    assert _asks(_open(authserver, browser, client)) is asks


# What it says.


def test_the_page_names_client_place_scopes_and_how_long(
    authserver: AuthServer, browser: Browser, asking: RegisteredClient
):
    page = _open(authserver, browser, asking, scope="openid profile api:read", resource=API)
    for text in (
        "Asking",
        "a.test",
        "alice",
        "See your profile",
        "Use api:read",
        API,
        "Until you sign out in this browser",
    ):
        assert text in page.text, text
    for text in ("See your e-mail address", "Use api:write", "while you are away"):
        assert text not in page.text, text


def test_names_of_clients_cannot_break_out_of_the_page(authserver: AuthServer, browser: Browser):
    for name in ("<script>alert(1)</script>", '"><img src=x>', "{{ 7*7 }}", "a & b"):
        page = _open(authserver, browser, authserver.client(client_name=name))
        assert _asks(page)
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "49" not in page.text.partition("asks for access")[0][-200:]


def _marked(page: Page) -> tuple[list[str], list[str]]:
    """Return what is new on a page, and what was allowed before."""
    items = re.findall(r"<li[ >](.*?)</li>", page.text.partition("<form")[0], re.DOTALL)
    new, known = ([item for item in items if mark in item] for mark in (">New<", "Allowed before"))
    assert len(new) + len(known) in {0, len(items)}
    return new, known


def test_the_first_time_nothing_is_marked(authserver: AuthServer, browser: Browser, asking: RegisteredClient):
    page = _open(authserver, browser, asking, scope="openid profile api:read", resource=API)
    assert _marked(page) == ([], [])
    assert "allowed-before" not in page.text


def test_what_is_new_since_the_last_time_is_marked(authserver: AuthServer, browser: Browser, asking: RegisteredClient):
    _allow(authserver, browser, asking, scope="openid api:read", resource=API)
    page = _open(
        authserver, browser, asking, scope="openid email api:read api:write other:read", resource=[API, OTHER_API]
    )
    new, known = _marked(page)
    assert [next(text for text in ("e-mail", "api:write", "other:read") if text in item) for item in new] == [
        "e-mail",
        "api:write",
        "other:read",
    ]
    assert ["api:read" in item for item in known] == [False, True]
    assert "some of this before" in page.text
    heading = page.text.partition(f"<bdi>{OTHER_API}</bdi>")[2].partition("</h2>")[0]
    assert ">New<" in heading
    page = browser.submit(page, "consent-allow")
    again = _open(authserver, browser, asking, scope="openid email api:read", resource=API, prompt="consent")
    assert _marked(again) == ([], [])
    assert "all of this before" in again.text


def test_all_is_new_where_other_things_were_allowed(authserver: AuthServer, browser: Browser, asking: RegisteredClient):
    _allow(authserver, browser, asking, scope="profile")
    page = _open(authserver, browser, asking, scope="email")
    assert len(_marked(page)[0]) == 1
    assert "other things before" in page.text


def test_offline_access_is_marked_when_it_is_new(authserver: AuthServer, browser: Browser, asking: RegisteredClient):
    _allow(authserver, browser, asking, scope="openid")
    page = _open(authserver, browser, asking, scope="openid offline_access", prompt="consent")
    facts = page.text.partition('class="facts"')[2]
    assert "while you are away" in facts
    assert ">New<" in facts
    assert "some of this before" in page.text
    browser.allow(page)
    page = _open(authserver, browser, asking, scope="openid offline_access", prompt="consent")
    assert ">New<" not in page.text


def test_another_client_or_place_knows_nothing_of_it(
    authserver: AuthServer, browser: Browser, asking: RegisteredClient
):
    _allow(authserver, browser, asking, scope="openid")
    for page in (
        _open(authserver, browser, asking, scope="openid", redirect_uri="https://b.test/cb"),
        _open(authserver, browser, authserver.client(), scope="openid"),
    ):
        assert "allowed-before" not in page.text


# 11: offline access.


def test_offline_access_is_granted_when_the_user_was_asked_for_it(
    authserver: AuthServer, browser: Browser, asking: RegisteredClient
):
    pkce = authserver.pkce()
    scope = "openid offline_access"
    page = browser.visit_request(authserver.request(asking, pkce, scope=scope, prompt="consent"))
    assert "while you are away" in page.text
    answer = {"code": code_of(browser.allow(page)), "code_verifier": pkce.verifier}
    tokens = authserver.token(asking, grant_type="authorization_code", **answer).json()
    assert tokens["scope"] == scope
    page = browser.visit_request(authserver.request(asking, pkce, scope=scope))
    answer = {"code": code_of(page), "code_verifier": pkce.verifier}
    assert authserver.token(asking, grant_type="authorization_code", **answer).json()["scope"] == scope


def test_offline_access_without_being_asked_for_is_dropped(
    authserver: AuthServer, browser: Browser, asking: RegisteredClient
):
    pkce = authserver.pkce()
    page = browser.visit_request(authserver.request(asking, pkce, scope="openid offline_access"))
    assert "while you are away" not in page.text
    answer = {"code": code_of(browser.allow(page)), "code_verifier": pkce.verifier}
    tokens = authserver.token(asking, grant_type="authorization_code", **answer).json()
    assert tokens["scope"] == "openid"
    assert authserver.introspect(asking, tokens["access_token"])["scope"] == "openid"


def test_a_client_that_cannot_refresh_gets_no_offline_access(authserver: AuthServer, browser: Browser):
    without = authserver.client(grant_types=["authorization_code"], trusted=True)
    pkce = authserver.pkce()
    page = browser.visit_request(authserver.request(without, pkce, scope="openid offline_access"))
    answer = {"code": code_of(page), "code_verifier": pkce.verifier}
    assert authserver.token(without, grant_type="authorization_code", **answer).json()["scope"] == "openid"


def test_a_consent_does_not_grow_old(authserver: AuthServer, asking: RegisteredClient):
    user = authserver.user("consent-old")
    _allow(authserver, authserver.browser(user), asking)
    with authserver.later(300 * DAY // SECOND):
        assert not _asks(_open(authserver, authserver.browser(user), asking))

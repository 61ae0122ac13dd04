"""Access token scope (RFC 6749 3.3)."""

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import API, ask, assert_refused, assert_sent_back, code_of


def _granted(authserver: AuthServer, client: RegisteredClient, user: User, **parameters: str | None) -> str:
    """Return the scope granted; response, introspection and stored grant must all state the same."""
    tokens = authserver.tokens(client, user, **parameters)
    told = authserver.introspect(client, tokens["access_token"])["scope"]
    assert tokens["scope"] == told
    assert authserver.introspect(client, tokens["refresh_token"])["scope"] == told
    scope: str = tokens["scope"]
    return scope


@pytest.mark.parametrize(
    "scope", ["openid", "openid profile", "profile openid", "api:read", "api:write openid api:read", "openid openid"]
)
def test_what_was_asked_for_and_may_be_had_is_granted_in_its_order(
    authserver: AuthServer, client: RegisteredClient, alice: User, scope: str
):
    assert _granted(authserver, client, alice, scope=scope) == " ".join(dict.fromkeys(scope.split()))


def test_an_unknown_value_is_ignored(authserver: AuthServer, client: RegisteredClient, alice: User):
    assert _granted(authserver, client, alice, scope="openid unheard-of https://x.test/y api:read") == "openid api:read"


def test_the_page_shows_what_is_granted_and_no_more(authserver: AuthServer, alice: User):
    asking, pkce, browser = authserver.client(scope="openid email"), authserver.pkce(), authserver.browser(alice)
    page = browser.visit_request(authserver.request(asking, pkce, scope="openid unheard-of email"))
    assert "e-mail address" in page.text
    assert "unheard-of" not in page.text
    sent = {"grant_type": "authorization_code", "code": code_of(browser.allow(page)), "code_verifier": pkce.verifier}
    tokens = authserver.token(asking, **sent).json()
    assert tokens["scope"] == authserver.introspect(asking, tokens["access_token"])["scope"] == "openid email"


def test_a_known_value_that_the_client_may_not_have_is_refused(authserver: AuthServer, alice: User):
    narrow = authserver.client(scope="openid api:read", trusted=True)
    for scope in ("openid api:write", "openid profile", "other:read"):
        assert_sent_back(ask(authserver, narrow, alice, scope=scope, state="s"), "invalid_scope", narrow, state="s")
    assert_refused(authserver.token(narrow, grant_type="client_credentials", scope="api:write"), "invalid_scope")


def test_only_unknown_values_are_an_invalid_scope(authserver: AuthServer, client: RegisteredClient, alice: User):
    assert_sent_back(ask(authserver, client, alice, scope="unheard-of"), "invalid_scope", client)
    assert_refused(authserver.token(client, grant_type="client_credentials", scope="unheard-of"), "invalid_scope")


@pytest.mark.parametrize("scope", [None, ""])
def test_without_a_scope_the_client_gets_its_default(authserver: AuthServer, alice: User, scope: str | None):
    client = authserver.client(scope="openid api:read", trusted=True)
    assert _granted(authserver, client, alice, scope=scope) == "openid api:read"


def test_without_a_scope_and_without_a_default_the_scope_is_invalid(authserver: AuthServer):
    without = authserver.client(scope=None, grant_types=["client_credentials"], redirect_uris=None)
    assert_refused(authserver.token(without, grant_type="client_credentials"), "invalid_scope")


@pytest.mark.parametrize(
    "scope",
    [
        "openid\tprofile",
        "openid\nprofile",
        "openid  profile",
        " openid",
        "openid ",
        " ",
        "openid\0",
        'open"id',
        "open\\id",
        "openid \xe9",
        "openid \N{SNOWMAN}",
        "openid \x7f",
        "openid " + "x" * 5000,
        "openid " + " ".join(map(str, range(10_000))),
    ],
)
def test_a_scope_that_is_not_well_formed_is_refused_3_3(
    authserver: AuthServer, client: RegisteredClient, alice: User, scope: str
):
    if len(scope) < 6000:
        assert_sent_back(ask(authserver, client, alice, scope=scope, state="s"), "invalid_scope", client, state="s")
    assert_refused(authserver.token(client, grant_type="client_credentials", scope=scope), "invalid_scope")
    tokens = authserver.tokens(client, alice)
    assert_refused(authserver.refresh(client, tokens["refresh_token"], scope=scope), "invalid_scope")


def test_case_counts_3_3(authserver: AuthServer, client: RegisteredClient, alice: User):
    assert _granted(authserver, client, alice, scope="openid OPENID Api:Read") == "openid"


def test_the_metadata_names_the_scopes_of_people_and_of_resources(authserver: AuthServer):
    supported = authserver.get("/.well-known/oauth-authorization-server").json()["scopes_supported"]
    assert {"openid", "profile", "email", "address", "phone", "offline_access", "api:read"}.issubset(supported)
    assert len(supported) == len(set(supported))


def test_a_scope_without_openid_gives_no_id_token(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens = authserver.tokens(client, alice, scope="api:read", resource=API)
    assert "id_token" not in tokens
    assert authserver.get("/userinfo", tokens["access_token"]).status_code == 403


def test_offline_access_by_the_wish_of_the_client_alone_is_dropped(authserver: AuthServer, alice: User):
    # OpenID Connect Core 11: the user must know of it; this one has allowed only openid and profile before.
    client = authserver.client()
    browser = authserver.browser(alice)
    browser.authorize(authserver.request(client, authserver.pkce()))
    pkce = authserver.pkce()
    page = browser.visit_request(authserver.request(client, pkce, scope="openid profile offline_access"))
    code = code_of(page)
    tokens = authserver.token(
        client,
        grant_type="authorization_code",
        code=code,
        code_verifier=pkce.verifier,
        redirect_uri=client.redirect_uri,
    ).json()
    assert tokens["scope"] == "openid profile"
    page = browser.visit_request(
        authserver.request(client, authserver.pkce(), scope="openid profile offline_access", prompt="consent")
    )
    assert "consent-allow" in page.text

"""The kit's server: what people who test an OAuth client have in their hands."""

from pathlib import Path

import pytest

from authserver.manage.errors import ManageError
from authserver.oauth.errors import OAuth2Error
from authserver.settings import SettingsError
from pytest_authserver import AuthServer
from pytest_authserver.server import PASSWORD


def test_each_server_is_a_world_of_its_own(tmp_path: Path):
    first, second = AuthServer(tmp_path / "one"), AuthServer(tmp_path / "two")
    first.user("alice")
    client = first.client()
    assert second.store.users.count() == 0
    assert second.token(client, grant_type="client_credentials").status_code == 401
    assert {key["kid"] for key in first.get("/jwks").json()["keys"]}
    first.close()
    second.close()


def test_a_server_in_the_same_folder_goes_on_where_the_last_one_ended(tmp_path: Path):
    first = AuthServer(tmp_path)
    client, user = first.client(), first.user("alice")
    tokens = first.tokens(client, user)
    keys = first.get("/jwks").content
    first.close()
    second = AuthServer(tmp_path)
    assert second.introspect(client, tokens["access_token"])["active"]
    assert second.get("/jwks").content == keys
    second.close()


def test_settings_are_given_by_their_names(tmp_path: Path):
    server = AuthServer(tmp_path, tokens={"access_token_seconds": 5})
    assert server.tokens(server.client(), server.user())["expires_in"] == 5
    server.close()
    with pytest.raises(SettingsError):
        AuthServer(tmp_path, no_such_setting=1)


def test_it_refuses_an_issuer_that_others_could_reach(tmp_path: Path):
    # Its signing keys are public knowledge.
    with pytest.raises(SettingsError):
        AuthServer(tmp_path, issuer="https://as.example.test")


def test_a_client_has_defaults_that_can_be_changed_and_taken_away(authserver: AuthServer):
    client = authserver.client()
    assert client.registration["client_name"] == "Test client"
    assert client.redirect_uri == "https://client.test/callback"
    assert client.client_secret
    named = authserver.client(client_name="Mine", redirect_uris=["https://mine.test/cb"], profile="oidc")
    assert named.registration["client_name"] == "Mine"
    assert named.redirect_uri == "https://mine.test/cb"
    itself = authserver.client(redirect_uris=None, grant_types=["client_credentials"], scope=None)
    assert "scope" not in itself.registration
    assert itself.redirect_uri == ""
    with pytest.raises(ManageError):
        authserver.client(redirect_uris=["http://public.test/"])


def test_a_secret_is_not_shown_where_a_client_is_printed(authserver: AuthServer):
    client = authserver.client()
    assert client.client_secret not in repr(client)


def test_a_public_client_names_itself_in_each_request(authserver: AuthServer):
    client = authserver.public_client()
    assert client.client_secret == ""
    tokens = authserver.tokens(client, authserver.user())
    assert authserver.refresh(client, tokens["refresh_token"]).status_code == 200


def test_a_user_has_claims_and_a_password(authserver: AuthServer):
    user = authserver.user("bob", name="Bob Brown", email="bob@b.test", email_verified=True)
    tokens = authserver.sign_in(authserver.client(), "bob", scope="openid profile email")
    told = authserver.get("/userinfo", tokens["access_token"]).json()
    assert told["sub"] == user.sub
    assert (told["name"], told["email"], told["email_verified"]) == ("Bob Brown", "bob@b.test", True)


def test_a_resource_counts_at_once(authserver: AuthServer):
    client, user = authserver.client(scope="openid notes:read"), authserver.user()
    authserver.tokens(client, user, scope="openid")
    authserver.resource("https://notes.test/", "notes:read", token_format="jwt")
    tokens = authserver.tokens(client, user, scope="notes:read", resource="https://notes.test/")
    assert authserver.introspect(client, tokens["access_token"])["aud"] == "https://notes.test/"


def test_the_whole_flow_by_pages_and_the_short_way_give_the_same(authserver: AuthServer):
    client, user = authserver.client(), authserver.user()
    by_pages = authserver.sign_in(client)
    without = authserver.tokens(client, user)
    assert by_pages.keys() == without.keys()
    assert by_pages["scope"] == without["scope"]


def test_the_short_way_checks_the_request_as_always(authserver: AuthServer):
    client, user = authserver.client(scope="openid"), authserver.user()
    with pytest.raises(OAuth2Error) as refused:
        authserver.allow(client, user, scope="profile")
    assert refused.value.error == "invalid_scope"


def test_a_code_can_be_redeemed_with_anything_changed(authserver: AuthServer):
    client, user = authserver.client(), authserver.user()
    allowed = authserver.allow(client, user)
    assert authserver.redeem(client, allowed, code_verifier="x" * 43).json()["error"] == "invalid_grant"
    assert authserver.redeem(client, authserver.allow(client, user), redirect_uri=None).status_code == 200


def test_a_browser_can_be_signed_in_without_a_page(authserver: AuthServer):
    user, client = authserver.user(), authserver.client(trusted=True)
    page = authserver.browser(user).authorize(authserver.request(client, authserver.pkce()))
    assert page.callback["state"]
    assert page.callback["code"]


def test_time_can_pass(authserver: AuthServer):
    client, user = authserver.client(), authserver.user()
    tokens = authserver.tokens(client, user)
    with authserver.later(601):
        assert authserver.introspect(client, tokens["access_token"]) == {"active": False}
        with authserver.later(10):
            assert authserver.introspect(client, tokens["access_token"])["active"]
    assert authserver.introspect(client, tokens["access_token"])["active"]


def test_after_a_failure_the_time_is_right_again(authserver: AuthServer):
    client = authserver.client()
    token = authserver.token(client, grant_type="client_credentials", scope="api:read")
    assert token.status_code == 200 or token.json()["error"] == "invalid_scope"
    with pytest.raises(ZeroDivisionError), authserver.later(10**6):
        _ = 1 / 0
    tokens = authserver.tokens(client, authserver.user())
    assert authserver.introspect(client, tokens["access_token"])["active"]


def test_none_takes_a_parameter_away_and_a_list_repeats_it(authserver: AuthServer):
    client = authserver.client()
    assert "state" not in authserver.request(client, state=None)
    assert authserver.post("/token", client, grant_type=None).json()["error"] == "invalid_request"
    twice = authserver.post("/token", client, grant_type=["client_credentials"] * 2)
    assert twice.json()["error"] == "invalid_request"


def test_the_password_of_an_account_can_be_chosen(authserver: AuthServer):
    authserver.user("carol", password="another long and good one")
    request = authserver.request(authserver.client(), authserver.pkce())
    page = authserver.browser().authorize(request, username="carol", password=PASSWORD)
    assert page.status == 400
    page = authserver.browser().authorize(request, username="carol", password="another long and good one")
    assert "code" in page.callback

"""Questions that records answer."""

from dataclasses import FrozenInstanceError

import pytest

from authserver.records import Client, Resource, Scope


def test_a_client_is_public_when_it_has_no_credentials():
    assert Client("a", token_endpoint_auth_method="none").public
    assert not Client("a").public


def test_a_client_may_do_what_it_is_registered_for():
    client = Client("a", grant_types=frozenset({"authorization_code"}), response_types=frozenset({"code"}))
    assert client.check_grant_type("authorization_code")
    assert client.check_response_type("code")
    for other in ("", "AUTHORIZATION_CODE", "password", "refresh_token", "code token", "token"):
        assert not client.check_grant_type(other)
        assert not client.check_response_type(other)
    assert client.get_client_id() == "a"
    assert client.get_default_redirect_uri() is None


def test_the_origins_of_a_client_are_those_of_its_web_pages():
    client = Client(
        "a",
        redirect_uris=("https://App.test/cb", "http://localhost:9002/cb", "com.app:/cb", "https://app.test:443/other"),
        web_origins=frozenset({"https://spa.test"}),
    )
    assert client.origins == {"https://app.test", "http://localhost:9002", "https://spa.test"}


def test_a_resource_names_its_scopes():
    assert Resource("https://api.test", "API", (Scope("read", "Read"), Scope("write", "Write"))).scope_names == {
        "read",
        "write",
    }


def test_records_do_not_change():
    with pytest.raises(FrozenInstanceError):
        Client("web").client_id = "other"

"""requests-oauthlib, which raises when the scope that is granted is not the scope that was asked for."""

from collections.abc import Callable
from typing import Any

import pytest
from oauthlib.oauth2 import BackendApplicationClient, InvalidGrantError, WebApplicationClient
from oauthlib.oauth2.rfc6749.errors import AccessDeniedError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from pytest_authserver import RegisteredClient
from tests.clients.conftest import CALLBACK, OPAQUE, Answer

Register = Callable[..., RegisteredClient]
SCOPE = ["openid", "profile", "email", "notes:read"]


@pytest.fixture(autouse=True)
def loopback_is_good_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.delenv("OAUTHLIB_RELAX_TOKEN_SCOPE", raising=False)


def opened(registered: RegisteredClient, **more: Any) -> OAuth2Session:
    return OAuth2Session(registered.client_id, redirect_uri=CALLBACK, scope=SCOPE, **more)


@pytest.mark.parametrize("way", ["basic", "body", "none"])
def test_a_session_goes_all_the_way(endpoints: dict[str, Any], register: Register, answer: Answer, way: str):
    client = register("none" if way == "none" else "client_secret_basic")
    with opened(client, pkce="S256") as own:
        url, _ = own.authorization_url(endpoints["authorization_endpoint"], resource=OPAQUE)
        own_way = {
            "basic": {"auth": HTTPBasicAuth(client.client_id, client.client_secret)},
            "body": {"client_secret": client.client_secret, "include_client_id": True},
            "none": {"include_client_id": True},
        }[way]
        token = own.fetch_token(endpoints["token_endpoint"], authorization_response=answer(url), **own_way)
        assert token["scope"] == SCOPE
        assert own.get(endpoints["userinfo_endpoint"]).json()["name"] == "Alice Liddell"

        credentials = {"client_id": client.client_id}
        if client.client_secret:
            credentials["client_secret"] = client.client_secret
        fresh = own.refresh_token(endpoints["token_endpoint"], **credentials)
        assert fresh["refresh_token"] != token["refresh_token"]
        revoke, headers, body = own._client.prepare_token_revocation_request(
            endpoints["revocation_endpoint"], fresh["refresh_token"], "refresh_token", **credentials
        )
        assert own.post(revoke, data=body, headers=headers, withhold_token=True).json() == {}
        if client.client_secret:
            introspected = own.post(
                endpoints["introspection_endpoint"],
                data={"token": fresh["access_token"]},
                auth=(client.client_id, client.client_secret),
                withhold_token=True,
            )
            assert introspected.json() == {"active": False}
        with pytest.raises(InvalidGrantError):
            own.refresh_token(endpoints["token_endpoint"], **credentials)


def test_without_pkce_a_client_that_need_not_use_it_goes_all_the_way(
    endpoints: dict[str, Any], register: Register, answer: Answer
):
    client = register("client_secret_basic", require_pkce=False)
    with opened(client, client=WebApplicationClient(client.client_id)) as own:
        url, _ = own.authorization_url(endpoints["authorization_endpoint"], resource=OPAQUE)
        token = own.fetch_token(
            endpoints["token_endpoint"], authorization_response=answer(url), client_secret=client.client_secret
        )
    assert token["scope"] == SCOPE


def test_a_client_gets_a_token_of_its_own(endpoints: dict[str, Any], register: Register):
    client = register("client_secret_basic")
    with OAuth2Session(client=BackendApplicationClient(client.client_id), scope=["notes:read"]) as own:
        token = own.fetch_token(
            endpoints["token_endpoint"], client_secret=client.client_secret, resource=OPAQUE, scope=["notes:read"]
        )
    assert token["scope"] == ["notes:read"]


def test_a_denial_is_an_error_that_the_session_tells(endpoints: dict[str, Any], register: Register, denial: Answer):
    client = register("client_secret_basic")
    with opened(client, pkce="S256") as own:
        url, _ = own.authorization_url(endpoints["authorization_endpoint"], resource=OPAQUE)
        with pytest.raises(AccessDeniedError):
            own.fetch_token(endpoints["token_endpoint"], authorization_response=denial(url))

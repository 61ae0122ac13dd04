"""openid-client and oauth4webapi from npm: the two that check every answer down to its types."""

from collections.abc import Callable
from typing import Any

import pytest

from pytest_authserver import AuthServer, RegisteredClient
from tests.clients.conftest import CALLBACK, JWT, OPAQUE, Answer
from tests.signing import pem

Register = Callable[..., RegisteredClient]
RunNode = Callable[..., dict[str, Any]]
SECRETS = ["client_secret_basic", "client_secret_post"]
SCOPE = "openid profile email notes:read"


def asked(server: AuthServer, client: RegisteredClient, method: str, **more: Any) -> dict[str, Any]:
    return {
        "issuer": server.issuer,
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "private_key": pem("p256"),
        "method": method,
        "redirect_uri": CALLBACK,
        "post_logout_redirect_uri": "http://127.0.0.1:1/bye",
        "scope": SCOPE,
        "parameters": {"resource": OPAQUE},
        "own": {"resource": OPAQUE, "scope": "notes:read"},
        "discovery": "oidc",
        **more,
    }


def check(report: dict[str, Any], client: RegisteredClient, *, confidential: bool) -> None:
    assert report["userinfo"]["sub"] == report["claims"]["sub"]
    assert report["userinfo"]["name"] == "Alice Liddell"
    assert report["userinfo"]["email"] == "alice@example.test"
    assert (report["scope"], report["type"], report["seconds"]) == (SCOPE, "bearer", 600)
    assert report["rotated"]
    assert report["refused"]["error"] == report["replayed"]["error"] == "invalid_grant"
    if confidential:
        assert report["before"]["active"] is True
        assert report["before"]["client_id"] == client.client_id
        assert report["before"]["aud"] == OPAQUE
        assert report["after"] == {"active": False}


@pytest.mark.parametrize("discovery", ["oidc", "oauth2"])
@pytest.mark.parametrize("method", [*SECRETS, "client_secret_jwt", "private_key_jwt", "none"])
def test_openid_client_goes_all_the_way(
    server: AuthServer, register: Register, answer: Answer, run_node: RunNode, method: str, discovery: str
):
    client = register(method)
    report = run_node("openid_client.mjs", asked(server, client, method, discovery=discovery), answer)
    check(report, client, confidential=method != "none")
    assert report["refreshed_sub"] == report["claims"]["sub"]
    if method != "none":
        assert report["own"] == {"type": "bearer", "scope": "notes:read"}
    assert report["logout"].startswith(f"{server.issuer}/logout?")


def test_openid_client_finds_the_time_of_the_sign_in_when_it_asked_for_it(
    server: AuthServer, register: Register, answer: Answer, run_node: RunNode
):
    client = register("client_secret_basic")
    told = asked(server, client, "client_secret_basic", parameters={"resource": OPAQUE, "max_age": 300})
    report = run_node("openid_client.mjs", told, answer)
    assert report["claims"]["auth_time"] <= report["claims"]["iat"]


def test_openid_client_understands_a_denial(server: AuthServer, register: Register, denial: Answer, run_node: RunNode):
    client = register("client_secret_basic")
    report = run_node("openid_client.mjs", asked(server, client, "client_secret_basic"), denial)
    assert report == {"error": "access_denied", "name": "AuthorizationResponseError"}


def test_openid_client_understands_that_nobody_is_signed_in(
    server: AuthServer, register: Register, answer: Answer, run_node: RunNode
):
    client = register("client_secret_basic")
    told = asked(server, client, "client_secret_basic", parameters={"prompt": "none"})
    report = run_node("openid_client.mjs", told, answer)
    assert report == {"error": "login_required", "name": "AuthorizationResponseError"}


@pytest.mark.parametrize("discovery", ["oidc", "oauth2"])
@pytest.mark.parametrize("method", [*SECRETS, "none"])
def test_oauth4webapi_goes_all_the_way(
    server: AuthServer, register: Register, answer: Answer, run_node: RunNode, method: str, discovery: str
):
    client = register(method)
    report = run_node("oauth4webapi.mjs", asked(server, client, method, discovery=discovery), answer)
    check(report, client, confidential=method != "none")


def test_oauth4webapi_accepts_the_jwt_access_token_as_a_resource_server(
    server: AuthServer, register: Register, answer: Answer, run_node: RunNode
):
    client = register("client_secret_basic")
    more = {"scope": "openid almanac:read", "parameters": {"resource": JWT}, "audience": JWT}
    report = run_node("oauth4webapi.mjs", asked(server, client, "client_secret_basic", **more), answer)
    assert report["jwt"]["client_id"] == client.client_id
    assert report["jwt"]["sub"] == report["claims"]["sub"]
    assert report["jwt"]["aud"] == JWT
    assert report["before"]["jti"] == report["jwt"]["jti"]
    assert report["after"] == {"active": False}

"""openid-client and oauth4webapi from npm with pushed and signed requests, signed responses and DPoP."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_authserver import AuthServer, RegisteredClient
from pytest_authserver.live import serving
from tests.clients.conftest import CALLBACK, Answer, Visit, public_key
from tests.signing import pem

RunNode = Callable[..., dict[str, Any]]
SCOPE = "openid profile notes:read"
SCRIPTS = ["openid_client_fapi.mjs", "oauth4webapi_fapi.mjs"]


@pytest.fixture(scope="module")
def nonces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server that wants its nonce in every proof."""
    limits = {"sign_in_per_address": 1000}
    with serving(tmp_path_factory.mktemp("nonces"), limits=limits, dpop={"require_nonce": True}) as running:
        running.user("alice", name="Alice Liddell")
        yield running


def _client(server: AuthServer, profile: str, **more: Any) -> RegisteredClient:
    return server.client(
        profile=profile,
        redirect_uris=[CALLBACK],
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [public_key("p256")]},
        scope=SCOPE,
        **more,
    )


def _asked(server: AuthServer, client: RegisteredClient, **more: Any) -> dict[str, Any]:
    return {
        "issuer": server.issuer,
        "client_id": client.client_id,
        "private_key": pem("p256"),
        "method": "private_key_jwt",
        "redirect_uri": CALLBACK,
        "scope": "openid profile",
        "id_token_alg": "ES256",
        "discovery": "oidc",
        "par": True,
        "dpop": "ES256",
        **more,
    }


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "Ed25519"])
def test_fapi_2_security_profile(server: AuthServer, answer: Answer, run_node: RunNode, script: str, algorithm: str):
    report = run_node(script, _asked(server, _client(server, "fapi2"), dpop=algorithm), answer)
    assert report["type"] == "dpop"
    assert report["introspected"]["active"] is True
    assert report["introspected"]["cnf"].keys() == {"jkt"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_fapi_2_message_signing(server: AuthServer, answer: Answer, run_node: RunNode, script: str):
    client = _client(server, "fapi2_message_signing")
    more = {"jar": True, "jarm": "ES256", "introspection_alg": "ES256"}
    report = run_node(script, _asked(server, client, **more), answer)
    assert report["type"] == "dpop"
    if "answered" in report:
        assert sorted(report["query"]) == ["client_id", "request_uri"]
        assert report["answered"] == ["response"]
    else:
        assert report["kind"] == "application/token-introspection+jwt"


@pytest.mark.parametrize("script", SCRIPTS)
def test_nonces_are_learnt_on_the_way(nonces: AuthServer, visit_at: Visit, run_node: RunNode, script: str):
    report = run_node(script, _asked(nonces, _client(nonces, "fapi2")), visit_at(nonces))
    assert report["type"] == "dpop"
    assert report.get("nonces", 1) > 0


def test_a_signed_request_by_the_browser_alone(server: AuthServer, answer: Answer, run_node: RunNode):
    client = _client(server, "oauth21", require_signed_request_object=True)
    report = run_node(
        "openid_client_fapi.mjs", _asked(server, client, par=False, jar=True, id_token_alg="RS256"), answer
    )
    assert sorted(report["query"]) == ["client_id", "request"]
    assert report["userinfo"]["name"] == "Alice Liddell"


@pytest.mark.parametrize("method", ["RS256", "ES256"])
def test_a_signed_response_alone(server: AuthServer, answer: Answer, run_node: RunNode, method: str):
    client = _client(server, "oauth21", authorization_signed_response_alg=method)
    told = _asked(server, client, par=False, dpop=None, jarm=method, id_token_alg="RS256")
    report = run_node("openid_client_fapi.mjs", told, answer)
    assert report["answered"] == ["response"]
    assert report["type"] == "bearer"


def test_plain_oauth_without_openid(server: AuthServer, answer: Answer, run_node: RunNode):
    told = _asked(server, _client(server, "fapi2"), scope="profile", discovery="oauth2")
    assert run_node("openid_client_fapi.mjs", told, answer)["scope"] == "profile"

"""requests-oauth2client from PyPI: pushed requests, request objects and DPoP, alone and together."""

from collections.abc import Callable
from typing import Any

import pytest
import requests
from jwskate import Jwk
from requests_oauth2client import DPoPToken, OAuth2Client, PrivateKeyJwt

from pytest_authserver import AuthServer, RegisteredClient
from tests.clients.conftest import CALLBACK, Answer
from tests.signing import pem

Register = Callable[..., RegisteredClient]


def _key() -> Jwk:
    return Jwk({**Jwk.from_pem(pem("p256")).to_dict(), "kid": "p256", "alg": "ES256"})


def _client(server: AuthServer, client: RegisteredClient, **more: Any) -> OAuth2Client:
    """Let the library read the metadata of the server."""
    return OAuth2Client.from_discovery_endpoint(
        issuer=server.issuer,
        auth=PrivateKeyJwt(client.client_id, _key(), aud=server.issuer),
        redirect_uri=CALLBACK,
        testing=True,
        **more,
    )


def _pushable(client: OAuth2Client, request: Any, signed: Any) -> Any:
    """Put the request object into a request that the library (1.8.0) can push: a signed one it can only print."""
    same = {"state": request.state, "nonce": request.nonce, "code_verifier": request.code_verifier}
    return client.authorization_request(
        scope="openid profile",
        dpop=request.dpop_key is not None,
        dpop_key=request.dpop_key,
        request=signed.request,
        **same,
    )


@pytest.mark.parametrize("dpop", [False, True], ids=["bearer", "dpop"])
@pytest.mark.parametrize("pushed", [False, True], ids=["by the browser", "pushed"])
@pytest.mark.parametrize("signed", [False, True], ids=["plain", "signed"])
def test_the_code_flow(
    server: AuthServer, register: Register, answer: Answer, *, dpop: bool, pushed: bool, signed: bool
):
    registered = register("private_key_jwt", dpop_bound_access_tokens=dpop)
    client = _client(server, registered)
    request = client.authorization_request(scope="openid profile", dpop=dpop)
    asked: Any = request.sign(_key(), alg="ES256", lifetime=60) if signed else request
    if pushed:
        asked = client.pushed_authorization_request(_pushable(client, request, asked) if signed else request)
    response = request.validate_callback(answer(str(asked)))
    # The library (1.8.0) cannot validate the ID token beside a DPoP token; other tests of this folder do.
    tokens = client.authorization_code(response, validate=not dpop)
    assert isinstance(tokens, DPoPToken) is dpop
    assert tokens.token_type == ("DPoP" if dpop else "Bearer")
    userinfo = requests.get(f"{server.issuer}/userinfo", auth=tokens, timeout=10)
    assert userinfo.json()["name"] == "Alice Liddell"


def test_refresh_and_client_credentials_are_bound_too(server: AuthServer, register: Register, answer: Answer):
    client = _client(server, register("private_key_jwt", dpop_bound_access_tokens=True))
    request = client.authorization_request(scope="openid profile", dpop=True)
    tokens = client.authorization_code(request.validate_callback(answer(str(request))), validate=False)
    again = client.refresh_token(tokens)
    assert isinstance(again, DPoPToken)
    assert requests.get(f"{server.issuer}/userinfo", auth=again, timeout=10).status_code == 200
    assert isinstance(client.client_credentials(scope="notes:read", dpop=True), DPoPToken)
    # The key is what counts: the bare token opens nothing.
    bare = {"Authorization": f"Bearer {again.access_token}"}
    assert requests.get(f"{server.issuer}/userinfo", headers=bare, timeout=10).status_code == 401

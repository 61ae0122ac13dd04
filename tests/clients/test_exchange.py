"""requests-oauth2client from PyPI: token exchange, with and without DPoP, and assertions of another issuer."""

import json
import secrets
import time
from pathlib import Path

import pytest
from requests_oauth2client import DPoPToken, InvalidRequest, InvalidTarget, OAuth2Client

from pytest_authserver import AuthServer, RegisteredClient
from pytest_authserver.live import serving
from tests.signing import key, token

FRONT, BACK = "https://front.test/", "https://back.test/"
GRANTS = [
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "client_credentials",
]
IDP = "https://idp.test"


@pytest.fixture
def front(live_authserver: AuthServer) -> RegisteredClient:
    """A service that is called with a token and calls another one."""
    for identifier in (FRONT, BACK):
        live_authserver.resource(identifier, "read")
    return live_authserver.client(
        grant_types=GRANTS, redirect_uris=None, scope="read", resource_server_for=[FRONT], exchange_audiences=[BACK]
    )


def _client(at: AuthServer, registered: RegisteredClient) -> OAuth2Client:
    return OAuth2Client(
        f"{at.issuer}/token", (registered.client_id, registered.client_secret), issuer=at.issuer, testing=True
    )


def test_a_token_is_exchanged_for_the_next_service(live_authserver: AuthServer, front: RegisteredClient):
    web = live_authserver.client(trusted=True, scope="openid read")
    tokens = live_authserver.tokens(web, live_authserver.user("alice"), scope="openid read", resource=FRONT)
    asked = {"subject_token": tokens["access_token"], "subject_token_type": "access_token", "resource": BACK}
    own = _client(live_authserver, front)
    bearer = own.token_exchange(**asked)
    assert (bearer.token_type, bearer.scope) == ("Bearer", "read")
    assert live_authserver.introspect(front, bearer.access_token)["act"] == {"sub": front.client_id}
    bound = own.token_exchange(**asked, dpop=True)
    assert isinstance(bound, DPoPToken)
    assert live_authserver.introspect(front, bound.access_token)["cnf"] == {"jkt": bound.dpop_key.dpop_jkt}
    with pytest.raises(InvalidTarget):
        own.token_exchange(**{**asked, "resource": FRONT})
    with pytest.raises(InvalidRequest):
        own.token_exchange(**{**asked, "subject_token": bearer.access_token + "x"})


def test_an_assertion_of_another_issuer_is_exchanged(tmp_path: Path):
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [key("p256").as_dict(private=False)]}))
    trusted = {"issuer": IDP, "typ": "jwt", "jwks_file": tmp_path / "jwks.json", "account": "username"}
    with serving(tmp_path, trusted_issuers=[trusted]) as server:
        alice, robot = server.user("alice"), server.client(grant_types=GRANTS, redirect_uris=None, scope="api:read")
        moment = int(time.time())
        claims = {"iss": IDP, "sub": "alice", "aud": server.issuer, "iat": moment, "exp": moment + 60}
        assertion = token("ES256", {**claims, "jti": secrets.token_urlsafe()})
        answer = _client(server, robot).jwt_bearer(assertion, scope="api:read")
        assert server.introspect(robot, answer.access_token)["sub"] == alice.sub

"""Authlib's own clients: two OAuth2 sessions, one on requests and one on httpx2, and its OpenID client for Flask."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import flask
import pytest
import requests
from authlib.integrations.flask_client import OAuth
from authlib.integrations.httpx_client import OAuth2Client
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.oauth2.rfc7523 import ClientSecretJWT, PrivateKeyJWT
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

from pytest_authserver import AuthServer, RegisteredClient
from tests.clients.conftest import CALLBACK, OPAQUE, Answer
from tests.signing import pem

Register = Callable[..., RegisteredClient]
SCOPE = "openid profile email notes:read"


@contextmanager
def session(library: type[Any], client: RegisteredClient, method: str) -> Iterator[Any]:
    """A session of the library."""
    secret = pem("rsa") if method == "private_key_jwt" else client.client_secret
    with library(
        client.client_id,
        secret or None,
        scope=SCOPE,
        redirect_uri=CALLBACK,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        code_challenge_method="S256",
    ) as opened:
        yield opened


@pytest.mark.parametrize("library", [OAuth2Session, OAuth2Client])
@pytest.mark.parametrize(
    "method", ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"]
)
def test_a_session_goes_all_the_way(
    server: AuthServer,
    endpoints: dict[str, Any],
    register: Register,
    answer: Answer,
    library: type[Any],
    method: str,
):
    client = register(method)
    with session(library, client, method) as own:
        if method == "private_key_jwt":
            own.register_client_auth_method(
                PrivateKeyJWT(endpoints["token_endpoint"], headers={"kid": "rsa"}, alg="RS256")
            )
        if method == "client_secret_jwt":
            own.register_client_auth_method(ClientSecretJWT(endpoints["token_endpoint"]))
        verifier, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
        url, state = own.create_authorization_url(
            endpoints["authorization_endpoint"], code_verifier=verifier, nonce=nonce, resource=OPAQUE
        )
        token = own.fetch_token(
            endpoints["token_endpoint"], authorization_response=answer(url), state=state, code_verifier=verifier
        )
        assert (token["token_type"].lower(), token["expires_in"], token["scope"]) == ("bearer", 600, SCOPE)
        claims = check_id_token(endpoints, client, token, nonce)
        userinfo = own.get(endpoints["userinfo_endpoint"]).json()
        assert (userinfo["sub"], userinfo["name"]) == (claims["sub"], "Alice Liddell")

        fresh = dict(own.refresh_token(endpoints["token_endpoint"]))
        assert fresh["refresh_token"] != token["refresh_token"]
        if method != "none":
            before = own.introspect_token(endpoints["introspection_endpoint"], token=fresh["access_token"]).json()
            assert (before["active"], before["sub"], before["aud"]) == (True, claims["sub"], OPAQUE)
        gone = own.revoke_token(endpoints["revocation_endpoint"], token=fresh["access_token"])
        assert (gone.status_code, gone.json()) == (200, {})
        if method != "none":
            after = own.introspect_token(endpoints["introspection_endpoint"], token=fresh["access_token"]).json()
            assert after == {"active": False}
        own.revoke_token(endpoints["revocation_endpoint"], token=fresh["refresh_token"])
        with pytest.raises(OAuthError, match="invalid_grant"):
            own.refresh_token(endpoints["token_endpoint"], refresh_token=fresh["refresh_token"])


def check_id_token(endpoints: dict[str, Any], client: RegisteredClient, token: dict[str, Any], nonce: str) -> Any:
    """Check the ID token as Authlib does, with the published keys."""
    keys = KeySet.import_key_set(requests.get(endpoints["jwks_uri"], timeout=10).json())
    decoded = jwt.decode(token["id_token"], keys, algorithms=["RS256"])
    options = {"iss": {"values": [endpoints["issuer"]]}, "aud": {"values": [client.client_id]}}
    expected = {"nonce": nonce, "client_id": client.client_id, "access_token": token["access_token"]}
    claims = CodeIDToken(decoded.claims, decoded.header, options, expected)
    claims.validate()
    return claims


@pytest.mark.parametrize("library", [OAuth2Session, OAuth2Client])
def test_a_session_gets_a_token_of_its_own(endpoints: dict[str, Any], register: Register, library: type[Any]):
    client = register("client_secret_basic")
    with session(library, client, "client_secret_basic") as own:
        token = own.fetch_token(
            endpoints["token_endpoint"], grant_type="client_credentials", scope="notes:read", resource=OPAQUE
        )
    assert token["scope"] == "notes:read"
    assert "refresh_token" not in token


def test_a_wrong_verifier_is_an_error_that_the_session_tells(
    endpoints: dict[str, Any], register: Register, answer: Answer
):
    client = register("client_secret_basic")
    with session(OAuth2Session, client, "client_secret_basic") as own:
        url, state = own.create_authorization_url(
            endpoints["authorization_endpoint"], code_verifier=secrets.token_urlsafe(32), resource=OPAQUE
        )
        with pytest.raises(OAuthError, match="invalid_grant"):
            own.fetch_token(
                endpoints["token_endpoint"],
                authorization_response=answer(url),
                state=state,
                code_verifier=secrets.token_urlsafe(32),
            )


def test_the_openid_client_for_flask_logs_a_person_in(server: AuthServer, register: Register, answer: Answer):
    client = register("client_secret_basic", redirect_uris=["http://localhost/callback"])
    app = flask.Flask("relying party")
    app.secret_key = "for the test only"
    provider = OAuth(app).register(
        "provider",
        client_id=client.client_id,
        client_secret=client.client_secret,
        server_metadata_url=f"{server.issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
    )
    app.add_url_rule("/login", view_func=lambda: provider.authorize_redirect("http://localhost/callback"))

    @app.get("/callback")
    def callback() -> dict[str, Any]:
        token = provider.authorize_access_token()
        return {"claims": token["userinfo"], "userinfo": provider.userinfo(token=token)}

    http = app.test_client()
    back = answer(http.get("/login").headers["Location"])
    told = http.get(back.removeprefix("http://localhost")).get_json()
    assert told["claims"]["iss"] == server.issuer
    assert told["claims"]["sub"] == told["userinfo"]["sub"]
    assert told["userinfo"]["email"] == "alice@example.test"

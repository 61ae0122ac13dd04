"""Issuing: the one function that makes access and refresh tokens, whatever the grant (RFC 6749 5.1)."""

from pathlib import Path
from typing import Any

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import API

BOUND = {"iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti", "token_type", "active"}


def _tokens(authserver: AuthServer, client: RegisteredClient, user: User) -> dict[str, dict[str, Any]]:
    code = authserver.tokens(client, user, scope="openid api:read", resource=API)
    return {
        "authorization_code": code,
        "refresh_token": authserver.refresh(client, code["refresh_token"]).json(),
        "client_credentials": authserver.token(
            client, grant_type="client_credentials", scope="api:read", resource=API
        ).json(),
    }


def test_every_grant_issues_the_same_kind_of_token(authserver: AuthServer, client: RegisteredClient, alice: User):
    for grant_type, answer in _tokens(authserver, client, alice).items():
        told = authserver.introspect(client, answer["access_token"])
        assert BOUND.issubset(told), grant_type
        assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 600)
        assert answer["scope"] == told["scope"]
        assert ("refresh_token" in answer) is (grant_type != "client_credentials")


@pytest.mark.parametrize("seconds", [1, 3600])
def test_lifetimes_come_from_the_settings(tmp_path: Path, seconds: int):
    server = AuthServer(tmp_path, tokens={"access_token_seconds": seconds, "refresh_token_seconds": seconds})
    client = server.client()
    tokens = server.tokens(client, server.user())
    assert tokens["expires_in"] == seconds
    told = server.introspect(client, tokens["refresh_token"])
    assert told["exp"] - told["iat"] == seconds
    with server.later(seconds + 1):
        assert not server.introspect(client, tokens["access_token"])["active"]
        assert server.refresh(client, tokens["refresh_token"]).status_code == 400
    server.close()


def test_handles_carry_a_prefix_and_a_checksum(authserver: AuthServer, client: RegisteredClient, alice: User):
    allowed = authserver.allow(client, alice)
    tokens = authserver.redeem(client, allowed).json()
    for handle, prefix in (
        (allowed.code, "asc_"),
        (tokens["access_token"], "asa_"),
        (tokens["refresh_token"], "asr_"),
        (client.client_secret, "ass_"),
    ):
        assert handle.startswith(prefix)
        assert len(handle) == 53

"""Token endpoint (RFC 6749 3.2, 5.1, 5.2)."""

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import API, assert_refused


def test_a_success_is_json_that_nobody_keeps_5_1(authserver: AuthServer, client: RegisteredClient, alice: User):
    answer = authserver.redeem(client, authserver.allow(client, alice))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 600
    assert body["scope"] == "openid profile"
    assert set(body) == {"access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"}


def test_the_scope_is_always_stated_as_granted_5_1(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens = authserver.tokens(client, alice, scope="profile unheard-of openid api:read")
    assert tokens["scope"] == "profile openid api:read"
    assert authserver.introspect(client, tokens["access_token"])["scope"] == "profile openid api:read"


def test_the_access_token_has_the_entropy_of_256_bits_and_legal_characters(
    authserver: AuthServer, client: RegisteredClient
):
    tokens = {
        authserver.token(client, grant_type="client_credentials", scope="api:read").json()["access_token"]
        for _ in range(5)
    }
    assert len(tokens) == 5
    for token in tokens:
        assert len(token) >= 43
        assert token.replace("-", "").replace("_", "").isalnum()


def test_a_request_without_grant_type_is_refused_5_2(authserver: AuthServer, client: RegisteredClient):
    assert_refused(authserver.token(client), "invalid_request")
    assert_refused(authserver.token(client, grant_type=""), "invalid_request")


@pytest.mark.parametrize(
    "grant_type",
    [
        "password",
        "implicit",
        "Authorization_code",
        "urn:ietf:params:oauth:grant-type:saml2-bearer",
        "client_credentials ",
        "refresh_token,client_credentials",
        "\N{SNOWMAN}",
        "x" * 10_000,
    ],
)
def test_an_unknown_grant_type_is_refused_5_2(authserver: AuthServer, client: RegisteredClient, grant_type: str):
    parameters = {"grant_type": grant_type, "username": "alice", "password": "correct horse battery staple"}
    assert_refused(authserver.token(client, **parameters), "unsupported_grant_type")


def test_a_grant_type_that_the_client_has_not_registered_is_refused_5_2(authserver: AuthServer):
    only_code = authserver.client(grant_types=["authorization_code"])
    for grant_type in ("client_credentials", "refresh_token"):
        assert_refused(authserver.token(only_code, grant_type=grant_type, scope="api:read"), "unauthorized_client")
    only_itself = authserver.client(grant_types=["client_credentials"], redirect_uris=None)
    assert_refused(authserver.token(only_itself, grant_type="authorization_code", code="x"), "unauthorized_client")


def test_a_grant_type_twice_is_refused_3_2(authserver: AuthServer, client: RegisteredClient):
    twice = ["client_credentials", "client_credentials"]
    assert_refused(authserver.token(client, grant_type=twice, scope="api:read"), "invalid_request")


def test_the_client_is_authenticated_before_the_grant_type_is_looked_at(authserver: AuthServer):
    for parameters in ({}, {"grant_type": "password"}, {"grant_type": "refresh_token", "refresh_token": "x"}):
        assert_refused(authserver.post("/token", **parameters), "invalid_client", 401)


@pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token", "client_credentials"])
def test_every_grant_asks_a_confidential_client_for_its_credentials_3_2_1(
    authserver: AuthServer, client: RegisteredClient, alice: User, grant_type: str
):
    tokens = authserver.tokens(client, alice)
    allowed = authserver.allow(client, alice)
    parameters = {"code": allowed.code, "refresh_token": tokens["refresh_token"], "scope": "api:read"}
    answer = authserver.post("/token", grant_type=grant_type, client_id=client.client_id, **parameters)
    assert_refused(answer, "invalid_client", 401)
    assert authserver.refresh(client, tokens["refresh_token"]).status_code == 200
    assert authserver.redeem(client, allowed).status_code == 200


def test_parameters_in_the_url_are_never_read_3_2(authserver: AuthServer, client: RegisteredClient):
    path = "/token?grant_type=client_credentials&scope=api:read"
    assert_refused(authserver.post(path, client), "invalid_request")
    assert_refused(authserver.post(path, client, grant_type="client_credentials", scope="api:read"), "invalid_request")
    assert_refused(authserver.post("/token?x", client, grant_type="client_credentials"), "invalid_request")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencodedx",
        "",
    ],
)
def test_a_body_that_is_not_a_form_in_utf_8_is_refused_3_2(
    authserver: AuthServer, client: RegisteredClient, content_type: str
):
    body = b"grant_type=client_credentials&scope=api%3Aread"
    with authserver.http(auth=client.basic) as http:
        answer = http.post("/token", content=body, headers={"Content-Type": content_type})
    assert_refused(answer, "invalid_request")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
        'application/x-www-form-urlencoded;charset="utf-8"',
        "Application/X-WWW-Form-Urlencoded",
    ],
)
def test_a_form_is_a_form_however_its_type_is_spelled(
    authserver: AuthServer, client: RegisteredClient, content_type: str
):
    body = b"grant_type=client_credentials&scope=api%3Aread"
    with authserver.http(auth=client.basic) as http:
        answer = http.post("/token", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_than_post_are_not_allowed_3_2(authserver: AuthServer, client: RegisteredClient, method: str):
    with authserver.http(auth=client.basic) as http:
        answer = http.request(method, "/token")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


def test_an_unknown_parameter_is_ignored_3_2(authserver: AuthServer, client: RegisteredClient):
    parameters = {"grant_type": "client_credentials", "scope": "api:read", "extra": ["a", "b"], "audience": API}
    assert authserver.token(client, **parameters).status_code == 200


def test_errors_repeat_nothing_of_the_request(authserver: AuthServer, client: RegisteredClient):
    mark = "<script>needle</script>"
    for name in ("grant_type", "scope", "resource", "code", "refresh_token", "client_id"):
        parameters = {"grant_type": "client_credentials", "scope": "api:read", name: mark}
        assert "needle" not in authserver.token(client, **parameters).text

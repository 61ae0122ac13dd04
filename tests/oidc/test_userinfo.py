"""UserInfo endpoint (OpenID Connect Core 1.0, 5.3; RFC 6750)."""

import httpx2
import pytest

from authserver.manage import clients, users
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import API, JWT_API, OTHER_API, SCOPE, assert_refused


@pytest.fixture
def token(authserver: AuthServer, client: RegisteredClient, alice: User) -> str:
    """An access token with the scopes of a person."""
    text: str = authserver.tokens(client, alice, scope="openid profile email")["access_token"]
    return text


def _send(
    authserver: AuthServer, method: str, *, header: str | None = None, body: dict[str, object] | None = None
) -> httpx2.Response:
    with authserver.http(headers={} if header is None else {"Authorization": header}) as http:
        return http.request(method, "/userinfo", data=body)


# 5.3.1: how to ask.


def test_the_token_may_be_in_the_header_by_get_and_post_and_in_a_posted_body(
    authserver: AuthServer, token: str, alice: User
):
    answers = [
        _send(authserver, "GET", header=f"Bearer {token}"),
        _send(authserver, "POST", header=f"Bearer {token}"),
        _send(authserver, "POST", header=f"Bearer {token}", body={"x": "y"}),
        _send(authserver, "POST", body={"access_token": token}),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["sub"] == alice.sub
    assert len({answer.content for answer in answers}) == 1


def test_the_scheme_may_be_in_any_case(authserver: AuthServer, token: str):
    for scheme in ("bearer", "BEARER", "BeArEr"):
        assert _send(authserver, "GET", header=f"{scheme} {token}").status_code == 200


def test_a_token_in_the_url_is_never_taken(authserver: AuthServer, token: str):
    answer = authserver.get(f"/userinfo?access_token={token}")
    assert answer.status_code == 401
    assert "error" not in answer.json()
    with authserver.http() as http:
        assert http.post(f"/userinfo?access_token={token}").status_code == 400


def test_a_request_without_a_token_is_told_the_scheme_and_no_error_6750_3_1(authserver: AuthServer):
    for answer in (
        _send(authserver, "GET"),
        _send(authserver, "POST"),
        _send(authserver, "POST", body={"access_token": ""}),
    ):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="authserver"'
        assert "error" not in answer.json()


def test_two_ways_at_once_are_an_invalid_request_6750_2(authserver: AuthServer, token: str):
    answer = _send(authserver, "POST", header=f"Bearer {token}", body={"access_token": token})
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    answer = _send(authserver, "POST", body={"access_token": [token, token]})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer x", "Bearer x y", "Bearer " + "x" * 60_000, "Bearer a, Bearer b", "Bearer \t"],
)
def test_what_is_no_token_is_an_invalid_token_6750_3_1(authserver: AuthServer, header: str):
    answer = _send(authserver, "GET", header=header)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_an_invalid_token_is_told_with_a_challenge(authserver: AuthServer):
    answer = authserver.get("/userinfo", "x")
    assert_refused(answer, "invalid_token", 401)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert "x" not in answer.headers["www-authenticate"].partition("error_description")[0].replace("expired", "").split(
        '"'
    )


@pytest.mark.parametrize("scheme", ["Basic", "DPoP", "Token"])
def test_another_scheme_carries_no_bearer_token(authserver: AuthServer, token: str, scheme: str):
    assert _send(authserver, "GET", header=f"{scheme} {token}").status_code == 401


def test_other_tokens_are_not_taken(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens = authserver.tokens(client, alice)
    for other in (tokens["refresh_token"], tokens["id_token"], authserver.allow(client, alice).code):
        assert_refused(authserver.get("/userinfo", other), "invalid_token", 401)
    assert authserver.refresh(client, tokens["refresh_token"]).status_code == 200


def test_a_token_without_the_scope_openid_is_not_enough(authserver: AuthServer, client: RegisteredClient, alice: User):
    for parameters in ({"scope": "profile"}, {"scope": "api:read", "resource": API}):
        token = authserver.tokens(client, alice, **parameters)["access_token"]
        answer = authserver.get("/userinfo", token)
        assert_refused(answer, "insufficient_scope", 403)
        assert 'scope="openid"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("resource", [None, API, OTHER_API, JWT_API])
def test_every_live_token_with_openid_is_taken_whatever_its_audience(
    authserver: AuthServer, client: RegisteredClient, alice: User, resource: str | None
):
    token = authserver.tokens(client, alice, scope=SCOPE, resource=resource)["access_token"]
    assert authserver.get("/userinfo", token).json()["sub"] == alice.sub


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_not_allowed(authserver: AuthServer, token: str, method: str):
    answer = _send(authserver, method, header=f"Bearer {token}")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


# 5.3.2: the answer.


def test_the_subject_is_that_of_the_id_token(authserver: AuthServer, client: RegisteredClient, alice: User):
    import jwt

    tokens = authserver.tokens(client, alice)
    subject = jwt.decode(tokens["id_token"], options={"verify_signature": False})["sub"]
    assert authserver.get("/userinfo", tokens["access_token"]).json()["sub"] == subject


def test_nothing_but_the_subject_is_told_without_a_scope(authserver: AuthServer, client: RegisteredClient, alice: User):
    token = authserver.tokens(client, alice, scope="openid")["access_token"]
    assert authserver.get("/userinfo", token).json() == {"sub": alice.sub}


@pytest.mark.parametrize("resource", [None, JWT_API])
def test_a_token_dies_with_what_it_stands_on(authserver: AuthServer, resource: str | None):
    user, client = authserver.user(f"userinfo-{bool(resource)}"), authserver.client(scope=SCOPE)
    token = authserver.tokens(client, user, resource=resource)["access_token"]
    assert authserver.get("/userinfo", token).status_code == 200
    with authserver.later(601):
        assert_refused(authserver.get("/userinfo", token), "invalid_token", 401)
    with authserver.later(1):
        users.set_disabled(authserver.store, user, disabled=True, actor="test")
        assert_refused(authserver.get("/userinfo", token), "invalid_token", 401)
        users.set_disabled(authserver.store, user, disabled=False, actor="test")
        assert_refused(authserver.get("/userinfo", token), "invalid_token", 401)
    with authserver.later(3):
        token = authserver.tokens(client, user, resource=resource)["access_token"]
        assert authserver.get("/userinfo", token).status_code == 200
        clients.set_disabled(authserver.store, client.client_id, disabled=True, actor="test")
        assert_refused(authserver.get("/userinfo", token), "invalid_token", 401)


def test_claims_are_read_anew_each_time(authserver: AuthServer, client: RegisteredClient):
    from dataclasses import replace

    from authserver.records import Event

    user = authserver.user("userinfo-anew", nickname="before")
    token = authserver.tokens(client, user)["access_token"]
    assert authserver.get("/userinfo", token).json()["nickname"] == "before"
    authserver.store.users.update(replace(user, claims={"nickname": "after"}), Event("user.updated", sub=user.sub))
    assert authserver.get("/userinfo", token).json()["nickname"] == "after"

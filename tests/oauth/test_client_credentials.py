"""Client credentials grant (RFC 6749 4.4)."""

import pytest

from authserver.manage.errors import InvalidMetadata
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import API, OTHER_API, assert_refused, is_alive


def test_the_answer_has_an_access_token_and_nothing_to_refresh_with_4_4_3(
    authserver: AuthServer, client: RegisteredClient
):
    answer = authserver.token(client, grant_type="client_credentials", scope="api:read")
    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert answer.json()["scope"] == "api:read"


def test_the_subject_is_the_client(authserver: AuthServer, client: RegisteredClient):
    token = authserver.token(client, grant_type="client_credentials", scope="api:read", resource=API).json()[
        "access_token"
    ]
    told = authserver.introspect(client, token)
    assert (told["sub"], told["client_id"], told["aud"]) == (client.client_id, client.client_id, API)
    assert {"auth_time", "acr", "amr", "sid"}.isdisjoint(told)


def test_a_client_id_that_is_somebodys_subject_is_never_registered_9700_4_15(authserver: AuthServer, alice: User):
    with pytest.raises(Exception, match="client_id"):
        authserver.client(client_id=alice.sub)


@pytest.mark.parametrize(
    "scope", ["openid", "offline_access", "api:read openid", "profile", "email", "phone", "address"]
)
def test_the_scopes_of_a_person_are_refused_4_4_3(authserver: AuthServer, client: RegisteredClient, scope: str):
    assert_refused(authserver.token(client, grant_type="client_credentials", scope=scope), "invalid_scope")


def test_without_a_scope_the_client_gets_its_default_but_nobodys_person(
    authserver: AuthServer, client: RegisteredClient
):
    answer = authserver.token(client, grant_type="client_credentials").json()
    assert set(answer["scope"].split()) == {"api:read", "api:write", "other:read", "jwt:read"}
    only_personal = authserver.client(scope="openid profile")
    assert_refused(authserver.token(only_personal, grant_type="client_credentials"), "invalid_scope")


def test_a_public_client_cannot_have_the_grant_4_4(authserver: AuthServer, public: RegisteredClient):
    answer = authserver.token(public, grant_type="client_credentials", scope="api:read")
    assert_refused(answer, "unauthorized_client")
    with pytest.raises(InvalidMetadata):
        authserver.client(token_endpoint_auth_method="none")


def test_a_resource_of_others_is_refused(authserver: AuthServer):
    kept = authserver.client(resources=[API])
    parameters = {"grant_type": "client_credentials", "scope": "api:read"}
    assert authserver.token(kept, **parameters, resource=API).status_code == 200
    assert_refused(authserver.token(kept, **parameters, resource=OTHER_API), "invalid_target")


def test_a_scope_of_which_the_resource_knows_nothing_is_refused(authserver: AuthServer, client: RegisteredClient):
    parameters = {"grant_type": "client_credentials", "scope": "api:read", "resource": OTHER_API}
    assert_refused(authserver.token(client, **parameters), "invalid_scope")


def test_several_resources_at_once_are_refused(authserver: AuthServer, client: RegisteredClient):
    parameters = {"grant_type": "client_credentials", "scope": "api:read", "resource": [API, OTHER_API]}
    assert_refused(authserver.token(client, **parameters), "invalid_target")


def test_such_a_token_says_nothing_at_userinfo(authserver: AuthServer, client: RegisteredClient):
    token = authserver.token(client, grant_type="client_credentials", scope="api:read").json()["access_token"]
    assert_refused(authserver.get("/userinfo", token), "insufficient_scope", 403)


def test_each_token_is_another_and_lives_by_itself(authserver: AuthServer, client: RegisteredClient):
    first, second = (
        authserver.token(client, grant_type="client_credentials", scope="api:read").json()["access_token"]
        for _ in range(2)
    )
    assert first != second
    assert authserver.post("/revoke", client, token=first).status_code == 200
    assert not is_alive(authserver, client, first)
    assert is_alive(authserver, client, second)

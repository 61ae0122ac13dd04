"""What the management API says of itself (RFC 9728), and what says nothing of it."""

from pathlib import Path

import pytest

from authserver.api.metadata import SCOPES
from authserver.settings import SettingsError
from pytest_authserver import AuthServer
from tests.api.conftest import Manager, resource_of


def test_the_document_is_where_challenges_say_9728_3_1(authserver: AuthServer):
    challenge = authserver.get("/manage/clients").headers["www-authenticate"]
    url = challenge.partition('resource_metadata="')[2].partition('"')[0]
    assert url == f"{authserver.issuer}/.well-known/oauth-protected-resource/manage"
    answer = authserver.get("/.well-known/oauth-protected-resource/manage")
    document = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert document["resource"] == resource_of(authserver)
    assert document["authorization_servers"] == [authserver.issuer]
    assert document["scopes_supported"] == list(SCOPES)
    assert document["bearer_methods_supported"] == ["header"]
    assert "ES256" in document["dpop_signing_alg_values_supported"]


@pytest.mark.parametrize("gateway", [True, False])
def test_the_well_known_part_stands_before_the_path_of_the_issuer(tmp_path: Path, *, gateway: bool):
    issuer = "http://localhost:9000/tenant"
    at = AuthServer(tmp_path, issuer=issuer, features={"management_api": True}, gateway=gateway)
    manager = Manager(at)
    with at.http() as http:
        found = http.get("http://localhost:9000/.well-known/oauth-protected-resource/tenant/manage").json()
        refused = http.get("http://localhost:9000/tenant/manage/clients")
    assert found["resource"] == f"{issuer}/manage"
    assert "/.well-known/oauth-protected-resource/tenant/manage" in refused.headers["www-authenticate"]
    assert manager("GET", "/clients").status_code == 200
    at.close()


def test_the_authorization_server_names_the_resource_and_not_its_scopes_9728_4(authserver: AuthServer):
    document = authserver.get("/.well-known/oauth-authorization-server").json()
    assert document["protected_resources"] == [resource_of(authserver)]
    assert not any(scope.startswith("manage:") for scope in document["scopes_supported"])


def test_it_is_off_unless_it_is_switched_on(tmp_path: Path):
    at = AuthServer(tmp_path)
    client = at.client(grant_types=["client_credentials"], scope="manage:clients", resources=[resource_of(at)])
    refused = at.token(client, grant_type="client_credentials", resource=resource_of(at))
    assert refused.json()["error"] == "invalid_target"
    assert at.get("/manage/clients").status_code == 404
    assert at.get("/.well-known/oauth-protected-resource/manage").status_code == 404
    at.close()


@pytest.mark.parametrize(
    "settings",
    [
        {"default_resource": "http://localhost:9000/manage"},
        {"registration": {"scopes": ["openid", "manage:clients:read"]}},
    ],
    ids=str,
)
def test_settings_that_would_give_it_away_are_refused(tmp_path: Path, settings: dict[str, object]):
    with pytest.raises(SettingsError, match="management API"):
        AuthServer(tmp_path, **settings)

"""Scopes of an administrator's own that open claims about a person (OpenID Connect Core 1.0, 5.1.2, 5.4)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from authserver.settings import SettingsError, load_settings
from pytest_authserver import AuthServer, RegisteredClient

WORK = {"description": "See where you work", "claims": ["department", "https://hr.test/cost_center"]}
DEPARTMENT = {"department": "Sales", "https://hr.test/cost_center": 42}


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server with a scope of its own, and a person who works somewhere."""
    server = AuthServer(tmp_path_factory.mktemp("scopes"), claim_scopes={"work": WORK})
    server.user("alice", **DEPARTMENT, secret="not for anybody")
    yield server
    server.close()


@pytest.fixture(scope="module")
def client(at: AuthServer) -> RegisteredClient:
    return at.client(scope="openid work")


def _told(at: AuthServer, client: RegisteredClient, **parameters: Any) -> dict[str, Any]:
    answer = at.sign_in(client, **parameters)
    told: dict[str, Any] = at.get("/userinfo", answer["access_token"]).json()
    return {name: value for name, value in told.items() if name != "sub"}


def test_the_scope_opens_its_claims_and_no_other(at: AuthServer, client: RegisteredClient):
    assert _told(at, client, scope="openid work") == DEPARTMENT
    assert _told(at, client, scope="openid") == {}


def test_one_of_its_claims_can_be_asked_for_alone(at: AuthServer, client: RegisteredClient):
    asked = json.dumps({"userinfo": {"department": None, "secret": None}})
    assert _told(at, client, scope="openid", claims=asked) == {"department": "Sales"}


def test_it_is_announced(at: AuthServer):
    document = at.get("/.well-known/openid-configuration").json()
    assert "work" in document["scopes_supported"]
    assert {"department", "https://hr.test/cost_center"} <= set(document["claims_supported"])


def test_people_read_its_sentence(at: AuthServer, client: RegisteredClient):
    user = at.user("bella")
    page = at.browser(user).visit_request(at.request(client, at.pkce(), scope="openid work"))
    assert "See where you work" in page.text


def test_people_read_it_once_for_all_its_claims(at: AuthServer, client: RegisteredClient):
    asked = json.dumps({"userinfo": dict.fromkeys(DEPARTMENT)})
    browser = at.browser(at.user("carla"))
    page = browser.visit_request(at.request(client, at.pkce(), scope="openid", claims=asked))
    assert page.text.count("See where you work") == 1
    browser.allow(page)
    assert browser.visit("/account/apps").text.count("See where you work") == 1


def test_a_client_that_acts_for_itself_cannot_have_it(at: AuthServer):
    machine = at.client(grant_types=["client_credentials"], redirect_uris=None, scope="work")
    answer = at.token(machine, grant_type="client_credentials", scope="work")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    "scopes",
    [
        {"a b": WORK},
        {"openid": WORK},
        {"profile": WORK},
        {"manage:users": WORK},
        {"work": {"description": "", "claims": ["department"]}},
        {"work": {"description": "See it", "claims": []}},
        {"work": {"description": "See it", "claims": ["sub"]}},
        {"work": {"description": "See it", "claims": ["line\nbreak"]}},
        {"work": {"description": "See it", "claims": ["x email"]}},  # consent would remember two things
        {"work": {"claims": ["department"]}},
    ],
)
def test_what_is_no_such_scope_is_refused_at_start(scopes: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTHSERVER_CLAIM_SCOPES", json.dumps(scopes))
    with pytest.raises(SettingsError, match="CLAIM_SCOPES"):
        load_settings()


def test_it_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTHSERVER_CLAIM_SCOPES", json.dumps({"work": WORK}))
    read = load_settings(issuer="https://id.test", secret_key="k" * 40).claim_scopes["work"]
    assert read.claims == ("department", "https://hr.test/cost_center")

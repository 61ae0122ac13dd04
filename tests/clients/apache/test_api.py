"""mod_auth_openidc as a resource server, with docs/apache/introspection.conf and docs/apache/jwt.conf."""

import json
import secrets

import httpx2
import pytest

from pytest_authserver import RegisteredClient
from tests import documented
from tests.clients.apache.conftest import OTHER, Sites
from tests.clients.conftest import JWT, OPAQUE
from tests.proofs import proven
from tests.tls.conftest import HEADER, LEAF

KINDS = {"introspection": OPAQUE, "jwt": JWT}


@pytest.fixture
def client(sites: Sites) -> RegisteredClient:
    """A client that may read and write."""
    return _client(sites)


def _client(sites: Sites, **more: bool) -> RegisteredClient:
    return sites.world.client(
        grant_types=["client_credentials"],
        redirect_uris=None,
        scope="notes:read notes:write",
        resources=[OPAQUE, JWT, OTHER],
        **more,
    )


def _token(sites: Sites, client: RegisteredClient, resource: str, scope: str = "notes:read", **more: object) -> str:
    asked = {"grant_type": "client_credentials", "scope": scope, "resource": resource}
    answer = sites.world.post("/token", client, **more, **asked).raise_for_status()
    token: str = answer.json()["access_token"]
    return token


def _call(sites: Sites, kind: str, token: str, **headers: str) -> httpx2.Response:
    with sites.http() as http:
        return http.get(f"{sites.at[kind]}/notes", headers={"Authorization": f"Bearer {token}", **headers})


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_token_is_accepted_and_the_api_is_told_whose_it_is(sites: Sites, client: RegisteredClient, kind: str):
    token = _token(sites, client, KINDS[kind], "notes:read notes:write")
    told = _call(sites, kind, token, tokenuser="root", OIDC_CLAIM_scope="everything").json()
    assert (told["TOKENUSER"], told["TOKENCLIENT"]) == (client.client_id, client.client_id)
    assert told["TOKENSCOPE"] == "notes:read notes:write"
    assert "AUTHORIZATION" not in told


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_a_person_is_hers(sites: Sites, kind: str):
    user = sites.world.user(f"user-{secrets.token_hex(6)}")
    client = sites.world.client(scope="openid notes:read", resources=[OPAQUE, JWT])
    tokens = sites.world.tokens(client, user, scope="openid notes:read", resource=KINDS[kind])
    assert _call(sites, kind, tokens["access_token"]).json()["TOKENUSER"] == user.sub


def test_an_id_token_is_no_access_token(sites: Sites):
    user = sites.world.user(f"user-{secrets.token_hex(6)}")
    tokens = sites.world.tokens(sites.world.client(scope="openid"), user, scope="openid")
    assert _call(sites, "introspection", tokens["id_token"]).status_code == 401
    assert _call(sites, "jwt", tokens["id_token"]).status_code == 403


def test_the_documented_command_reaches_the_api(sites: Sites, client: RegisteredClient):
    (command,) = documented.blocks("apache.md", "sh")[1:]
    known = {"API": sites.at["jwt"], "ACCESS_TOKEN": _token(sites, client, JWT), "NO_PROXY": "*"}
    told = json.loads(documented.run_shell(command, **known, CURL_CA_BUNDLE=str(sites.folder / "site-ca.pem")))
    assert told["TOKENUSER"] == client.client_id


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_good_token_is_refused(sites: Sites, client: RegisteredClient, kind: str):
    with sites.http() as http:
        answers = [http.get(sites.at[kind])]
    with sites.world.later(-3600):
        expired = _token(sites, client, KINDS[kind])
    good = _token(sites, client, KINDS[kind])
    answers += [_call(sites, kind, token) for token in ("rubbish", good[:-8] + "AAAAAAAA", expired)]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert all(answer.headers["www-authenticate"].startswith("Bearer") for answer in answers)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_may_not_read_is_refused(sites: Sites, client: RegisteredClient, kind: str):
    answer = _call(sites, kind, _token(sites, client, KINDS[kind], "notes:write"))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(("kind", "status"), [("introspection", 401), ("jwt", 403)])
def test_a_token_for_another_api_is_refused(sites: Sites, client: RegisteredClient, kind: str, status: int):
    # To a resource server that it is not for, the introspection endpoint calls it inactive (RFC 7662 4).
    assert _call(sites, kind, _token(sites, client, OTHER)).status_code == status


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("binding", ["dpop", "certificate"])
def test_a_bound_token_is_not_taken_for_a_bearer_token(sites: Sites, client: RegisteredClient, kind: str, binding: str):
    if binding == "dpop":
        headers = proven(sites.world)
    else:
        headers = {HEADER: LEAF.escaped}
        client = _client(sites, tls_client_certificate_bound_access_tokens=True)
    token = _token(sites, client, KINDS[kind], headers=headers)
    assert "cnf" in sites.world.introspect(client, token)
    assert _call(sites, kind, token).status_code == 403


def test_a_revoked_token_is_refused_with_the_next_request(sites: Sites, client: RegisteredClient):
    token = _token(sites, client, OPAQUE)
    assert _call(sites, "introspection", token).status_code == 200
    sites.world.post("/revoke", client, token=token).raise_for_status()
    assert _call(sites, "introspection", token).status_code == 401

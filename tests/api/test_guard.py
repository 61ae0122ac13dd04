"""Who may use the management API."""

from pathlib import Path

import httpx2
import pytest

from authserver.api import metadata
from authserver.api.endpoint import OPERATIONS
from authserver.manage import clients, grants
from authserver.records import User
from pytest_authserver import AuthServer
from tests import mtls
from tests.api.conftest import PREFIX, Manager, managing_client, resource_of
from tests.proofs import OTHER, PROVER, proven
from tests.world import API

LIST = ("GET", "/clients")
ITSELF = {"grant_type": "client_credentials"}


def _assert_challenged(answer: httpx2.Response, error: str | None, status: int, scope: str = "manage:clients:read"):
    """Check a refusal: nothing but an error, and a challenge that says what would do (RFC 6750 3, RFC 9728 5.1)."""
    assert answer.status_code == status, answer.text
    assert answer.json().get("error") == error
    assert {"error", "error_description"}.issuperset(answer.json())
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith(("Bearer ", "DPoP "))
    assert (f'error="{error}"' in challenge) == (error is not None)
    assert f'scope="{scope}"' in challenge
    assert f'resource_metadata="{answer.request.url.scheme}://' in challenge
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers


@pytest.fixture
def api(authserver: AuthServer) -> None:
    if authserver.server.resource(API) is None:
        authserver.resource(API, "api:read")


def test_without_a_token_nothing_is_told_but_the_way_in(authserver: AuthServer, manager: Manager):
    with authserver.http() as http:
        _assert_challenged(http.get(f"{PREFIX}/clients"), None, 401)
        _assert_challenged(http.get(f"{PREFIX}/clients", auth=manager.client.basic), None, 401)
        _assert_challenged(http.get(f"{PREFIX}/clients", params={"access_token": manager.token}), None, 401)
        # Even what is malformed is not looked at.
        posted = http.post(f"{PREFIX}/clients", content=b"\xff" * 100_000, headers={"Content-Type": "text/html"})
        _assert_challenged(posted, None, 401, "manage:clients")


def test_a_cookie_opens_nothing(authserver: AuthServer, alice: User):
    browser = authserver.browser(alice)
    _assert_challenged(browser.http.get(f"{PREFIX}/clients"), None, 401)


def test_a_token_that_is_none_is_refused(manager: Manager):
    for token in ("x", manager.token[:-1], manager.token + "A", "e30.e30.e30", "asa_" + "A" * 49, "a" * 20_000):
        _assert_challenged(manager(*LIST, bearer=token), "invalid_token", 401)


def test_a_token_for_another_audience_is_refused(authserver: AuthServer, api: None):
    client = managing_client(authserver, resources=[API, resource_of(authserver)], scope="api:read manage:clients")
    for asked in ({"resource": API}, {}):
        token = authserver.token(client, **ITSELF, **asked).json()["access_token"]
        assert "aud" in authserver.introspect(client, token)
        _assert_challenged(_ask(authserver, token), "invalid_token", 401)


def test_an_id_token_is_no_access_token(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True)
    tokens = authserver.tokens(client, alice, scope="openid")
    _assert_challenged(_ask(authserver, tokens["id_token"]), "invalid_token", 401)
    _assert_challenged(_ask(authserver, tokens["access_token"]), "invalid_token", 401)


def test_a_persons_consent_makes_nobody_an_administrator(authserver: AuthServer, alice: User):
    client = managing_client(
        authserver,
        scope="openid manage:clients",
        grant_types=["authorization_code", "client_credentials"],
        redirect_uris=["https://client.test/callback"],
        trusted=True,
    )
    page = authserver.browser(alice).visit_request(
        authserver.request(client, authserver.pkce(), scope="openid manage:clients", resource=resource_of(authserver))
    )
    assert page.callback["error"] == "invalid_target"
    # Nor does its token for this server itself, though the scope is in it.
    token = authserver.tokens(client, alice, scope="openid manage:clients")["access_token"]
    assert "manage:clients" in authserver.introspect(client, token)["scope"]
    _assert_challenged(_ask(authserver, token), "invalid_token", 401)


def test_a_token_that_was_exchanged_for_a_persons_is_refused(authserver: AuthServer, alice: User):
    exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
    client = managing_client(
        authserver,
        scope="openid manage:clients",
        grant_types=["authorization_code", exchange],
        redirect_uris=["https://client.test/callback"],
        trusted=True,
        exchange_audiences=[resource_of(authserver)],
        may_impersonate=True,
    )
    token = authserver.tokens(client, alice, scope="openid manage:clients")["access_token"]
    answer = authserver.token(
        client,
        grant_type=exchange,
        subject_token=token,
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        resource=resource_of(authserver),
        scope="manage:clients",
    )
    assert answer.json()["scope"] == "manage:clients"
    _assert_challenged(_ask(authserver, answer.json()["access_token"]), "insufficient_scope", 403)


def test_a_client_has_only_the_scopes_that_an_administrator_gave_it(authserver: AuthServer):
    reader = Manager(authserver, "manage:clients:read")
    assert reader(*LIST).status_code == 200
    for path in ("/users", "/keys", "/audit", "/resources"):
        area = path[1:]
        _assert_challenged(reader("GET", path), "insufficient_scope", 403, f"manage:{area}:read")
    _assert_challenged(reader("POST", "/clients", client_name="x"), "insufficient_scope", 403, "manage:clients")
    guessed = authserver.token(
        reader.client, **ITSELF, resource=resource_of(authserver), scope="manage:clients:read manage:clients"
    )
    assert guessed.json()["error"] == "invalid_scope"


def test_the_scope_that_changes_covers_the_reading(authserver: AuthServer):
    writer = Manager(authserver, "manage:users")
    assert writer("GET", "/users").status_code == 200


def test_a_client_that_was_given_scopes_but_not_the_resource_gets_no_token(authserver: AuthServer):
    for resources in (None, [], ["https://other.test/"]):
        client = managing_client(authserver, resources=resources)
        answer = authserver.token(client, **ITSELF, resource=resource_of(authserver))
        assert answer.json()["error"] == "invalid_target"


def test_whoever_registers_itself_never_gets_in(tmp_path_factory: pytest.TempPathFactory):
    at = AuthServer(
        tmp_path_factory.mktemp("open"),
        features={"management_api": True},
        registration={"mode": "open", "grant_types": ["authorization_code", "refresh_token"]},
    )
    sent = {
        "redirect_uris": ["https://client.test/callback"],
        "grant_types": ["client_credentials", "authorization_code"],
        "scope": "openid manage:clients",
        "resources": [resource_of(at)],
    }
    with at.http() as http:
        registered = http.post("/register", json=sent).json()
    at.close()
    assert registered["scope"] == "openid"
    assert registered["grant_types"] == ["authorization_code"]
    assert "resources" not in registered


def test_a_token_that_has_expired_is_refused(authserver: AuthServer, manager: Manager):
    with authserver.later(601):
        _assert_challenged(manager(*LIST), "invalid_token", 401)


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
def test_a_token_that_was_revoked_is_refused_at_once_and_everywhere(
    authserver: AuthServer, node: AuthServer, token_format: str
):
    manager = Manager(authserver, access_token_format=token_format)
    assert manager(*LIST, at=node).status_code == 200
    assert authserver.post("/revoke", manager.client, token=manager.token).status_code == 200
    for at in (authserver, node):
        _assert_challenged(manager(*LIST, at=at), "invalid_token", 401)
    again = manager.new_token()
    assert manager(*LIST, bearer=again).status_code == 200
    grants.revoke_all_of_client(authserver.store, manager.client.client_id, actor="test")
    _assert_challenged(manager(*LIST, at=node, bearer=again), "invalid_token", 401)


def test_what_was_taken_from_a_client_counts_within_a_second(authserver: AuthServer, node: AuthServer):
    lost_scope, lost_resource, off = (Manager(authserver) for _ in range(3))
    for one in (lost_scope, lost_resource, off):
        assert one(*LIST, at=node).status_code == 200
    known = authserver.server.registry.CLIENT_METADATA
    for one, member, value in (
        (lost_scope, "scope", "manage:users"),
        (lost_resource, "resources", []),
    ):
        client = clients.existing(authserver.store, one.client.client_id)
        changed = {**client.metadata, member: value}
        clients.update(authserver.store, authserver.sealer, client.client_id, changed, actor="test", members=known)
    clients.set_disabled(authserver.store, off.client.client_id, disabled=True, actor="test")
    _assert_challenged(off(*LIST, at=node), "invalid_token", 401)
    with authserver.later(1):
        _assert_challenged(lost_scope(*LIST, at=node), "insufficient_scope", 403)
        _assert_challenged(lost_resource(*LIST, at=node), "invalid_token", 401)


# RFC 9449 7: tokens that are bound to a key.


@pytest.fixture
def bound(authserver: AuthServer) -> Manager:
    manager = Manager(authserver)
    answer = authserver.token(manager.client, **ITSELF, resource=resource_of(authserver), headers=proven(authserver))
    manager.token = answer.json()["access_token"]
    assert answer.json()["token_type"] == "DPoP"
    return manager


def _with_proof(manager: Manager, method: str, path: str, proof: str | None, **body: object) -> httpx2.Response:
    headers = {"Authorization": f"DPoP {manager.token}", **({} if proof is None else {"DPoP": proof})}
    return manager(method, path, headers=headers, **body)


def test_a_bound_token_needs_its_proof(authserver: AuthServer, bound: Manager):
    url = resource_of(authserver) + "/clients"
    good = PROVER.proof("GET", url, bound.token)
    assert _with_proof(bound, *LIST, good).status_code == 200
    for proof, error in (
        (None, "invalid_dpop_proof"),
        (good, "invalid_dpop_proof"),
        (PROVER.proof("POST", url, bound.token), "invalid_dpop_proof"),
        (PROVER.proof("GET", resource_of(authserver) + "/users", bound.token), "invalid_dpop_proof"),
        (PROVER.proof("GET", url), "invalid_dpop_proof"),
        (OTHER.proof("GET", url, bound.token), "invalid_token"),
    ):
        _assert_challenged(_with_proof(bound, *LIST, proof), error, 401)
    _assert_challenged(bound(*LIST), "invalid_token", 401)


def test_a_proof_for_one_operation_does_another_one_no_good(authserver: AuthServer, bound: Manager):
    proof = PROVER.proof("POST", resource_of(authserver) + "/client/disable", bound.token)
    answer = _with_proof(bound, "POST", "/client/enable", proof, client_id=bound.client.client_id)
    _assert_challenged(answer, "invalid_dpop_proof", 401, "manage:clients")


def test_every_scope_of_the_table_can_be_given_and_no_other_one():
    assert {operation.scope for operation in OPERATIONS} == metadata.SCOPES.keys()


# RFC 8705 3: tokens that are bound to a certificate.


def test_a_token_that_is_bound_to_a_certificate_needs_it(tmp_path: Path):
    at = mtls.make(tmp_path, features={"management_api": True})
    client = managing_client(at, tls_client_certificate_bound_access_tokens=True)
    asked = {**ITSELF, "resource": resource_of(at)}
    token = mtls.send(at, "/token", mtls.LEAF, client.basic, **asked).json()["access_token"]
    for certificate, status in ((mtls.LEAF, 200), (mtls.OTHER, 401), (None, 401)):
        shown = {} if certificate is None else {mtls.HEADER: certificate.escaped}
        with at.http(headers={"Authorization": f"Bearer {token}", **shown}) as http:
            assert http.get(f"{PREFIX}/clients").status_code == status
    at.close()


def _ask(at: AuthServer, token: str) -> httpx2.Response:
    with at.http(headers={"Authorization": f"Bearer {token}"}) as http:
        return http.get(f"{PREFIX}/clients")

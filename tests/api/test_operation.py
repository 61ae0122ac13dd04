"""What all operations have in common: what is told and logged, two administrators at once."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_authserver import AuthServer
from pytest_authserver.server import PASSWORD
from tests.api.conftest import Manager
from tests.proofs import PROVER

CLIENT = {"client_name": "Raced", "redirect_uris": ["https://client.test/callback"]}
RACERS = 12


def test_no_secret_is_in_any_log_line_answer_or_event(
    authserver: AuthServer, manager: Manager, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    added = manager.good("POST", "/clients", **CLIENT, client_secret="a secret of the administrator's own making")
    rotated = manager.good("POST", "/client/rotate-secret", client_id=added["client_id"])
    user = manager.good("POST", "/users", username="secretive", password=PASSWORD)
    manager.good("POST", "/user/set-password", sub=user["sub"], password=PASSWORD + "!")
    initial = manager.good("POST", "/initial-access-tokens")
    tokens = authserver.tokens(authserver.client(trusted=True), authserver.user("token-holder"))
    manager.good("POST", "/token/revoke", token=tokens["access_token"])
    manager("POST", "/token/revoke", token=tokens["id_token"])
    secrets = [
        manager.token,
        manager.client.client_secret,
        added["client_secret"],
        rotated["client_secret"],
        initial["initial_access_token"],
        PASSWORD,
        tokens["access_token"],
        tokens["refresh_token"],
        tokens["id_token"],
    ]
    paths = ("/clients", "/users", "/audit", "/initial-access-tokens", "/keys", "/resources")
    said = [manager("GET", path, {"limit": 200}).text for path in paths]
    said += [record.getMessage() + str(record.__dict__) for record in caplog.records]
    assert [secret for secret in secrets if any(secret in text for text in said)] == []


def test_of_two_who_add_the_same_client_at_once_one_is_told(authserver: AuthServer, node: AuthServer, manager: Manager):
    def add(number: int) -> int:
        sent = {**CLIENT, "client_id": "raced-for"}
        return manager("POST", "/clients", at=(authserver, node)[number % 2], **sent).status_code

    with ThreadPoolExecutor(RACERS) as pool:
        answers = sorted(pool.map(add, range(RACERS)))
    assert answers == [201] + [409] * (RACERS - 1)


def test_of_many_who_replace_the_same_version_at_once_one_does(
    authserver: AuthServer, node: AuthServer, manager: Manager
):
    name = {"client_id": manager.good("POST", "/clients", **CLIENT)["client_id"]}
    version = {"If-Match": manager("GET", "/client", name).headers["etag"]}

    def replace(number: int) -> int:
        changed = {**CLIENT, "client_name": f"Raced {number}"}
        at = (authserver, node)[number % 2]
        return manager("PUT", "/client", name, at=at, json=changed, headers=version).status_code

    with ThreadPoolExecutor(RACERS) as pool:
        answers = list(pool.map(replace, range(RACERS)))
    assert answers.count(200) == 1
    # Whoever meets the change is told to try again, and whoever comes after it to read again.
    assert set(answers) <= {200, 409, 412}


def test_a_nonce_that_is_demanded_is_given_with_the_challenge(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("nonce")
    at = AuthServer(folder, features={"management_api": True}, dpop={"require_nonce": True})
    manager = Manager(at)
    url, asked = f"{at.issuer}/token", {"grant_type": "client_credentials", "resource": f"{at.issuer}/manage"}
    nonce = at.token(manager.client, **asked, headers={"DPoP": PROVER.proof("POST", url)}).headers["dpop-nonce"]
    proof = PROVER.proof("POST", url, nonce=nonce)
    token = at.token(manager.client, **asked, headers={"DPoP": proof}).json()["access_token"]
    listed = f"{at.issuer}/manage/clients"
    bound = {"Authorization": f"DPoP {token}"}
    refused = manager("GET", "/clients", headers={**bound, "DPoP": PROVER.proof("GET", listed, token)})
    assert refused.json()["error"] == "use_dpop_nonce"
    proof = PROVER.proof("GET", listed, token, nonce=refused.headers["dpop-nonce"])
    assert manager("GET", "/clients", headers={**bound, "DPoP": proof}).status_code == 200
    at.close()

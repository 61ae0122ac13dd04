"""The worked examples of docs/ciba.md, run against the server as they stand there."""

import json
from pathlib import Path

from pytest_authserver import RegisteredClient
from pytest_authserver.live import serving
from tests import documented
from tests.backchannel import PLENTY, asking_client, decide, signing_client
from tests.listener import KEYS

PAGE = "ciba.md"


def test_asking_somebody_who_is_elsewhere(tmp_path: Path):
    with serving(tmp_path, features={"ciba": True}, limits=PLENTY) as at:
        alice = at.user("alice")
        environment = _environment(at.issuer, asking_client(at, scope="openid profile"))
        ask, poll = documented.blocks(PAGE, "sh")
        (shown,) = (json.loads(block) for block in documented.blocks(PAGE, "json"))
        answer = json.loads(documented.run_shell(ask, **environment))
        assert {**answer, "auth_req_id": ""} == {**shown, "auth_req_id": ""}
        assert len(answer["auth_req_id"]) == len(shown["auth_req_id"])
        environment["AUTH_REQ_ID"] = answer["auth_req_id"]
        assert json.loads(documented.run_shell(poll, **environment))["error"] == "authorization_pending"
        browser = at.browser(alice)
        assert 'id="request-allowed"' in decide(at, browser).text
        assert json.loads(documented.run_shell(poll, **environment))["token_type"] == "Bearer"
        with documented.running_python(documented.blocks(PAGE, "python")[0], **environment) as till:
            assert till.stdout is not None
            assert till.stdout.readline().startswith("Till 4, 12.50 EUR")
            decide(at, browser)
            assert till.stdout.read().strip() == "confirmed"


def test_asking_with_a_signed_request(tmp_path: Path):
    with serving(tmp_path, features={"ciba": True}, limits=PLENTY) as at:
        alice = at.user("alice")
        environment = _environment(at.issuer, signing_client(at, scope="openid profile"))
        environment |= {"KEY_FILE": str(KEYS / "p256.pem"), "KID": "p256"}
        assert documented.run_python(documented.blocks(PAGE, "python")[1], **environment) == "120"
        assert 'id="request-denied"' in decide(at, alice, "request-deny").text


def _environment(issuer: str, client: RegisteredClient) -> dict[str, str]:
    return {"ISSUER": issuer, "CLIENT_ID": client.client_id, "CLIENT_SECRET": client.client_secret}

"""openid-client from npm registers with an invitation and a vendor's word (RFC 7591) and manages itself (RFC 7592)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from authserver.manage import registration_tokens
from pytest_authserver.live import serving
from tests.clients.conftest import CALLBACK, Visit
from tests.listener import Listener, says
from tests.signing import key, token

RunNode = Callable[..., dict[str, Any]]
VENDOR = "https://vendor.test"


def test_openid_client_registers_signs_in_updates_and_leaves(tmp_path: Path, run_node: RunNode, visit_at: Visit):
    keys = json.dumps({"keys": [key("p256", kid="one").as_dict(private=False)]}).encode()
    with Listener(says(keys, "200 OK", "Content-Type: application/json")) as vendor:
        issuers = [{"issuer": VENDOR, "jwks_uri": vendor.url}]
        settings = {"mode": "token", "statement_issuers": issuers, "require_statement": True}
        with serving(tmp_path, registration=settings, outbound_allow=("127.0.0.1",)) as at:
            at.user("alice")
            metadata = {
                "client_name": "Notes, free",
                "redirect_uris": [CALLBACK],
                "grant_types": ["authorization_code", "refresh_token"],
                "scope": "openid profile",
                "software_statement": token("ES256", {"iss": VENDOR, "client_name": "Notes", "software_id": "notes"}),
            }
            invitation = registration_tokens.make_initial(at.store, uses=1, days=1, actor="test")
            told = {"issuer": at.issuer, "metadata": metadata, "token": invitation}
            report = run_node("openid_client_register.mjs", told, visit_at(at))
            assert at.store.clients.get(report["registered"]["client_id"]) is None
    _check(report, metadata)


def _check(report: dict[str, Any], metadata: dict[str, Any]) -> None:
    uninvited, unvouched = report["refused"]
    assert uninvited["status"] == 401
    assert (unvouched["status"], unvouched["error"]) == (400, "invalid_software_statement")
    registered, updated = report["registered"], report["updated"]
    # What the vendor says goes before what the client says, and what was not asked for is the specification's default.
    assert (registered["client_name"], registered["software_id"]) == ("Notes", "notes")
    assert registered["token_endpoint_auth_method"] == "client_secret_basic"
    assert registered["software_statement"] == metadata["software_statement"]
    assert report["scope"] == "openid profile"
    assert report["claims"]["aud"] == registered["client_id"]
    assert report["read"].items() <= registered.items()
    assert (updated["client_id"], updated["software_version"]) == (registered["client_id"], "2")
    assert report["deleted"] == 204
    # RFC 7592 2.3: with the client its registration access token and its grants are gone; its secret within a second.
    management, refresh = report["gone"]
    assert management["status"] == 401
    assert refresh["error"] in {"invalid_client", "invalid_grant"}

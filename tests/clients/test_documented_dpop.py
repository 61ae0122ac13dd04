"""The worked examples of docs/dpop.md, run as they stand there: client, curl, and the guarded API between them."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from werkzeug.serving import make_server

from pytest_authserver import AuthServer
from pytest_authserver.live import serving
from tests import documented

PAGE = "dpop.md"
CLIENT, PROOF, GUARD = documented.blocks(PAGE, "python")
TOKEN_REQUEST, API_REQUEST = documented.blocks(PAGE, "sh")


@pytest.fixture(params=["without nonces", "with nonces"])
def issuer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AuthServer]:
    """The server, which may demand nonces."""
    with serving(tmp_path, dpop={"require_nonce": request.param == "with nonces"}) as server:
        yield server


@pytest.fixture
def environment(issuer: AuthServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """What the examples find in their environment; the guarded API of the page answers at ``API``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        root = f"http://127.0.0.1:{listener.getsockname()[1]}"
        api = f"{root}/invoices"
        issuer.resource(api, "invoices:read")
        (registration,) = documented.blocks(PAGE, "json")
        client = issuer.client(**{"redirect_uris": None, **json.loads(registration)})
        secret = "the secret of the invoices, long enough"
        guard = {"client_id": "invoices-api", "client_secret": secret, "resource_server_for": [api], "grant_types": []}
        issuer.client(**guard, redirect_uris=None, scope=None)
        names = {"ISSUER": issuer.issuer, "API": api, "API_ROOT": root, "API_SECRET": secret}
        for name, value in names.items():
            monkeypatch.setenv(name, value)
        guarded: dict[str, Any] = {"__name__": "guarded"}
        exec(compile(GUARD, PAGE, "exec"), guarded)  # noqa: S102 - what readers run
        served = make_server("127.0.0.1", 0, guarded["app"], threaded=True, fd=listener.fileno())
        thread = Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield {**names, "CLIENT_ID": client.client_id, "CLIENT_SECRET": client.client_secret}
        served.shutdown()
        thread.join()
        served.server_close()


def test_a_client_in_python_gets_a_bound_token_and_is_let_in(environment: dict[str, str]):
    kind, _, answer = documented.run_python(CLIENT, **environment).partition(" ")
    assert kind == "DPoP"
    assert f"'caller': '{environment['CLIENT_ID']}'" in answer
    assert "'key': None" not in answer


@pytest.mark.parametrize("issuer", ["without nonces"], indirect=True)
def test_curl_does_the_same_with_a_program_for_the_proofs(environment: dict[str, str], tmp_path: Path):
    (tmp_path / "proof.py").write_text(PROOF)
    # The interpreter of the tests has the library that the program needs.
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    tokens = json.loads(documented.run_shell(f"cd {tmp_path}\n{TOKEN_REQUEST}", **environment))
    assert tokens["token_type"] == "DPoP"
    environment["TOKEN"] = tokens["access_token"]
    answer = json.loads(documented.run_shell(f"cd {tmp_path}\n{API_REQUEST}", **environment))
    assert answer["caller"] == environment["CLIENT_ID"]
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0

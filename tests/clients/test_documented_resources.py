"""The worked example of docs/resources.md: an API of its own process joins with one command, and is called."""

import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_authserver.live import serving
from tests import documented
from tests.run.conftest import until
from tests.servers.process import free_port

PAGE = "resources.md"
SECRET_KEY = "a secret key for tests and nothing else"


def _listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def _like(shown: Any, answer: Any) -> Any:
    """Return the answer as far as the page shows it, with the page's dots for what differs each time."""
    if isinstance(shown, Mapping):
        return {name: _like(value, answer[name]) for name, value in shown.items()}
    if isinstance(shown, list):
        return [_like(one, other) for one, other in zip(shown, answer, strict=True)]
    return "…" if shown == "…" and isinstance(answer, str) and answer else answer


def test_an_api_joins_with_one_command_and_is_called(tmp_path: Path) -> None:
    make_key, add, ask = documented.blocks(PAGE, "sh")
    api_source, call = documented.blocks(PAGE, "python")
    port = free_port()
    with serving(tmp_path, secret_key=SECRET_KEY) as at:
        scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        api = f"http://127.0.0.1:{port}/things"
        environment = {"PATH": scripts, "ISSUER": at.issuer, "API": api, "KEYS": str(tmp_path / "keys.json")}
        documented.run_shell(make_key, **environment)
        deployment = {
            "AUTHSERVER_ISSUER": at.issuer,
            "AUTHSERVER_DATABASE_URL": at.settings.database_url,
            "AUTHSERVER_SECRET_KEY": SECRET_KEY,
            "AUTHSERVER_OUTBOUND_ALLOW": f"127.0.0.1:{port}",
        }
        with documented.running_python(api_source, **environment):
            until(lambda: _listens(port), lambda: "the API of the example does not listen")
            answer = json.loads(documented.run_shell(add, **environment, **deployment))
            text = documented.blocks(PAGE, "json")[0].replace("http://127.0.0.1:8000/things", api)
            shown = json.loads(text)
            assert _like(shown, answer) == shown
            at.server.forget()
            client = at.client(grant_types=["client_credentials"], redirect_uris=None, scope="things:read")
            environment |= {"CLIENT_ID": client.client_id, "CLIENT_SECRET": client.client_secret}
            token = json.loads(documented.run_shell(ask, **environment))["access_token"]
            assert token.count(".") == 4
            server = at.http()
            own = (answer["client"]["client_id"], answer["client"]["client_secret"])
            assert server.post("/introspect", data={"token": token}, auth=own).json()["aud"] == api
            assert documented.run_python(call, **environment) == "200 ['spade', 'rake']"

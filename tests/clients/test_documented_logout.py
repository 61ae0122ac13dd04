"""The worked examples of docs/logout.md, run as they stand there."""

import json
import subprocess
from pathlib import Path
from urllib.parse import parse_qs

import jwt
import pytest

from authserver.manage import registration_tokens, sessions
from pytest_authserver import RegisteredClient
from pytest_authserver.live import serving
from tests import documented

PAGE = "logout.md"
_PATIENCE = 10


def test_a_client_registers_for_the_back_channel_and_reads_its_logout_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with serving(tmp_path, registration={"mode": "token", "profile": "oidc"}) as at:
        sent: list[bytes] = []
        monkeypatch.setattr(at.server.outbound, "post", lambda _url, _headers, body: sent.append(body) or 200)
        token = registration_tokens.make_initial(at.store, uses=1, days=1, actor="test")
        (command,), (example,) = (documented.blocks(PAGE, language) for language in ("sh", "python"))
        answer = json.loads(documented.run_shell(command, ISSUER=at.issuer, INITIAL_ACCESS_TOKEN=token))
        client = RegisteredClient(answer["client_id"], answer["client_secret"], answer["redirect_uris"][0], answer)
        user = at.user("alice")
        id_token = at.sign_in(client, user.username)["id_token"]
        sessions.end_all(at.store, user.sub, actor="test")
        at.server.deliveries.run()
        at.server.deliveries.wait(_PATIENCE)
        (logout_token,) = parse_qs(sent[0].decode())["logout_token"]
        environment = {"ISSUER": at.issuer, "CLIENT_ID": client.client_id}
        told = documented.run_python(example, LOGOUT_TOKEN=logout_token, **environment)
        assert told == jwt.decode(id_token, options={"verify_signature": False})["sid"]
        with pytest.raises((AssertionError, subprocess.SubprocessError)):
            documented.run_python(example, LOGOUT_TOKEN=id_token, **environment)

"""The worked examples of docs/hybrid.md, run as they stand there."""

import json
from pathlib import Path

from authserver.manage import registration_tokens
from pytest_authserver import RegisteredClient
from pytest_authserver.live import serving
from tests import documented

PAGE = "hybrid.md"


def test_a_client_registers_itself_and_reads_the_fragment(tmp_path: Path):
    with serving(tmp_path, features={"hybrid": True}, registration={"mode": "token", "profile": "oidc"}) as at:
        token = registration_tokens.make_initial(at.store, uses=1, days=1, actor="test")
        command = documented.blocks(PAGE, "sh")[1]
        answer = json.loads(documented.run_shell(command, ISSUER=at.issuer, INITIAL_ACCESS_TOKEN=token))
        client = RegisteredClient(answer["client_id"], answer["client_secret"], answer["redirect_uris"][0], answer)
        user = at.user("alice")
        values = {"state": "a state", "nonce": "a nonce"}
        page = at.browser(user).authorize(at.request(client, response_type="code id_token", **values))
        assert page.location is not None
        environment = {"ISSUER": at.issuer, "CLIENT_ID": client.client_id, "URL": page.location}
        environment |= {name.upper(): value for name, value in values.items()}
        assert documented.run_python(documented.blocks(PAGE, "python")[0], **environment) == user.sub

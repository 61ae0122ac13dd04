"""The worked examples of docs/pairwise-subjects.md, run as they stand there, with a document to be fetched."""

import json
from pathlib import Path

from authserver.manage import registration_tokens
from pytest_authserver import RegisteredClient
from pytest_authserver.live import serving
from tests import documented
from tests.listener import KEYS, says, silent, tls

PAGE = "pairwise-subjects.md"
CALLBACK = "https://album.example/callback"


def test_a_client_of_a_sector_registers_itself_and_knows_people_by_its_own_name(tmp_path: Path):
    settings = {"outbound_allow": ("127.0.0.1",), "outbound_ca_file": KEYS / "authority.pem"}
    registration = {"mode": "token", "profile": "oidc"}
    with tls("server.pem", silent) as album, serving(tmp_path, registration=registration, **settings) as at:
        album.answer = says(documented.blocks(PAGE, "json")[0].encode())
        place = f"https://127.0.0.1:{album.port}/sector.json"
        command = documented.blocks(PAGE, "sh")[0].replace("https://album.example/sector.json", place)
        token = registration_tokens.make_initial(at.store, uses=1, days=1, actor="test")
        answer = json.loads(documented.run_shell(command, ISSUER=at.issuer, INITIAL_ACCESS_TOKEN=token))
        assert (answer["subject_type"], answer["sector_identifier_uri"]) == ("pairwise", place)
        user = at.user("alice")
        client = RegisteredClient(answer["client_id"], answer["client_secret"], CALLBACK, answer)
        tokens = at.sign_in(client, user.username)
        environment = {name.upper(): tokens[name] for name in ("id_token", "access_token")}
        environment |= {"ISSUER": at.issuer, "CLIENT_ID": client.client_id}
        name = documented.run_python(documented.blocks(PAGE, "python")[0], **environment)
        assert name == at.introspect(client, tokens["access_token"])["sub"] != user.sub

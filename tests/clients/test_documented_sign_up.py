"""The worked examples of docs/sign-up.md, run as they stand there."""

import json
import tomllib
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from pytest_authserver.live import serving
from tests import documented
from tests.signing_up import is_sign_up, sign_up

PAGE = "sign-up.md"
CALLBACK = "https://client.example/callback"


def test_an_application_sends_its_visitor_to_make_an_account(tmp_path: Path):
    with serving(tmp_path, **tomllib.loads(documented.blocks(PAGE, "toml")[0])) as at:
        client, pkce = at.client(redirect_uris=[CALLBACK], trusted=True), at.pkce()
        environment = {
            "ISSUER": at.issuer,
            "CLIENT_ID": client.client_id,
            "CLIENT_SECRET": client.client_secret,
            "CHALLENGE": pkce.challenge,
        }
        address = documented.run_python(documented.blocks(PAGE, "python")[0], **environment)
        pushed = json.loads(documented.run_shell(documented.blocks(PAGE, "sh")[0], **environment))
        for name, asked in (
            ("zoe", dict(parse_qsl(urlsplit(address).query))),
            ("yan", {"client_id": client.client_id, "request_uri": pushed["request_uri"]}),
        ):
            browser = at.browser()
            page = browser.visit_request(asked)
            assert is_sign_up(page)
            assert "https://people.example/terms" in page.text
            answered = sign_up(browser, page, name)
            assert "code" in answered.callback
        assert page.form("signup-submit").fields["email"] == "zoe@people.example"

"""The worked examples of docs/languages.md, run against the server as they stand there."""

import tomllib

import pytest

from pytest_authserver import AuthServer
from tests import documented

PAGE = "languages.md"
CALLBACK = "https://client.example/callback"


@pytest.fixture
def environment(live_authserver: AuthServer) -> dict[str, str]:
    client = live_authserver.client(redirect_uris=[CALLBACK])
    return {
        "ISSUER": live_authserver.issuer,
        "CLIENT_ID": client.client_id,
        "CHALLENGE": live_authserver.pkce().challenge,
    }


def test_asking_for_a_language_with_curl(environment: dict[str, str]) -> None:
    shown = documented.run_shell(documented.blocks(PAGE, "sh")[0], **environment)
    assert shown.strip() == '<html lang="de" dir="ltr">'


def test_asking_for_a_language_with_python(environment: dict[str, str]) -> None:
    assert documented.run_python(documented.blocks(PAGE, "python")[0], **environment).split() == [
        "ar",
        "Accept-Language",
    ]


def test_offering_some_languages(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = tomllib.loads(documented.blocks(PAGE, "toml")[0])
    at = AuthServer(tmp_path_factory.mktemp("languages"), **settings)
    try:
        assert at.get("/.well-known/openid-configuration").json()["ui_locales_supported"] == settings["languages"]
    finally:
        at.close()

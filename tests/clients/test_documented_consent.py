"""The worked examples of docs/consent.md: scopes and clients in words, in several languages."""

import json
import tomllib
from pathlib import Path

from authserver.language import LANGUAGES
from authserver.manage import resources
from authserver.oidc import sentences
from pytest_authserver import RegisteredClient
from pytest_authserver.live import serving
from tests import documented

PAGE = "consent.md"


def test_saying_in_words_what_is_asked_for_and_who_asks(tmp_path: Path) -> None:
    settings = {
        **tomllib.loads(documented.blocks(PAGE, "toml")[0]),
        "features": {"management_api": True},
        "registration": {"mode": "open"},
    }
    photos = json.loads(documented.blocks(PAGE, "json")[0])
    with serving(tmp_path, **settings) as at:
        resources.add(at.store, photos, actor="test")
        manager = at.client(
            grant_types=["client_credentials"],
            redirect_uris=None,
            resources=[f"{at.issuer}/manage"],
            scope="manage:resources",
        )
        environment = {"ISSUER": at.issuer, "CLIENT_ID": manager.client_id, "CLIENT_SECRET": manager.client_secret}
        assert documented.run_python(documented.blocks(PAGE, "python")[0], **environment) == "200 Photos"
        told = resources.describe(resources.existing(at.store, photos["identifier"]))["scopes"]
        french = {"title#fr": "Photos", "description#fr": "Voir vos photos et albums"}
        assert told["photos:read"] == {**photos["scopes"]["photos:read"], **french}
        assert told["photos:write"] == photos["scopes"]["photos:write"]
        assert sentences.of_people(at.server, LANGUAGES["de"])["work"] == ("Arbeit", "Sehen, wo Sie arbeiten")

        answer = json.loads(documented.run_shell(documented.blocks(PAGE, "sh")[0], **environment))
        album = RegisteredClient(answer["client_id"], "", answer["redirect_uris"][0], answer)
        page = at.browser().visit_request(at.request(album, at.pkce(), scope="openid", ui_locales="de"))
        for text in ("Fotoalbum", "https://album.example/de/datenschutz", "https://album.example/terms"):
            assert text in page.text
        assert "/clients/logo?" in page.text

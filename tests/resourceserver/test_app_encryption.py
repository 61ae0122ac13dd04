"""The separate server with keys of its own: tokens for the almanac are encrypted to it (RFC 9068 4)."""

import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from joserfc.jwe import encrypt_compact
from joserfc.jwk import ECKey
from jwt.algorithms import get_default_algorithms

from resourceserver.app import create_app
from resourceserver.settings import Settings, SettingsError, load_settings
from tests.resourceserver.conftest import Mint
from tests.resourceserver.signing import private_key
from tests.resourceserver.stub_issuer import StubIssuer

URL = "https://api.example"


@pytest.fixture
def settings(issuer: StubIssuer, tmp_path: Path) -> Settings:
    return load_settings(
        {
            "RESOURCESERVER_PUBLIC_URL": URL,
            "RESOURCESERVER_ISSUER": issuer.url,
            "RESOURCESERVER_DATABASE_URL": f"sqlite:///{tmp_path / 'notes.db'}",
            "RESOURCESERVER_CLIENT_SECRET": "notes-secret",
        }
    )


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    members = get_default_algorithms()["ES256"].to_jwk(private_key("p256"), as_dict=True)
    numbers = {name: members[name] for name in ("crv", "x", "y", "d")}
    file.write_text(json.dumps({"keys": [{"kty": "EC", "kid": "api", **numbers}]}))
    return file


def _encrypted(client: FlaskClient, token: str) -> str:
    (members,) = client.get("/jwks").json["keys"]
    header = {"alg": members["alg"], "enc": "A256GCM", "cty": "JWT", "kid": members["kid"]}
    return encrypt_compact(header, token, ECKey.import_key(members), algorithms=["ECDH-ES", "A256GCM"])


def test_the_key_to_encrypt_to_is_published_and_such_tokens_alone_are_taken(
    settings: Settings, keys_file: Path, mint: Mint
) -> None:
    client = create_app(settings.model_copy(update={"decryption_keys_file": keys_file})).test_client()
    metadata = client.get("/.well-known/oauth-protected-resource/almanac").json
    assert metadata["jwks_uri"] == f"{URL}/jwks"
    assert "jwks_uri" not in client.get("/.well-known/oauth-protected-resource/notes").json
    published = client.get("/jwks")
    assert published.headers["Access-Control-Allow-Origin"] == "*"
    assert [key.keys() for key in published.json["keys"]] == [{"kty", "crv", "x", "y", "use", "alg", "kid"}]
    token = mint(aud=f"{URL}/almanac", scope="almanac:read")
    assert client.get("/almanac", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    answer = client.get("/almanac", headers={"Authorization": f"Bearer {_encrypted(client, token)}"})
    assert answer.json["token"]["checked_by"] == "published keys"


def test_a_change_over_takes_both(settings: Settings, keys_file: Path, mint: Mint) -> None:
    changes = {"decryption_keys_file": keys_file, "require_encryption": False}
    client = create_app(settings.model_copy(update=changes)).test_client()
    token = mint(aud=f"{URL}/almanac", scope="almanac:read")
    for each in (token, _encrypted(client, token)):
        assert client.get("/almanac", headers={"Authorization": f"Bearer {each}"}).status_code == 200


def test_without_keys_there_is_no_set(settings: Settings) -> None:
    assert create_app(settings).test_client().get("/jwks").status_code == 404


def test_unusable_keys_stop_the_start_without_a_word_of_them(settings: Settings, keys_file: Path) -> None:
    keys_file.write_text('{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}')
    changed = settings.model_copy(update={"decryption_keys_file": keys_file})
    with pytest.raises(SettingsError, match="RESOURCESERVER_DECRYPTION_KEYS_FILE: not a private key") as refused:
        create_app(changed)
    assert "c2VjcmV0" not in str(refused.value)
    keys_file.unlink()
    with pytest.raises(SettingsError, match="cannot be read"):
        create_app(changed)

"""Settings: the environment read strictly, every mistake told at once, no value repeated."""

from pathlib import Path
from typing import Any

import pytest

from bff import BffSettings, SettingsError, load_settings

GOOD = {"BFF_CLIENT_SECRET": "s" * 40, "BFF_SECRET_KEY": "k" * 32}


def problems(**changes: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings({**GOOD, **changes})
    return str(caught.value)


def test_two_secrets_are_all_that_is_needed():
    settings = load_settings(GOOD)
    assert settings.issuer == "http://localhost:9000"
    assert settings.redirect_uri == "http://localhost:9002/bff/callback"
    assert [api.prefix for api in settings.apis] == ["notes", "almanac"]


def test_the_public_url_follows_the_port():
    assert load_settings({**GOOD, "BFF_PORT": "8123"}).public_url == "http://localhost:8123"


def test_every_mistake_is_told_at_once_and_no_value_is_repeated():
    told = problems(BFF_ISSUER="http://evil.test", BFF_PORT="77777", BFF_SECRET_KEY="short", BFF_NONSENSE="secret9")
    assert "BFF_NONSENSE: there is no such setting" in told
    assert "BFF_ISSUER" in told
    assert "BFF_PORT" in told
    for value in ("secret9", "evil.test", "77777", "s" * 40):
        assert value not in told


@pytest.mark.parametrize("missing", ["BFF_CLIENT_SECRET", "BFF_SECRET_KEY"])
def test_a_missing_secret_is_a_mistake(missing: str):
    with pytest.raises(SettingsError):
        load_settings({name: value for name, value in GOOD.items() if name != missing})


def test_a_short_secret_key_is_a_mistake():
    assert "32 bytes" in problems(BFF_SECRET_KEY="k" * 31)
    assert "32 bytes" in problems(BFF_SECRET_KEY_PREVIOUS="short")


def test_secrets_may_come_from_files(tmp_path: Path):
    for name in ("client", "key"):
        (tmp_path / name).write_text(f"{name}-" + "x" * 40 + "\n")
    environ = {
        "BFF_CLIENT_SECRET_FILE": str(tmp_path / "client"),
        "BFF_SECRET_KEY_FILE": str(tmp_path / "key"),
    }
    settings = load_settings(environ)
    assert settings.client_secret is not None
    assert settings.client_secret.get_secret_value() == "client-" + "x" * 40
    assert settings.keys[0] == b"key-" + b"x" * 40


def test_a_file_that_is_missing_or_empty_or_beside_the_value_is_a_mistake(tmp_path: Path):
    (tmp_path / "empty").write_text(" \n")
    for file in (tmp_path / "none", tmp_path / "empty", tmp_path):
        with pytest.raises(SettingsError):
            load_settings({"BFF_CLIENT_SECRET": "s" * 40, "BFF_SECRET_KEY_FILE": str(file)})
    assert "BFF_SECRET_KEY" in problems(BFF_SECRET_KEY_FILE=str(tmp_path / "empty"))


def test_kubernetes_service_links_are_ignored():
    links = {
        "BFF_SERVICE_HOST": "10.0.0.1",
        "BFF_SERVICE_PORT": "80",
        "BFF_SERVICE_PORT_HTTP": "80",
        "BFF_PORT": "tcp://10.0.0.1:80",
        "BFF_PORT_80_TCP": "tcp://10.0.0.1:80",
        "BFF_PORT_80_TCP_PROTO": "tcp",
        "BFF_PORT_80_TCP_PORT": "80",
        "BFF_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert load_settings({**GOOD, **links}).port == 9002


@pytest.mark.parametrize(
    "changes",
    [
        {"BFF_ISSUER": "http://as.example"},
        {"BFF_ISSUER": "https://as.example?x"},
        {"BFF_ISSUER": "https://user@as.example"},
        {"BFF_ISSUER": "javascript:x"},
        {"BFF_ISSUER": ""},
        {"BFF_ISSUER": "https://as.example:port"},
        {"BFF_PUBLIC_URL": "http://app.example"},
        {"BFF_PUBLIC_URL": "https://app.example/"},
        {"BFF_PUBLIC_URL": "https://app.example/path"},
        {"BFF_SCOPE": "profile"},
        {"BFF_SCOPE": "openid  email"},
        {"BFF_SCOPE": 'openid "'},
        {"BFF_APIS": "not json"},
        {"BFF_APIS": '[{"prefix": "a/b", "target": "https://api.example", "resource": "https://api.example"}]'},
        {"BFF_APIS": '[{"prefix": "a", "target": "http://api.example", "resource": "https://api.example"}]'},
        {"BFF_APIS": '[{"prefix": "a", "target": "https://api.example?x=", "resource": "https://api.example"}]'},
        {"BFF_APIS": '[{"prefix": "a", "target": "https://api.example/%2e", "resource": "https://api.example"}]'},
        {"BFF_APIS": '[{"prefix": "a", "target": "https://api.example", "resource": "https://api.example#x"}]'},
        {"BFF_APIS": '[{"prefix": "a", "target": "https://api.example", "resource": "relative"}]'},
        {"BFF_APIS": '[{"prefix": "a", "target": "https://api.example", "resource": "https://x", "extra": 1}]'},
        {"BFF_ID_TOKEN_ALGORITHMS": '["none"]'},
        {"BFF_ID_TOKEN_ALGORITHMS": '["HS256"]'},
        {"BFF_ID_TOKEN_ALGORITHMS": "[]"},
        {"BFF_PROVIDER_ORIGINS": '["https://keys.example/path"]'},
        {"BFF_SESSION_IDLE_SECONDS": "0"},
        {"BFF_PORT": "x"},
        {"BFF_CA_FILE": "/nowhere/ca.pem"},
    ],
)
def test_a_setting_that_makes_no_sense_stops_the_start(changes: dict[str, str]):
    assert problems(**changes)


def test_a_prefix_may_be_there_once():
    api = '{"prefix": "a", "target": "https://api.example", "resource": "https://api.example"}'
    assert "twice" in problems(BFF_APIS=f"[{api}, {api}]")


def test_previous_keys_are_a_list_in_either_form():
    for text in ("a" * 32 + " " + "b" * 32, f'["{"a" * 32}", "{"b" * 32}"]'):
        assert len(load_settings({**GOOD, "BFF_SECRET_KEY_PREVIOUS": text}).keys[1]) == 2


def test_the_environment_is_not_read_behind_the_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BFF_CLIENT_ID", "from-the-environment")
    values: dict[str, Any] = {"client_secret": "s" * 40, "secret_key": "k" * 32}
    assert BffSettings(**values).client_id == "bff"
    monkeypatch.setenv("BFF_CLIENT_SECRET", "s" * 40)
    monkeypatch.setenv("BFF_SECRET_KEY", "k" * 32)
    assert load_settings().client_id == "from-the-environment"


def test_every_setting_and_its_default_is_documented():
    page = Path("docs/bff.md").read_text(encoding="utf-8")
    for name, field in BffSettings.model_fields.items():
        line = next(line for line in page.splitlines() if line.startswith("| `") and f"`{name.upper()}`" in line)
        if isinstance(field.default, bool):
            assert f"`{str(field.default).lower()}`" in line
        elif isinstance(field.default, int | float) or (isinstance(field.default, str) and field.default):
            assert f"`{field.default:g}`" in line if isinstance(field.default, float) else f"`{field.default}`" in line

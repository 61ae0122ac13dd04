"""Settings: environment over file, every mistake named, Kubernetes' links left alone."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from authserver.environment import tell_ignored
from authserver.settings import Settings, SettingsError, is_loopback, load_settings

Load = Callable[..., Settings]
HTTPS = {"ISSUER": "https://login.example.test"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AUTHSERVER_")]:
        monkeypatch.delenv(name)
    tell_ignored.cache_clear()


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    def one(**environ: str) -> Settings:
        for name, value in {**HTTPS, **environ}.items():
            monkeypatch.setenv(f"AUTHSERVER_{name}", value)
        return load_settings()

    return one


def mistakes(load: Load, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(**environ)
    return str(caught.value)


# Sources


def test_the_environment_wins_over_the_file(load: Load, tmp_path: Path):
    file = tmp_path / "authserver.toml"
    file.write_text(
        'port = 1000\nnodes = 1\noutbound_allow = ["a"]\n[tokens]\ncode_seconds = 30\nid_token_seconds = 40\n'
    )
    settings = load(CONFIG=str(file), PORT="2000", TOKENS__CODE_SECONDS="50")
    assert (settings.port, settings.outbound_allow) == (2000, ("a",))
    assert (settings.tokens.code_seconds, settings.tokens.id_token_seconds) == (50, 40)


def test_lists_are_separated_by_commas(load: Load):
    settings = load(TRUSTED_PROXIES="10.0.0.0/8, ::1", OUTBOUND_ALLOW="a.test:443,b.test", SECRET_KEY_PREVIOUS="x,y")
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")
    assert load(LANGUAGES="de, en").languages == ("de", "en")
    assert settings.outbound_allow == ("a.test:443", "b.test")
    assert settings.previous_secrets() == ("x", "y")


def test_an_empty_value_counts_as_not_set(load: Load):
    assert load(PORT="", REDIS_URL="").port == 9000


@pytest.mark.parametrize(
    "text", ["port = ", "[tokens", "port = 'x'", "prot = 1", "[tokens]\ncode = 1", "[unknown]\na = 1"]
)
def test_a_file_with_mistakes_or_unknown_keys_is_refused(load: Load, tmp_path: Path, text: str):
    file = tmp_path / "authserver.toml"
    file.write_text(text)
    assert mistakes(load, CONFIG=str(file))


def test_a_missing_file_is_an_error(load: Load, tmp_path: Path):
    assert "AUTHSERVER_CONFIG" in mistakes(load, CONFIG=str(tmp_path / "nowhere.toml"))


# Mistakes


def test_unknown_names_are_errors_and_all_are_told_at_once(load: Load):
    text = mistakes(load, ISUER="x", TOKENS__CODE_SECOND="1", PORT="many", NODES="0")
    assert "AUTHSERVER_ISUER is not a setting" in text
    assert "AUTHSERVER_TOKENS__CODE_SECOND is not a setting" in text
    assert "AUTHSERVER_PORT" in text
    assert "AUTHSERVER_NODES" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ISSUER", "login.example.test"),
        ("ISSUER", "ftp://login.example.test"),
        ("ISSUER", "https://login.example.test/"),
        ("ISSUER", "https://login.example.test/?x=1"),
        ("ISSUER", "https://login.example.test/#x"),
        ("ISSUER", "https://user@login.example.test"),
        ("ISSUER", "https://"),
        ("ISSUER", "http://login.example.test"),
        ("ISSUER", "http://localhost:9000"),
        ("TRUSTED_PROXIES", "proxy.example.test"),
        ("LANGUAGES", "en,tlh"),
        ("LANGUAGES", "en,de,en"),
        ("LANGUAGES", ","),
        ("DATABASE_URL", "mysql://x/y"),
        ("LOG_FORMAT", "xml"),
        ("PORT", "65536"),
        ("TOKENS__CODE_SECONDS", "601"),
        ("TOKENS__GRACE_PUBLIC_SECONDS", "301"),
        ("SIGNUP__TERMS_URI", "javascript:alert(1)"),
        ("SIGNUP__POLICY_URI", 'https://people.test/"onclick=x'),
        ("DEVELOPMENT", "true"),
    ],
)
def test_values_that_cannot_be_are_refused(load: Load, name: str, value: str):
    text = mistakes(load, **{name: value})
    assert "ISSUER" in text or name in text


def test_sqlite_is_for_one_machine(load: Load):
    assert "PostgreSQL" in mistakes(load, NODES="2")
    assert load(NODES="2", DATABASE_URL="postgresql://127.0.0.1/as").nodes == 2


def test_an_http_issuer_needs_loopback_and_development(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTHSERVER_ISSUER", "http://127.0.0.1:9000")
    with pytest.raises(SettingsError, match="--development"):
        load_settings()
    assert load_settings(development=True).development


def test_no_message_repeats_a_value(load: Load, tmp_path: Path):
    file = tmp_path / "authserver.toml"
    file.write_text('secret_key = ["hidden-value-1"]\n')
    text = mistakes(load, CONFIG=str(file), PORT="hidden-value-2", DATABASE_URL="mysql://u:hidden-value-3@h/d")
    assert "hidden-value" not in text
    file.write_text("secret_key = hidden-value-4\n")
    assert "hidden-value" not in mistakes(load, CONFIG=str(file))


def test_settings_are_frozen(load: Load):
    settings = load()
    with pytest.raises(ValidationError):
        settings.port = 1


# Secrets


def test_the_secret_key_is_long_and_readable(load: Load, tmp_path: Path):
    with pytest.raises(SettingsError, match="missing"):
        load().secret()
    with pytest.raises(SettingsError, match="too short"):
        load(SECRET_KEY="k" * 31).secret()
    assert load(SECRET_KEY="k" * 32).secret() == "k" * 32


def test_the_secret_key_may_come_from_a_file(load: Load, tmp_path: Path):
    file = tmp_path / "key"
    file.write_text("f" * 40 + "\n")
    assert load(SECRET_KEY_FILE=str(file)).secret() == "f" * 40
    file.write_bytes(b"\xff" * 40)
    for path in (file, tmp_path / "nowhere", tmp_path):
        with pytest.raises(SettingsError, match="cannot be read"):
            load(SECRET_KEY_FILE=str(path)).secret()


def test_secrets_are_in_no_text_of_the_settings(load: Load):
    secrets = ("k" * 40, "p" * 40, "redis-password", "db-password")
    settings = load(
        SECRET_KEY=secrets[0],
        SECRET_KEY_PREVIOUS=secrets[1],
        REDIS_URL=f"redis://:{secrets[2]}@127.0.0.1/0",
        DATABASE_URL=f"postgresql://me:{secrets[3]}@127.0.0.1/as",
    )
    shown = json.dumps(settings.redacted())
    assert not any(secret in shown for secret in secrets)
    assert not any(secret in repr(settings) for secret in secrets[:3])
    assert settings.redacted()["database_url"] == "postgresql://me:**********@127.0.0.1/as"


# Kubernetes


def test_service_links_are_ignored_with_one_line(load: Load, caplog: pytest.LogCaptureFixture):
    links = {
        "PORT": "tcp://10.0.0.1:9000",
        "PORT_9000_TCP": "tcp://10.0.0.1:9000",
        "PORT_9000_TCP_PROTO": "tcp",
        "PORT_9000_TCP_PORT": "9000",
        "PORT_9000_TCP_ADDR": "10.0.0.1",
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "9000",
        "SERVICE_PORT_HTTP": "9000",
        "DB_SERVICE_HOST": "10.0.0.2",
        "DB_PORT": "tcp://10.0.0.2:5432",
    }
    with caplog.at_level(logging.INFO, "authserver.settings"):
        assert load(**links).port == 9000
        load_settings()
    assert len(caplog.messages) == 1
    assert all(f"AUTHSERVER_{name}" in caplog.messages[0] for name in links)


@pytest.mark.parametrize("name", ["DB_PORT", "PORTS", "SERVICE"])
def test_what_only_resembles_a_service_link_is_unknown(load: Load, name: str):
    assert f"AUTHSERVER_{name} is not a setting" in mistakes(load, **{name: "5432"})


def test_a_port_is_still_a_port(load: Load):
    assert load(PORT="9555").port == 9555


# Loopback


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_hosts_are_recognised(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.test", "10.0.0.1", "192.0.2.1", "::", "127.0.0.1.test", "a.test"])
def test_other_hosts_are_not_loopback(host: str):
    assert not is_loopback(host)


def test_every_setting_has_a_sentence():
    sections = [value for _, value in Settings(development=True) if isinstance(value, BaseModel)]
    for model in (Settings, *map(type, sections)):
        for name, field in model.model_fields.items():
            if not isinstance(field.default, BaseModel):
                assert field.description, name
                assert field.description.endswith("."), name

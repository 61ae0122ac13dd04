import logging
from pathlib import Path

import pytest

from resourceserver.settings import SettingsError, load_settings


def test_the_defaults_are_those_of_the_demonstration() -> None:
    settings = load_settings({})
    assert (settings.host, settings.port, settings.issuer) == ("localhost", 9001, "http://localhost:9000")
    assert settings.url == "http://localhost:9001"


def test_the_public_url_follows_the_port_unless_it_is_set() -> None:
    assert load_settings({"RESOURCESERVER_PORT": "9101"}).url == "http://localhost:9101"
    both = {"RESOURCESERVER_PORT": "9101", "RESOURCESERVER_PUBLIC_URL": "https://api.example/v1"}
    assert load_settings(both).url == "https://api.example/v1"


def test_every_wrong_setting_is_named_and_no_value_is_repeated() -> None:
    wrong = {
        "RESOURCESERVER_PORT": "VALUE",
        "RESOURCESERVER_CACHE_SECONDS": "301",
        "RESOURCESERVER_ISSUER": "http://VALUE.example",
        "RESOURCESERVER_PUBLIC_URL": "https://api.example/VALUE/",
        "RESOURCESERVER_DATABASE_URL": "mysql://VALUE",
        "RESOURCESERVER_CLIENT_SECRET_FILE": "/nonexistent/VALUE",
        "RESOURCESERVER_LOG_LEVEL": "VALUE",
        "RESOURCESERVER_CLIENT_SECRTE": "VALUE",
        "RESOURCESERVER_port": "VALUE",
    }
    with pytest.raises(SettingsError) as refused:
        load_settings(wrong)
    assert [name for name in wrong if name not in str(refused.value)] == []
    assert "VALUE" not in str(refused.value)


def test_service_links_of_kubernetes_are_ignored_with_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    links = {
        "RESOURCESERVER_SERVICE_HOST": "10.0.0.1",
        "RESOURCESERVER_SERVICE_PORT": "80",
        "RESOURCESERVER_SERVICE_PORT_HTTP": "80",
        "RESOURCESERVER_PORT": "tcp://10.0.0.1:80",
        "RESOURCESERVER_PORT_80_TCP": "tcp://10.0.0.1:80",
        "RESOURCESERVER_PORT_80_TCP_PROTO": "tcp",
        "RESOURCESERVER_PORT_80_TCP_PORT": "80",
        "RESOURCESERVER_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert load_settings(links).port == 9001
    assert len(caplog.records) == len(links)


def test_an_empty_value_counts_as_not_set_and_other_programs_settings_are_left_alone() -> None:
    assert load_settings({"RESOURCESERVER_PORT": "", "AUTHSERVER_PORT": "1", "RESOURCE": "x"}).port == 9001


def test_the_secret_comes_from_its_setting_or_its_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from the file\n")
    assert load_settings({"RESOURCESERVER_CLIENT_SECRET": "direct"}).secret() == "direct"
    assert load_settings({"RESOURCESERVER_CLIENT_SECRET_FILE": str(file)}).secret() == "from the file"


def test_no_secret_two_secrets_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("\n")
    with pytest.raises(SettingsError):
        load_settings({}).secret()
    with pytest.raises(SettingsError):
        load_settings({"RESOURCESERVER_CLIENT_SECRET_FILE": str(file)}).secret()
    with pytest.raises(SettingsError):
        load_settings({"RESOURCESERVER_CLIENT_SECRET": "a", "RESOURCESERVER_CLIENT_SECRET_FILE": str(file)})


def test_the_secret_is_not_shown_when_settings_are_printed() -> None:
    assert "hunter2" not in repr(load_settings({"RESOURCESERVER_CLIENT_SECRET": "hunter2"}))

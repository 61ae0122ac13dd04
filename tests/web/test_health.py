"""For those who watch: live, ready, counters."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from authserver.app import create_app
from authserver.crypto import Sealer
from authserver.manage import keys
from authserver.settings import Features, Settings
from authserver.store import Store, Unavailable, open_store

SECRET_KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="session")
def health_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("health") / "template.db"
    settings = Settings(development=True, database_url=f"sqlite:///{path}", features=Features(jar=False))
    store = open_store(settings)
    store.upgrade()
    keys.ensure_first(store, Sealer(SECRET_KEY), settings, actor="test")
    store.close()
    return path


@pytest.fixture
def store(health_template: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(health_template, tmp_path / "authserver.db")
    opened = open_store(Settings(development=True, database_url=f"sqlite:///{tmp_path / 'authserver.db'}"))
    yield opened
    opened.close()


@pytest.fixture
def browser(store: Store) -> FlaskClient:
    return create_app(Settings(development=True, secret_key=SECRET_KEY), store).test_client()


def test_a_healthy_server_is_live_and_ready(browser: FlaskClient):
    for path, word in (("/health/live", "live"), ("/health/ready", "ready")):
        answer = browser.get(path)
        assert (answer.status_code, answer.json) == (200, {"status": word})
        assert answer.headers["Cache-Control"] == "no-store"


def test_without_its_store_it_is_live_and_not_ready(
    browser: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
):
    def away() -> None:
        raise Unavailable("the database is away")

    monkeypatch.setattr(store, "ping", away)
    answer = browser.get("/health/ready")
    assert (answer.status_code, answer.json) == (503, {"status": "not ready"})
    assert int(answer.headers["Retry-After"]) > 0
    assert browser.get("/health/live").status_code == 200
    monkeypatch.undo()
    assert browser.get("/health/ready").status_code == 200


def test_counters_tell_endpoints_and_statuses(browser: FlaskClient):
    browser.get("/jwks")
    answer = browser.get("/metrics")
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    assert 'authserver_answers_total{endpoint="jwks",status="200"' in answer.text


@pytest.mark.parametrize(
    ("address", "headers"),
    [("192.0.2.1", {}), ("2001:db8::1", {}), ("", {}), ("127.0.0.1", {"X-Forwarded-For": "192.0.2.1"})],
)
def test_counters_are_for_this_machine_only(browser: FlaskClient, address: str, headers: dict[str, str]):
    answer = browser.get("/metrics", headers=headers, environ_overrides={"REMOTE_ADDR": address})
    assert answer.status_code == 404
    assert "authserver_answers_total" not in answer.text

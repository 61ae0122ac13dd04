"""What keeps a deployment from serving, and what could be better."""

from pathlib import Path

import pytest

from authserver.crypto import Sealer
from authserver.manage import clients, keys, overview, resources, users
from authserver.records import Event
from authserver.settings import Settings
from authserver.store import Store, open_store
from tests.manage.conftest import FORMER_KEY, SECRET_KEY
from tests.manage.test_keys import a_key

PRODUCTION = {"development": False, "issuer": "https://login.example.test"}


def test_a_fresh_deployment_has_no_obstacle(store: Store, settings: Settings, sealer: Sealer):
    keys.ensure_first(store, sealer, settings, actor="test")
    assert overview.obstacles(store, settings) == []
    assert overview.overview(store)["signing_keys"] == 2


def test_a_schema_that_is_not_current_is_an_obstacle(settings: Settings, tmp_path: Path):
    empty = settings.model_copy(update={"database_url": f"sqlite:///{tmp_path / 'empty.db'}"})
    store = open_store(empty)
    assert "authserver db upgrade" in overview.obstacles(store, empty)[0]
    store.close()


def test_keys_that_cannot_be_opened_are_an_obstacle(store: Store, settings: Settings):
    store.keys.add(a_key("k", Sealer(FORMER_KEY)), Event("key.added"))
    found = overview.obstacles(store, settings)
    assert len(found) == 1
    assert "SECRET_KEY" in found[0]
    assert SECRET_KEY not in found[0]


@pytest.mark.parametrize("what", ["client", "resource", "user"])
def test_the_demonstration_may_not_serve_in_production(store: Store, settings: Settings, sealer: Sealer, what: str):
    if what == "client":
        given = {"redirect_uris": ["https://client.example/cb"]}
        clients.register(store, sealer, given, actor="test", demonstration=True)
    elif what == "resource":
        resources.add(store, {"identifier": "urn:api"}, actor="test", demonstration=True)
    else:
        users.add(store, users.make_user("alice", demonstration=True), None, actor="test")
    assert overview.has_demonstration(store)
    assert overview.obstacles(store, settings) == []
    found = overview.obstacles(store, settings.model_copy(update=PRODUCTION))
    assert ["demonstration" in text for text in found] == [True]


def test_an_own_account_called_alice_is_no_demonstration(store: Store):
    users.add(store, users.make_user("alice"), None, actor="test")
    assert not overview.has_demonstration(store)


def test_advice_names_resources_that_are_not_registered(store: Store, settings: Settings, sealer: Sealer):
    given = {"client_id": "c", "redirect_uris": ["https://client.example/cb"], "resources": ["urn:api"]}
    clients.register(store, sealer, given, actor="test")
    assert ["urn:api" in text for text in overview.advice(store, settings, sealer)] == [True]


def test_advice_knows_the_management_api_where_it_is_on(store: Store, settings: Settings, sealer: Sealer):
    given = {"client_id": "c", "grant_types": ["client_credentials"], "resources": [settings.management_resource]}
    clients.register(store, sealer, given, actor="test")
    on = settings.model_copy(update={"features": settings.features.model_copy(update={"management_api": True})})
    assert overview.advice(store, on, sealer) == []
    assert len(overview.advice(store, settings, sealer)) == 1


def test_advice_says_when_a_former_secret_key_may_go(store: Store, settings: Settings):
    both = Sealer(SECRET_KEY, (FORMER_KEY,))
    rotated = Settings(**{**settings.model_dump(), "secret_key_previous": FORMER_KEY})
    store.keys.add(a_key("k", Sealer(FORMER_KEY)), Event("key.added"))
    assert "key reseal" in overview.advice(store, rotated, both)[0]
    keys.reseal(store, both, actor="test")
    assert "may go" in overview.advice(store, rotated, both)[0]


def test_advice_names_a_secret_key_file_that_others_can_read(
    store: Store, settings: Settings, sealer: Sealer, tmp_path: Path
):
    file = tmp_path / "key"
    file.write_text(SECRET_KEY)
    by_file = settings.model_copy(update={"secret_key": None, "secret_key_file": file})
    file.chmod(0o644)
    assert ["chmod 600" in text for text in overview.advice(store, by_file, sealer)] == [True]
    file.chmod(0o600)
    assert overview.advice(store, by_file, sealer) == []

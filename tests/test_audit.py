"""The audit trail: a closed list of names, and facts without secrets."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from authserver import audit, crypto
from authserver.settings import Settings
from authserver.store import Store, open_store

PACKAGE = Path(audit.__file__).parent


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(Settings(development=True, database_url=f"sqlite:///{tmp_path / 'authserver.db'}"))
    opened.upgrade()
    yield opened
    opened.close()


def test_an_event_is_written_with_its_facts(store: Store):
    audit.record(store, "sign_in.succeeded", "user", sub="s", client_id="c", facts={"acr": "x"})
    (line,) = store.audit.list(0, 10)
    assert (line.event.name, line.event.sub, line.event.client_id, line.event.facts) == (
        "sign_in.succeeded",
        "s",
        "c",
        {"acr": "x"},
    )


def test_a_name_that_is_not_in_the_list_is_refused(store: Store):
    with pytest.raises(ValueError, match="not in the list"):
        audit.record(store, "sign_in.maybe", "user")


def test_facts_hold_no_secret(store: Store):
    handle = crypto.new_handle(crypto.Kind.REFRESH)[0]
    audit.record(store, "sign_in.failed", "user", facts={"value": f"x {handle}", "count": 1})
    assert handle not in repr(store.audit.list(0, 10))


def test_every_event_of_the_product_is_in_the_list():
    used: dict[str, str] = {}
    for path in PACKAGE.rglob("*.py"):
        for name in re.findall(r'(?:Event|_event)\(\s*"([a-z_]+\.[a-z_]+)"', path.read_text()):
            used[name] = path.name
    assert {name: where for name, where in used.items() if name not in audit.EVENTS} == {}


def test_every_event_has_a_sentence():
    assert all(sentence.endswith(".") for sentence in audit.EVENTS.values())

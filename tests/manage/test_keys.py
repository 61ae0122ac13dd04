"""Signing keys as administrators see them."""

import pytest

from authserver.clock import HOUR, MINUTE, SECOND, now
from authserver.crypto import Sealer
from authserver.manage import keys
from authserver.manage.errors import ManageError
from authserver.records import Event, SigningKey
from authserver.settings import Settings
from authserver.store import Store
from tests.manage.conftest import FORMER_KEY, SECRET_KEY


def a_key(kid: str, sealer: Sealer, **times: int) -> SigningKey:
    never = 2**62
    at = {"publishes_at": 0, "signs_at": 0, "retires_at": never, "gone_at": never, **times}
    sealed = sealer.seal("signing-key", f"signing_keys|sealed|{kid}", b"key")
    return SigningKey(kid, "ES256", sealed, "{}", now(), **at)


def test_the_state_of_a_key_follows_from_its_times(sealer: Sealer):
    moment = now()
    assert keys.state(a_key("k", sealer), moment) == "current"
    assert keys.state(a_key("k", sealer, signs_at=moment + HOUR), moment) == "next"
    assert keys.state(a_key("k", sealer, signs_at=moment + HOUR, publishes_at=moment + HOUR), moment) == "planned"
    assert keys.state(a_key("k", sealer, retires_at=moment), moment) == "retired"
    assert keys.state(a_key("k", sealer, retires_at=moment, gone_at=moment), moment) == "gone"


def test_what_is_shown_of_keys_is_not_their_private_part(store: Store, sealer: Sealer):
    key = a_key("k", sealer)
    store.keys.add(key, Event("key.added"))
    shown = repr(keys.list_keys(store))
    assert "'kid': 'k'" in shown
    assert key.sealed.hex() not in shown
    assert repr(key.sealed) not in shown


def test_the_first_keys_are_made_once(store: Store, settings: Settings, sealer: Sealer):
    assert keys.ensure_first(store, sealer, settings, actor="test") is True
    assert keys.ensure_first(store, sealer, settings, actor="test") is False
    assert [line.event.name for line in store.audit.list(0, 10)].count("key.first") == 1


def test_keys_that_are_gone_are_not_replaced_silently(store: Store, settings: Settings, sealer: Sealer):
    store.audit.append(Event("key.first", "test"))
    with pytest.raises(ManageError, match="are gone"):
        keys.ensure_first(store, sealer, settings, actor="test")


def test_rotation_publishes_the_next_keys(store: Store, settings: Settings, sealer: Sealer):
    store.keys.add(a_key("old", sealer), Event("key.added"))
    made = keys.rotate(store, sealer, settings, soon=True, compromised=False, actor="test")
    assert {key["algorithm"] for key in made} == {"RS256", "ES256"}
    states = {key["kid"]: key["state"] for key in keys.list_keys(store)}
    assert states.pop("old") == "current"
    assert set(states.values()) == {"next"}
    assert all(9 * MINUTE < key["signs_at"] * SECOND - now() <= 10 * MINUTE for key in made)


def test_what_a_former_secret_key_sealed_is_counted_and_sealed_anew(store: Store):
    store.keys.add(a_key("k", Sealer(FORMER_KEY)), Event("key.added"))
    both = Sealer(SECRET_KEY, (FORMER_KEY,))
    assert keys.sealed_by_former_keys(store, both) == 1
    assert keys.reseal(store, both, actor="test") == 1
    assert keys.sealed_by_former_keys(store, both) == 0
    assert Sealer(SECRET_KEY).open("signing-key", "signing_keys|sealed|k", store.keys.all()[0].sealed) == b"key"

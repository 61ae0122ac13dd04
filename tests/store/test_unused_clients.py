"""Clients of their own making: what is stored of a document, and which of them are deleted for want of use."""

from dataclasses import replace
from typing import Any

from authserver.clock import DAY, MINUTE, SECOND
from authserver.records import Client
from authserver.store import Store
from authserver.store.clients import DOCUMENT_EXPIRES, NEVER, REGISTRATION_ACCESS, UNUSED
from tests.store.conftest import StillClock
from tests.store.makers import EVENT, NOW, a_client, a_consent, a_grant, digest, furnish

URL = "https://app.example/client.json"


def registered(client_id: str) -> Client:
    return replace(a_client(client_id), origin="registration")


def described(at: int = NOW, **metadata: Any) -> Client:
    client = a_client(URL, **{DOCUMENT_EXPIRES: at // SECOND + 600, **metadata})
    return replace(client, origin="document", updated_at=at)


def events(store: Store) -> list[tuple[str, str, str | None]]:
    lines = [line.event for line in store.audit.list(0, 1000)]
    return [(event.name, event.actor, event.client_id) for event in lines if event.name != "tested"]


# Clients that registered themselves.


def test_a_client_that_was_never_used_goes_when_its_time_is_over(store: Store, still: StillClock):
    store.clients.add(registered("self"), EVENT)
    store.single_use.put(REGISTRATION_ACCESS, "self", "digest", NEVER)
    assert store.clients.expire(NOW) == 0
    assert store.clients.expire(NOW + 1) == 1
    assert store.clients.get("self") is None
    assert store.single_use.get(REGISTRATION_ACCESS, "self") is None
    assert store.single_use.get(UNUSED, "self") is None
    assert events(store) == [("client.expired", "worker", "self")]


def test_a_client_that_was_used_once_stays_when_the_grant_is_long_gone(store: Store, still: StillClock):
    furnish(store)
    store.clients.add(registered("self"), EVENT)
    store.grants.open(a_grant(client_id="self", expires_at=NOW + MINUTE), digest("code"), NOW + MINUTE)
    assert store.clients.expire(NOW + DAY) == 0
    still.move(100 * DAY)
    store.purge()
    assert store.clients.expire(still.time) == 0
    assert store.clients.get("self") is not None


def test_a_grant_that_was_revoked_was_a_use_too(store: Store, still: StillClock):
    furnish(store)
    store.clients.add(registered("self"), EVENT)
    store.grants.open(a_grant(client_id="self"))
    store.grants.revoke("grant", "test", EVENT)
    assert store.clients.expire(NOW + DAY) == 0


def test_a_client_of_an_administrator_needs_no_use(store: Store, still: StillClock):
    store.clients.add(a_client(), EVENT)
    assert store.clients.expire(NOW + DAY) == 0


def test_the_cleaner_leaves_the_marks_alone(store: Store, still: StillClock):
    store.clients.add(registered("self"), EVENT)
    still.move(1000 * DAY)
    store.purge()
    assert store.clients.expire(still.time) == 1


def test_few_go_at_a_time(store: Store, still: StillClock):
    for number in range(5):
        store.clients.add(registered(str(number)), EVENT)
    assert [store.clients.expire(NOW + 1, 2) for _ in range(4)] == [2, 2, 1, 0]


def test_removing_a_client_takes_its_marks_and_its_door(store: Store, still: StillClock):
    store.clients.add(registered("self"), EVENT)
    store.single_use.put(REGISTRATION_ACCESS, "self", "digest", NEVER)
    assert store.clients.delete("self", EVENT)
    assert store.single_use.get(REGISTRATION_ACCESS, "self") is None
    assert store.single_use.get(UNUSED, "self") is None


# Clients with a document.


def test_a_document_is_stored_with_its_own_time(store: Store, still: StillClock):
    store.clients.keep_document(described(NOW - MINUTE))
    stored = store.clients.get(URL)
    assert stored is not None
    assert (stored.origin, stored.created_at, stored.updated_at) == ("document", NOW, NOW - MINUTE)
    assert events(store) == [("client.added", "document", URL)]


def test_a_newer_document_replaces_an_older_one_and_never_the_other_way(store: Store, still: StillClock):
    store.clients.keep_document(described(client_name="One"))
    store.clients.keep_document(described(NOW + MINUTE, client_name="Two"))
    store.clients.keep_document(described(client_name="One"))
    stored = store.clients.get(URL)
    assert stored is not None
    assert (stored.client_name, stored.updated_at) == ("Two", NOW + MINUTE)
    assert [name for name, _, _ in events(store)] == ["client.added", "client.updated"]


def test_the_same_document_again_is_no_event(store: Store, still: StillClock):
    store.clients.keep_document(described())
    store.clients.keep_document(described(NOW + MINUTE))
    stored = store.clients.get(URL)
    assert stored is not None
    assert stored.updated_at == NOW + MINUTE
    assert [name for name, _, _ in events(store)] == ["client.added"]


def test_a_client_of_an_administrator_is_not_described_by_a_document(store: Store, still: StillClock):
    store.clients.add(a_client(URL, client_name="Ours"), EVENT)
    store.clients.keep_document(described(NOW + MINUTE, client_name="Theirs"))
    stored = store.clients.get(URL)
    assert stored is not None
    assert (stored.client_name, stored.origin) == ("Ours", "administrator")
    assert events(store) == []


def test_a_document_does_not_switch_a_client_on_again(store: Store, still: StillClock):
    store.clients.keep_document(described())
    store.clients.set_disabled(URL, disabled=True, event=EVENT)
    store.clients.keep_document(described(NOW + MINUTE, client_name="Two"))
    stored = store.clients.get(URL)
    assert stored is not None
    assert stored.disabled_at == NOW


def test_a_row_without_grant_and_consent_goes_a_day_after_its_document(store: Store, still: StillClock):
    furnish(store)
    store.clients.keep_document(described())
    store.grants.open(a_grant(client_id=URL, expires_at=NOW + MINUTE))
    store.consents.allow([a_consent(client_id=URL)])
    still.move(3 * DAY)
    assert store.clients.expire(0) == 0
    store.purge()
    assert store.clients.expire(0) == 0
    store.consents.withdraw("sub-1", URL, EVENT)
    assert store.clients.expire(0) == 1
    assert store.clients.get(URL) is None


def test_a_young_row_and_one_that_is_switched_off_stay(store: Store, still: StillClock):
    store.clients.keep_document(described())
    still.move(DAY)
    assert store.clients.expire(0) == 0
    store.clients.set_disabled(URL, disabled=True, event=EVENT)
    still.move(DAY)
    assert store.clients.expire(0) == 0

"""Signing keys and the audit trail."""

from dataclasses import replace

import pytest

from authserver.records import AuditLine, Event, SigningKey
from authserver.store import BadValue, Conflict, Store
from tests.store.conftest import StillClock
from tests.store.makers import EVENT, NOW

KEY = SigningKey("k1", "ES256", b"\0sealed", '{"kty":"EC"}', NOW, NOW, NOW + 1, NOW + 2, NOW + 3)


def test_keys_come_back_in_the_order_in_which_they_sign(store: Store):
    store.keys.add(replace(KEY, kid="later", signs_at=NOW + 9), EVENT)
    store.keys.add(KEY, EVENT)
    assert [key.kid for key in store.keys.all()] == ["k1", "later"]
    assert store.keys.all()[0] == KEY
    with pytest.raises(Conflict):
        store.keys.add(KEY, EVENT)


def test_the_first_keys_are_added_to_an_empty_table_only(store: Store):
    assert store.keys.add_first([KEY, replace(KEY, kid="k2")])
    assert not store.keys.add_first([replace(KEY, kid="k3")])
    assert [key.kid for key in store.keys.all()] == ["k1", "k2"]


def test_a_key_is_retired_and_sealed_anew(store: Store):
    store.keys.add(KEY, EVENT)
    assert store.keys.set_times("k1", NOW + 7, NOW + 8, EVENT)
    assert not store.keys.set_times("none", NOW + 7, NOW + 8, EVENT)
    assert store.keys.reseal("k1", KEY.sealed, b"anew")
    assert not store.keys.reseal("k1", KEY.sealed, b"again")
    assert store.keys.all() == (replace(KEY, sealed=b"anew", retires_at=NOW + 7, gone_at=NOW + 8),)


def test_audit_lines_are_numbered_and_read_page_by_page(store: Store, still: StillClock):
    for name in ("a", "b", "a"):
        store.audit.append(Event(name, "me", "client", "sub", {"n": 1, "ü": ["x", None]}))
        still.move(1)
    lines = store.audit.list(0, 2)
    assert [line.event.name for line in lines] == ["a", "b"]
    assert lines[0] == AuditLine(lines[0].number, NOW, Event("a", "me", "client", "sub", {"n": 1, "ü": ["x", None]}))
    assert [line.at for line in store.audit.list(lines[-1].number, 2)] == [NOW + 2]
    assert [line.at for line in store.audit.list(0, 9, "a")] == [NOW, NOW + 2]


def test_an_event_that_cannot_be_written_undoes_what_it_was_about(store: Store):
    with pytest.raises(BadValue):
        store.keys.add(KEY, Event("bad", facts={"object": object()}))
    assert store.keys.all() == ()

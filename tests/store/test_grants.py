"""Grants and their codes (RFC 6749 4.1.2, 10.5)."""

import pytest

from authserver.clock import DAY, MINUTE
from authserver.records import Event
from authserver.store import Conflict, Store
from tests.store.conftest import StillClock
from tests.store.makers import EVENT, NOW, a_client, a_grant, digest, furnish

CODE = digest("code")


@pytest.fixture
def code(store: Store, still: StillClock) -> bytes:
    furnish(store)
    store.clients.add(a_client("other"), EVENT)
    store.grants.open(a_grant(), CODE, NOW + MINUTE)
    return CODE


def test_a_code_gives_its_grant_once(store: Store, code: bytes):
    assert store.grants.redeem(code, "client") == a_grant()
    assert store.grants.redeem(code, "client") is None


def test_a_code_is_bound_when_it_is_redeemed_unless_it_was_before(store: Store, code: bytes):
    store.grants.open(a_grant("bound", cnf="first"), digest("bound"), NOW + MINUTE)
    for grant_id, its_code, cnf in (("grant", code, "second"), ("bound", digest("bound"), "first")):
        assert store.grants.redeem(its_code, "client", "second") == a_grant(grant_id, cnf=cnf)
        assert store.grants.get(grant_id) == a_grant(grant_id, cnf=cnf)


def test_a_grant_is_bound_once(store: Store, code: bytes):
    assert store.grants.bind("grant", "first")
    for cnf in ("first", "second"):
        assert not store.grants.bind("grant", cnf)
    assert store.grants.get("grant") == a_grant(cnf="first")
    assert not store.grants.bind("unknown", "first")


def test_a_code_that_comes_back_revokes_its_grant_and_is_audited_once(store: Store, code: bytes):
    store.grants.redeem(code, "client")
    assert store.grants.get("grant") == a_grant()
    for _ in range(2):
        store.grants.redeem(code, "client")
    assert store.grants.get("grant") is None
    events = [line.event for line in store.audit.list(0, 10, "code.reused")]
    assert events == [Event("code.reused", "client", "client", "sub-1", {"grant_id": "grant"})]


def test_a_code_that_comes_back_after_its_expiry_revokes_its_grant(store: Store, code: bytes, still: StillClock):
    store.grants.redeem(code, "client")
    still.move(DAY)
    store.grants.redeem(code, "client")
    assert store.grants.get("grant") is None


def test_another_clients_attempt_changes_nothing(store: Store, code: bytes):
    assert store.grants.redeem(code, "other") is None
    assert store.grants.redeem(code, "client")
    assert store.grants.redeem(code, "other") is None
    assert store.grants.get("grant")


@pytest.mark.parametrize(("later", "grants"), [(MINUTE - 1, ["grant"]), (MINUTE, [])])
def test_a_code_is_good_until_the_moment_it_expires(
    store: Store, code: bytes, still: StillClock, later: int, grants: list[str]
):
    still.move(later)
    redeemed = store.grants.redeem(code, "client")
    assert [grant.grant_id for grant in (redeemed,) if grant] == grants
    assert store.grants.get("grant")


def test_a_code_digest_is_taken_once(store: Store, code: bytes):
    with pytest.raises(Conflict):
        store.grants.open(a_grant("second"), code, NOW + MINUTE)
    with pytest.raises(Conflict):
        store.grants.open(a_grant())


def test_a_code_without_a_user_opens_nothing(store: Store, code: bytes):
    store.grants.open(a_grant("nobody", sub="nobody"), digest("nobody"), NOW + MINUTE)
    assert store.grants.redeem(digest("nobody"), "client") is None


def test_an_unknown_code_and_a_grant_without_one_are_nothing(store: Store, code: bytes):
    store.grants.open(a_grant("codeless"))
    store.grants.open(a_grant("codeless too"))
    assert store.grants.redeem(digest("unknown"), "client") is None
    assert len(store.grants.of_user("sub-1")) == 3


def test_a_grant_is_revoked_once(store: Store, code: bytes):
    assert store.grants.revoke("grant", "administrator", EVENT)
    assert not store.grants.revoke("grant", "administrator", EVENT)
    assert not store.grants.revoke("unknown", "administrator", EVENT)
    assert store.grants.redeem(code, "client") is None


def test_grants_are_revoked_by_user_client_or_pair(store: Store, code: bytes):
    store.grants.open(a_grant("other", client_id="other"))
    store.grants.open(a_grant("stranger", sub="stranger"))
    assert store.grants.revoke_all(sub="sub-1", client_id="other", reason="r", event=EVENT) == 1
    assert store.grants.revoke_all(sub="sub-1", reason="r", event=EVENT) == 1
    assert store.grants.revoke_all(client_id="client", reason="r", event=EVENT) == 1
    with pytest.raises(ValueError, match="needs"):
        store.grants.revoke_all(reason="r", event=EVENT)


def test_a_grant_is_over_at_its_end(store: Store, code: bytes, still: StillClock):
    still.move(365 * DAY - 1)
    assert store.grants.get("grant")
    still.move(1)
    assert store.grants.get("grant") is None

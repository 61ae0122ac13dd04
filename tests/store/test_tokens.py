"""Access tokens, refresh tokens, revoked JWTs."""

from collections.abc import Callable

import pytest

from authserver.clock import DAY, MINUTE, SECOND
from authserver.records import LiveToken, RefreshState, Rotation
from authserver.store import Conflict, Store
from tests.store.conftest import StillClock
from tests.store.makers import (
    EVENT,
    NOW,
    a_client,
    a_grant,
    a_refresh_token,
    an_access_token,
    digest,
    furnish,
    start_session,
)

ACCESS, REFRESH = digest("access"), digest("refresh")
GRACE = 10 * SECOND


@pytest.fixture
def tokens(store: Store, still: StillClock) -> Store:
    """A store with one grant that is bound to a session, one access token and one refresh token."""
    furnish(store)
    start_session(store)
    store.grants.open(a_grant(sid="session"))
    store.tokens.add(an_access_token(), a_refresh_token())
    return store


def test_an_access_token_is_found_with_what_introspection_answers(tokens: Store):
    row = an_access_token()
    assert tokens.tokens.find(ACCESS) == LiveToken(
        "grant", "client", "sub-1", row.audience, "books", row.claims, row.expires_at
    )
    assert tokens.tokens.find(REFRESH) is None


def test_a_digest_is_taken_once_and_both_tokens_are_stored_or_none(tokens: Store):
    with pytest.raises(Conflict):
        tokens.tokens.add(an_access_token())
    with pytest.raises(Conflict):
        tokens.tokens.add(an_access_token("fresh"), a_refresh_token())
    assert tokens.tokens.find(digest("fresh")) is None
    tokens.tokens.add(None, a_refresh_token("alone"))
    assert tokens.tokens.find_refresh(digest("alone"))


def test_an_access_token_is_good_until_the_moment_it_expires(tokens: Store, still: StillClock):
    still.move(10 * MINUTE - 1)
    assert tokens.tokens.find(ACCESS)
    still.move(1)
    assert tokens.tokens.find(ACCESS) is None


DEATHS: dict[str, Callable[[Store], object]] = {
    "its grant is revoked": lambda store: store.grants.revoke("grant", "r", EVENT),
    "its client is disabled": lambda store: store.clients.set_disabled("client", True, EVENT),
    "its client is deleted": lambda store: store.clients.delete("client", EVENT),
    "its user is disabled": lambda store: store.users.set_disabled("sub-1", True, EVENT),
    "its session is ended": lambda store: store.sessions.end(["session"], "logout", EVENT),
    "the password is changed": lambda store: store.credentials.replace("sub-1", "password", "x", EVENT, "session"),
    "the consent is withdrawn": lambda store: store.consents.withdraw("sub-1", "client", EVENT),
    "the code comes back": lambda store: store.grants.redeem(digest("code"), "client"),
}


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS.keys())
def test_every_token_dies_with_its_grant(store: Store, still: StillClock, death: Callable[[Store], object]):
    furnish(store)
    start_session(store)
    store.grants.open(a_grant(sid="session"), digest("code"), NOW + MINUTE)
    store.grants.redeem(digest("code"), "client")
    store.tokens.add(an_access_token(), a_refresh_token())
    jwt = {"jti": "j", "grant_id": "grant", "client_id": "client", "sub": "sub-1", "issued_at": NOW}
    assert store.tokens.find_jwt(**jwt)
    still.move(SECOND)
    death(store)
    assert store.tokens.find(ACCESS) is None
    assert not store.tokens.find_jwt(**jwt)
    state = store.tokens.find_refresh(REFRESH)
    assert state is None or not state.alive
    assert rotate(store).outcome == "refused"
    assert not store.tokens.extend(REFRESH, DAY, None)


def test_offline_tokens_outlive_their_session(store: Store, still: StillClock):
    furnish(store)
    start_session(store)
    store.grants.open(a_grant(sid="session", offline=1))
    store.tokens.add(an_access_token(), a_refresh_token())
    store.sessions.end(["session"], "logout", EVENT)
    assert store.tokens.find(ACCESS)
    assert rotate(store).outcome == "rotated"


def test_a_token_whose_grant_is_gone_is_dead(tokens: Store):
    tokens.tokens.add(an_access_token("orphan", grant_id="gone"))
    assert tokens.tokens.find(digest("orphan")) is None
    lives = tokens.tokens.find_jwt(jti="j", grant_id="gone", client_id="client", sub="sub-1", issued_at=NOW)
    assert not lives


def test_a_clients_own_token_names_no_grant(tokens: Store):
    tokens.tokens.add(an_access_token("own", grant_id=None, sub="client"))
    found = tokens.tokens.find(digest("own"))
    assert found
    assert (found.grant_id, found.sub) == (None, "client")
    assert tokens.tokens.find_jwt(jti="j", grant_id=None, client_id="client", sub="client", issued_at=NOW)
    assert not tokens.tokens.find_jwt(jti="j", grant_id=None, client_id="none", sub="client", issued_at=NOW)


def test_one_access_token_is_revoked_by_its_own_client_only(tokens: Store, still: StillClock):
    tokens.tokens.add(an_access_token("second"))
    assert not tokens.tokens.revoke(ACCESS, "other")
    assert tokens.tokens.find(ACCESS)
    assert tokens.tokens.revoke(ACCESS, "client")
    assert tokens.tokens.revoke(ACCESS, "client")
    assert tokens.tokens.find(ACCESS) is None
    assert tokens.tokens.find(digest("second"))


def test_one_jwt_is_revoked_by_its_jti(tokens: Store):
    jwt = {"grant_id": "grant", "client_id": "client", "sub": "sub-1", "issued_at": NOW}
    tokens.tokens.revoke_jti("j", NOW + MINUTE)
    tokens.tokens.revoke_jti("j", NOW + MINUTE)
    assert not tokens.tokens.find_jwt(jti="j", **jwt)
    assert tokens.tokens.find_jwt(jti="k", **jwt)


def test_a_jwt_of_the_second_in_which_a_user_changed_is_not_held_against_it(tokens: Store, still: StillClock):
    still.move(SECOND + 400_000)
    tokens.credentials.replace("sub-1", "password", "x", EVENT)
    jwt = {"jti": "j", "grant_id": None, "client_id": "client", "sub": "sub-1"}
    assert tokens.tokens.find_jwt(issued_at=NOW + SECOND, **jwt)
    assert not tokens.tokens.find_jwt(issued_at=NOW, **jwt)


# Refresh tokens (RFC 9700 4.14.2)


def rotate(
    store: Store,
    presented: str = "refresh",
    successor: str = "next",
    client_id: str = "client",
    grace: int = GRACE,
    access: str | None = None,
) -> Rotation:
    return store.tokens.rotate(
        digest(presented),
        client_id,
        salt=b"salt of " + successor.encode(),
        successor_digest=digest(successor),
        sliding_us=30 * DAY,
        grace_us=grace,
        access=None if access is None else an_access_token(access),
    )


def test_a_refresh_token_is_found_with_its_grant(tokens: Store):
    assert tokens.tokens.find_refresh(REFRESH) == RefreshState(0, NOW, NOW + 30 * DAY, None, 1, a_grant(sid="session"))
    assert tokens.tokens.find_refresh(digest("unknown")) is None
    tokens.grants.revoke("grant", "r", EVENT)
    state = tokens.tokens.find_refresh(REFRESH)
    assert state
    assert state.alive == 0


def test_a_rotation_stores_successor_and_access_token(tokens: Store, still: StillClock):
    still.move(DAY)
    assert rotate(tokens, access="fresh") == Rotation("rotated")
    successor = tokens.tokens.find_refresh(digest("next"))
    assert successor
    assert successor[:5] == (1, NOW + DAY, NOW + 31 * DAY, None, 1)
    presented = tokens.tokens.find_refresh(REFRESH)
    assert presented
    assert presented.rotated_at == NOW + DAY


def test_a_successor_never_outlives_its_grant(tokens: Store, still: StillClock):
    tokens.grants.open(a_grant("short", expires_at=NOW + DAY))
    tokens.tokens.add(None, a_refresh_token("short", grant_id="short"))
    assert rotate(tokens, "short", "short next").outcome == "rotated"
    successor = tokens.tokens.find_refresh(digest("short next"))
    assert successor
    assert successor.expires_at == NOW + DAY


def test_a_repeated_request_in_the_window_gets_the_same_successor_and_a_new_access_token(
    tokens: Store, still: StillClock
):
    rotate(tokens)
    still.move(GRACE - 1)
    repeated = rotate(tokens, successor="another", access="repeated")
    assert repeated == Rotation("repeated", b"salt of next", digest("next"))
    assert tokens.tokens.find(digest("repeated"))
    assert tokens.tokens.find_refresh(digest("another")) is None
    assert [line.event.client_id for line in tokens.audit.list(0, 9, "refresh.repeated")] == ["client"]
    still.move(1)
    assert rotate(tokens).outcome == "reused"


def test_a_token_that_comes_back_after_its_window_revokes_the_grant(tokens: Store, still: StillClock):
    rotate(tokens)
    still.move(GRACE)
    assert rotate(tokens, access="never") == Rotation("reused")
    assert tokens.tokens.find(ACCESS) is None
    assert tokens.tokens.find(digest("never")) is None
    assert rotate(tokens, "next", "after").outcome == "refused"
    assert rotate(tokens).outcome == "refused"
    assert len(tokens.audit.list(0, 9, "refresh.reused")) == 1


def test_without_a_window_the_second_use_is_reuse(tokens: Store):
    rotate(tokens, grace=0)
    assert rotate(tokens, grace=0).outcome == "reused"


def test_in_the_window_but_after_the_successor_was_used_nothing_is_answered_and_nothing_revoked(tokens: Store):
    rotate(tokens)
    rotate(tokens, "next", "third")
    assert rotate(tokens) == Rotation("refused")
    assert rotate(tokens, "third", "fourth").outcome == "rotated"


def test_the_window_counts_from_the_rotation_and_no_retry_extends_it(tokens: Store, still: StillClock):
    rotate(tokens)
    still.move(GRACE // 2)
    assert rotate(tokens).outcome == "repeated"
    still.move(GRACE // 2)
    assert rotate(tokens).outcome == "reused"


def test_an_expired_or_foreign_or_unknown_refresh_token_changes_nothing(tokens: Store, still: StillClock):
    tokens.clients.add(a_client("other"), EVENT)
    assert rotate(tokens, client_id="other", access="foreign").outcome == "refused"
    assert tokens.tokens.find(digest("foreign")) is None
    assert rotate(tokens, "unknown").outcome == "refused"
    rotate(tokens)
    assert rotate(tokens, client_id="other").outcome == "refused"
    still.move(30 * DAY)
    assert rotate(tokens, "next", "third").outcome == "refused"
    assert tokens.grants.get("grant")


def test_a_sliding_token_that_is_not_rotated_moves_its_end(tokens: Store, still: StillClock):
    still.move(20 * DAY)
    assert tokens.tokens.extend(REFRESH, 30 * DAY, an_access_token("slid", now=still.time))
    state = tokens.tokens.find_refresh(REFRESH)
    assert state
    assert state.expires_at == NOW + 50 * DAY
    assert tokens.tokens.find(digest("slid"))
    still.move(30 * DAY)
    assert not tokens.tokens.extend(REFRESH, 30 * DAY, an_access_token("late"))
    assert tokens.tokens.find(digest("late")) is None
    assert not tokens.tokens.extend(digest("unknown"), DAY, None)


def test_a_rotated_token_does_not_slide(tokens: Store):
    rotate(tokens)
    assert not tokens.tokens.extend(REFRESH, DAY, None)
    assert tokens.tokens.extend(digest("next"), 400 * DAY, None)
    state = tokens.tokens.find_refresh(digest("next"))
    assert state
    assert state.expires_at == NOW + 365 * DAY

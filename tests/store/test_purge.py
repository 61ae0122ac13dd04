"""The cleaner: takes what is over, leaves what is over just now."""

from sqlalchemy import select

from authserver.clock import DAY, MINUTE, SECOND
from authserver.store import Store
from authserver.store.tables import grants, refresh_tokens, sessions
from tests.store.conftest import StillClock
from tests.store.makers import (
    EVENT,
    NOW,
    a_consent,
    a_grant,
    a_refresh_token,
    an_access_token,
    digest,
    furnish,
    start_session,
)

END = NOW + MINUTE


def fill(store: Store) -> None:
    """Store one row of everything that ends, at ``END``."""
    furnish(store)
    start_session(store, expires_at=END)
    store.consents.allow([a_consent(sid="session"), a_consent(resource="kept")])
    store.grants.open(a_grant(expires_at=END), digest("code"), END)
    store.tokens.add(an_access_token(expires_at=END), a_refresh_token(expires_at=END))
    store.tokens.revoke_jti("j", END)
    store.ephemeral.put("space", "key", "value", END)


def removed(store: Store, limit: int = 100) -> dict[str, int]:
    return {name: count for name, count in store.purge(limit).items() if count}


def test_a_row_that_ends_now_stays_and_goes_a_moment_later(store: Store, still: StillClock):
    fill(store)
    still.move(MINUTE)
    assert removed(store) == {}
    still.move(1)
    ended = {"access_tokens", "refresh_tokens", "revoked_jtis", "ephemeral", "sessions", "grants", "consents"}
    assert removed(store) == dict.fromkeys(ended, 1)
    assert removed(store) == {}
    assert [consent.resource for consent in store.consents.of_user("sub-1")] == ["kept"]
    assert store.clients.get("client")
    assert store.users.get("sub-1")


def test_the_last_grant_of_a_client_stays_as_long_as_the_session_in_which_it_was_given(store: Store, still: StillClock):
    # Its client is told of the end of the session (OpenID Connect Back-Channel Logout 2.3).
    furnish(store)
    start_session(store, expires_at=END + DAY)
    store.grants.open(a_grant("first", sid="session", expires_at=END))
    store.grants.open(a_grant("last", sid="session", expires_at=END, created_at=NOW + 1))
    store.grants.open(a_grant("of nobody", expires_at=END, created_at=NOW + 1))
    still.move(MINUTE + 1)
    assert removed(store) == {"grants": 2}
    assert store.grants.clients_of_session("session") == ("client",)
    store.sessions.end(["session"], "logout", EVENT)
    assert removed(store) == {"grants": 1}


def test_a_grant_stays_as_long_as_a_code_or_a_refresh_token_may_come_back(store: Store, still: StillClock):
    furnish(store)
    store.grants.open(a_grant("chained", expires_at=END))
    store.tokens.add(None, a_refresh_token(grant_id="chained", expires_at=END + MINUTE))
    store.grants.open(a_grant("coded", expires_at=END), digest("code"), END + MINUTE)
    store.grants.open(a_grant("over", expires_at=END))
    still.move(MINUTE + 1)
    assert removed(store) == {"grants": 1}
    still.move(MINUTE)
    assert removed(store) == {"refresh_tokens": 1, "grants": 2}


def test_pieces_are_no_larger_than_asked_for(store: Store, still: StillClock):
    for number in range(5):
        store.tokens.revoke_jti(str(number), END)
    still.move(MINUTE + 1)
    assert [removed(store, 2).get("revoked_jtis") for _ in range(4)] == [2, 2, 1, None]


def test_a_consent_for_one_session_goes_when_the_session_was_ended(store: Store, still: StillClock):
    furnish(store)
    start_session(store)
    store.consents.allow([a_consent(sid="session")])
    assert removed(store) == {}
    store.sessions.end(["session"], "logout", EVENT)
    assert removed(store) == {"consents": 1}
    with store.database.engine.connect() as connection:
        assert connection.execute(select(sessions.c.ended_at)).scalar() == NOW


def test_salts_are_erased_when_the_longest_window_is_over(store: Store, still: StillClock):
    furnish(store)
    store.grants.open(a_grant())
    store.tokens.add(None, a_refresh_token())
    store.tokens.rotate(
        digest("refresh"),
        "client",
        salt=b"salt",
        successor_digest=digest("next"),
        sliding_us=DAY,
        grace_us=MINUTE,
        access=None,
    )
    still.move(300 * SECOND)
    assert removed(store) == {}
    still.move(1)
    assert removed(store) == {"salts": 1}
    with store.database.engine.connect() as connection:
        salts = connection.execute(select(refresh_tokens.c.successor_salt)).scalars().all()
    assert salts == [None, None]


def test_a_salt_is_erased_when_its_successor_is_used(store: Store, still: StillClock):
    furnish(store)
    store.grants.open(a_grant())
    store.tokens.add(None, a_refresh_token())
    for presented, successor in (("refresh", "second"), ("second", "third")):
        store.tokens.rotate(
            digest(presented),
            "client",
            salt=successor.encode(),
            successor_digest=digest(successor),
            sliding_us=DAY,
            grace_us=MINUTE,
            access=None,
        )
    with store.database.engine.connect() as connection:
        rows = connection.execute(select(refresh_tokens.c.successor_salt).order_by(refresh_tokens.c.generation)).all()
    assert [salt for (salt,) in rows] == [None, b"third", None]


def test_audit_lines_are_kept_for_four_hundred_days(store: Store, still: StillClock):
    store.audit.append(EVENT)
    still.move(400 * DAY)
    assert removed(store) == {}
    still.move(1)
    assert removed(store) == {"audit": 1}


def test_revoked_grants_stay_until_their_end(store: Store, still: StillClock):
    furnish(store)
    store.grants.open(a_grant(expires_at=END))
    store.grants.revoke("grant", "r", EVENT)
    assert removed(store) == {}
    with store.database.engine.connect() as connection:
        assert connection.execute(select(grants.c.revoked_reason)).scalar() == "r"

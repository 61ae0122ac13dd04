"""Entries of JWT access tokens in status lists."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from authserver.clock import DAY, MINUTE, SECOND
from authserver.store import Store
from authserver.store.statuses import SIZE
from tests.store.at_once import at_once
from tests.store.conftest import StillClock
from tests.store.makers import EVENT, NOW, a_client, a_grant, a_user, digest, furnish, start_session

END = NOW + 10 * MINUTE


def claims(jti: str = "grant.one", **more: Any) -> dict[str, Any]:
    """The claims of a token of the grant that the tests open, or of another one."""
    grant_id = jti.partition(".")[0] if "." in jti else None
    sub = "sub-1" if grant_id else "client"
    return {"jti": jti, "grant_id": grant_id, "client_id": "client", "sub": sub, "issued_at": NOW, **more}


def enter(store: Store, jti: str = "grant.one", **more: Any) -> int:
    """Enter a token; return its number in the first list."""
    expires_at = more.pop("expires_at", END)
    of_list, number = store.statuses.add(**claims(jti, **more), expires_at=expires_at)
    assert of_list == 0
    return number


def dead(store: Store) -> set[int]:
    """Return the numbers of the first list whose tokens are dead."""
    return {entry.number for entry in store.statuses.dead(0)}


@pytest.fixture
def world(store: Store, still: StillClock) -> Store:
    """A store with a grant that is bound to a session and has a code, and one of another user and client."""
    furnish(store)
    store.users.add(a_user("sub-2", "bob", None), None, EVENT)
    store.clients.add(a_client("other"), EVENT)
    start_session(store)
    store.grants.open(a_grant(sid="session"), digest("code"), NOW + MINUTE)
    store.grants.redeem(digest("code"), "client")
    store.grants.open(a_grant("foreign", sub="sub-2", client_id="other"))
    return store


# Numbers.


def test_numbers_follow_each_other_and_65536_of_them_are_a_list(world: Store):
    assert [enter(world, f"grant.{name}") for name in "abc"] == [1, 2, 3]
    skip_to(world, SIZE - 1)
    assert world.statuses.add(**claims("grant.d"), expires_at=END) == (0, SIZE - 1)
    assert world.statuses.add(**claims("grant.e"), expires_at=END) == (1, 0)


def test_a_number_never_comes_again(world: Store, still: StillClock):
    assert enter(world, expires_at=NOW + SECOND) == 1
    still.move(2 * SECOND)
    assert world.purge()["token_statuses"] == 1
    assert enter(world) == 2


def test_threads_that_enter_tokens_at_once_get_a_number_each(world: Store):
    numbers = at_once(lambda: [enter(world) for _ in range(20)], threads=8)
    assert len({number for some in numbers for number in some}) == 160


def skip_to(store: Store, number: int) -> None:
    """Let the next entry have this number."""
    with store.database.engine.begin() as connection:
        if store.database.dialect_name == "postgresql":
            draw = text("SELECT setval(pg_get_serial_sequence('token_statuses', 'number'), :last)")
        else:
            draw = text("UPDATE sqlite_sequence SET seq = :last WHERE name = 'token_statuses'")
        connection.execute(draw, {"last": number - 1})


# What is dead.


DEATHS: dict[str, Callable[[Store], object]] = {
    "its grant is revoked": lambda store: store.grants.revoke("grant", "r", EVENT),
    "its client is disabled": lambda store: store.clients.set_disabled("client", True, EVENT),
    "its client is deleted": lambda store: store.clients.delete("client", EVENT),
    "everything of its client is revoked": lambda store: store.clients.revoke_tokens("client", EVENT),
    "its user is disabled": lambda store: store.users.set_disabled("sub-1", True, EVENT),
    "its session is ended": lambda store: store.sessions.end(["session"], "logout", EVENT),
    "the password is changed": lambda store: store.credentials.replace("sub-1", "password", "x", EVENT, "session"),
    "the consent is withdrawn": lambda store: store.consents.withdraw("sub-1", "client", EVENT),
    "the code comes back": lambda store: store.grants.redeem(digest("code"), "client"),
    "it is revoked alone": lambda store: store.tokens.revoke_jti("grant.one", END),
    "the client's own is revoked alone": lambda store: store.tokens.revoke_jti("own", END),
    "nothing happens": lambda store: None,
}


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS.keys())
def test_an_entry_is_dead_when_introspection_says_so(world: Store, still: StillClock, death: Callable[[Store], object]):
    tokens = [
        claims("grant.one"),
        claims("grant.two"),
        claims("own"),
        claims("foreign.one", sub="sub-2", client_id="other"),
        claims("gone.one"),
    ]
    numbers = [world.statuses.add(**token, expires_at=END)[1] for token in tokens]
    still.move(SECOND)
    death(world)
    killed = {number for number, token in zip(numbers, tokens, strict=True) if not world.tokens.find_jwt(**token)}
    assert dead(world) == killed
    assert numbers[3] not in killed
    assert numbers[4] in killed


def test_a_token_of_the_second_in_which_a_user_changed_is_not_held_against_it(world: Store, still: StillClock):
    still.move(400_000)
    number = enter(world, "own", sub="sub-1")
    world.credentials.replace("sub-1", "password", "x", EVENT)
    assert world.tokens.find_jwt(**claims("own", sub="sub-1"))
    assert dead(world) == set()
    still.move(SECOND)
    world.credentials.replace("sub-1", "password", "y", EVENT)
    assert dead(world) == {number}


def test_an_entry_without_its_grant_is_dead_until_the_grant_is_opened_and_says_why(world: Store):
    number, own = enter(world, "late.one"), enter(world, "own")
    world.tokens.revoke_jti("own", END)
    assert [(entry.number, entry.lacks_grant) for entry in world.statuses.dead(0)] == [(number, 1), (own, 0)]
    world.grants.open(a_grant("late"))
    assert dead(world) == {own}


def test_entries_are_found_by_token_grant_and_user(world: Store):
    one, two, foreign, own = (
        enter(world, "grant.one"),
        enter(world, "grant.two"),
        enter(world, "foreign.one", sub="sub-2", client_id="other"),
        enter(world, "own"),
    )
    for jti in ("grant.one", "own"):
        world.tokens.revoke_jti(jti, END)
    world.grants.revoke("grant", "r", EVENT)
    world.grants.revoke("foreign", "r", EVENT)

    def found(member: str, named: str) -> set[int]:
        return {entry.number for entry in world.statuses.dead_of(0, member, named)}

    assert found("jti", "grant.one") == {one}
    assert found("jti", "own") == {own}
    assert found("grant_id", "grant") == {one, two}
    assert found("sub", "sub-1") == {one, two}
    assert found("sub", "sub-2") == {foreign}
    assert found("jti", "grant") == found("grant_id", "own") == found("sub", "nobody") == set()
    assert world.statuses.dead_of(1, "grant_id", "grant") == ()


# Lists.


def test_a_list_is_there_as_long_as_one_of_its_tokens_can_be_used(world: Store, still: StillClock):
    enter(world, expires_at=NOW + MINUTE)
    skip_to(world, 2 * SIZE)
    assert world.statuses.add(**claims("grant.two"), expires_at=NOW + 2 * MINUTE) == (2, 0)
    assert world.statuses.lists() == (0, 2)
    assert [world.statuses.has(number) for number in range(4)] == [True, False, True, False]
    assert not world.statuses.has(10**12)
    still.move(MINUTE)
    assert world.statuses.lists() == (2,)
    assert not world.statuses.has(0)
    still.move(MINUTE)
    assert world.statuses.lists() == ()


def test_expired_entries_are_no_longer_asked_about_and_go(world: Store, still: StillClock):
    enter(world)
    world.grants.revoke("grant", "r", EVENT)
    assert dead(world) == {1}
    still.move(10 * MINUTE)
    assert world.statuses.dead(0) == ()
    assert world.purge()["token_statuses"] == 0
    still.move(DAY)
    assert world.purge()["token_statuses"] == 1

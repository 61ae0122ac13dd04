"""Initial access tokens and registration access tokens."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from authserver import clock
from authserver.clock import DAY, now
from authserver.crypto import Kind, Sealer, digest_of, new_handle
from authserver.manage import clients
from authserver.manage import registration_tokens as tokens
from authserver.manage.errors import NotThere
from authserver.store import Store
from authserver.store.clients import REGISTRATION_ACCESS, UNUSED
from tests.manage.conftest import CB, Register


def test_an_initial_access_token_is_worth_its_uses(store: Store):
    token = tokens.make_initial(store, uses=2, days=1, actor="test")
    ends = tokens.spend_initial(store, token)
    assert ends is not None
    assert abs(ends - now() - DAY) < DAY // 24
    assert tokens.spend_initial(store, token) == ends
    assert tokens.spend_initial(store, token) is None


def test_a_use_that_is_given_back_counts_again_and_no_longer(store: Store):
    for uses in (1, 2):
        token = tokens.make_initial(store, uses=uses, days=1, actor="test")
        for _ in range(3):
            ends = tokens.spend_initial(store, token)
            assert ends is not None
            tokens.return_initial(store, token, ends)
        assert [tokens.spend_initial(store, token) is not None for _ in range(uses + 1)] == [True] * uses + [False]


def test_an_initial_access_token_ends(store: Store):
    token = tokens.make_initial(store, uses=2, days=1, actor="test")
    ends = tokens.spend_initial(store, token)
    assert ends is not None
    clock.shift(86401)
    try:
        assert tokens.spend_initial(store, token) is None
        tokens.return_initial(store, token, ends)
        assert tokens.spend_initial(store, token) is None
    finally:
        clock.shift(0)


def test_of_many_who_use_it_at_once_so_many_have_a_use(store: Store):
    token = tokens.make_initial(store, uses=3, days=1, actor="test")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: tokens.spend_initial(store, token), range(8)))
    assert sum(end is not None for end in found) == 3


def test_what_is_no_initial_access_token_is_worth_nothing(store: Store):
    token = tokens.make_initial(store, uses=1, days=1, actor="test")
    for wrong in ("", "x", token[:-1], token + "A", *(new_handle(kind)[0] for kind in Kind)):
        assert tokens.spend_initial(store, wrong) is None
        tokens.return_initial(store, "x", now() + DAY)
    assert tokens.spend_initial(store, token) is not None


def test_making_one_is_in_the_audit_trail_and_the_token_is_not(store: Store):
    token = tokens.make_initial(store, uses=5, days=2, actor="somebody")
    line = store.audit.list(0, 100)[-1].event
    assert (line.name, line.actor, dict(line.facts)) == ("initial_token.made", "somebody", {"uses": 5, "days": 2})
    digest = digest_of(Kind.INITIAL_ACCESS, token)
    assert digest is not None
    assert store.single_use.get("initial-access", digest.hex()) is not None
    assert store.single_use.get("initial-access", token) is None


def test_a_client_has_one_registration_access_token(store: Store):
    first, second = tokens.make_access(store, "c"), tokens.make_access(store, "c")
    other = tokens.make_access(store, "d")
    assert tokens.is_access(store, "c", second)
    for wrong in (first, other, "", "x", second[:-1], new_handle(Kind.REGISTRATION_ACCESS)[0]):
        assert not tokens.is_access(store, "c", wrong)
    item = store.single_use.get(REGISTRATION_ACCESS, "c")
    assert item is not None
    assert second not in item.value


def test_a_client_to_which_an_administrator_attended_is_not_unused(store: Store, sealer: Sealer, register: Register):
    answer = register(origin="registration")
    client_id = answer["client_id"]
    clients.update(store, sealer, client_id, {"redirect_uris": [CB]}, actor=client_id)
    assert store.single_use.get(UNUSED, client_id) is not None
    clients.update(store, sealer, client_id, {"redirect_uris": [CB]}, actor="somebody")
    assert store.single_use.get(UNUSED, client_id) is None
    assert store.clients.expire(now() + DAY) == 0


def test_tokens_are_listed_by_an_id_that_opens_nothing_and_withdrawn(store: Store):
    made = [tokens.make_initial(store, uses=uses, days=1, actor="test") for uses in (1, 2)]
    listed = tokens.list_initial(store, "", 10)
    assert {entry["id"]: entry["uses_left"] for entry in listed} == {
        tokens.initial_id(made[0]): 1,
        tokens.initial_id(made[1]): 2,
    }
    assert [*tokens.list_initial(store, "", 1), *tokens.list_initial(store, listed[0]["id"], 5)] == listed
    tokens.withdraw_initial(store, tokens.initial_id(made[1]), actor="test")
    assert tokens.spend_initial(store, made[1]) is None
    assert [entry["id"] for entry in tokens.list_initial(store, "", 10)] == [tokens.initial_id(made[0])]
    with pytest.raises(NotThere):
        tokens.withdraw_initial(store, tokens.initial_id(made[1]), actor="test")

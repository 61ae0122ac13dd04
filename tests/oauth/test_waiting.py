"""What waits for a person's decision while its client polls: whoever writes first (RFC 8628 3.5, CIBA 11)."""

from typing import Any

import pytest

from authserver.clock import SECOND, now
from authserver.crypto import Kind, new_handle, new_id
from authserver.oauth.errors import AuthorizationPending, ExpiredToken, InvalidGrant, PollSlower
from authserver.oauth.waiting import Room, Waiting
from authserver.records import Session, User
from pytest_authserver import AuthServer, RegisteredClient

ROOM = Room("device", Waiting)


def _kept(at: AuthServer, client: RegisteredClient, **changes: Any) -> Waiting:
    moment = now()
    members: dict[str, Any] = {
        "key": new_handle(Kind.DEVICE)[1].hex(),
        "client_id": client.client_id,
        "grant_id": new_id(),
        "scope": "openid",
        "resources": ("https://api.test/",),
        "address": "127.0.0.1",
        "created_at": moment,
        "expires_at": moment + 60 * SECOND,
        **changes,
    }
    ROOM.keep(at.server, Waiting(**members))
    found = ROOM.read(at.server, members["key"])
    assert found is not None
    return found


def _poll(at: AuthServer, waiting: Waiting, client_id: str | None = None) -> Waiting:
    return ROOM.poll(at.server, waiting.key, client_id or waiting.client_id, "unknown", "expired")


def _session(at: AuthServer, user: User) -> Session:
    return at.allow(at.client(), user).session


def test_what_is_kept_is_read_as_it_was(authserver: AuthServer, client: RegisteredClient):
    waiting = _kept(authserver, client, acr_values=("a", "b"), authorization_details="[]")
    assert (waiting.resources, waiting.acr_values) == (("https://api.test/",), ("a", "b"))
    assert waiting.request.prompt == {"consent"}
    assert (waiting.request.scope, waiting.request.acr_values) == ("openid", ("a", "b"))
    assert ROOM.read(authserver.server, "0" * 64) is None
    assert Room("elsewhere", Waiting).read(authserver.server, waiting.key) is None


def test_a_poll_between_reading_and_deciding_loses_neither(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    waiting, session = _kept(authserver, client), _session(authserver, alice)
    with pytest.raises(AuthorizationPending):
        _poll(authserver, waiting)
    assert ROOM.decide(authserver.server, waiting, session, "openid")
    decided = _poll(authserver, waiting)
    assert (decided.decision, decided.sid) == ("allow", session.sid)
    assert decided.next_poll_at > 0
    grant = authserver.store.grants.get(waiting.grant_id)
    assert grant is not None
    assert (grant.sub, grant.sid, grant.auth_time) == (alice.sub, session.sid, session.auth_time)


def test_the_first_decision_stands_and_repeating_it_is_no_other_one(
    authserver: AuthServer, client: RegisteredClient, alice: User, bob: User
):
    waiting, first, second = _kept(authserver, client), _session(authserver, alice), _session(authserver, bob)
    assert ROOM.decide(authserver.server, waiting, first, None)
    assert ROOM.decide(authserver.server, waiting, first, None)
    assert not ROOM.decide(authserver.server, waiting, first, "openid")
    assert not ROOM.decide(authserver.server, waiting, second, None)
    assert not ROOM.decide(authserver.server, waiting, second, "openid")
    # Whoever came too late has left nothing behind.
    assert authserver.store.grants.get(waiting.grant_id) is None
    assert _poll(authserver, waiting).decision == "deny"


def test_a_decision_that_comes_too_late_gives_nothing(authserver: AuthServer, client: RegisteredClient, alice: User):
    waiting, session = _kept(authserver, client), _session(authserver, alice)
    with authserver.later(60):
        assert not ROOM.decide(authserver.server, waiting, session, "openid")
        assert authserver.store.grants.get(waiting.grant_id) is None
        with pytest.raises(ExpiredToken):
            _poll(authserver, waiting)


def test_who_only_polls_soon_costs_nothing_but_a_look_and_still_learns_of_the_decision(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    waiting = _kept(authserver, client)
    with pytest.raises(AuthorizationPending):
        _poll(authserver, waiting)
    for _ in range(20):
        with pytest.raises(PollSlower):
            _poll(authserver, waiting)
    first = ROOM.read(authserver.server, waiting.key)
    assert first is not None
    assert first.next_poll_at >= first.expires_at
    for _ in range(3):
        with pytest.raises(PollSlower):
            _poll(authserver, waiting)
    assert ROOM.read(authserver.server, waiting.key) == first
    assert ROOM.decide(authserver.server, first, _session(authserver, alice), "openid")
    assert _poll(authserver, waiting).decision == "allow"


def test_only_its_client_learns_of_a_code_and_only_its_polls_count(authserver: AuthServer, client: RegisteredClient):
    waiting = _kept(authserver, client)
    for _ in range(3):
        with pytest.raises(InvalidGrant):
            _poll(authserver, waiting, "another")
    with pytest.raises(AuthorizationPending):
        _poll(authserver, waiting)
    with pytest.raises(PollSlower):
        _poll(authserver, waiting)

"""Records for the store's tests, with every field that a test does not care about filled in."""

import hashlib
from typing import Any

from authserver.clock import DAY, MINUTE, SECOND
from authserver.records import AccessTokenRow, Client, Consent, Event, Grant, RefreshTokenRow, User
from authserver.store import Store
from authserver.store.clients import make_client

NOW = 1_800_000_000 * SECOND
EVENT = Event("tested", "test", facts={"why": "because"})


def digest(text: str) -> bytes:
    """32 bytes that stand for a text."""
    return hashlib.sha256(text.encode()).digest()


def a_client(client_id: str = "client", **metadata: Any) -> Client:
    """A client with some metadata of every kind."""
    members = {
        "client_name": "Bücher",
        "redirect_uris": ["https://app.example/cb"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": "openid books",
        "resources": None,
    }
    return make_client(client_id, {**members, **metadata})


def a_user(sub: str = "sub-1", username: str = "alice", email: str | None = "alice@people.test", **more: Any) -> User:
    return User(sub=sub, username=username, email=email, claims={"name": "Alice Ø"}, **more)


def a_grant(grant_id: str = "grant", **more: Any) -> Grant:
    """A grant of the user and the client above, for the time that the clock shows in these tests."""
    now = more.pop("now", NOW)
    grant = Grant(
        grant_id=grant_id,
        client_id="client",
        sub="sub-1",
        sid=None,
        scope="openid books",
        resources="https://api.example/books",
        redirect_uri="https://app.example/cb",
        nonce="n",
        code_challenge="c",
        claims=None,
        authorization_details=None,
        cnf=None,
        auth_time=now,
        acr="urn:authserver:pwd",
        amr="pwd",
        offline=0,
        created_at=now,
        expires_at=now + 365 * DAY,
    )
    return grant._replace(**more)


def an_access_token(name: str = "access", **more: Any) -> AccessTokenRow:
    now = more.pop("now", NOW)
    row = AccessTokenRow(
        digest=digest(name),
        grant_id="grant",
        client_id="client",
        sub="sub-1",
        audience="https://api.example/books",
        scope="books",
        claims=f'{{"jti":"{name}"}}',
        issued_at=now,
        expires_at=now + 10 * MINUTE,
    )
    return row._replace(**more)


def a_refresh_token(name: str = "refresh", **more: Any) -> RefreshTokenRow:
    now = more.pop("now", NOW)
    return RefreshTokenRow(digest(name), "grant", 0, now, now + 30 * DAY)._replace(**more)


def a_consent(**more: Any) -> Consent:
    return Consent("sub-1", "client", "https://app.example", "", "openid books", None, 0, 0)._replace(**more)


def start_session(
    store: Store, sid: str = "session", sub: str = "sub-1", browser: bytes = b"b" * 32, **more: Any
) -> None:
    """Start a session that lasts until long after these tests."""
    arguments = {
        "acr": "a",
        "amr": "pwd",
        "user_agent": "Browser/1",
        "address": "127.0.0.1",
        "expires_at": NOW + 3000 * DAY,
    }
    store.sessions.start(sid=sid, sub=sub, browser=browser, event=EVENT, **(arguments | more))


def furnish(store: Store) -> None:
    """Add the user and the client that the other records name."""
    store.users.add(a_user(), "hash", EVENT)
    store.clients.add(a_client(), EVENT)

"""Revoking grants and tokens."""

import secrets
from base64 import urlsafe_b64encode
from typing import Any

import orjson
import pytest

from authserver import crypto
from authserver.clock import MINUTE, SECOND, now
from authserver.manage import clients, grants, users
from authserver.manage.errors import ManageError
from authserver.records import AccessTokenRow, Grant, RefreshTokenRow, User
from authserver.store import Store

CB = "https://client.example/cb"


@pytest.fixture
def alice(store: Store) -> User:
    user = users.make_user("alice")
    users.add(store, user, None, actor="test")
    return user


@pytest.fixture
def grant(store: Store, sealer: crypto.Sealer, alice: User) -> Grant:
    clients.register(store, sealer, {"client_id": "c", "redirect_uris": [CB]}, actor="test")
    moment = now()
    made = Grant(
        grant_id=crypto.new_id(),
        client_id="c",
        sub=alice.sub,
        sid=None,
        scope="openid",
        resources="",
        redirect_uri=CB,
        nonce=None,
        code_challenge=None,
        claims=None,
        authorization_details=None,
        cnf=None,
        auth_time=moment,
        acr="urn:authserver:pwd",
        amr="pwd",
        offline=1,
        created_at=moment,
        expires_at=moment + 10 * MINUTE,
    )
    store.grants.open(made, secrets.token_bytes(32), moment + MINUTE)
    return made


def access_token(store: Store, grant: Grant) -> str:
    text, digest = crypto.new_handle(crypto.Kind.ACCESS)
    moment = now()
    row = AccessTokenRow(
        digest, grant.grant_id, "c", grant.sub, "https://api.example/", "openid", '{"jti":"j"}', moment, moment + MINUTE
    )
    store.tokens.add(row, None)
    return text


def refresh_token(store: Store, grant: Grant) -> str:
    text, digest = crypto.new_handle(crypto.Kind.REFRESH)
    store.tokens.add(None, RefreshTokenRow(digest, grant.grant_id, 0, now(), now() + MINUTE))
    return text


def lives(store: Store, text: str) -> bool:
    digest = crypto.digest_of(crypto.Kind.ACCESS, text)
    assert digest is not None
    return store.tokens.find(digest) is not None


def test_a_grant_is_revoked_once(store: Store, grant: Grant, alice: User):
    token = access_token(store, grant)
    assert [one.grant_id for one in grants.of_user(store, alice.sub)] == [grant.grant_id]
    grants.revoke(store, grant.grant_id, actor="test")
    assert grants.of_user(store, alice.sub) == ()
    assert not lives(store, token)
    with pytest.raises(ManageError, match="no grant"):
        grants.revoke(store, grant.grant_id, actor="test")


@pytest.mark.parametrize("by", ["user", "client", "pair"])
def test_all_grants_of_a_user_or_client_are_revoked(store: Store, grant: Grant, alice: User, by: str):
    named: dict[str, Any] = {"user": {"sub": alice.sub}, "client": {"client_id": "c"}}.get(
        by, {"sub": alice.sub, "client_id": "c"}
    )
    assert grants.revoke_all(store, **named, actor="test") == 1
    assert grants.revoke_all(store, **named, actor="test") == 0


def test_revoking_everything_of_everybody_needs_a_name(store: Store):
    with pytest.raises(ManageError, match="name a user"):
        grants.revoke_all(store, actor="test")


def test_all_tokens_of_a_user_are_revoked_and_the_account_goes_on(store: Store, grant: Grant, alice: User):
    token = access_token(store, grant)
    assert grants.revoke_all_of_user(store, alice.sub, actor="test") == 1
    assert not lives(store, token)
    assert grants.revoke_all_of_user(store, alice.sub, actor="test") == 0
    user = store.users.get(alice.sub)
    assert user is not None
    assert user.disabled_at is None
    assert user.not_before == alice.not_before
    (line,) = store.audit.list(0, 100, "token.revoked_all")
    assert (line.event.actor, line.event.sub) == ("test", alice.sub)


def test_all_tokens_of_a_client_are_revoked_also_those_without_a_grant(store: Store, grant: Grant):
    granted, (own, digest) = access_token(store, grant), crypto.new_handle(crypto.Kind.ACCESS)
    row = AccessTokenRow(digest, None, "c", "c", "https://api.example/", "", '{"jti":"own"}', now(), now() + MINUTE)
    store.tokens.add(row, None)
    assert lives(store, own)
    assert grants.revoke_all_of_client(store, "c", actor="test") == 1
    assert not lives(store, own)
    assert not lives(store, granted)
    client = store.clients.get("c")
    assert client is not None
    assert client.disabled_at is None
    assert [line.event.client_id for line in store.audit.list(0, 100, "token.revoked_all")] == ["c"]
    with pytest.raises(ManageError, match="no client"):
        grants.revoke_all_of_client(store, "nobody", actor="test")


def test_revoking_an_access_token_ends_that_token_only(store: Store, grant: Grant):
    first, second = access_token(store, grant), access_token(store, grant)
    assert grants.revoke_token(store, first, actor="test") == "access token"
    assert not lives(store, first)
    assert lives(store, second)


def test_revoking_a_refresh_token_ends_its_grant(store: Store, grant: Grant, alice: User):
    token = access_token(store, grant)
    assert grants.revoke_token(store, refresh_token(store, grant), actor="test") == "refresh token and its grant"
    assert grants.of_user(store, alice.sub) == ()
    assert not lives(store, token)


def jwt_with(**claims: Any) -> str:
    parts = [{"alg": "ES256", "typ": "at+jwt"}, claims]
    return ".".join([*(urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode() for part in parts), "c2lnbmF0dXJl"])


def jwt_lives(store: Store, grant: Grant, jti: str) -> bool:
    jwt = {"jti": jti, "grant_id": grant.grant_id, "client_id": "c", "sub": grant.sub}
    return store.tokens.find_jwt(**jwt, issued_at=now()) is not None


def test_a_jwt_is_entered_by_its_jti(store: Store, grant: Grant):
    text = jwt_with(jti="j1", exp=now() // SECOND + 60)
    assert grants.revoke_token(store, text, actor="test") == "JWT access token"
    assert not jwt_lives(store, grant, "j1")
    assert jwt_lives(store, grant, "j2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "a.b.c",
        crypto.write_handle(crypto.Kind.CODE, b"c" * 32),
        jwt_with(jti="j", exp=1),
        jwt_with(),
        jwt_with(jti="j" * 257, exp=2**33),
    ],
    ids=["nothing", "a letter", "three letters", "a code", "a JWT that has ended", "a JWT of nothing", "a long jti"],
)
def test_what_is_no_token_of_ours_is_refused(store: Store, text: str):
    with pytest.raises(ManageError):
        grants.revoke_token(store, text, actor="test")


@pytest.mark.parametrize("kind", [crypto.Kind.ACCESS, crypto.Kind.REFRESH])
def test_an_unknown_token_is_refused(store: Store, kind: crypto.Kind):
    with pytest.raises(ManageError, match="there is no"):
        grants.revoke_token(store, crypto.new_handle(kind)[0], actor="test")


def test_no_token_is_in_the_audit_trail(store: Store, grant: Grant):
    texts = [access_token(store, grant), refresh_token(store, grant)]
    for text in texts:
        grants.revoke_token(store, text, actor="test")
    trail = repr(store.audit.list(0, 10))
    assert trail.count("token.revoked") == 2
    assert not any(text in trail for text in texts)

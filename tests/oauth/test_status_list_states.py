"""What a status list says of a token (Token Status List, revision 21)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from authserver.clock import SECOND, now
from authserver.identity import passwords
from authserver.manage import clients, grants, users
from authserver.oauth import issue, status_list
from authserver.records import Event, User
from pytest_authserver import AuthServer, RegisteredClient
from tests.signing import claims_of
from tests.status_lists import ASKED, FOR_ITSELF, STATUS_API, listed, read, status, user, web
from tests.world import assert_refused

__all__ = ["listed", "user", "web"]


Die = Callable[[AuthServer, RegisteredClient, User, dict[str, Any]], object]

# 7: what a bit says.


def _revoke_grant(at: AuthServer, client: RegisteredClient, _user: User, tokens: dict[str, Any]) -> None:
    assert at.post("/revoke", client, token=tokens["refresh_token"]).status_code == 200


def _end_session(at: AuthServer, _client: RegisteredClient, _user: User, tokens: dict[str, Any]) -> None:
    sid = claims_of(tokens["access_token"])["sid"]
    at.store.sessions.end([sid], "logout", Event("logout", "test"))


def _change_password(at: AuthServer, _client: RegisteredClient, user: User, _tokens: dict[str, Any]) -> None:
    at.store.credentials.replace(user.sub, passwords.KIND, "hash", Event("password.changed", user.sub, sub=user.sub))


WAYS: dict[str, Die] = {
    "the token": lambda at, client, _user, tokens: at.post("/revoke", client, token=tokens["access_token"]),
    "the grant": _revoke_grant,
    "the end of the session": _end_session,
    "the consent": lambda at, client, user, _tokens: at.store.consents.withdraw(
        user.sub, client.client_id, Event("consent.withdrawn", user.sub)
    ),
    "the user": lambda at, _client, user, _tokens: users.set_disabled(at.store, user, disabled=True, actor="test"),
    "the password": _change_password,
    "everything of the user": lambda at, _client, user, _tokens: grants.revoke_all_of_user(
        at.store, user.sub, actor="test"
    ),
    "everything of the client": lambda at, client, _user, _tokens: grants.revoke_all_of_client(
        at.store, client.client_id, actor="test"
    ),
    "the client": lambda at, client, _user, _tokens: clients.set_disabled(
        at.store, client.client_id, disabled=True, actor="test"
    ),
    "the client, for good": lambda at, client, _user, _tokens: clients.remove(at.store, client.client_id, actor="test"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_next_answer_says_that_a_token_is_dead_7_1(listed: AuthServer, way: str):
    user = listed.user(f"dies-by-{way.replace(' ', '-').replace(',', '')}")
    client = listed.client(trusted=True, scope=ASKED["scope"])
    asked = {"scope": "openid status:read", "resource": STATUS_API} if way == "the end of the session" else ASKED
    tokens, other = listed.tokens(client, user, **asked), listed.token(client, **FOR_ITSELF).json()["access_token"]
    assert [status(listed, text) for text in (tokens["access_token"], other)] == [0, 0]
    with listed.later(2):
        WAYS[way](listed, client, user, tokens)
        everything = listed.client(introspects_all=True)
        for text in (tokens["access_token"], other):
            assert status(listed, text) == (not listed.introspect(everything, text)["active"])
        assert status(listed, tokens["access_token"]) == 1


def test_a_token_that_is_made_while_its_grant_is_revoked_is_refused_or_dead_in_the_list(
    listed: AuthServer, web: RegisteredClient
):
    user = listed.user("revoked-meanwhile")
    for _ in range(10):
        allowed, started = listed.allow(web, user, **ASKED), Barrier(2)

        def revoke(started: Barrier = started) -> None:
            started.wait(60)
            grants.revoke_all(listed.store, sub=user.sub, actor="test")

        with ThreadPoolExecutor(1) as pool:
            revoking = pool.submit(revoke)
            started.wait(60)
            answer = listed.redeem(web, allowed)
            listed.get("/status-list?id=0")
            revoking.result()
        if answer.status_code == 200:
            token = answer.json()["access_token"]
            assert status(listed, token) == (not listed.introspect(web, token)["active"])
        else:
            assert_refused(answer, "invalid_grant")


@pytest.mark.parametrize(("most", "whole"), [(3, 1), (10, 0)])
def test_so_much_news_that_all_has_to_be_read_is_told_as_a_little_is(
    listed: AuthServer, web: RegisteredClient, monkeypatch: pytest.MonkeyPatch, most: int, whole: int
):
    monkeypatch.setattr(status_list, "_MOST_NEWS", most)
    tokens = [listed.token(web, **FOR_ITSELF).json()["access_token"] for _ in range(5)]
    assert status(listed, tokens[0]) == 0
    read, read_whole = [], listed.store.statuses.dead
    monkeypatch.setattr(listed.store.statuses, "dead", lambda of_list: read.append(1) or read_whole(of_list))
    for text in tokens[:4]:
        listed.post("/revoke", web, token=text)
    assert [status(listed, text) for text in tokens] == [1, 1, 1, 1, 0]
    assert len(read) == whole


def test_nothing_that_is_dead_comes_to_life_again(listed: AuthServer, web: RegisteredClient):
    user = listed.user("revived")
    token = listed.tokens(web, user, **ASKED)["access_token"]
    users.set_disabled(listed.store, user, disabled=True, actor="test")
    users.set_disabled(listed.store, user, disabled=False, actor="test")
    again = listed.tokens(web, user, **ASKED)["access_token"]
    assert [status(listed, text) for text in (token, again)] == [1, 0]
    with listed.later(90):
        assert [status(listed, text) for text in (token, again)] == [1, 0], "read as a whole"


def test_no_token_outlives_its_grant_so_that_its_end_is_no_news(tmp_path: Path):
    server = AuthServer(tmp_path, tokens={"refresh_token_absolute_seconds": 30, "refresh_token_seconds": 30})
    server.resource(STATUS_API, "status:read", token_format="jwt", status_list=True)
    client, ends = server.client(trusted=True, scope=ASKED["scope"]), now() // SECOND + 31
    long = server.token(client, **FOR_ITSELF).json()["access_token"]
    tokens = server.tokens(client, server.user(), **ASKED)
    assert [status(server, long), tokens["expires_in"] in range(28, 31)] == [0, True]
    # Nothing tells a list that was read before of the end of a grant.
    with server.later(20):
        again = server.refresh(client, tokens["refresh_token"], resource=STATUS_API).json()
        assert claims_of(again["access_token"])["exp"] <= ends
        assert again["expires_in"] in range(8, 12)
        assert status(server, long) == status(server, again["access_token"]) == 0
    with server.later(32):
        assert [server.introspect(client, text)["active"] for text in (long, again["access_token"])] == [True, False]
    server.close()


def test_a_token_whose_grant_is_not_there_yet_is_not_called_dead_nor_makes_the_next_polls_dear(
    listed: AuthServer, web: RegisteredClient, user: User, monkeypatch: pytest.MonkeyPatch
):
    grant = issue.unattended_grant(web.client_id, user.sub, "status:read", STATUS_API, now(), now() + 600 * SECOND)
    of_list, number = listed.store.statuses.add(
        jti=f"{grant.grant_id}.one",
        grant_id=grant.grant_id,
        client_id=web.client_id,
        sub=user.sub,
        issued_at=now(),
        expires_at=grant.expires_at,
    )
    uri, index = listed.server.status_lists.uri(of_list), listed.server.status_lists.index(of_list, number)
    whole, read_whole = [], listed.store.statuses.dead
    monkeypatch.setattr(listed.store.statuses, "dead", lambda of_list: whole.append(1) or read_whole(of_list))
    grants.revoke_all_of_client(listed.store, listed.client().client_id, actor="test")
    for _ in range(3):
        assert read(listed, listed.get(uri), uri)[index // 8] >> index % 8 & 1 == 0
    assert len(whole) == 1
    listed.store.grants.open(grant)
    assert read(listed, listed.get(uri), uri)[index // 8] >> index % 8 & 1 == 0
    grants.revoke(listed.store, grant.grant_id, actor="test")
    assert read(listed, listed.get(uri), uri)[index // 8] >> index % 8 & 1 == 1


def test_a_token_whose_grant_never_came_is_dead(listed: AuthServer, web: RegisteredClient, user: User):
    of_list, number = listed.store.statuses.add(
        jti="lost.one",
        grant_id="lost",
        client_id=web.client_id,
        sub=user.sub,
        issued_at=now(),
        expires_at=now() + 600 * SECOND,
    )
    uri, index = listed.server.status_lists.uri(of_list), listed.server.status_lists.index(of_list, number)
    with listed.later(90):
        assert read(listed, listed.get(uri), uri)[index // 8] >> index % 8 & 1 == 1

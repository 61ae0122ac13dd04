"""The stream of revocations: server-sent events (WHATWG HTML, 9.2)."""

import json
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from authserver import clock
from authserver.manage import clients, grants, users
from authserver.oauth import revocation_events
from pytest_authserver import AuthServer, RegisteredClient
from tests.assertions import claims, keyed_client, signed
from tests.following import (
    BEGINNING,
    PATH,
    RESET,
    Following,
    following,
    own_token,
    poll,
    resource_server,
    revoke,
    revoke_some,
)
from tests.world import API, JWT_API, SCOPE, assert_refused

MARK = re.compile(r"^:[0-9]+\n\n\Z", re.MULTILINE)

# The request.


def test_the_endpoint_is_announced(at: AuthServer):
    document = at.get("/.well-known/oauth-authorization-server").json()
    assert document["revocation_events_endpoint"] == at.issuer + PATH


def test_only_whoever_proves_to_be_a_resource_server_may_follow(at: AuthServer, caller: RegisteredClient):
    public = at.public_client()
    for nobody in (None, public, RegisteredClient(caller.client_id, "wrong", "", {})):
        assert_refused(at.post(PATH, nobody), "invalid_client", 401)
    assert_refused(at.get(PATH), "invalid_client", 401)
    assert_refused(at.post(PATH, caller), "access_denied", 403)
    # It is shown other names of its users than the events have (OpenID Connect Core 8.1).
    pairwise = at.client(subject_type="pairwise", resource_server_for=[API])
    assert_refused(at.post(PATH, pairwise), "access_denied", 403)
    seer = at.client(introspects_all=True)
    with following(at, seer) as stream:
        assert stream.read() == [RESET]


def test_a_disabled_resource_server_is_refused(at: AuthServer, follower: RegisteredClient):
    clients.set_disabled(at.store, follower.client_id, disabled=True, actor="test")
    at.server.forget()
    assert_refused(at.post(PATH, follower), "invalid_client", 401)


def test_credentials_in_the_url_are_refused_6749_2_3_1(at: AuthServer, follower: RegisteredClient):
    sent = {"client_id": follower.client_id, "client_secret": follower.client_secret}
    with at.http() as http:
        assert_refused(http.get(PATH, params=sent), "invalid_request")
        assert_refused(http.get(PATH, params={"client_assertion": "x"}, auth=follower.basic), "invalid_request")
        assert_refused(http.post(PATH, params={"last_event_id": "0.0"}, auth=follower.basic), "invalid_request")
        assert_refused(http.get(f"{PATH}?last_event_id=0.0&last_event_id=1.1", auth=follower.basic), "invalid_request")
        for method in ("HEAD", "PUT", "DELETE"):
            answer = http.request(method, PATH, auth=follower.basic)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST, OPTIONS")


def test_a_post_takes_every_registered_way_to_prove_oneself(tmp_path: Path):
    at = AuthServer(tmp_path, threads=1)
    by_key = keyed_client(at, resource_server_for=[API])
    by_secret = resource_server(at, token_endpoint_auth_method="client_secret_post")
    secret = {"client_id": by_secret.client_id, "client_secret": by_secret.client_secret}
    for sent in (signed(claims(at, by_key)), secret):
        answer = at.post(PATH, None, **sent, last_event_id=BEGINNING)
        assert (answer.status_code, MARK.sub(":", answer.text)) == (200, "retry: 250\n\n:")
    at.close()


# The answer.


def test_an_answer_is_a_stream_that_nobody_keeps_or_holds_back(at: AuthServer, follower: RegisteredClient):
    with following(at, follower) as stream:
        headers = stream.answer.headers
    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"
    assert "content-length" not in headers
    assert not any(name.startswith("access-control-") for name in headers)


def test_a_new_follower_is_told_to_forget_and_gets_what_still_counts(
    at: AuthServer, follower: RegisteredClient, caller: RegisteredClient
):
    revoke_some(at, caller)
    with at.http(auth=follower.basic) as http, http.stream("GET", PATH) as answer:
        text = next(answer.iter_text())
    (row,) = at.store.revocations.since(0, 10)
    jti, ends = json.loads(row.description)["jti"], row.expires_at // clock.SECOND
    assert MARK.sub(":", text) == (
        "retry: 250\n\n"
        "id: 0.0\nevent: reset\ndata: {}\n\n"
        f'id: {row.number}.{row.at}\nevent: revocation\ndata: {{"jti":"{jti}","expires_at":{ends}}}\n\n'
        ":"
    )


def test_what_is_revoked_is_told_as_it_happens_on_whichever_node(
    at: AuthServer, follower: RegisteredClient, caller: RegisteredClient, tmp_path: Path
):
    node = AuthServer(tmp_path / "node", database_url=at.settings.database_url)
    user = at.user()
    jti = at.introspect(caller, own := own_token(at, caller))["jti"]
    tokens = at.tokens(caller, user, scope="openid offline_access api:read")
    granted = at.introspect(caller, tokens["access_token"])["jti"]
    with following(at, follower) as stream:
        assert stream.read() == [RESET]
        assert stream.read() == []
        revoke(node, caller, own)
        (first,) = stream.next()
        assert first.name == "revocation"
        assert first.description == {"jti": jti}
        revoke(node, caller, tokens["refresh_token"])
        (second,) = stream.next()
        assert second.description == {"grant_id": granted.partition(".")[0]}
    node.close()


@pytest.mark.parametrize("way", ["user", "client", "disabled user", "disabled client", "password"])
def test_everything_of_a_user_or_client_is_told_in_a_word(
    authserver: AuthServer, node: AuthServer, service: RegisteredClient, way: str
):
    user, client = authserver.user(f"told-{way.replace(' ', '-')}"), authserver.client(trusted=True, scope=SCOPE)
    tokens = authserver.tokens(client, user, scope="jwt:read", resource=JWT_API)
    shown = authserver.introspect(client, tokens["access_token"])
    at = authserver.store
    acts: dict[str, Callable[[], object]] = {
        "user": lambda: grants.revoke_all_of_user(at, user.sub, actor="test"),
        "client": lambda: grants.revoke_all_of_client(at, client.client_id, actor="test"),
        "disabled user": lambda: users.set_disabled(at, user, disabled=True, actor="test"),
        "disabled client": lambda: clients.set_disabled(at, client.client_id, disabled=True, actor="test"),
        "password": lambda: users.set_password(at, user, authserver.passwords.hash("new password"), actor="test"),
    }
    with following(node, service) as stream:
        stream.read()
        acts[way]()
        (told,) = stream.next()
    said = told.description
    assert shown["iat"] <= said.pop("issued_before")
    about_client = {"client_id": client.client_id}
    about_user = {"sub": user.sub, "granted": True}
    assert said == (about_client if "client" in way else about_user)
    assert told.data["expires_at"] > shown["exp"]


# 9.2.4: going on.


def test_a_follower_goes_on_behind_the_last_event_that_it_has_got(
    at: AuthServer, follower: RegisteredClient, caller: RegisteredClient
):
    revoke_some(at, caller, 3)
    everything = poll(at, follower)
    assert everything is not None
    assert [told.name for told in everything] == ["reset"] + 3 * ["revocation"]
    assert poll(at, follower, everything[-1].id) == []
    assert poll(at, follower, everything[1].id) == everything[2:]
    assert poll(at, follower, BEGINNING) == everything[1:]


def test_the_last_event_may_be_named_in_the_url_or_the_form(tmp_path: Path):
    at = AuthServer(tmp_path, threads=1)
    follower, caller = resource_server(at), at.client()
    at.resource(API, "api:read")
    revoke_some(at, caller, 2)
    everything = poll(at, follower)
    assert everything is not None
    named = {"client_id": follower.client_id, "last_event_id": everything[1].id}
    with at.http(auth=follower.basic) as http:
        for answer in (http.get(PATH, params=named), at.post(PATH, follower, last_event_id=everything[1].id)):
            assert Following(answer).read() == everything[2:]
    at.close()


@pytest.mark.parametrize(
    "last",
    [
        "7",
        "1.",
        ".1",
        "1.1",
        "-1.0",
        "1.1.1",
        "9" * 18 + ".0",
        "9" * 400,
        "1.0 OR 1=1",
        "0.1",
        "x" * 5000,
    ],
)
def test_whoever_names_a_place_that_there_is_not_begins_anew(
    at: AuthServer, follower: RegisteredClient, caller: RegisteredClient, last: str
):
    revoke_some(at, caller)
    headers = {"Last-Event-ID": last.encode()}
    with at.http(auth=follower.basic) as http, http.stream("GET", PATH, headers=headers) as answer:
        told = Following(answer).read()
    assert told is not None
    assert [event.name for event in told] == ["reset", "revocation"]


def test_a_place_in_another_database_is_none_here(
    at: AuthServer, follower: RegisteredClient, caller: RegisteredClient, tmp_path: Path
):
    revoke_some(at, caller)
    place = at.store.revocations.latest()
    restored = AuthServer(tmp_path / "restored", threads=8)
    restored.resource(API, "api:read")
    revoke_some(restored, restored.client(), place.number)
    assert restored.store.revocations.latest().number == place.number
    told = poll(restored, resource_server(restored), f"{place.number}.{place.at}")
    assert told is not None
    assert told[0] == RESET
    restored.close()


def test_what_has_expired_is_not_told(at: AuthServer, follower: RegisteredClient, caller: RegisteredClient):
    revoke_some(at, caller)
    with at.later(2 * 3600):
        assert poll(at, follower) == [RESET]
        revoke_some(at, caller)
        told = poll(at, follower)
        assert told is not None
        assert len(told) == 2


def test_a_long_backlog_comes_in_pieces_of_which_only_the_last_says_that_it_is_all(
    at: AuthServer, follower: RegisteredClient, caller: RegisteredClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(revocation_events, "_PAGE", 2)
    revoke_some(at, caller, 5)
    with at.http(auth=follower.basic) as http, http.stream("GET", PATH) as answer:
        pieces = answer.iter_text()
        shapes = [(piece.count("event: revocation"), bool(MARK.search(piece))) for piece in islice(pieces, 4)]
    assert shapes == [(2, False), (2, False), (1, True), (0, True)]


def test_a_server_without_the_extension_has_no_such_endpoint(tmp_path: Path):
    at = AuthServer(tmp_path, features={"revocation_events": False})
    follower = resource_server(at)
    assert at.post(PATH, follower).status_code == 404
    assert "revocation_events_endpoint" not in at.get("/.well-known/oauth-authorization-server").json()
    at.close()


def test_users_of_other_clients_are_named_by_their_sub_alone(
    at: AuthServer, follower: RegisteredClient, caller: RegisteredClient
):
    user = at.user("alice", name="Alice Adams")
    at.tokens(caller, user)
    with following(at, follower) as stream:
        stream.read()
        grants.revoke_all_of_user(at.store, user.sub, actor="test")
        (told,) = stream.next()
    assert told.data.keys() == {"sub", "granted", "issued_before", "expires_at"}

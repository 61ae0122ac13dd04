"""Management of a client's own registration (RFC 7592)."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authserver.crypto import Kind, new_handle
from authserver.manage import clients
from authserver.records import Event
from pytest_authserver import AuthServer, RegisteredClient
from tests.registering import CB, anybody, assert_no_entry, invitation, register
from tests.signing import key
from tests.world import assert_refused

__all__ = ["anybody"]

# What the answer says and an update must not repeat (2.2).
OURS = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")


def _send(
    server: AuthServer,
    method: str,
    registered: dict[str, Any],
    body: Any = None,
    *,
    token: str | None = "",
    **headers: str,
) -> httpx2.Response:
    """Ask at the client's own URL, with its own token unless another or none is given."""
    if token is not None:
        headers["Authorization"] = f"Bearer {token or registered['registration_access_token']}"
    content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    if content is not None:
        headers.setdefault("Content-Type", "application/json")
    with server.http() as http:
        return http.request(method, registered["registration_client_uri"], content=content, headers=headers)


def _update(server: AuthServer, registered: dict[str, Any], **changes: Any) -> httpx2.Response:
    """Update as the specification wants it: everything that was answered, but for what is not to be sent."""
    body = {**registered, **changes}
    return _send(server, "PUT", registered, {name: body[name] for name in body if name not in OURS or name in changes})


def _client(registered: dict[str, Any]) -> RegisteredClient:
    return RegisteredClient(registered["client_id"], registered.get("client_secret", ""), CB, registered)


# 2: the endpoint and its token.


def test_whoever_has_not_the_token_of_this_client_learns_nothing_2(anybody: AuthServer):
    one, other = register(anybody), register(anybody)
    tokens = anybody.sign_in(_client(one), anybody.user("manage-a").username, scope="openid")
    wrong = [
        "x",
        other["registration_access_token"],
        one["client_secret"],
        tokens["access_token"],
        invitation(anybody),
        new_handle(Kind.REGISTRATION_ACCESS)[0],
        one["registration_access_token"][:-1],
        one["registration_access_token"] + "A",
    ]
    for method in ("GET", "PUT", "DELETE"):
        body = {"client_id": one["client_id"], "redirect_uris": [CB]} if method == "PUT" else None
        for token in wrong:
            assert_no_entry(_send(anybody, method, one, body, token=token))
        answer = _send(anybody, method, one, body, token=None)
        assert_no_entry(answer)
        assert "error" not in answer.headers["www-authenticate"]
    assert _send(anybody, "GET", one).status_code == 200


@pytest.mark.parametrize("client_id", ["", "unknown", "%00", "%0d%0a", "\u00e9", "a" * 5000, "https://client.test/x"])
def test_an_unknown_client_is_answered_like_a_wrong_token_2(anybody: AuthServer, client_id: str):
    token = register(anybody)["registration_access_token"]
    answers = []
    for at in (client_id, "another"):
        there = {"registration_client_uri": f"/register/client?client_id={at}", "registration_access_token": token}
        answers.append(_send(anybody, "GET", there))
        assert_no_entry(answers[-1])
    assert answers[0].content == answers[1].content
    assert_no_entry(
        _send(anybody, "GET", {"registration_client_uri": "/register/client", "registration_access_token": token})
    )


def test_a_client_that_is_named_twice_is_none(anybody: AuthServer):
    one, other = register(anybody), register(anybody)
    uri = f"{one['registration_client_uri']}&client_id={other['client_id']}"
    answer = _send(anybody, "GET", {**one, "registration_client_uri": uri})
    assert_refused(answer, "invalid_request")


def test_a_client_of_an_administrator_has_no_such_door(anybody: AuthServer):
    client = anybody.client()
    uri = f"/register/client?client_id={client.client_id}"
    for token in (client.client_secret, new_handle(Kind.REGISTRATION_ACCESS)[0]):
        there = {"registration_client_uri": uri, "registration_access_token": token}
        assert_no_entry(_send(anybody, "GET", there))


def test_a_client_that_is_switched_off_is_let_in_no_more(anybody: AuthServer):
    one = register(anybody)
    clients.set_disabled(anybody.store, one["client_id"], disabled=True, actor="test")
    assert_no_entry(_send(anybody, "GET", one))
    assert_no_entry(_update(anybody, one))
    clients.set_disabled(anybody.store, one["client_id"], disabled=False, actor="test")
    assert _send(anybody, "GET", one).status_code == 200


def test_other_methods_do_nothing(anybody: AuthServer):
    one = register(anybody)
    for method in ("POST", "PATCH", "HEAD"):
        answer = _send(anybody, method, one)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PUT, DELETE, OPTIONS")


def test_the_door_stays_open_when_registration_is_closed_again(tmp_path: Path):
    before = AuthServer(tmp_path, registration={"mode": "open"})
    one = register(before)
    before.close()
    after = AuthServer(tmp_path)
    assert _send(after, "GET", one).status_code == 200
    assert _update(after, one, client_name="Later").json()["client_name"] == "Later"
    assert _send(after, "DELETE", one).status_code == 204
    after.close()


# 2.1, 3: reading.


def test_reading_answers_what_is_registered_and_the_way_in_2_1(anybody: AuthServer):
    one = register(anybody, client_name="Notes", contacts=["notes@client.test"])
    answer = _send(anybody, "GET", one)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    # The secret is kept as a digest only.
    assert answer.json() == {name: one[name] for name in one if not name.startswith("client_secret")}


# 2.2: replacing.


def test_an_update_replaces_what_was_said_and_takes_away_what_is_left_out_2_2(anybody: AuthServer):
    one = register(anybody, client_name="Notes", contacts=["notes@client.test"], software_id="n")
    sent = {"client_id": one["client_id"], "redirect_uris": [f"{CB}/2"], "client_name": "Better", "contacts": None}
    answer = _send(anybody, "PUT", one, sent)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["client_name"], body["redirect_uris"]) == ("Better", [f"{CB}/2"])
    assert {"contacts", "software_id", "client_secret"}.isdisjoint(body)
    assert body["registration_access_token"] == one["registration_access_token"]
    assert _send(anybody, "GET", one).json() == body


def test_an_update_with_all_that_was_answered_changes_nothing(anybody: AuthServer):
    one = register(anybody, client_name="Notes")
    body = _update(anybody, one).json()
    assert body == one
    assert anybody.token(_client(one), grant_type="refresh_token", refresh_token="x").json()["error"] != (
        "invalid_client"
    )


@pytest.mark.parametrize("client_id", [None, "", "other", 17, ["x"]])
def test_an_update_has_to_repeat_the_client_id_2_2(anybody: AuthServer, client_id: object):
    assert_refused(_update(anybody, register(anybody), client_id=client_id), "invalid_client_metadata")


@pytest.mark.parametrize("name", OURS)
def test_an_update_does_not_send_back_what_only_the_server_writes_2_2(anybody: AuthServer, name: str):
    one = register(anybody)
    assert_refused(_update(anybody, one, **{name: one[name]}), "invalid_request")


@pytest.mark.parametrize("secret", ["wrong", "", 17, ["x"], {"x": 1}, "\u00e9" * 40])
def test_a_client_cannot_choose_another_secret_2_2(anybody: AuthServer, secret: object):
    assert_refused(_update(anybody, register(anybody), client_secret=secret), "invalid_client_metadata")


def test_a_secret_that_is_kept_sealed_may_be_repeated_too(anybody: AuthServer):
    one = register(anybody, token_endpoint_auth_method="client_secret_jwt")
    assert _update(anybody, one).json()["client_secret"] == one["client_secret"]
    assert_refused(_update(anybody, one, client_secret="x" * 40), "invalid_client_metadata")


def test_another_method_brings_another_secret_or_none(anybody: AuthServer):
    one = register(anybody)
    sealed = _update(anybody, one, token_endpoint_auth_method="client_secret_jwt").json()
    assert sealed["client_secret"] not in {None, one["client_secret"]}
    public = _update(anybody, {**one, "client_secret": None}, token_endpoint_auth_method="none").json()
    assert {"client_secret", "client_secret_expires_at"}.isdisjoint(public)


def test_the_policy_counts_for_updates_too(anybody: AuthServer):
    one = register(anybody)
    wanted = {
        "grant_types": ["authorization_code", "client_credentials"],
        "scope": "openid admin:all",
        "trusted": True,
        "require_pkce": False,
        "resources": [],
        "profile": "legacy",
    }
    body = _update(anybody, one, **wanted).json()
    assert (body["grant_types"], body["scope"], body["profile"]) == (["authorization_code"], "openid", "oauth21")
    assert body["require_pkce"] is True
    assert {"trusted", "resources"}.isdisjoint(body)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uris": ["http://client.test/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"jwks": {"keys": [{**key("p256").as_dict(private=False), "d": "AAAA"}]}}, "invalid_client_metadata"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"software_statement": "x"}, "invalid_software_statement"),
    ],
)
def test_an_update_that_is_refused_changes_nothing(anybody: AuthServer, changes: dict[str, Any], error: str):
    one = register(anybody)
    before = _send(anybody, "GET", one).json()
    assert_refused(_update(anybody, one, **changes), error)
    assert _send(anybody, "GET", one).json() == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"client_id": "a", "client_id": "b"}', b"client_id=a"])
def test_an_update_is_one_json_object(anybody: AuthServer, body: bytes):
    assert_refused(_send(anybody, "PUT", register(anybody), body), "invalid_request")


def test_an_update_has_the_limits_of_a_registration(anybody: AuthServer):
    one = register(anybody)
    assert _send(anybody, "PUT", one, b"x" * (32 * 1024 + 1)).status_code == 413
    assert_refused(_send(anybody, "PUT", one, {}, **{"Content-Type": "text/plain"}), "invalid_request")


def test_what_an_administrator_has_decided_stays_decided(anybody: AuthServer):
    one = register(anybody)
    stored = anybody.store.clients.get(one["client_id"])
    assert stored is not None
    decided = {**stored.metadata, "resources": ["https://api.test/"]}
    changed = replace(stored, metadata=decided)
    anybody.store.clients.update(changed, Event("client.updated", "test", one["client_id"]))
    assert _update(anybody, one, resources=[]).json()["resources"] == ["https://api.test/"]


def test_of_updates_at_once_each_is_done_or_refused_and_none_by_halves(anybody: AuthServer):
    one = register(anybody)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: _update(anybody, one, client_name=f"n{number}"), range(4)))
    assert {answer.status_code for answer in answers} <= {200, 429}
    assert any(answer.status_code == 200 for answer in answers)
    last = _send(anybody, "GET", one).json()
    assert last["client_name"] in {answer.json().get("client_name") for answer in answers}


def test_updates_are_limited(tmp_path: Path):
    server = AuthServer(tmp_path, registration={"mode": "open"})
    one = register(server)
    assert [_update(server, one).status_code for _ in range(31)] == [200] * 30 + [429]
    assert _send(server, "GET", one).status_code == 200
    server.close()


def test_the_token_changes_with_an_update_where_the_settings_say_so_2_2(tmp_path: Path):
    server = AuthServer(tmp_path, registration={"mode": "open", "rotate_access_token": True})
    one = register(server)
    assert _send(server, "GET", one).json()["registration_access_token"] == one["registration_access_token"]
    two = _update(server, one).json()
    assert two["registration_access_token"] != one["registration_access_token"]
    assert_no_entry(_send(server, "GET", one))
    assert _send(server, "GET", two).status_code == 200
    server.close()


# 2.3: deleting.


def test_deleting_ends_the_client_and_all_it_was_given_2_3(anybody: AuthServer):
    user = anybody.user("manage-b")
    one = register(anybody, grant_types=["authorization_code", "refresh_token"])
    tokens = anybody.sign_in(_client(one), user.username, scope="openid")
    answer = _send(anybody, "DELETE", one)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["cache-control"] == "no-store"
    for method in ("GET", "PUT", "DELETE"):
        assert_no_entry(_send(anybody, method, one, {"client_id": one["client_id"]} if method == "PUT" else None))
    with anybody.later(1):
        assert_refused(anybody.refresh(_client(one), tokens["refresh_token"]), "invalid_client", 401)
        assert anybody.get("/userinfo", tokens["access_token"]).status_code == 401


def test_a_client_that_an_administrator_removes_has_no_door_any_more(anybody: AuthServer):
    one = register(anybody)
    clients.remove(anybody.store, one["client_id"], actor="test")
    assert_no_entry(_send(anybody, "GET", one))


def test_a_change_is_in_the_audit_trail_under_the_clients_own_name(anybody: AuthServer):
    one = register(anybody)
    _update(anybody, one)
    _send(anybody, "DELETE", one)
    lines = [line.event for line in anybody.store.audit.list(0, 10_000) if line.event.client_id == one["client_id"]]
    assert {(line.name, line.actor) for line in lines} == {
        ("client.added", "registration"),
        ("client.updated", one["client_id"]),
        ("client.removed", one["client_id"]),
    }

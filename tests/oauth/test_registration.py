"""Dynamic client registration (RFC 7591): who may, how one asks, what is answered."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from authserver.clock import SECOND, now
from authserver.crypto import Kind, new_handle
from pytest_authserver import AuthServer, RegisteredClient
from tests.registering import CB, anybody, assert_no_entry, invitation, invited, post, refusal, register
from tests.world import assert_refused

__all__ = ["anybody", "invited"]


# 2: client metadata.


def test_what_is_left_out_is_written_out_2(anybody: AuthServer):
    answer = register(anybody)
    assert answer["token_endpoint_auth_method"] == "client_secret_basic"
    assert answer["grant_types"] == ["authorization_code"]
    assert answer["response_types"] == ["code"]
    assert answer["scope"] == "openid profile notes:read"
    assert answer["require_pkce"] is True


def test_what_is_said_is_answered_as_it_was_stored_2(anybody: AuthServer):
    said = {
        "client_name": "Notes",
        "client_name#ja-Jpan-JP": "\u30ce\u30fc\u30c8",
        "client_uri": "https://client.test/",
        "client_uri#de": "https://client.test/de",
        "logo_uri": "https://client.test/logo.png",
        "logo_uri#de": "https://client.test/logo-de.png",
        "contacts": ["notes@client.test"],
        "tos_uri": "https://client.test/tos",
        "policy_uri": "https://client.test/policy",
        "tos_uri#zh-Hans": "https://client.test/zh/tos",
        "policy_uri#es-419": "https://client.test/es/policy",
        "software_id": "4NRB1",
        "software_version": "2.1",
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    }
    answer = register(anybody, **said)
    assert answer.items() >= said.items()
    stored = anybody.store.clients.get(answer["client_id"])
    assert stored is not None
    assert (stored.origin, stored.trusted, stored.public) == ("registration", False, True)


def test_null_counts_as_left_out(anybody: AuthServer):
    assert "client_name" not in register(anybody, client_name=None)


@pytest.mark.parametrize(
    ("grant_types", "response_types"),
    [
        (["authorization_code"], []),
        (["refresh_token"], ["code"]),
        (["refresh_token"], None),
        ([], ["code"]),
    ],
)
def test_grant_and_response_types_that_contradict_each_other_are_refused_2_1(
    anybody: AuthServer, grant_types: list[str], response_types: list[str] | None
):
    assert refusal(anybody, grant_types=grant_types, response_types=response_types) == "invalid_client_metadata"


# 3: who may register.


def test_nobody_may_where_registration_is_closed(authserver: AuthServer):
    assert_no_entry(post(authserver, {"redirect_uris": [CB]}))
    assert_no_entry(post(authserver, {"redirect_uris": [CB]}, invitation(authserver)))
    assert "registration_endpoint" not in authserver.get("/.well-known/oauth-authorization-server").json()


@pytest.mark.parametrize("server", ["anybody", "invited"])
def test_the_endpoint_is_announced_where_there_is_a_way_in(server: str, request: pytest.FixtureRequest):
    at: AuthServer = request.getfixturevalue(server)
    document = at.get("/.well-known/oauth-authorization-server").json()
    assert document["registration_endpoint"] == f"{at.issuer}/register"
    assert at.get("/.well-known/openid-configuration").json()["registration_endpoint"] == f"{at.issuer}/register"


def test_without_a_token_the_challenge_names_no_error(invited: AuthServer):
    answer = post(invited, {"redirect_uris": [CB]})
    assert_no_entry(answer)
    assert "error" not in answer.headers["www-authenticate"]


def test_a_token_of_another_kind_or_of_nobody_is_refused(invited: AuthServer):
    service = invited.client(grant_types=["client_credentials"], redirect_uris=None)
    access = invited.token(service, grant_type="client_credentials").json()["access_token"]
    kinds = [new_handle(kind)[0] for kind in Kind]
    for wrong in ["", "x", access, service.client_secret, *kinds, invitation(invited)[:-1]]:
        answer = post(invited, {"redirect_uris": [CB]}, wrong)
        assert_no_entry(answer)
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_token_elsewhere_than_in_the_header_is_none(invited: AuthServer):
    initial = invitation(invited)
    assert_no_entry(post(invited, {"redirect_uris": [CB], "access_token": initial}))
    assert_no_entry(post(invited, {"redirect_uris": [CB]}, Authorization=f"Basic {initial}"))
    assert post(invited, {"redirect_uris": [CB]}, Authorization=f"bearer {initial}").status_code == 201


def test_an_initial_access_token_registers_as_many_clients_as_it_says(invited: AuthServer):
    for uses in (1, 3):
        initial = invitation(invited, uses)
        answers = [post(invited, {"redirect_uris": [CB]}, initial).status_code for _ in range(uses + 1)]
        assert answers == [201] * uses + [401]


def test_an_initial_access_token_runs_out(invited: AuthServer):
    initial = invitation(invited, days=1)
    with invited.later(86400):
        assert_no_entry(post(invited, {"redirect_uris": [CB]}, initial))


def test_of_many_at_once_a_token_lets_in_so_many(invited: AuthServer):
    initial = invitation(invited, 2)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(invited, {"redirect_uris": [CB]}, initial).status_code, range(8)))
    assert sorted(answers) == [201] * 2 + [401] * 6


def test_a_registration_that_is_refused_uses_nothing_up(invited: AuthServer):
    for uses in (1, 2):
        initial = invitation(invited, uses)
        for _ in range(3):
            assert_refused(post(invited, {"redirect_uris": []}, initial), "invalid_redirect_uri")
        answers = [post(invited, {"redirect_uris": [CB]}, initial).status_code for _ in range(uses + 1)]
        assert answers == [201] * uses + [401]


def test_where_anybody_may_a_wrong_token_is_still_wrong(anybody: AuthServer):
    assert_no_entry(post(anybody, {"redirect_uris": [CB]}, "x"))


# 3.1: the request.


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "text/json"]
)
def test_another_content_type_is_refused_3_1(anybody: AuthServer, kind: str):
    assert_refused(post(anybody, {"redirect_uris": [CB]}, **{"Content-Type": kind}), "invalid_request")


def test_the_content_type_may_name_its_encoding(anybody: AuthServer):
    kind = {"Content-Type": 'Application/JSON; charset="UTF-8"'}
    assert post(anybody, {"redirect_uris": [CB]}, **kind).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"17",
        b'"x"',
        b"[[]]",
        b'{"client_name": NaN}',
        b'{"client_name": "a", "client_name": "b"}',
        b'{"jwks": {"keys": [], "keys": []}}',
        b'{"client_name": "\xff"}',
        b'{"client_name": "\\ud800"}',
        b'\xef\xbb\xbf{"client_name": "a"}',
        '{"client_name": "a"}'.encode("utf-16"),
        b'{"x": ' + b"[" * 32 + b"]" * 32 + b"}",
        b'{"x": ' + b"[" * 10000 + b"]" * 10000 + b"}",
        b'{"client_name": "a"} x',
        b"{'client_name': 'a'}",
        b"redirect_uris=https%3A%2F%2Fclient.test%2Fcb",
    ],
    ids=range(19),
)
def test_what_is_not_one_json_object_is_refused_3_1(anybody: AuthServer, body: bytes):
    assert_refused(post(anybody, body), "invalid_request")


def test_nesting_up_to_the_limit_is_ignored_like_every_unknown_member(anybody: AuthServer):
    body = b'{"redirect_uris": ["' + CB.encode() + b'"], "x": ' + b"[" * 31 + b"]" * 31 + b"}"
    assert post(anybody, body).status_code == 201


def test_a_large_request_is_refused_and_one_at_the_limit_is_not(anybody: AuthServer):
    body = json.dumps({"redirect_uris": [CB], "x": ""}).encode()
    room = 32 * 1024 - len(body)
    for size, status in ((room, 201), (room + 1, 413), (1024 * 1024, 413)):
        answer = post(anybody, {"redirect_uris": [CB], "x": "y" * size})
        assert answer.status_code == status
        assert answer.headers["cache-control"] == "no-store"


def test_only_post_registers_3_1(anybody: AuthServer):
    with anybody.http() as http:
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH"):
            answer = http.request(method, "/register")
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")


def test_nothing_is_read_from_the_url(anybody: AuthServer):
    with anybody.http() as http:
        answer = http.post("/register?client_name=x", json={"redirect_uris": [CB]})
    assert_refused(answer, "invalid_request")


def test_flask_answers_as_the_gateway_does(tmp_path: Path):
    server = AuthServer(tmp_path, gateway=False, registration={"mode": "open"})
    registered = register(server)
    assert registered["registration_access_token"]
    assert refusal(server, redirect_uris=[]) == "invalid_redirect_uri"
    server.close()


# 3.2.1: the answer.


def test_the_answer_is_a_registration_that_nobody_keeps_3_2_1(anybody: AuthServer):
    answer = post(anybody, {"redirect_uris": [CB]})
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    body = answer.json()
    assert abs(body["client_id_issued_at"] - now() // SECOND) < 60
    assert body["client_secret_expires_at"] == 0
    # RFC 7592 3.
    assert body["registration_client_uri"] == f"{anybody.issuer}/register/client?client_id={body['client_id']}"
    assert body["registration_access_token"].startswith(Kind.REGISTRATION_ACCESS.prefix)


def test_every_client_has_an_id_and_a_secret_of_its_own(anybody: AuthServer):
    clients = [register(anybody) for _ in range(3)]
    for name in ("client_id", "client_secret", "registration_access_token"):
        assert len({client[name] for client in clients}) == 3


def test_a_client_cannot_choose_its_id_or_secret(anybody: AuthServer):
    chosen = {"client_id": "chosen", "client_secret": "a secret of more than thirty-two characters"}
    answer = register(anybody, **chosen)
    assert {answer["client_id"], answer["client_secret"]}.isdisjoint(chosen.values())


def test_a_public_client_gets_no_secret(anybody: AuthServer):
    answer = register(anybody, token_endpoint_auth_method="none")
    assert {"client_secret", "client_secret_expires_at"}.isdisjoint(answer)


def test_the_client_works_at_once_and_people_are_asked(anybody: AuthServer):
    anybody.user("alice")
    registered = register(anybody, client_name="Notes", grant_types=["authorization_code", "refresh_token"])
    client = RegisteredClient(registered["client_id"], registered["client_secret"], CB, registered)
    page = anybody.browser().visit_request(anybody.request(client, anybody.pkce()))
    assert 'id="unverified"' in page.text
    tokens = anybody.sign_in(client)
    assert anybody.refresh(client, tokens["refresh_token"]).status_code == 200
    assert anybody.get("/userinfo", tokens["access_token"]).status_code == 200


# Scripts of other origins, and switching off.


def test_a_script_of_any_origin_may_register_where_anybody_may(anybody: AuthServer):
    origin = {"Origin": "https://app.test"}
    assert post(anybody, {"redirect_uris": [CB]}, **origin).headers["access-control-allow-origin"] == "*"
    assert post(anybody, b"x", **origin).headers["access-control-allow-origin"] == "*"
    with anybody.http() as http:
        preflight = http.options("/register", headers={**origin, "Access-Control-Request-Method": "POST"})
        assert preflight.headers["access-control-allow-origin"] == "*"
        managing = http.options("/register/client", headers={**origin, "Access-Control-Request-Method": "PUT"})
        assert not {name for name in managing.headers if name.startswith("access-control-")}


def test_no_script_may_where_not_anybody_may(invited: AuthServer, authserver: AuthServer):
    for at in (invited, authserver):
        with at.http() as http:
            for method in ("POST", "OPTIONS"):
                answer = http.request(method, "/register", headers={"Origin": "https://app.test"}, json={})
                assert not {name for name in answer.headers if name.startswith("access-control-")}


def test_the_origin_of_a_client_counts_as_soon_as_it_is_registered(anybody: AuthServer):
    with anybody.http() as http:
        for number in range(3):
            origin = f"https://app{number}.test"
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            assert "access-control-allow-origin" not in http.options("/token", headers=asked).headers
            register(anybody, redirect_uris=[f"{origin}/cb"])
            with anybody.later(0.9):
                assert http.options("/token", headers=asked).headers["access-control-allow-origin"] == origin


def test_switched_off_there_is_no_endpoint(tmp_path: Path):
    server = AuthServer(tmp_path, features={"registration": False}, registration={"mode": "open"})
    for path in ("/register", "/register/client"):
        assert server.get(path).status_code == 404
    assert post(server, {"redirect_uris": [CB]}).status_code == 404
    assert "registration_endpoint" not in server.get("/.well-known/openid-configuration").json()
    server.close()

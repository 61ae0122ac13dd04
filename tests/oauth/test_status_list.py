"""Status lists of JWT access tokens (Token Status List, revision 21)."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import jwt
import pytest
from sqlalchemy import column, table, update

from authserver.keys import PublicSet
from authserver.manage import grants
from authserver.records import User
from authserver.store import Unavailable
from authserver.store.database import Database
from authserver.store.statuses import SIZE
from pytest_authserver import AuthServer, RegisteredClient
from tests.signing import claims_of
from tests.status_lists import ASKED, FOR_ITSELF, STATUS_API, listed, read, reference_of, status, unpacked, user, web
from tests.store.at_once import at_once
from tests.world import API, JWT_API, assert_refused

__all__ = ["listed", "user", "web"]


# 4: the list.


def test_the_reader_of_these_tests_reads_the_test_vector_4_1():
    (low, high) = unpacked("eNrbuRgAAhcBXQ")
    assert f"{low:08b} {high:08b}" == "10111001 10100011"


def test_a_list_has_65536_places_of_one_bit_that_compress_well_4_1(
    listed: AuthServer, web: RegisteredClient, user: User
):
    uri = reference_of(listed.tokens(web, user, **ASKED)["access_token"])["uri"]
    answer = listed.get(uri)
    assert len(read(listed, answer, uri)) == SIZE // 8
    lst = claims_of(answer.text)["status_list"]["lst"]
    assert jwt.utils.base64url_decode(lst)[:2] == b"\x78\xda", "the highest level (RFC 1950 2.2)"
    assert len(answer.content) < 2000


# 5: the status list token.


def test_the_token_says_what_it_is_for_how_long_and_when_to_ask_again_5_1(
    listed: AuthServer, web: RegisteredClient, user: User
):
    uri = reference_of(listed.tokens(web, user, **ASKED)["access_token"])["uri"]
    claims = claims_of(listed.get(uri).text)
    assert claims.keys() == {"iss", "sub", "iat", "exp", "ttl", "status_list"}
    assert (claims["iss"], claims["ttl"]) == (listed.issuer, 1)
    assert claims["exp"] - claims["iat"] <= 120


def test_it_is_no_access_token_rfc_8725_3_11(listed: AuthServer, web: RegisteredClient, user: User):
    text = listed.get(reference_of(listed.tokens(web, user, **ASKED)["access_token"])["uri"]).text
    assert listed.introspect(web, text) == {"active": False}
    assert listed.get("/userinfo", text).status_code == 401


# 6: the token that refers to it.


def test_a_jwt_names_its_list_and_its_place_6_2(listed: AuthServer, web: RegisteredClient, user: User):
    reference = claims_of(listed.tokens(web, user, **ASKED)["access_token"])["status"]
    assert reference.keys() == {"status_list"}
    assert reference["status_list"].keys() == {"idx", "uri"}
    assert 0 <= reference["status_list"]["idx"] < SIZE
    assert reference["status_list"]["uri"].startswith(f"{listed.issuer}/status-list?id=")


def test_only_jwts_of_resources_that_ask_for_it_have_one(listed: AuthServer, web: RegisteredClient, user: User):
    opaque = listed.tokens(web, user, scope="api:read", resource=API)["access_token"]
    assert "status" not in listed.introspect(web, opaque)
    for asked in ({"scope": "jwt:read", "resource": JWT_API}, {"scope": "openid"}):
        assert "status" not in listed.introspect(web, listed.tokens(web, user, **asked)["access_token"])
    own = listed.client(trusted=True, scope="openid api:read", access_token_format="jwt")
    text = listed.tokens(own, user, scope="api:read", resource=API)["access_token"]
    assert status(listed, text) == 0, "a JWT that the client wanted"


def test_every_token_has_a_place_of_its_own_13_2_13_3(listed: AuthServer, web: RegisteredClient, user: User):
    tokens = listed.tokens(web, user, **ASKED)
    texts = [tokens["access_token"], listed.token(web, **FOR_ITSELF).json()["access_token"]]
    for _ in range(3):
        tokens = listed.refresh(web, tokens["refresh_token"], resource=STATUS_API).json()
        texts.append(tokens["access_token"])
    assert len({tuple(reference_of(text).values()) for text in texts}) == len(texts)
    assert [status(listed, text) for text in texts] == [0] * len(texts)


def test_introspection_revocation_and_userinfo_take_it_as_any_other(
    listed: AuthServer, web: RegisteredClient, user: User
):
    token = listed.tokens(web, user, **ASKED)["access_token"]
    assert listed.get("/userinfo", token).json()["sub"] == user.sub
    told = listed.introspect(web, token)
    assert told == {"active": True, "token_type": "Bearer", **claims_of(token)}
    assert listed.post("/revoke", web, token=token).json() == {}
    assert listed.introspect(web, token) == {"active": False}
    assert listed.get("/userinfo", token).status_code == 401


def test_of_a_token_that_dies_while_it_is_made_nobody_hears(
    listed: AuthServer, web: RegisteredClient, user: User, monkeypatch: pytest.MonkeyPatch
):
    add = listed.store.statuses.add

    def too_late(**claims: Any) -> tuple[int, int]:
        grants.revoke(listed.store, claims["grant_id"], actor="test")
        return add(**claims)

    allowed = listed.allow(web, user, **ASKED)
    monkeypatch.setattr(listed.store.statuses, "add", too_late)
    assert_refused(listed.redeem(web, allowed), "invalid_grant")


def test_a_store_that_is_away_lets_no_token_out_without_its_place(
    listed: AuthServer, web: RegisteredClient, monkeypatch: pytest.MonkeyPatch
):
    def away(**_claims: Any) -> tuple[int, int]:
        raise Unavailable("away")

    monkeypatch.setattr(listed.store.statuses, "add", away)
    answer = listed.token(web, **FOR_ITSELF)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")


# 8: asking for it.


def test_a_poll_without_news_costs_one_small_statement_and_makes_nothing(
    listed: AuthServer, web: RegisteredClient, user: User, monkeypatch: pytest.MonkeyPatch
):
    uri = reference_of(listed.tokens(web, user, **ASKED)["access_token"])["uri"]
    first, ran = listed.get(uri), []
    execute = Database._execute
    monkeypatch.setattr(Database, "_execute", lambda self, *rest: ran.append(rest[1].sql) or execute(self, *rest))
    # More tokens change nothing: an unused place says what a good token's says (13.3).
    listed.tokens(web, user, **ASKED)
    ran.clear()
    assert listed.get(uri).content == first.content
    (statement,) = ran
    assert statement.startswith("SELECT revocations.number")


def test_of_many_who_poll_at_once_one_makes_the_list_for_all(
    listed: AuthServer, web: RegisteredClient, user: User, monkeypatch: pytest.MonkeyPatch
):
    token = listed.tokens(web, user, **ASKED)["access_token"]
    uri, lists = reference_of(token)["uri"], listed.server.status_lists
    assert status(listed, token) == 0
    listed.post("/revoke", web, token=token)
    made, sign = [], lists._sign
    monkeypatch.setattr(lists, "_sign", lambda *arguments: made.append(1) or sign(*arguments))
    assert len(set(at_once(lambda: listed.get(uri).content, threads=8))) == 1
    assert len(made) == 1
    assert status(listed, token) == 1


def test_a_change_of_the_key_set_signs_the_list_again(
    listed: AuthServer, web: RegisteredClient, user: User, monkeypatch: pytest.MonkeyPatch
):
    uri = reference_of(listed.tokens(web, user, **ASKED)["access_token"])["uri"]
    before = listed.get(uri)
    monkeypatch.setattr(listed.server.keys, "public_set", lambda: PublicSet(b"", '"another"'))
    after = listed.get(uri)
    assert after.content != before.content
    assert claims_of(after.text)["status_list"] == claims_of(before.text)["status_list"]


def test_who_has_the_latest_list_is_told_so_rfc_9110_13_1_2(listed: AuthServer, web: RegisteredClient, user: User):
    token = listed.tokens(web, user, **ASKED)["access_token"]
    uri = reference_of(token)["uri"]
    etag = listed.get(uri).headers["etag"]
    for sent in (etag, f"W/{etag}", f'"another", {etag}'):
        same = listed.get(uri, **{"If-None-Match": sent})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    listed.post("/revoke", web, token=token)
    news = listed.get(uri, **{"If-None-Match": etag})
    assert (news.status_code, news.headers["etag"] != etag) == (200, True)


def test_what_concerns_no_token_of_a_list_does_not_change_it(listed: AuthServer, web: RegisteredClient, user: User):
    token = listed.tokens(web, user, **ASKED)["access_token"]
    first = listed.get(reference_of(token)["uri"])
    other = listed.tokens(web, user, scope="jwt:read", resource=JWT_API)["access_token"]
    listed.post("/revoke", web, token=other)
    assert listed.get(reference_of(token)["uri"]).content == first.content
    listed.post("/revoke", web, token=token)
    assert status(listed, token) == 1


def test_the_answer_may_be_kept_for_a_second_and_read_by_any_script_8_1_8_2(
    listed: AuthServer, web: RegisteredClient, user: User
):
    uri = reference_of(listed.tokens(web, user, **ASKED)["access_token"])["uri"]
    for address in (uri, "/status-lists"):
        answer = listed.get(address, Origin="https://anywhere.test")
        assert answer.headers["cache-control"] == "public, max-age=1"
        assert answer.headers["access-control-allow-origin"] == "*"


def test_head_and_no_other_method_is_taken(listed: AuthServer, web: RegisteredClient, user: User):
    uri = reference_of(listed.tokens(web, user, **ASKED)["access_token"])["uri"]
    with listed.http() as http:
        for address in (uri, "/status-lists"):
            got, head = http.get(address), http.head(address)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["etag"] == got.headers["etag"]
            assert [http.request(method, address).status_code for method in ("PUT", "DELETE")] == [405, 405]
        assert http.post("/status-list").status_code == 405


NO_LISTS = ["999", "999999999999", "9" * 22, "9" * 5000, "-1", "00", "+0", "%2B0", "0x0", "0.0", "1e3", "lists"]
NO_LISTS += ["", "%D9%A0", "%00", "0%00", "0%0A", "%200"]


@pytest.mark.parametrize("named", NO_LISTS)
def test_what_names_no_list_is_not_found(listed: AuthServer, named: str):
    for query in (f"?id={named}", f"?ID=0&id={named}"):
        answer = listed.get(f"/status-list{query}")
        assert (answer.status_code, answer.content) == (404, b"")
        assert answer.headers["cache-control"] == "no-store"
    assert listed.get("/status-list").status_code == 404


def test_a_query_that_cannot_be_read_is_refused(listed: AuthServer):
    assert_refused(listed.get("/status-list?id=%FF"), "invalid_request")
    assert_refused(listed.get("/status-list?" + "a=1&" * 101), "invalid_request")


def test_there_is_no_history_8_4_12_7(listed: AuthServer, web: RegisteredClient, user: User):
    uri = reference_of(listed.tokens(web, user, **ASKED)["access_token"])["uri"]
    assert listed.get(f"{uri}&time=1686925000").status_code == 501


def test_while_the_store_is_away_no_list_is_answered(
    listed: AuthServer, web: RegisteredClient, user: User, monkeypatch: pytest.MonkeyPatch
):
    uri = reference_of(listed.tokens(web, user, **ASKED)["access_token"])["uri"]
    assert listed.get(uri).status_code == 200

    def away() -> None:
        raise Unavailable("away")

    monkeypatch.setattr(listed.store.revocations, "latest", away)
    assert listed.get(uri).status_code == 503


def test_another_node_says_the_same(listed: AuthServer, web: RegisteredClient, user: User, tmp_path: Path):
    node = AuthServer(tmp_path, database_url=listed.settings.database_url)
    token = listed.tokens(web, user, **ASKED)["access_token"]
    assert [status(at, token) for at in (listed, node)] == [0, 0]
    node.post("/revoke", web, token=token)
    assert [status(at, token) for at in (listed, node)] == [1, 1]
    node.close()


# 9: all of them.


def test_the_metadata_names_the_aggregation_and_that_every_list_9_1_9_3(
    listed: AuthServer, web: RegisteredClient, user: User
):
    uri = reference_of(listed.tokens(web, user, **ASKED)["access_token"])["uri"]
    document = listed.get("/.well-known/oauth-authorization-server").json()
    answer = listed.get(document["status_list_aggregation_endpoint"])
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"status_lists": [uri]}
    same = listed.get("/status-lists", **{"If-None-Match": answer.headers["etag"]})
    assert same.status_code == 304


def test_a_list_without_a_token_that_can_still_be_used_is_gone_13_1(
    listed: AuthServer, web: RegisteredClient, user: User
):
    uri = reference_of(listed.tokens(web, user, **ASKED)["access_token"])["uri"]
    assert listed.get(uri).status_code == 200
    with listed.later(700):
        assert listed.get(uri).status_code == 404
        assert listed.get("/status-lists").json() == {"status_lists": []}


def test_when_a_list_is_full_the_next_one_begins_13_4(tmp_path: Path):
    server = AuthServer(tmp_path)
    server.resource(STATUS_API, "status:read", token_format="jwt", status_list=True)
    client = server.client(trusted=True, scope=ASKED["scope"])
    first = server.token(client, **FOR_ITSELF).json()["access_token"]
    with server.store.database.engine.begin() as connection:
        drawn = update(table("sqlite_sequence", column("name"), column("seq"))).values(seq=SIZE - 1)
        connection.execute(drawn.where(column("name") == "token_statuses"))
    second = server.token(client, **FOR_ITSELF).json()["access_token"]
    assert [reference_of(text)["uri"][-5:] for text in (first, second)] == ["?id=0", "?id=1"]
    assert len(server.get("/status-lists").json()["status_lists"]) == 2
    server.post("/revoke", client, token=second)
    assert [status(server, text) for text in (first, second)] == [0, 1]
    server.close()


# 12: what a place gives away.


def test_places_are_a_permutation_of_the_list_and_not_the_order_of_issue_12_4_12_5(listed: AuthServer):
    index = listed.server.status_lists.index
    places = [index(0, number) for number in range(SIZE)]
    assert sorted(places) == list(range(SIZE))
    assert sum(after == before + 1 for before, after in pairwise(places)) < 20
    assert sum(index(1, number) == place for number, place in enumerate(places)) < 20, "another list, another order"


def test_the_order_is_the_deployments_own_and_does_not_change_with_its_secret_key(listed: AuthServer, tmp_path: Path):
    def first_places(**settings: Any) -> list[int]:
        node = AuthServer(tmp_path, **settings)
        places = [node.server.status_lists.index(0, number) for number in range(100)]
        node.close()
        return places

    here = [listed.server.status_lists.index(0, number) for number in range(100)]
    keys = {"secret_key": "another secret key for tests and nothing else"}
    keys["secret_key_previous"] = "a secret key for tests and nothing else"
    assert first_places(database_url=listed.settings.database_url, **keys) == here
    assert first_places() != here


# Switched off.


def test_without_the_feature_there_is_no_claim_no_list_and_no_word_of_it(tmp_path: Path):
    server = AuthServer(tmp_path, features={"status_list": False})
    server.resource(STATUS_API, "status:read", token_format="jwt", status_list=True)
    client = server.client(trusted=True, scope=ASKED["scope"])
    token = server.tokens(client, server.user(), **ASKED)["access_token"]
    assert "status" not in claims_of(token)
    assert server.introspect(client, token)["active"] is True
    assert [server.get(path).status_code for path in ("/status-list?id=0", "/status-lists")] == [404, 404]
    assert "status_list_aggregation_endpoint" not in server.get("/.well-known/openid-configuration").json()
    server.close()

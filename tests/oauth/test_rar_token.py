"""Rich Authorization Requests (RFC 9396): the token request, and what tokens say; requests are in ``test_rar.py``."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from authserver.oauth import rar
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from resourceserver.strict_json import parse_object
from tests.details import BANK, FILES, METADATA, PAYMENT, READ_AND_WRITE, TYPES, changed, running, tokens_of, tree
from tests.world import assert_refused


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    with running(tmp_path_factory.mktemp("rar")) as server:
        yield server


@pytest.fixture(scope="module")
def alice(at: AuthServer) -> User:
    return at.user("alice")


@pytest.fixture(scope="module")
def client(at: AuthServer) -> RegisteredClient:
    return at.client(**METADATA)


# 6: the token request.


def test_a_token_request_may_ask_for_less_and_the_grant_stays_6(
    at: AuthServer, client: RegisteredClient, alice: User
) -> None:
    tokens = tokens_of(at, client, alice, READ_AND_WRITE)
    read = [changed(READ_AND_WRITE, actions=["read"])]
    less = at.refresh(client, tokens["refresh_token"], authorization_details=json.dumps(read)).json()
    assert less["authorization_details"] == read
    assert at.introspect(client, less["access_token"])["authorization_details"] == read
    assert at.refresh(client, less["refresh_token"]).json()["authorization_details"] == [READ_AND_WRITE]


@pytest.mark.parametrize(
    "wanted",
    [
        [changed(READ_AND_WRITE, actions=["read", "delete"])],
        [changed(READ_AND_WRITE, actions=[])],
        [{"type": "files", "actions": ["read"]}],  # anywhere
        [changed(READ_AND_WRITE, identifier="x")],
        [READ_AND_WRITE, PAYMENT],
    ],
)
def test_a_token_request_for_more_is_refused_and_takes_nothing_6(
    at: AuthServer, client: RegisteredClient, alice: User, wanted: list[Any]
) -> None:
    tokens = tokens_of(at, client, alice, READ_AND_WRITE)
    refused = at.refresh(client, tokens["refresh_token"], authorization_details=json.dumps(wanted))
    assert_refused(refused, "invalid_authorization_details")
    assert at.refresh(client, tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize(("granted", "wanted"), [(1, 1.0), (1, 2), ("1", "2")])
def test_members_of_a_type_are_compared_as_they_are_written_6_1(
    at: AuthServer, client: RegisteredClient, alice: User, granted: Any, wanted: Any
) -> None:
    name = "note" if isinstance(granted, str) else "copies"
    tokens = tokens_of(at, client, alice, changed(PAYMENT, **{name: granted}))
    text = json.dumps([changed(PAYMENT, **{name: wanted})])
    refused = at.refresh(client, tokens["refresh_token"], authorization_details=text)
    assert_refused(refused, "invalid_authorization_details")


def test_what_was_granted_once_is_not_asked_for_twice_6_1(
    at: AuthServer, client: RegisteredClient, alice: User
) -> None:
    for count, wanted, status in ((1, 2, 400), (2, 2, 200), (2, 1, 200)):
        tokens = tokens_of(at, client, alice, *[PAYMENT] * count)
        text = json.dumps([PAYMENT] * wanted)
        assert at.refresh(client, tokens["refresh_token"], authorization_details=text).status_code == status


def test_details_for_another_resource_than_the_token_are_refused_6(
    at: AuthServer, client: RegisteredClient, alice: User
) -> None:
    text = json.dumps([PAYMENT, READ_AND_WRITE])
    allowed = at.allow(client, alice, scope=None, authorization_details=text)
    answer = at.redeem(client, allowed, resource=BANK, authorization_details=text)
    assert_refused(answer, "invalid_authorization_details")


def test_malformed_details_do_not_burn_a_code_and_more_than_granted_does_6(
    at: AuthServer, client: RegisteredClient, alice: User
) -> None:
    allowed = at.allow(client, alice, scope=None, authorization_details=json.dumps([PAYMENT]))
    assert_refused(at.redeem(client, allowed, authorization_details="["), "invalid_authorization_details")
    assert at.redeem(client, allowed).status_code == 200
    allowed = at.allow(client, alice, scope=None, authorization_details=json.dumps([PAYMENT]))
    more = json.dumps([READ_AND_WRITE])
    assert_refused(at.redeem(client, allowed, authorization_details=more), "invalid_authorization_details")
    assert_refused(at.redeem(client, allowed), "invalid_grant")


def test_a_grant_without_details_gives_none_6(at: AuthServer, client: RegisteredClient, alice: User) -> None:
    tokens = at.tokens(client, alice, scope="bank:read", resource=BANK)
    assert "authorization_details" not in tokens
    refused = at.refresh(client, tokens["refresh_token"], authorization_details=json.dumps([PAYMENT]))
    assert_refused(refused, "invalid_authorization_details")


def test_a_client_for_itself_has_what_needs_no_person_6(at: AuthServer, client: RegisteredClient) -> None:
    asked = {"grant_type": "client_credentials", "authorization_details": json.dumps([READ_AND_WRITE])}
    answer = at.token(client, resource=FILES, **asked).json()
    assert answer["authorization_details"] == [READ_AND_WRITE]
    assert answer["scope"] == ""
    assert at.introspect(client, answer["access_token"])["authorization_details"] == [READ_AND_WRITE]
    assert_refused(at.token(client, **asked), "invalid_authorization_details")  # meant for the default audience
    asked["authorization_details"] = json.dumps([PAYMENT])
    assert_refused(at.token(client, resource=BANK, **asked), "invalid_authorization_details")


def test_what_is_taken_from_the_client_is_gone_from_its_next_token_6(
    at: AuthServer, client: RegisteredClient, alice: User, tmp_path_factory: pytest.TempPathFactory
) -> None:
    allowed = at.allow(client, alice, scope=None, authorization_details=json.dumps([PAYMENT, READ_AND_WRITE]))
    tokens = at.redeem(client, allowed, resource=BANK).json()
    stricter = copy.deepcopy(TYPES)
    stricter["payment"]["json_schema"]["properties"]["creditor"]["minLength"] = 20
    folder = tmp_path_factory.mktemp("stricter")
    later = AuthServer(folder, database_url=at.settings.database_url, authorization_details_types=stricter)
    try:
        assert_refused(later.refresh(client, tokens["refresh_token"], resource=BANK), "invalid_scope")
        again = later.refresh(client, tokens["refresh_token"], resource=FILES).json()
        assert again["authorization_details"] == [READ_AND_WRITE]
    finally:
        later.close()


# 7, 9: what the resource sees.


def test_a_token_has_only_what_its_resource_understands_9_1_13(
    at: AuthServer, client: RegisteredClient, alice: User
) -> None:
    text = json.dumps([PAYMENT, READ_AND_WRITE])
    allowed = at.allow(client, alice, scope=None, authorization_details=text)
    tokens = at.redeem(client, allowed, resource=FILES).json()
    assert tokens["authorization_details"] == [READ_AND_WRITE]
    again = at.refresh(client, tokens["refresh_token"], resource=BANK).json()
    assert again["authorization_details"] == [PAYMENT]
    assert_refused(at.refresh(client, again["refresh_token"]), "invalid_target")


def test_a_resource_for_which_neither_scope_nor_details_mean_anything_gets_no_token(
    at: AuthServer, client: RegisteredClient, alice: User
) -> None:
    text = json.dumps([PAYMENT])
    allowed = at.allow(client, alice, scope=None, resource=FILES, authorization_details=text)
    assert_refused(at.redeem(client, allowed, resource=FILES), "invalid_scope")


def test_a_jwt_carries_them_itself_9_1(at: AuthServer, client: RegisteredClient, alice: User) -> None:
    detail = changed(PAYMENT, type="signed_payment")
    token = tokens_of(at, client, alice, detail)["access_token"]
    assert token.count(".") == 2
    assert at.introspect(client, token)["authorization_details"] == [detail]


def test_what_is_taken_fits_into_a_token_that_its_resource_can_read_9_1(
    at: AuthServer, client: RegisteredClient, alice: User
) -> None:
    empty = json.dumps([changed(PAYMENT, type="signed_payment", note="")])
    large = [changed(PAYMENT, type="signed_payment", note="x" * (rar.MAX_SIZE - len(empty)))]
    nested = [{"type": "signed_files", "actions": ["read"], "filter": tree(rar.MAX_DEPTH)}]
    wide = [{"type": "signed_files", "actions": ["read"], "filter": {"all": [{}] * (rar.MAX_NESTED - 5)}}]
    for details in (large, nested, wide):
        token = tokens_of(at, client, alice, *details)["access_token"]
        assert at.introspect(client, token)["authorization_details"] == details
        assert parse_object(json.dumps(at.introspect(client, token)).encode())["active"] is True
        assert jwt.decode(token, options={"verify_signature": False})["authorization_details"] == details
    wide[0]["filter"]["all"].append({})
    answer = at.push(client, at.pkce(), authorization_details=json.dumps(wide))
    assert_refused(answer, "invalid_authorization_details")

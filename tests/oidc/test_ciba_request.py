"""Backchannel authentication request (CIBA 7.1, 7.2; FAPI-CIBA 5.2.2), and how clients are registered for it (4)."""

import json
from pathlib import Path
from typing import Any

import pytest

from authserver.manage import users
from authserver.manage.errors import InvalidMetadata
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests import signing
from tests.backchannel import (
    GRANT_TYPE,
    PLENTY,
    anna,
    ask,
    asking_client,
    at,
    begin,
    claims,
    credentials,
    make,
    signed,
    signing_client,
    till,
)
from tests.request_objects import jwk, sign
from tests.world import API, assert_refused

__all__ = ["anna", "at", "till"]

TOKEN = "8d67dc78-7faa-4d41-aabd-67707b374255"
PING = {
    "backchannel_token_delivery_mode": "ping",
    "backchannel_client_notification_endpoint": "https://till.test/told",
}


@pytest.fixture(scope="module")
def signer(at: AuthServer) -> RegisteredClient:
    """A client that has to sign what it asks."""
    return signing_client(at)


# 4: registration and metadata.


def test_the_metadata_names_endpoint_modes_and_algorithms_4(at: AuthServer):
    for path in ("oauth-authorization-server", "openid-configuration"):
        document = at.get(f"/.well-known/{path}").json()
        assert document["backchannel_authentication_endpoint"] == f"{at.issuer}/bc-authorize"
        assert document["backchannel_token_delivery_modes_supported"] == ["poll", "ping"]
        assert document["backchannel_user_code_parameter_supported"] is False
        algorithms = document["backchannel_authentication_request_signing_alg_values_supported"]
        assert {"PS256", "ES256"} <= set(algorithms)
        assert "none" not in algorithms
        assert GRANT_TYPE in document["grant_types_supported"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"token_endpoint_auth_method": "none"},
        {"backchannel_token_delivery_mode": None},
        {"backchannel_token_delivery_mode": "push"},
        {"backchannel_token_delivery_mode": "ping"},
        {**PING, "backchannel_client_notification_endpoint": "http://till.test/told"},
        {**PING, "backchannel_client_notification_endpoint": "https://10.0.0.1/told"},
        {"backchannel_authentication_request_signing_alg": "ES256"},  # without keys
        {"backchannel_authentication_request_signing_alg": "none"},
        {"backchannel_authentication_request_signing_alg": "HS256"},
        {"backchannel_user_code_parameter": True},
        {"backchannel_user_code_parameter": 0},
        {"profile": "fapi2", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=a"},
        {
            "profile": "fapi2",
            "jwks": {"keys": [jwk("rsa")]},
            "backchannel_authentication_request_signing_alg": "RS256",
        },
    ],
    ids=json.dumps,
)
def test_members_that_cannot_be_kept_are_refused_4(at: AuthServer, metadata: dict[str, Any]):
    with pytest.raises(InvalidMetadata):
        asking_client(at, **metadata)


def test_a_client_is_told_how_it_is_registered_4(at: AuthServer):
    answer = signing_client(at, **PING, backchannel_user_code_parameter=False).registration
    assert answer["backchannel_token_delivery_mode"] == "ping"
    assert answer["backchannel_client_notification_endpoint"] == "https://till.test/told"
    assert answer["backchannel_authentication_request_signing_alg"] == "ES256"
    assert answer["backchannel_user_code_parameter"] is False
    assert (answer["grant_types"], answer["response_types"]) == ([GRANT_TYPE, "refresh_token"], [])


def test_a_client_cannot_register_itself_for_it(tmp_path: Path):
    server = make(tmp_path, registration={"mode": "open"})
    members = {"grant_types": [GRANT_TYPE], "backchannel_token_delivery_mode": "poll"}
    answer = server.http().post("/register", json=members)
    assert_refused(answer, "invalid_client_metadata")
    server.close()


# 7.1: who may ask.


def test_a_client_proves_itself_first_7_1(at: AuthServer, till: RegisteredClient, anna: User):
    wrong = RegisteredClient(till.client_id, "x" * 43, "", {})
    assert_refused(ask(at, wrong, anna), "invalid_client", 401)
    assert_refused(ask(at, None, anna, client_id=till.client_id), "invalid_client", 401)
    assert_refused(ask(at, None, anna), "invalid_client", 401)
    other = asking_client(at)
    assert_refused(ask(at, till, anna, client_id=other.client_id), "invalid_client", 401)


def test_a_client_without_the_grant_is_refused_13(at: AuthServer, anna: User):
    assert_refused(ask(at, at.client(), anna), "unauthorized_client")
    assert_refused(ask(at, at.public_client(), anna), "unauthorized_client")


def test_a_client_that_has_to_push_its_requests_may_ask(tmp_path: Path):
    server = make(tmp_path, require_pushed_authorization_requests=True)
    client, user = asking_client(server, require_pushed_authorization_requests=True), server.user()
    assert begin(server, client, user)
    server.close()


# 7.1: the parameters.


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"scope": None, "authorization_details": "[]"}, "invalid_authorization_details"),
        ({"scope": "api:read"}, "invalid_scope"),
        ({"scope": "openid other:read"}, "invalid_scope"),
        ({"scope": 'openid "'}, "invalid_scope"),
        ({"scope": ["openid", "profile"]}, "invalid_request"),
        ({"resource": "https://unknown.test/"}, "invalid_target"),
        ({"resource": "no uri"}, "invalid_target"),
        ({"login_hint": None}, "invalid_request"),
        ({"login_hint_token": "x"}, "invalid_request"),
        ({"id_token_hint": "x"}, "invalid_request"),
        ({"login_hint": None, "login_hint_token": "x"}, "unknown_user_id"),
        ({"login_hint": None, "id_token_hint": "x"}, "invalid_request"),
        ({"login_hint": "nobody"}, "unknown_user_id"),
        ({"login_hint": "x" * 5000}, "unknown_user_id"),
        ({"login_hint": "\N{SNOWMAN}' OR 1=1 --"}, "unknown_user_id"),
        ({"binding_message": "\N{THUMBS UP SIGN} Lorem ipsum"}, "invalid_binding_message"),
        ({"binding_message": "x" * 129}, "invalid_binding_message"),
        ({"binding_message": "see https://evil.test/"}, "invalid_binding_message"),
        ({"binding_message": "a\nb"}, "invalid_binding_message"),
        ({"binding_message": "<b>a</b>"}, "invalid_binding_message"),
        ({"binding_message": " "}, "invalid_binding_message"),
        ({"user_code": "1234"}, "invalid_user_code"),
        ({"requested_expiry": "0"}, "invalid_request"),
        ({"requested_expiry": "-1"}, "invalid_request"),
        ({"requested_expiry": "1.5"}, "invalid_request"),
        ({"requested_expiry": "\N{SUPERSCRIPT TWO}"}, "invalid_request"),
        ({"requested_expiry": "9" * 50}, "invalid_request"),
        ({"request": "x"}, "invalid_request"),
    ],
)
def test_a_request_that_is_not_good_is_refused_13(
    at: AuthServer, till: RegisteredClient, anna: User, parameters: dict[str, Any], error: str
):
    assert_refused(ask(at, till, anna, **parameters), error)


def test_what_is_unknown_or_empty_counts_as_omitted(at: AuthServer, till: RegisteredClient, anna: User):
    assert begin(at, till, anna, color="blue", login_hint_token="", acr_values="urn:unheard-of")


def test_parameters_in_the_url_are_refused(at: AuthServer, till: RegisteredClient):
    assert_refused(at.http().post(f"/bc-authorize?client_id={till.client_id}"), "invalid_request")


@pytest.mark.parametrize("message", ["1234", "W4SCT", "Pay 12.50 EUR to Smith's & Sons (no. 7)?", "x" * 128])
def test_a_plain_binding_message_is_taken_7_1(at: AuthServer, till: RegisteredClient, anna: User, message: str):
    assert begin(at, till, anna, binding_message=message)


@pytest.mark.parametrize(("wish", "given"), [("10", 10), ("599", 599), ("601", 600), ("99999999", 600)])
def test_the_wish_for_a_time_is_kept_up_to_what_the_settings_let_7_1(
    at: AuthServer, till: RegisteredClient, anna: User, wish: str, given: int
):
    assert begin(at, till, anna, requested_expiry=wish)["expires_in"] == given


@pytest.mark.parametrize("token", [None, "x" * 21, "x" * 1025, "ä" * 30, "spaces are not in it anywhere", "=" * 30])
def test_a_client_in_the_mode_ping_sends_a_token_of_the_right_form_7_1(at: AuthServer, anna: User, token: str | None):
    client = asking_client(at, **PING)
    assert_refused(ask(at, client, anna, client_notification_token=token), "invalid_request")
    assert begin(at, client, anna, client_notification_token=TOKEN)


# 7.1, 7.2: the user.


def test_a_user_is_named_by_name_or_address_in_any_spelling(at: AuthServer, till: RegisteredClient, anna: User):
    for name in (anna.username, anna.username.upper(), anna.email, f" {anna.username} "):
        assert begin(at, till, anna, login_hint=name)


def test_an_id_token_of_ours_names_its_user_also_when_it_has_expired_7_1(at: AuthServer, anna: User):
    client = at.client(
        trusted=True, grant_types=["authorization_code", GRANT_TYPE], backchannel_token_delivery_mode="poll"
    )
    hint = at.tokens(client, anna, scope="openid")["id_token"]
    assert begin(at, client, anna, login_hint=None, id_token_hint=hint)
    with at.later(86_400):
        assert begin(at, client, anna, login_hint=None, id_token_hint=hint)
    other = asking_client(at)
    assert_refused(ask(at, other, login_hint=None, id_token_hint=hint), "invalid_request")
    assert_refused(ask(at, client, login_hint=None, id_token_hint=hint[:-8] + "AAAAAAAA"), "invalid_request")
    access = at.tokens(client, anna, scope="openid")["access_token"]
    assert_refused(ask(at, client, login_hint=None, id_token_hint=access), "invalid_request")


def test_a_user_who_is_switched_off_is_as_unknown_as_one_who_is_not_there(
    at: AuthServer, till: RegisteredClient, anna: User
):
    users.set_disabled(at.store, anna, disabled=True, actor="test")
    off, never = ask(at, till, anna), ask(at, till, login_hint="nobody")
    assert_refused(off, "unknown_user_id")
    assert off.json() == never.json()


def test_a_client_may_be_wrong_about_users_a_few_times_an_hour_only(tmp_path: Path):
    server = make(tmp_path, limits={**PLENTY, "ciba_unknown_users": 3})
    first, second, user = asking_client(server), asking_client(server), server.user()
    for number in range(3):
        assert begin(server, first, user)
        assert_refused(ask(server, first, login_hint=f"guess-{number}"), "unknown_user_id")
    answer = ask(server, first, login_hint="guess-4")
    assert_refused(answer, "invalid_request", 429)
    assert int(answer.headers["retry-after"]) > 0
    # A right name tells no more than a wrong one then, and another client is not concerned.
    assert_refused(ask(server, first, user), "invalid_request", 429)
    assert begin(server, second, user)
    with server.later(3601):
        assert begin(server, first, user)
    server.close()


# 7.1.1: signed requests.


def test_a_signed_request_is_taken_once_7_1_1(at: AuthServer, signer: RegisteredClient, anna: User):
    token = signed(at, signer, anna)
    assert begin(at, signer, anna, request=token, scope=None, login_hint=None)
    assert_refused(ask(at, signer, request=token, scope=None), "invalid_request")


def test_the_parameters_are_those_that_were_signed_7_1_1(at: AuthServer, signer: RegisteredClient, anna: User):
    def sent(**changes: Any) -> dict[str, Any]:
        return begin(at, signer, anna, request=signed(at, signer, anna, **changes), scope=None, login_hint=None)

    for wish in (30, "30"):
        assert sent(requested_expiry=wish)["expires_in"] == 30
    assert sent(resource=[API], scope="openid api:read")
    for changes, error in (
        ({"requested_expiry": 30.5}, "invalid_request"),
        ({"requested_expiry": True}, "invalid_request"),
        ({"scope": ["openid"]}, "invalid_scope"),
        ({"binding_message": {"a": 1}}, "invalid_binding_message"),
    ):
        token = signed(at, signer, anna, **changes)
        assert_refused(ask(at, signer, request=token, scope=None), error)


@pytest.mark.parametrize("beside", [{"scope": "openid"}, {"login_hint": "bob"}, {"resource": API}, {"user_code": "1"}])
def test_nothing_stands_beside_a_signed_request_7_1_1(
    at: AuthServer, signer: RegisteredClient, anna: User, beside: dict[str, str]
):
    token = signed(at, signer, anna)
    assert_refused(ask(at, signer, **{"scope": None, "request": token, **beside}), "invalid_request")


def test_a_client_that_has_to_sign_is_refused_a_plain_request_7_1_1(
    at: AuthServer, signer: RegisteredClient, anna: User
):
    assert_refused(ask(at, signer, anna), "invalid_request")
    whole = {**claims(at, signer, anna), "request": None}
    assert_refused(ask(at, signer, **whole), "invalid_request")


WRONG: dict[str, dict[str, Any]] = {
    "no aud": {"aud": None},
    "another aud": {"aud": "https://other.test"},
    "the endpoint as aud": {"aud": "http://localhost:9000/bc-authorize"},
    "two audiences": {"aud": ["http://localhost:9000", "https://other.test"]},
    "no iss": {"iss": None},
    "another iss": {"iss": "somebody"},
    "no exp": {"exp": None},
    "no iat": {"iat": None},
    "no nbf": {"nbf": None},
    "no jti": {"jti": None},
    "jti not text": {"jti": 5},
    "jti too long": {"jti": "x" * 257},
    "exp as text": {"exp": "soon"},
    "another client_id": {"client_id": "somebody"},
    "request inside": {"request": "x"},
    "request_uri inside": {"request_uri": "https://x.test/"},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG.keys())
def test_claims_that_are_missing_or_wrong_are_refused_7_1_1(
    at: AuthServer, signer: RegisteredClient, anna: User, changes: dict[str, Any]
):
    assert_refused(ask(at, signer, request=signed(at, signer, anna, **changes), scope=None), "invalid_request")


@pytest.mark.parametrize(
    "times",
    [
        {"exp": -61},
        {"exp": 4200},
        {"nbf": 600},
        {"nbf": -4200},
        {"nbf": -1800, "exp": 1860},  # more than an hour from one to the other
        {"iat": 600},
    ],
    ids=str,
)
def test_times_are_within_an_hour_fapi_ciba_5_2_2(
    at: AuthServer, signer: RegisteredClient, anna: User, times: dict[str, int]
):
    base = claims(at, signer, anna)["iat"]
    changes = {name: base + seconds for name, seconds in times.items()}
    assert_refused(ask(at, signer, request=signed(at, signer, anna, **changes), scope=None), "invalid_request")


def test_only_the_client_s_own_key_and_algorithm_count_7_2(at: AuthServer, signer: RegisteredClient, anna: User):
    other = signing_client(at, jwks={"keys": [jwk("p256_other")]})

    def assert_not_taken(token: str) -> None:
        assert_refused(ask(at, signer, request=token, scope=None), "invalid_request")

    assert_not_taken(sign(claims(at, signer, anna), name="p256_other"))
    assert_not_taken(sign(claims(at, signer, anna), name="p256_other", kid="p256"))
    assert_not_taken(sign(claims(at, signer, anna), "PS256"))  # registered for ES256
    assert_not_taken(sign(claims(at, signer, anna), typ="at+jwt"))
    good = signed(at, signer, anna)
    head, body, signature = good.split(".")
    for algorithm in ("none", "NONE", "HS256"):
        header = signing.b64(json.dumps({"alg": algorithm}).encode())
        assert_not_taken(f"{header}.{body}.")
        assert_not_taken(f"{header}.{body}.{signature}")
    assert_not_taken(f"{head}.{body}.{signature[:-4]}AAAA")
    # What one client has signed is nothing in the hands of another.
    assert_refused(ask(at, other, request=good, scope=None), "invalid_request")
    assert begin(at, signer, anna, request=good, scope=None, login_hint=None)


def test_a_client_assertion_is_no_request(at: AuthServer, anna: User):
    client = signing_client(at, token_endpoint_auth_method="private_key_jwt")
    token = sign(claims(at, client, anna, sub=client.client_id))
    answer = ask(at, None, request=token, scope=None, **credentials(at, client))
    assert_refused(answer, "invalid_request")

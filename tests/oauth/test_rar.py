"""Rich Authorization Requests (RFC 9396): the authorization request; tokens are in ``test_rar_token.py``."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from authserver.oauth import rar
from authserver.records import User
from pytest_authserver import AuthServer, Page, RegisteredClient
from tests import devices
from tests.details import (
    BANK,
    FILES,
    JWT_BANK,
    METADATA,
    PAYMENT,
    READ_AND_WRITE,
    TYPES,
    changed,
    running,
    tokens_of,
    tree,
)
from tests.request_objects import signed, signing_client
from tests.world import assert_refused, assert_sent_back, code_of


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


def _ask(at: AuthServer, client: RegisteredClient, user: User, details: Any, **parameters: Any) -> Page:
    text = details if isinstance(details, str) else json.dumps(details)
    request = at.request(client, at.pkce(), **{"scope": None, "authorization_details": text, **parameters})
    return at.browser(user).visit_request(request)


# 2: the parameter.


def test_what_was_allowed_is_in_the_answer_and_in_what_the_resource_sees_2_7_9_2(
    at: AuthServer, client: RegisteredClient, alice: User
) -> None:
    tokens = tokens_of(at, client, alice, PAYMENT)
    assert tokens["authorization_details"] == [PAYMENT]
    told = at.introspect(client, tokens["access_token"])
    assert told["authorization_details"] == [PAYMENT]
    assert told["aud"] == BANK


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "{}",
        "[]",
        "null",
        '"payment"',
        '["payment"]',
        "[[]]",
        "[null]",
        json.dumps(PAYMENT),
        json.dumps([PAYMENT])[:-1],
        json.dumps([PAYMENT]) + "x",
        json.dumps([PAYMENT])[:-2] + ',"creditor":"Merchant B"}]',
        json.dumps([PAYMENT])[:-2] + ',"copies":NaN}]',
        json.dumps([PAYMENT])[:-2] + ',"copies":1e999}]',
        json.dumps([PAYMENT])[:-2] + ',"copies":9007199254740993}]',
        json.dumps([PAYMENT])[:-2] + ',"copies":' + "9" * 5000 + "}]",
        json.dumps([PAYMENT] * (rar.MAX_DETAILS + 1)),
        json.dumps([changed(PAYMENT, note="x" * rar.MAX_SIZE)]),
        "[" * 4000,
        '[{"a":' * 1000,
    ],
)
def test_what_is_no_list_of_objects_is_refused_2(
    at: AuthServer, client: RegisteredClient, alice: User, text: str
) -> None:
    answer = at.push(client, at.pkce(), authorization_details=text)
    if text == "":
        assert answer.status_code == 201  # RFC 6749 3.1: without a value it is omitted
    else:
        assert_refused(answer, "invalid_authorization_details")


def test_numbers_that_grow_when_written_anew_are_counted_as_written(at: AuthServer, client: RegisteredClient) -> None:
    many = "[" + ",".join(['{"type":"payment","copies":1e15}'] * 20) + "]"
    assert_refused(at.push(client, at.pkce(), authorization_details=many), "invalid_authorization_details")


def test_it_may_stand_only_once(at: AuthServer, client: RegisteredClient, alice: User) -> None:
    text = json.dumps([PAYMENT])
    request = at.request(client, at.pkce(), authorization_details=[text, text])
    assert_sent_back(at.browser(alice).visit_request(request), "invalid_request", client)


@pytest.mark.parametrize("depth", [rar.MAX_DEPTH, rar.MAX_DEPTH + 2])
def test_nesting_has_an_end(at: AuthServer, client: RegisteredClient, depth: int) -> None:
    detail = changed(READ_AND_WRITE, filter=tree(depth))
    answer = at.push(client, at.pkce(), authorization_details=json.dumps([detail]))
    if depth == rar.MAX_DEPTH:
        assert answer.status_code == 201, answer.text
    else:
        assert_refused(answer, "invalid_authorization_details")


# 2.2: the common members.


@pytest.mark.parametrize(
    "members",
    [
        {"locations": ["https://stranger.test/"]},
        {"locations": [FILES, "https://stranger.test/"]},
        {"locations": ["https://api.test/"]},  # the client may ask for it, but it does not know the type
        {"locations": []},
        {"locations": FILES},
        {"locations": [1]},
        {"actions": "read"},
        {"actions": [["read"]]},
        {"datatypes": {"a": 1}},
        {"privileges": [None]},
        {"identifier": 7},
    ],
)
def test_common_members_have_one_form_and_locations_are_resources_of_the_type_2_2(
    at: AuthServer, client: RegisteredClient, members: dict[str, Any]
) -> None:
    answer = at.push(client, at.pkce(), authorization_details=json.dumps([changed(READ_AND_WRITE, **members)]))
    assert_refused(answer, "invalid_authorization_details")


def test_a_location_is_a_resource_that_the_client_may_ask_for_2_2(at: AuthServer, alice: User) -> None:
    narrow = at.client(**METADATA, resources=[BANK])
    refused = _ask(at, narrow, alice, [READ_AND_WRITE])
    assert_sent_back(refused, "invalid_authorization_details", narrow)
    everywhere = {"type": "files", "actions": ["read"]}
    tokens = tokens_of(at, narrow, alice, everywhere)
    assert at.introspect(narrow, tokens["access_token"])["aud"] == BANK


# 3: with and without scope and resource.


def test_without_a_scope_no_scope_is_granted_3(at: AuthServer, client: RegisteredClient, alice: User) -> None:
    tokens = tokens_of(at, client, alice, PAYMENT)
    assert tokens["scope"] == ""
    assert "id_token" not in tokens
    nothing_but_details = at.client(**{**METADATA, "scope": ""})
    assert "code" in _ask(at, nothing_but_details, alice, [PAYMENT]).callback


def test_scope_and_details_are_granted_together_3_1(at: AuthServer, client: RegisteredClient, alice: User) -> None:
    tokens = tokens_of(at, client, alice, PAYMENT, scope="openid bank:read")
    assert tokens["scope"] == "openid bank:read"
    assert tokens["authorization_details"] == [PAYMENT]
    assert "authorization_details" not in tokens["id_token"]


def test_the_resource_parameter_takes_nothing_away_from_them_3_2(
    at: AuthServer, client: RegisteredClient, alice: User
) -> None:
    allowed = at.allow(
        client,
        alice,
        scope="api:read",
        resource="https://api.test/",
        authorization_details=json.dumps([PAYMENT]),
    )
    tokens = at.redeem(client, allowed, resource="https://api.test/").json()
    assert "authorization_details" not in tokens
    assert "authorization_details" not in at.introspect(client, tokens["access_token"])
    again = at.refresh(client, tokens["refresh_token"], resource=BANK).json()
    assert again["authorization_details"] == [PAYMENT]
    assert again["scope"] == ""


def test_they_come_by_every_way_of_asking_3(at: AuthServer, alice: User) -> None:
    client = signing_client(at, **METADATA)
    pushed = at.push(client, at.pkce(), scope=None, authorization_details=json.dumps([PAYMENT])).json()
    request = {"client_id": client.client_id, "request_uri": pushed["request_uri"]}
    # What stands beside the reference is the browser's word, and counts for nothing.
    dearer = json.dumps([changed(PAYMENT, amount={"value": "999.00", "currency": "EUR"})])
    page = at.browser(alice).visit_request({**request, "authorization_details": dearer})
    assert _granted(at, code_of(page), alice) == [PAYMENT]
    token = signed(at, client, scope=None, authorization_details=[PAYMENT])
    page = at.browser(alice).visit_request({"client_id": client.client_id, "request": token})
    assert _granted(at, code_of(page), alice) == [PAYMENT]


def _granted(at: AuthServer, code: str, user: User) -> Any:
    """Return what the newest grant of the user holds."""
    assert code
    kept = at.store.grants.of_user(user.sub)[0].authorization_details
    return json.loads(kept or "null")


# 4: consent.


def test_a_person_is_asked_each_time_and_reads_it_in_words_4(at: AuthServer, alice: User) -> None:
    client = at.client(**{**METADATA, "trusted": False})
    page = _ask(at, client, alice, [PAYMENT, READ_AND_WRITE])
    for words in (
        "At <bdi>First Bank</bdi>",
        "Pay <strong><bdi>123.50</bdi></strong> <strong><bdi>EUR</bdi></strong> to <strong><bdi>Merchant A",
        "<dt><bdi>Creditor iban</bdi></dt><dd><bdi>DE02100100109307118603",
        "Work on files: <strong><bdi>read, write",
    ):
        assert words in page.text, words
    assert "Use this service in your name" not in page.text
    browser = at.browser(alice)
    for _ in range(2):
        request = at.request(client, at.pkce(), scope=None, authorization_details=json.dumps([PAYMENT]))
        page = browser.visit_request(request)
        assert "consent-allow" in page.text
        assert "code" in browser.allow(page).callback
    quiet = browser.visit_request({**request, "prompt": "none"})
    assert_sent_back(quiet, "consent_required", client)


def test_one_payment_allowed_is_not_the_bank_allowed_4(at: AuthServer, alice: User) -> None:
    client = at.client(**{**METADATA, "trusted": False})
    browser = at.browser(alice)
    details = json.dumps([changed(PAYMENT, type="signed_payment")])
    browser.allow(browser.visit_request(at.request(client, at.pkce(), scope=None, authorization_details=details)))
    page = browser.visit_request(at.request(client, at.pkce(), resource=JWT_BANK, prompt="none"))
    assert_sent_back(page, "consent_required", client)


def test_what_the_client_writes_is_text_4_12(at: AuthServer, alice: User) -> None:
    client = at.client(**{**METADATA, "trusted": False})
    page = _ask(
        at, client, alice, [changed(PAYMENT, creditor="<b>{amount.value}</b>", note="<script>alert(1)</script>")]
    )
    assert "<strong><bdi>&lt;b&gt;{amount.value}&lt;/b&gt;</bdi></strong>" in page.text
    assert "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>" in page.text


def test_a_member_named_like_the_way_to_a_shown_one_is_shown_as_well_4(at: AuthServer, alice: User) -> None:
    client = at.client(**{**METADATA, "trusted": False})
    detail = {"type": "tagged_payment", "amount": PAYMENT["amount"], "amount.value": "999999.00"}
    page = _ask(at, client, alice, [detail])
    assert "Pay <strong><bdi>123.50</bdi></strong>" in page.text
    assert "<dd><bdi>999999.00</bdi></dd>" in page.text


@pytest.mark.parametrize(
    "creditor", ["A\nB", "A\u202eB", "A\u200bB", "A\0B", "A\x1bB", "\ud800", "\u3164", "A\u034fB", "\u2800"]
)
def test_nothing_that_a_person_cannot_see_is_taken_12(at: AuthServer, client: RegisteredClient, creditor: str) -> None:
    answer = at.push(client, at.pkce(), authorization_details=json.dumps([changed(PAYMENT, creditor=creditor)]))
    assert_refused(answer, "invalid_authorization_details")


# 5: what is refused.


@pytest.mark.parametrize(
    "detail",
    [
        {**PAYMENT, "type": "nuclear_launch"},
        {**PAYMENT, "type": "Payment"},
        {**PAYMENT, "type": ""},
        {**PAYMENT, "type": None},
        {**PAYMENT, "type": ["payment"]},
        {**PAYMENT, "type": {"a": 1}},
        {name: value for name, value in PAYMENT.items() if name != "type"},
        {**PAYMENT, "unknown": 1},
        {**PAYMENT, "actions": ["read"]},  # a common member that this type has not
        {**PAYMENT, "amount": {"value": "1.00", "currency": "EUR", "tip": "5.00"}},
        {**PAYMENT, "amount": {"value": 123.5, "currency": "EUR"}},
        {**PAYMENT, "amount": {"value": "123.5", "currency": "EUR"}},
        {**PAYMENT, "amount": {"value": "1.00", "currency": "XXX"}},
        {**PAYMENT, "creditor": ""},
        {**PAYMENT, "urgent": 1},
        {name: value for name, value in PAYMENT.items() if name != "amount"},
    ],
)
def test_an_object_that_does_not_conform_to_its_type_is_refused_5(
    at: AuthServer, client: RegisteredClient, alice: User, detail: dict[str, Any]
) -> None:
    assert_sent_back(_ask(at, client, alice, [PAYMENT, detail]), "invalid_authorization_details", client)


def test_a_type_that_the_client_is_not_registered_for_is_refused_5_10(at: AuthServer, alice: User) -> None:
    for registered in (None, ["files"]):
        client = at.client(**{**METADATA, "authorization_details_types": registered})
        assert_sent_back(_ask(at, client, alice, [PAYMENT]), "invalid_authorization_details", client)


def test_a_server_without_types_knows_none_5(authserver: AuthServer) -> None:
    client = authserver.client(authorization_details_types=["payment"])
    answer = authserver.push(client, authserver.pkce(), authorization_details=json.dumps([PAYMENT]))
    assert_refused(answer, "invalid_authorization_details")


def test_a_device_asks_for_them_too_2(at: AuthServer, alice: User) -> None:
    screen = devices.device_client(at, authorization_details_types=["payment"])
    asked = {"scope": None, "authorization_details": json.dumps([PAYMENT])}
    codes = devices.begin(at, screen, **asked)
    assert "to <strong><bdi>Merchant A" in devices.enter(at.browser(alice), codes["user_code"]).text
    devices.decide(at, alice, codes)
    tokens = devices.poll(at, screen, codes).json()
    assert tokens["authorization_details"] == [PAYMENT]
    assert tokens["scope"] == ""
    asked["authorization_details"] = json.dumps([READ_AND_WRITE])
    assert_refused(devices.request(at, screen, **asked), "invalid_authorization_details")


# 10: metadata.


def test_metadata_names_the_types_10(at: AuthServer, authserver: AuthServer) -> None:
    for document in ("openid-configuration", "oauth-authorization-server"):
        told = at.get(f"/.well-known/{document}").json()
        assert told["authorization_details_types_supported"] == sorted(TYPES)
        assert "authorization_details_types_supported" not in authserver.get(f"/.well-known/{document}").json()


# Switched off.


def test_switched_off_the_parameter_means_nothing(
    at: AuthServer, client: RegisteredClient, alice: User, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tokens = tokens_of(at, client, alice, PAYMENT, scope="openid bank:read")
    folder = tmp_path_factory.mktemp("off")
    off = AuthServer(
        folder,
        database_url=at.settings.database_url,
        authorization_details_types=TYPES,
        features={"rar": False},
    )
    try:
        assert "authorization_details_types_supported" not in off.get("/.well-known/openid-configuration").json()
        assert off.push(client, off.pkce(), authorization_details="[").status_code == 201
        answer = off.tokens(client, alice, authorization_details=json.dumps([PAYMENT]))
        assert "authorization_details" not in answer
        again = off.refresh(client, tokens["refresh_token"]).json()
        assert "authorization_details" not in again
        assert "authorization_details" not in off.introspect(client, again["access_token"])
    finally:
        off.close()

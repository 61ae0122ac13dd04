"""Client-Initiated Backchannel Authentication (CIBA): tokens, notifications, fresh sign-ins, limits.

Requests and polling have files beside this one; the pages: ``tests/web/test_requests.py``; a story over real HTTP, and
races of processes: ``tests/flows/test_ciba.py``; what FAPI demands: ``tests/flows/fapi2/test_backchannel.py``.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from authserver.courier import Message
from authserver.identity import accounts
from authserver.manage import users
from authserver.records import User
from authserver.settings import SettingsError, load_settings
from pytest_authserver import AuthServer, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.authenticator import enrol
from tests.backchannel import (
    GRANT_TYPE,
    PLENTY,
    anna,
    ask,
    asking_client,
    at,
    begin,
    decide,
    make,
    opened,
    poll,
    till,
    tokens,
)
from tests.details import BANK, PAYMENT, TYPES
from tests.flows.racing import race
from tests.proofs import OTHER, PROVER, proven
from tests.signing import claims_of
from tests.world import API, JWT_API, assert_refused, is_alive

__all__ = ["anna", "at", "till"]

TOKEN = "8d67dc78-7faa-4d41-aabd-67707b374255"
PLACE = "https://till.test/told"
PING = {"backchannel_token_delivery_mode": "ping", "backchannel_client_notification_endpoint": PLACE}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[AuthServer]:
    """A server on which the test may count."""
    server = make(tmp_path)
    yield server
    server.close()


# 7.3: the answer.


def test_a_client_gets_a_code_to_poll_with_7_3(at: AuthServer, till: RegisteredClient, anna: User):
    answer = ask(at, till, anna)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    codes = answer.json()
    assert codes.keys() == {"auth_req_id", "expires_in", "interval"}
    assert re.fullmatch(r"[A-Za-z0-9._-]{27,}", codes["auth_req_id"])
    assert (codes["expires_in"], codes["interval"]) == (600, 5)


def test_neither_the_code_nor_the_token_of_a_notification_is_stored_as_it_is(own: AuthServer, tmp_path: Path):
    codes = begin(own, asking_client(own, **PING), own.user(), client_notification_token=TOKEN)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("authserver.db*"))
    assert b"ciba.open" in stored
    assert [text for text in (codes["auth_req_id"], TOKEN) if text.encode() in stored] == []


# 10.1: what an allowed client gets.


def test_an_allowed_client_gets_tokens_10_1(at: AuthServer, till: RegisteredClient, anna: User):
    codes = begin(at, till, anna, scope="openid profile api:read")
    assert_refused(poll(at, till, codes), "authorization_pending")
    assert 'id="request-allowed"' in decide(at, anna).text
    answer = poll(at, till, codes)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    issued = answer.json()
    assert issued.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"}
    assert issued["scope"] == "openid profile api:read"
    assert at.get("/userinfo", issued["access_token"]).json()["sub"] == anna.sub
    claims = claims_of(issued["id_token"])
    assert (claims["iss"], claims["sub"], claims["aud"]) == (at.issuer, anna.sub, till.client_id)
    assert (claims["acr"], claims["amr"]) == ("urn:authserver:pwd", ["pwd"])
    # 10.3.1: these two are of the mode push alone.
    assert {"urn:openid:params:jwt:claim:auth_req_id", "urn:openid:params:jwt:claim:rt_hash", "nonce"}.isdisjoint(
        claims
    )


def test_auth_time_is_when_the_user_signed_in_not_when_they_allowed(at: AuthServer, till: RegisteredClient, anna: User):
    with at.later(-300):
        browser = at.browser(anna)
    codes = begin(at, till, anna)
    decide(at, browser)
    claims = claims_of(poll(at, till, codes).json()["id_token"])
    assert claims["iat"] >= claims["auth_time"] + 299


def test_the_refresh_token_works_for_its_client_alone(at: AuthServer, till: RegisteredClient, anna: User):
    issued = tokens(at, till, anna, scope="openid api:read")
    assert_refused(at.refresh(asking_client(at), issued["refresh_token"]), "invalid_grant")
    answer = at.refresh(till, issued["refresh_token"])
    assert answer.status_code == 200
    assert claims_of(answer.json()["id_token"])["sub"] == anna.sub


def test_only_a_client_registered_for_it_gets_a_refresh_token(at: AuthServer, anna: User):
    client = asking_client(at, grant_types=[GRANT_TYPE])
    assert "refresh_token" not in tokens(at, client, anna)


def test_the_token_is_for_the_resource_that_was_asked_for(at: AuthServer, till: RegisteredClient, anna: User):
    issued = tokens(at, till, anna, scope="openid api:read jwt:read", resource=[API])
    assert (issued["scope"], at.introspect(till, issued["access_token"])["aud"]) == ("openid api:read", API)
    signed = tokens(at, till, anna, scope="openid jwt:read", resource=JWT_API)
    assert claims_of(signed["access_token"])["aud"] == JWT_API


def test_authorization_details_are_shown_granted_and_issued(tmp_path: Path):
    server = make(tmp_path, authorization_details_types=TYPES)
    server.resource(BANK, "bank:read", name="First Bank")
    user, client = server.user(), asking_client(server, authorization_details_types=["payment"])
    details = {"authorization_details": json.dumps([PAYMENT])}
    codes = begin(server, client, user, **details)
    browser = server.browser(user)
    page = opened(browser)
    assert "First Bank" in page.text
    for words in ("123.50", "EUR", "Merchant A", "DE02100100109307118603"):
        assert f"<bdi>{words}</bdi>" in page.text
    browser.submit(page, "request-allow")
    assert poll(server, client, codes, resource=BANK).json()["authorization_details"] == [PAYMENT]
    other = asking_client(server)
    assert_refused(ask(server, other, user, **details), "invalid_authorization_details")
    server.close()


def test_offline_access_outlives_the_session_and_nothing_else_does(at: AuthServer, till: RegisteredClient, anna: User):
    browser = at.browser(anna)
    issued = []
    for scope in ("openid offline_access", "openid"):
        codes = begin(at, till, anna, scope=scope)
        decide(at, browser)
        issued.append(poll(at, till, codes).json())
    kept, gone = issued
    browser.submit(browser.visit("/logout"), "logout-confirm")
    assert is_alive(at, till, kept["access_token"])
    assert not is_alive(at, till, gone["access_token"])


def test_what_was_allowed_is_in_the_account_and_can_be_taken_back(at: AuthServer, till: RegisteredClient, anna: User):
    issued = tokens(at, till, anna, scope="openid offline_access")
    assert "Corner shop" in at.browser(anna).visit("/account/apps").text
    assert accounts.withdraw(at.server, anna.sub, till.client_id)
    assert not is_alive(at, till, issued["access_token"])


def test_the_tokens_are_bound_to_the_key_that_is_proven_with_the_poll_that_gets_them(
    at: AuthServer, till: RegisteredClient, anna: User
):
    codes = begin(at, till, anna, scope="openid api:read")
    assert_refused(poll(at, till, codes, headers=proven(at, OTHER)), "authorization_pending")
    decide(at, anna)
    issued = poll(at, till, codes, headers=proven(at)).json()
    assert issued["token_type"] == "DPoP"
    assert at.introspect(till, issued["access_token"])["cnf"] == {"jkt": PROVER.jkt}


# 10.2: the notification.


@pytest.fixture
def sent(at: AuthServer, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """What would be sent."""
    messages: list[Message] = []
    monkeypatch.setattr(at.server.courier, "send", lambda message: messages.append(message) or True)
    return messages


@pytest.mark.parametrize(("button", "told"), [("request-allow", 200), ("request-deny", 400)])
def test_a_client_that_waits_to_be_told_is_told_once_10_2(
    at: AuthServer, anna: User, sent: list[Message], button: str, told: int
):
    client = asking_client(at, **PING)
    codes = begin(at, client, anna, client_notification_token=TOKEN)
    # 10.1: a client in this mode may poll all the same.
    assert_refused(poll(at, client, codes), "authorization_pending")
    assert sent == []
    browser = at.browser(anna)
    page = opened(browser)
    for _ in range(2):
        browser.submit(page, button)
    (message,) = sent
    assert (message.owner, message.url) == (client.client_id, PLACE)
    assert dict(message.headers) == {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    assert message.body == b'{"auth_req_id":"%s"}' % codes["auth_req_id"].encode()
    assert poll(at, client, codes).status_code == told


def test_a_client_that_polls_is_not_told(at: AuthServer, till: RegisteredClient, anna: User, sent: list[Message]):
    tokens(at, till, anna, client_notification_token=TOKEN)
    assert sent == []


# 7.1: acr_values; and how fresh the sign-in has to be.


def test_to_allow_takes_a_sign_in_of_the_last_minutes(at: AuthServer, till: RegisteredClient, anna: User):
    with at.later(-1000):
        browser = at.browser(anna)
    codes = begin(at, till, anna)
    page = opened(browser)
    assert 'id="request-sign-in"' in page.text
    assert 'id="request-allow"' not in page.text
    # Whoever keeps the old page, or makes one, is sent to sign in, too.
    form = page.form("request-deny")
    answer = browser.http.post(form.action, data={**form.fields, "decision": "allow"})
    assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/login")
    assert_refused(poll(at, till, codes), "authorization_pending")
    page = browser.log_in(browser.visit(answer.headers["location"]), anna.username, PASSWORD)
    assert 'id="request-allowed"' in browser.submit(page, "request-allow").text
    claims = claims_of(poll(at, till, codes).json()["id_token"])
    assert claims["iat"] - claims["auth_time"] < 60


def test_to_deny_takes_no_other_sign_in(at: AuthServer, till: RegisteredClient, anna: User):
    with at.later(-1000):
        browser = at.browser(anna)
    codes = begin(at, till, anna)
    decide(at, browser, "request-deny")
    assert_refused(poll(at, till, codes), "access_denied")


def test_a_second_factor_that_is_wished_for_is_asked_of_who_has_one(at: AuthServer, till: RegisteredClient, anna: User):
    browser = at.browser(anna)
    mfa = {"acr_values": "urn:authserver:mfa"}
    without = claims_of(tokens(at, till, anna, **mfa)["id_token"])
    assert without["acr"] == "urn:authserver:pwd"
    app = enrol(at, browser)
    weak = at.browser(anna)
    codes = begin(at, till, anna, **mfa)
    page = opened(weak)
    assert 'id="request-allow"' not in page.text
    page = weak.visit(page.text.partition('id="request-sign-in" href="')[2].partition('"')[0].replace("&amp;", "&"))
    page = weak.submit(weak.log_in(page, anna.username, PASSWORD), "second-factor-submit", code=app.code())
    assert 'id="request-allowed"' in weak.submit(page, "request-allow").text
    claims = claims_of(poll(at, till, codes).json()["id_token"])
    assert (claims["acr"], claims["amr"]) == ("urn:authserver:mfa", ["pwd", "otp", "mfa"])


# Limits: a user is not flooded.


def test_too_many_requests_of_a_client_are_put_off(tmp_path: Path):
    server = make(tmp_path, limits={**PLENTY, "ciba_requests": 2})
    first, second = asking_client(server), asking_client(server)
    people = [server.user(f"user-{number}") for number in range(3)]
    for user in people[:2]:
        begin(server, first, user)
    answer = ask(server, first, people[2])
    assert_refused(answer, "invalid_request", 429)
    assert int(answer.headers["retry-after"]) > 0
    assert begin(server, second, people[2])
    server.close()


def test_a_user_is_asked_so_often_an_hour_by_a_client(tmp_path: Path):
    server = make(tmp_path, limits={**PLENTY, "ciba_requests_per_user": 2})
    client, user, other = asking_client(server), server.user(), server.user("bob")
    for _ in range(2):
        begin(server, client, user)
        decide(server, user, "request-deny")
    assert_refused(ask(server, client, user), "invalid_request", 429)
    assert begin(server, client, other)
    assert begin(server, asking_client(server), user)
    server.close()


def test_few_requests_of_a_client_wait_for_a_user_at_a_time(tmp_path: Path):
    server = make(tmp_path, limits={**PLENTY, "ciba_open_per_user": 2})
    client, user = asking_client(server), server.user()
    answers = race([lambda: ask(server, client, user, requested_expiry="60")] * 6)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429, 429, 429]
    late = next(answer for answer in answers if answer.status_code == 429)
    assert 0 < int(late.headers["retry-after"]) <= 60
    assert begin(server, asking_client(server), user)
    with server.later(60):
        assert begin(server, client, user)
    server.close()


def test_a_request_that_was_answered_makes_place(tmp_path: Path):
    server = make(tmp_path, limits={**PLENTY, "ciba_open_per_user": 1})
    client, user = asking_client(server), server.user()
    for button in ("request-allow", "request-deny", "request-allow"):
        begin(server, client, user)
        assert_refused(ask(server, client, user), "invalid_request", 429)
        decide(server, user, button)
    server.close()


def test_all_clients_together_leave_twenty_requests_with_a_user(own: AuthServer):
    user = own.user()
    askers = [asking_client(own) for _ in range(5)]
    for number in range(20):
        begin(own, askers[number % 5], user)
    assert_refused(ask(own, askers[0], user), "invalid_request", 429)


# Switching off, and the approval for test suites.


def test_it_is_off_unless_switched_on(tmp_path: Path):
    server = AuthServer(tmp_path)
    client, user = asking_client(server), server.user()
    assert ask(server, client, user).status_code == 404
    assert_refused(poll(server, client, {"auth_req_id": "x"}), "unsupported_grant_type")
    document = server.get("/.well-known/openid-configuration").json()
    assert not any(name.startswith("backchannel_") and "logout" not in name for name in document)
    browser = server.browser(user)
    for path in ("/account/requests", "/account/requests/x"):
        assert browser.visit(path).status == 404
    assert "Requests" not in browser.visit("/account").text
    server.close()


def test_test_suites_can_decide_where_that_is_switched_on(tmp_path: Path):
    server = make(tmp_path, ciba={"test_approval": True})
    client, user = asking_client(server), server.user()
    for action, status in (("allow", 200), ("deny", 400)):
        codes = begin(server, client, user)
        query = {"auth_req_id": codes["auth_req_id"], "action": action}
        with server.http() as http:
            assert http.get("/test/ciba-approval", params=query).status_code == 405
            assert http.post("/test/ciba-approval", params={**query, "action": "x"}).status_code == 400
            assert http.post("/test/ciba-approval", params={"action": action}).status_code == 400
            assert http.post("/test/ciba-approval", params=query).status_code == 204
            assert http.post("/test/ciba-approval", params=query).status_code == 409
        assert poll(server, client, codes).status_code == status
    query = {"auth_req_id": begin(server, client, user)["auth_req_id"], "action": "allow"}
    users.set_disabled(server.store, user, disabled=True, actor="test")
    with server.http() as http:
        assert http.post("/test/ciba-approval", params=query).status_code == 409
    server.close()


def test_nobody_can_decide_so_in_production(at: AuthServer, till: RegisteredClient, anna: User):
    query = {"auth_req_id": begin(at, till, anna)["auth_req_id"], "action": "allow"}
    with at.http() as http:
        assert http.post("/test/ciba-approval", params=query).status_code == 404
    for settings in ({"issuer": "https://login.test"}, {"issuer": "https://localhost:9000"}):
        with pytest.raises(SettingsError, match="CIBA__TEST_APPROVAL"):
            load_settings(secret_key="x" * 32, ciba={"test_approval": True}, **settings)
    with pytest.raises(SettingsError, match="development"):
        load_settings(secret_key="x" * 32, ciba={"test_approval": True}, issuer="https://login.test", development=True)


def test_the_decision_is_in_the_audit_trail(own: AuthServer):
    user, client = own.user(), asking_client(own)
    for button in ("request-allow", "request-deny"):
        begin(own, client, user)
        decide(own, user, button)
    for name in ("ciba.allowed", "ciba.denied"):
        (line,) = own.store.audit.list(0, 10, name=name)
        assert (line.event.sub, line.event.client_id) == (user.sub, client.client_id)

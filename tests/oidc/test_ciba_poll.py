"""Polling with an auth_req_id (CIBA 10.1.1, 11), and what may happen before the client has fetched its tokens."""

from typing import Any

import pytest

from authserver.identity import accounts
from authserver.manage import clients, users
from authserver.records import Event, User
from pytest_authserver import AuthServer, RegisteredClient
from tests.backchannel import GRANT_TYPE, anna, asking_client, at, begin, decide, opened, poll, till
from tests.flows.racing import race
from tests.world import JWT_API, assert_refused, is_alive

__all__ = ["anna", "at", "till"]

# 11: polling.


def test_who_does_not_wait_is_told_to_and_waits_longer_from_then_on_11(
    at: AuthServer, till: RegisteredClient, anna: User
):
    codes = begin(at, till, anna)

    def said(seconds: float) -> str:
        with at.later(seconds):
            error: str = poll(at, till, codes).json()["error"]
            return error

    assert [said(seconds) for seconds in (0, 5, 7)] == ["authorization_pending", "authorization_pending", "slow_down"]
    assert [said(seconds) for seconds in (17, 24)] == ["authorization_pending", "slow_down"]


def test_a_denied_client_is_told_so_every_time_11(at: AuthServer, till: RegisteredClient, anna: User):
    codes = begin(at, till, anna)
    assert 'id="request-denied"' in decide(at, anna, "request-deny").text
    for _ in range(2):
        assert_refused(poll(at, till, codes), "access_denied")


@pytest.mark.parametrize("button", [None, "request-allow", "request-deny"])
def test_codes_expire_as_wished_whatever_was_decided_11(
    at: AuthServer, till: RegisteredClient, anna: User, button: str | None
):
    codes = begin(at, till, anna, requested_expiry="10")
    if button:
        decide(at, anna, button)
    with at.later(10):
        assert_refused(poll(at, till, codes), "expired_token")
        assert "Nothing waits" in at.browser(anna).visit("/account/requests").text
    with at.later(10 + 3600):
        assert_refused(poll(at, till, codes), "invalid_grant")


def test_to_another_client_the_code_is_unknown_11(at: AuthServer, till: RegisteredClient, anna: User):
    codes = begin(at, till, anna)
    other = asking_client(at)
    for _ in range(3):
        assert_refused(poll(at, other, codes), "invalid_grant")
    # And its polls do not slow down the client whose it is.
    assert_refused(poll(at, till, codes), "authorization_pending")
    decide(at, anna)
    assert_refused(poll(at, other, codes), "invalid_grant")
    unproven = {"grant_type": GRANT_TYPE, "auth_req_id": codes["auth_req_id"], "client_id": till.client_id}
    assert_refused(at.post("/token", **unproven), "invalid_client", 401)
    assert poll(at, till, codes).status_code == 200


def test_anything_but_a_code_of_ours_is_refused_11(at: AuthServer, till: RegisteredClient, anna: User):
    assert_refused(poll(at, till, {"auth_req_id": None}), "invalid_request")
    text = begin(at, till, anna)["auth_req_id"]
    assert_refused(poll(at, till, {"auth_req_id": [text, text]}), "invalid_request")
    flipped = text[:-1] + ("A" if text[-1] != "A" else "B")
    for other in ("x", text[:-1], flipped, text.upper(), "\N{SNOWMAN}", "a" * 5000):
        assert_refused(poll(at, till, {"auth_req_id": other}), "invalid_grant")
    assert_refused(at.token(till, grant_type=GRANT_TYPE, device_code=text), "invalid_request")
    assert_refused(poll(at, at.client(), {"auth_req_id": text}), "unauthorized_client")


def test_the_code_works_once_and_a_second_time_revokes_what_it_gave(at: AuthServer, till: RegisteredClient, anna: User):
    codes = begin(at, till, anna, scope="openid offline_access")
    decide(at, anna)
    issued = poll(at, till, codes).json()
    assert is_alive(at, till, issued["access_token"])
    assert_refused(poll(at, till, codes), "invalid_grant")
    assert not is_alive(at, till, issued["access_token"])
    assert_refused(at.refresh(till, issued["refresh_token"]), "invalid_grant")


def test_a_poll_that_is_refused_takes_nothing(at: AuthServer, till: RegisteredClient, anna: User):
    codes = begin(at, till, anna, scope="openid api:read")
    decide(at, anna)
    assert_refused(poll(at, till, codes, resource=JWT_API), "invalid_target")
    assert poll(at, till, codes).status_code == 200


def test_of_many_polls_at_once_one_gets_tokens(at: AuthServer, till: RegisteredClient, anna: User):
    for _ in range(5):
        codes = begin(at, till, anna)
        decide(at, anna)
        answers = race([lambda codes=codes: poll(at, till, codes)] * 8)  # type: ignore[misc] # bound now
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


# Between the user's decision and the poll.


def _switched_off(at: AuthServer, client: RegisteredClient, user: User) -> None:
    users.set_disabled(at.store, user, disabled=True, actor="test")


def _signed_out(at: AuthServer, client: RegisteredClient, user: User) -> None:
    at.store.sessions.end_all(user.sub, "administrator", Event("session.ended", "test"))


def _withdrawn(at: AuthServer, client: RegisteredClient, user: User) -> None:
    accounts.withdraw(at.server, user.sub, client.client_id)


@pytest.mark.parametrize("happens", [_switched_off, _signed_out, _withdrawn])
def test_what_ends_before_the_client_fetches_its_tokens_is_over(
    at: AuthServer, till: RegisteredClient, anna: User, happens: Any
):
    codes = begin(at, till, anna)
    decide(at, anna)
    happens(at, till, anna)
    assert_refused(poll(at, till, codes), "invalid_grant")


def test_a_user_who_is_switched_off_before_the_decision_cannot_take_it(
    at: AuthServer, till: RegisteredClient, anna: User
):
    codes, browser = begin(at, till, anna), at.browser(anna)
    page = opened(browser)
    users.set_disabled(at.store, anna, disabled=True, actor="test")
    assert "login-submit" in browser.submit(page, "request-allow").text
    assert_refused(poll(at, till, codes), "authorization_pending")


def test_a_client_that_is_switched_off_gets_nothing(at: AuthServer, anna: User):
    client = asking_client(at)
    allowed = begin(at, client, anna)
    decide(at, anna)
    begin(at, client, anna)
    clients.set_disabled(at.store, client.client_id, disabled=True, actor="test")
    with at.later(1):
        assert_refused(poll(at, client, allowed), "invalid_client", 401)
        assert "Nothing waits" in at.browser(anna).visit("/account/requests").text

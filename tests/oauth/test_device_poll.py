"""Polling with a device code (RFC 8628 3.4, 3.5), and what may happen before the device has fetched its tokens."""

from typing import Any

import pytest

from authserver.identity import accounts
from authserver.manage import clients, users
from authserver.records import Event, User
from pytest_authserver import AuthServer, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.devices import GRANT_TYPE, begin, decide, device_client, enter, poll
from tests.flows.racing import race
from tests.proofs import OTHER, PROVER, proven
from tests.world import JWT_API, assert_refused, is_alive

# 3.4, 3.5: polling.


def test_who_does_not_wait_is_told_to_and_waits_longer_from_then_on_3_5(
    authserver: AuthServer, screen: RegisteredClient
):
    codes = begin(authserver, screen)

    def said(at: float) -> str:
        with authserver.later(at):
            error: str = poll(authserver, screen, codes).json()["error"]
            return error

    assert [said(at) for at in (0, 5, 7)] == ["authorization_pending", "authorization_pending", "slow_down"]
    # The interval is 10 seconds now, for this and all later polls, and 15 after the next mistake.
    assert [said(at) for at in (17, 27, 34)] == ["authorization_pending", "authorization_pending", "slow_down"]
    assert [said(at) for at in (49, 64, 70)] == ["authorization_pending", "authorization_pending", "slow_down"]


def test_waiting_counts_only_until_the_person_has_decided(authserver: AuthServer, screen: RegisteredClient, bob: User):
    codes = begin(authserver, screen)
    for error in ("authorization_pending", "slow_down"):
        assert_refused(poll(authserver, screen, codes), error)
    decide(authserver, bob, codes)
    assert poll(authserver, screen, codes).status_code == 200


def test_a_denied_device_is_told_so_every_time_3_5(authserver: AuthServer, screen: RegisteredClient, alice: User):
    codes = begin(authserver, screen)
    assert 'id="device-denied"' in decide(authserver, alice, codes, "device-deny").text
    for _ in range(2):
        assert_refused(poll(authserver, screen, codes), "access_denied")


@pytest.mark.parametrize("button", [None, "device-allow", "device-deny"])
def test_codes_expire_whatever_was_decided_3_5(
    authserver: AuthServer, screen: RegisteredClient, alice: User, button: str | None
):
    codes = begin(authserver, screen)
    if button:
        decide(authserver, alice, codes, button)
    with authserver.later(600):
        assert_refused(poll(authserver, screen, codes), "expired_token")
        assert "device-allow" not in enter(authserver.browser(alice), codes["user_code"]).text
    with authserver.later(600 + 3600):
        assert_refused(poll(authserver, screen, codes), "invalid_grant")


def test_to_another_client_the_code_is_unknown_3_4(
    authserver: AuthServer, screen: RegisteredClient, box: RegisteredClient, alice: User
):
    codes = begin(authserver, box)
    decide(authserver, alice, codes)
    assert_refused(poll(authserver, screen, codes), "invalid_grant")
    wrong = RegisteredClient(box.client_id, "x" * 43, "", {})
    assert_refused(poll(authserver, wrong, codes), "invalid_client", 401)
    unproven = {"grant_type": GRANT_TYPE, "device_code": codes["device_code"], "client_id": box.client_id}
    assert_refused(authserver.post("/token", **unproven), "invalid_client", 401)
    # All of that changed nothing.
    assert poll(authserver, box, codes).status_code == 200


def test_polls_of_another_client_do_not_slow_the_device_down(
    authserver: AuthServer, screen: RegisteredClient, box: RegisteredClient
):
    codes = begin(authserver, box)
    for _ in range(3):
        assert_refused(poll(authserver, screen, codes), "invalid_grant")
    assert_refused(poll(authserver, box, codes), "authorization_pending")


def test_a_missing_code_is_an_invalid_request_3_4(authserver: AuthServer, screen: RegisteredClient):
    assert_refused(poll(authserver, screen, {"device_code": None}), "invalid_request")
    codes = begin(authserver, screen)
    twice = {"grant_type": GRANT_TYPE, "device_code": [codes["device_code"]] * 2, "client_id": screen.client_id}
    assert_refused(authserver.post("/token", **twice), "invalid_request")


def test_anything_but_a_device_code_of_ours_is_an_invalid_grant(
    authserver: AuthServer, box: RegisteredClient, alice: User
):
    codes = begin(authserver, box)
    code = authserver.allow(box, alice).code
    text = codes["device_code"]
    flipped = text[:-1] + ("A" if text[-1] != "A" else "B")
    for other in ("x", text[:-1], flipped, text.upper(), codes["user_code"], code, "\N{SNOWMAN}", "a" * 5000):
        assert_refused(poll(authserver, box, {"device_code": other}), "invalid_grant")
    with_code = {"grant_type": "authorization_code", "code": text, "redirect_uri": box.redirect_uri}
    assert_refused(authserver.token(box, **with_code), "invalid_grant")


def test_the_code_works_once_and_a_second_time_revokes_what_it_gave(
    authserver: AuthServer, box: RegisteredClient, alice: User
):
    codes = begin(authserver, box, scope="openid offline_access")
    decide(authserver, alice, codes)
    issued = poll(authserver, box, codes).json()
    assert is_alive(authserver, box, issued["access_token"])
    assert_refused(poll(authserver, box, codes), "invalid_grant")
    assert not is_alive(authserver, box, issued["access_token"])
    assert_refused(authserver.refresh(box, issued["refresh_token"]), "invalid_grant")


def test_a_request_that_is_refused_takes_nothing(authserver: AuthServer, box: RegisteredClient, alice: User):
    codes = begin(authserver, box, scope="api:read")
    decide(authserver, alice, codes)
    assert_refused(poll(authserver, box, codes, resource=JWT_API), "invalid_target")
    assert poll(authserver, box, codes).status_code == 200


def test_of_many_polls_at_once_one_gets_tokens(authserver: AuthServer, box: RegisteredClient, alice: User):
    for _ in range(5):
        codes = begin(authserver, box)
        decide(authserver, alice, codes)
        answers = race([lambda codes=codes: poll(authserver, box, codes)] * 8)  # type: ignore[misc] # bound now
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
        assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}


def test_of_many_polls_at_once_one_was_in_time_and_every_other_one_makes_the_wait_longer(
    authserver: AuthServer, box: RegisteredClient
):
    codes = begin(authserver, box)
    answers = race([lambda: poll(authserver, box, codes)] * 5)
    assert sorted(answer.json()["error"] for answer in answers) == ["authorization_pending"] + ["slow_down"] * 4
    with authserver.later(20):
        assert_refused(poll(authserver, box, codes), "slow_down")


# Between the person's decision and the poll.


def _switched_off(authserver: AuthServer, client: RegisteredClient, user: User) -> None:
    users.set_disabled(authserver.store, user, disabled=True, actor="test")


def _signed_out(authserver: AuthServer, client: RegisteredClient, user: User) -> None:
    authserver.store.sessions.end_all(user.sub, "administrator", Event("session.ended", "test"))


def _withdrawn(authserver: AuthServer, client: RegisteredClient, user: User) -> None:
    accounts.withdraw(authserver.server, user.sub, client.client_id)


@pytest.mark.parametrize("happens", [_switched_off, _signed_out, _withdrawn])
def test_what_ends_before_the_device_fetches_its_tokens_is_over(
    authserver: AuthServer, box: RegisteredClient, happens: Any
):
    user = authserver.user(f"device-{happens.__name__.strip('_').replace('_', '-')}")
    codes = begin(authserver, box, scope="openid")
    decide(authserver, user, codes)
    happens(authserver, box, user)
    assert_refused(poll(authserver, box, codes), "invalid_grant")


def test_another_password_closes_the_door_for_the_device_too(authserver: AuthServer, box: RegisteredClient):
    user = authserver.user("device-new-password")
    codes = begin(authserver, box, scope="openid offline_access")
    decide(authserver, user, codes)
    browser = authserver.browser()
    browser.log_in(browser.visit("/login"), user.username, PASSWORD)
    new = "an entirely different sentence 1"
    fields = {"current": PASSWORD, "new": new, "repeat": new}
    browser.submit(browser.visit("/account/security"), "password-submit", **fields)
    assert_refused(poll(authserver, box, codes), "invalid_grant")


def test_a_client_that_is_switched_off_gets_nothing(authserver: AuthServer, alice: User):
    client = device_client(authserver)
    allowed, waiting = begin(authserver, client), begin(authserver, client)
    decide(authserver, alice, allowed)
    clients.set_disabled(authserver.store, client.client_id, disabled=True, actor="test")
    with authserver.later(1):
        assert_refused(poll(authserver, client, allowed), "invalid_client", 401)
        assert "device-allow" not in enter(authserver.browser(alice), waiting["user_code"]).text
    clients.set_disabled(authserver.store, client.client_id, disabled=False, actor="test")
    with authserver.later(2):
        assert_refused(poll(authserver, client, allowed), "invalid_grant")


def test_scope_that_was_taken_from_the_client_is_not_issued(authserver: AuthServer, alice: User):
    client = authserver.client(grant_types=["authorization_code", GRANT_TYPE], scope="openid api:read api:write")
    codes = begin(authserver, client, scope="openid api:read api:write")
    decide(authserver, alice, codes)
    metadata = {**authserver.store.clients.get(client.client_id).metadata, "scope": "openid api:read"}  # type: ignore[union-attr] # it is there
    clients.update(authserver.store, authserver.sealer, client.client_id, metadata, actor="test")
    authserver.server.forget()
    assert poll(authserver, client, codes).json()["scope"] == "openid api:read"


# With bound tokens (RFC 9449, RFC 8705).


def test_the_tokens_are_bound_to_the_key_that_is_proven_with_the_poll_that_gets_them(
    authserver: AuthServer, screen: RegisteredClient, alice: User
):
    codes = begin(authserver, screen, scope="openid api:read")
    assert_refused(poll(authserver, screen, codes, headers=proven(authserver, OTHER)), "authorization_pending")
    decide(authserver, alice, codes)
    issued = poll(authserver, screen, codes, headers=proven(authserver)).json()
    assert issued["token_type"] == "DPoP"
    said = authserver.introspect(authserver.client(introspects_all=True), issued["access_token"])
    assert said["cnf"] == {"jkt": PROVER.jkt}
    assert_refused(authserver.refresh(screen, issued["refresh_token"]), "invalid_grant")
    other = authserver.refresh(screen, issued["refresh_token"], headers=proven(authserver, OTHER))
    assert_refused(other, "invalid_grant")
    right = authserver.refresh(screen, issued["refresh_token"], headers=proven(authserver))
    assert right.status_code == 200


def test_a_client_registered_for_bound_tokens_proves_its_key_with_every_poll(authserver: AuthServer, alice: User):
    client = device_client(authserver, dpop_bound_access_tokens=True)
    codes = begin(authserver, client)
    assert_refused(poll(authserver, client, codes), "invalid_dpop_proof")
    assert_refused(poll(authserver, client, codes, headers=proven(authserver)), "authorization_pending")
    decide(authserver, alice, codes)
    assert_refused(poll(authserver, client, codes), "invalid_dpop_proof")
    assert poll(authserver, client, codes, headers=proven(authserver)).json()["token_type"] == "DPoP"

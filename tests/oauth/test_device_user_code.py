"""User codes (RFC 8628 5.1, 6.1): how they may be written, and how often somebody may guess."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from authserver.oauth import device
from authserver.records import User
from pytest_authserver import AuthServer
from pytest_authserver.server import ONE_ADDRESS
from tests.devices import GRANT_TYPE, begin, device_client, enter
from tests.flows.racing import race

UNKNOWN = "BCDF-GHJK"


@pytest.mark.parametrize(
    "written",
    [
        "{0}-{1}",
        "{0}{1}",
        "{0} {1}",
        "  {0}-{1}\n",
        "{0}\N{EN DASH}{1}",
        "{0}.{1}!",
        "\N{LEFT DOUBLE QUOTATION MARK}{0}-{1}\N{RIGHT DOUBLE QUOTATION MARK}",
    ],
)
@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_a_code_may_be_written_in_any_way_6_1(authserver: AuthServer, alice: User, written: str, change: Any):
    with authserver.later(300):
        codes = begin(authserver, authserver.client(grant_types=["authorization_code", GRANT_TYPE]))
        text = change(written.format(*codes["user_code"].split("-")))
        assert codes["user_code"] in enter(authserver.browser(alice), text).text


def test_a_code_may_be_written_in_full_width_letters_6_1():
    assert device.entered("\uff37\uff24\uff2a\uff22\uff0d\uff4d\uff4a\uff48\uff54") == "WDJBMJHT"


@pytest.mark.parametrize("text", ["", "-", "WDJB-MJH", "WDJB-MJHTB", "WDJ8-MJHT", "AEIO-UAEI", "x" * 10_000, "\0" * 8])
def test_what_cannot_be_a_code_is_none(text: str):
    assert device.entered(text) is None


def test_the_tries_of_a_session_find_a_code_less_often_than_once_in_four_thousand_million_5_1(authserver: AuthServer):
    tries = authserver.settings.limits.user_codes_per_session
    assert len(set(device.LETTERS)) ** device.LENGTH > tries * 2**32


def test_five_wrong_codes_in_a_session_and_no_more_5_1(own: AuthServer):
    user, screen = own.user("alice"), device_client(own)
    codes, browser = begin(own, screen), own.browser(user)
    pages = [enter(browser, UNKNOWN) for _ in range(5)]
    assert {page.status for page in pages} == {400}
    assert len({page.text for page in pages}) == 1
    # Now the right one does not help either.
    refused = enter(browser, codes["user_code"])
    assert (refused.status, "device-allow" in refused.text) == (429, False)
    assert int(refused.headers["retry-after"]) > 0
    assert "device-allow" in enter(own.browser(user), codes["user_code"]).text
    with own.later(3600):
        assert "device-allow" in enter(browser, begin(own, screen)["user_code"]).text


def test_right_codes_are_not_counted_and_forgive_no_wrong_ones_5_1(own: AuthServer):
    user, screen = own.user("alice"), device_client(own)
    browser = own.browser(user)
    for _ in range(5):
        assert enter(browser, UNKNOWN).status == 400
        assert "device-allow" in enter(own.browser(user), begin(own, screen)["user_code"]).text
    assert enter(browser, UNKNOWN).status == 429


def test_a_hundred_guesses_at_once_are_not_a_hundred_guesses_5_1(own: AuthServer):
    browser = own.browser(own.user("alice"))
    form = browser.visit("/device").form("device-submit")
    sent = browser.http.post(form.action, data={**form.fields, "user_code": UNKNOWN})
    where, cookie = sent.headers["location"], f"authserver={browser.http.cookies['authserver']}"

    def guess() -> httpx2.Response:
        return own.http().get(where, headers={"Cookie": cookie})

    statuses = [answer.status_code for answer in race([guess] * 20)]
    assert (statuses.count(400), statuses.count(429)) == (5, 15)


def test_thirty_wrong_codes_an_hour_from_one_address_5_1(tmp_path: Path):
    limits = {name: most for name, most in ONE_ADDRESS.items() if name != "user_codes_per_address"}
    server = AuthServer(tmp_path, limits=limits)
    user, screen = server.user("alice"), device_client(server)
    for _ in range(6):
        browser = server.browser(user)
        assert [enter(browser, UNKNOWN).status for _ in range(5)] == [400] * 5
    assert enter(server.browser(user), begin(server, screen)["user_code"]).status == 429
    server.close()

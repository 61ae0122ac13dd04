import html
from typing import Any

import pytest
from flask import render_template_string

from authserver import language
from authserver.records import User
from authserver.store.errors import Unavailable
from authserver.web.language import gettext, ngettext
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.request_objects import signed, signing_client
from tests.web.walking import start

IN_GERMAN = "<h1>Anmelden</h1>"
IN_ENGLISH = "<h1>Sign in</h1>"
IN_ARABIC = "<h1>تسجيل الدخول</h1>"


def _speaking(authserver: AuthServer, accept_language: str) -> Browser:
    browser = authserver.browser()
    browser.http.headers["Accept-Language"] = accept_language
    return browser


def _ask(authserver: AuthServer, client: RegisteredClient, browser: Browser, **parameters: Any) -> Page:
    return start(browser, authserver.request(client, authserver.pkce(), **parameters))


# How the language is chosen.


def test_a_page_is_in_the_language_that_the_browser_accepts(authserver: AuthServer) -> None:
    page = _speaking(authserver, "eo, de-AT;q=0.9, en;q=0.5").visit("/login")
    assert '<html lang="de" dir="ltr">' in page.text
    assert IN_GERMAN in page.text


def test_it_says_so_and_what_it_depends_on(authserver: AuthServer) -> None:
    page = _speaking(authserver, "ar").visit("/login")
    assert page.headers["content-language"] == "ar"
    assert "Accept-Language" in page.headers["vary"]


def test_arabic_is_written_from_the_right(authserver: AuthServer) -> None:
    page = _speaking(authserver, "ar-EG").visit("/login")
    assert '<html lang="ar" dir="rtl">' in page.text
    assert IN_ARABIC in page.text


def test_an_application_may_wish_for_a_language(authserver: AuthServer, client: RegisteredClient) -> None:
    page = _ask(authserver, client, _speaking(authserver, "en"), ui_locales="tlh de fr")
    assert IN_GERMAN in page.text


def test_the_wish_holds_until_the_request_is_answered(
    authserver: AuthServer, alice: User, client: RegisteredClient
) -> None:
    browser = _speaking(authserver, "en")
    page = _ask(authserver, client, browser, ui_locales="de")
    again = browser.log_in(page, "alice", "wrong")
    assert "Der Benutzername oder das Passwort stimmt nicht." in again.text
    consent = browser.log_in(again, "alice", PASSWORD)
    assert consent.headers["content-language"] == "de"
    assert 'id="consent-allow"' in consent.text


def test_a_pushed_request_may_wish_too(authserver: AuthServer, client: RegisteredClient) -> None:
    reference = authserver.push(client, authserver.pkce(), ui_locales="ar").json()["request_uri"]
    page = start(authserver.browser(), {"client_id": client.client_id, "request_uri": reference})
    assert IN_ARABIC in page.text


def test_a_signed_request_may_wish_too(authserver: AuthServer) -> None:
    client = signing_client(authserver)
    request = signed(authserver, client, ui_locales="de")
    page = start(authserver.browser(), {"client_id": client.client_id, "request": request})
    assert IN_GERMAN in page.text


def test_a_posted_request_may_wish_too(authserver: AuthServer, client: RegisteredClient) -> None:
    browser = authserver.browser()
    data = authserver.request(client, authserver.pkce(), ui_locales="de")
    answer = browser.http.post("/authorize", data=data)
    assert IN_GERMAN in browser.visit(answer.headers["location"]).text


def test_one_wish_may_be_in_the_url_of_any_page(authserver: AuthServer) -> None:
    assert IN_GERMAN in _speaking(authserver, "fr").visit("/login?ui_locales=de").text


def test_without_a_wish_that_can_be_met_the_first_language_of_the_settings_is_spoken(authserver: AuthServer) -> None:
    page = _speaking(authserver, "tlh").visit("/login?ui_locales=eo")
    assert page.headers["content-language"] == "en"
    assert IN_ENGLISH in page.text


def test_a_person_who_signs_out_is_told_in_the_language_that_was_wished_for(signed_in: Browser) -> None:
    page = signed_in.visit("/logout?ui_locales=de")
    assert "<h1>Abmelden?</h1>" in page.text
    done = signed_in.submit(page, "logout-confirm")
    assert "Sie sind abgemeldet" in done.text


def test_so_is_one_who_was_posted_here_to_sign_out(signed_in: Browser) -> None:
    answer = signed_in.http.post("/logout", data={"ui_locales": "de"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert "<h1>Abmelden?</h1>" in signed_in.visit(answer.headers["location"]).text


# Errors.


def test_an_error_is_told_in_the_language_of_the_reader(authserver: AuthServer) -> None:
    page = _speaking(authserver, "de").visit("/nowhere")
    assert (page.status, page.error_code) == (404, "not_found")
    assert "Unter dieser Adresse gibt es keine Seite." in page.text
    assert page.headers["content-language"] == "de"


def test_a_request_that_cannot_be_answered_is_refused_in_the_language_that_it_wished_for(
    authserver: AuthServer,
) -> None:
    page = authserver.browser().visit("/authorize?client_id=nobody&ui_locales=de")
    assert page.error_code == "invalid_client"
    assert "Die Anwendung, die Sie hierher geschickt hat, ist diesem Server nicht bekannt." in page.text


def test_a_sign_in_that_is_lost_is_told_in_the_language_of_the_browser(authserver: AuthServer) -> None:
    page = _speaking(authserver, "de").visit("/login?interaction=gone.1")
    assert page.error_code == "interaction_lost"
    assert "Diese Anmeldung ist nicht mehr offen." in page.text


def test_a_failure_of_the_store_is_told_in_the_language_of_the_browser(
    authserver: AuthServer, client: RegisteredClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = _speaking(authserver, "de")
    page = _ask(authserver, client, browser)

    def away(*args: object) -> None:
        raise Unavailable

    monkeypatch.setattr(authserver.server.store.ephemeral, "get", away)
    answer = browser.http.get(page.url)
    assert (answer.status_code, answer.headers["content-language"]) == (503, "de")


def test_errors_of_the_protocol_stay_in_english(authserver: AuthServer, client: RegisteredClient) -> None:
    answer = authserver.http(headers={"Accept-Language": "de"}).post("/token", data={"grant_type": "none"})
    assert answer.json()["error_description"].isascii()
    assert "content-language" not in answer.headers
    assert "Accept-Language" not in answer.headers.get("vary", "")


# What strangers write.


@pytest.mark.parametrize("wish", ["../../etc/passwd", "de%00", "<script>alert(1)</script>", "xx " * 1500, "de_DE"])
def test_what_is_no_language_is_ignored_and_never_shown(
    authserver: AuthServer, client: RegisteredClient, wish: str
) -> None:
    page = _ask(authserver, client, _speaking(authserver, wish.strip().replace(" ", ",")), ui_locales=wish)
    assert page.status == 200
    assert IN_ENGLISH in page.text
    assert wish not in page.text


def test_no_catalogue_is_opened_for_a_language_that_there_is_not(
    authserver: AuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    known = language.translations
    monkeypatch.setattr(language, "translations", lambda name: opened.append(name) or known(name))
    _speaking(authserver, "../de, de\\..\\ar, xx").visit("/login?ui_locales=../../x")
    assert set(opened) == {"en"}


def test_what_fills_a_translated_text_in_is_escaped(authserver: AuthServer) -> None:
    client = authserver.client(client_name="<b>x</b> %(place)s & Söhne")
    page = _ask(authserver, client, _speaking(authserver, "de"))
    assert html.escape("<b>x</b> %(place)s & Söhne") in page.text
    assert "<b>x</b>" not in page.text


def test_a_sentence_from_elsewhere_is_never_html(authserver: AuthServer) -> None:
    with authserver.app.test_request_context():
        shown = render_template_string("{{ text|translated }}", text="<b>%(x)s 100%</b>")
    assert shown == "&lt;b&gt;%(x)s 100%&lt;/b&gt;"


# Texts.


def test_texts_of_programs_are_translated_filled_in_and_counted(authserver: AuthServer) -> None:
    one, many = (
        "There were too many tries. Wait a second and try again.",
        "There were too many tries. Wait %(num)s seconds and try again.",
    )
    with authserver.app.test_request_context(headers={"Accept-Language": "de"}):
        assert gettext("Sign in") == "Anmelden"
        assert gettext("") == ""
        assert gettext("%(one)s of %(other)s", one="<1>", other=2) == "<1> of 2"
        assert "eine Sekunde" in ngettext(one, many, 1)
        assert "30 Sekunden" in ngettext(one, many, 30)


def test_a_moment_is_written_in_the_language_of_the_page(authserver: AuthServer) -> None:
    with authserver.app.test_request_context(headers={"Accept-Language": "zh"}):
        shown = render_template_string("{{ moment(1772694540000000) }}")
    assert shown == '<time datetime="2026-03-05T07:09:00Z">2026年3月5日 07:09 UTC</time>'


def test_names_are_listed_as_the_language_does_and_escaped(authserver: AuthServer) -> None:
    with authserver.app.test_request_context(headers={"Accept-Language": "de"}):
        shown = render_template_string("{{ listed(names) }}", names=["a", "<b>"])
    assert shown == "<strong><bdi>a</bdi></strong> und <strong><bdi>&lt;b&gt;</bdi></strong>"


# Nobody pays who reads nothing.


def test_answers_without_a_page_choose_no_language(
    authserver: AuthServer, signed_in: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = authserver.client(trusted=True)
    monkeypatch.setattr(language, "negotiate", None)
    page = _ask(authserver, client, signed_in, ui_locales="de")
    assert "code" in page.callback
    assert authserver.get("/.well-known/openid-configuration").status_code == 200


class TestSettings:
    @pytest.fixture
    def authserver_settings(self, authserver_settings: dict[str, Any]) -> dict[str, Any]:
        return {**authserver_settings, "languages": ("de", "fr")}

    def test_only_the_languages_of_the_settings_are_spoken(self, authserver: AuthServer) -> None:
        assert _speaking(authserver, "en, ar").visit("/login").headers["content-language"] == "de"
        assert _speaking(authserver, "en, fr;q=0.1").visit("/login").headers["content-language"] == "fr"

    def test_discovery_names_them(self, authserver: AuthServer) -> None:
        assert authserver.get("/.well-known/openid-configuration").json()["ui_locales_supported"] == ["de", "fr"]

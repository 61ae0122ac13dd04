"""Signing up: the page on which people make an account (Initiating User Registration)."""

from typing import Any

from pytest_authserver import Page
from tests.web.gallery.world import HOME, Gallery, shown

GOOD = {
    "username": "erin",
    "email": "erin@example.test",
    "name": "Erin",
    "password": "seven green whales in a teapot",
}


def _sent(gallery: Gallery, **values: str) -> Page:
    browser = gallery.browser()
    return browser.submit(browser.visit("/signup"), "signup-submit", **{**GOOD, **values})


@shown
def sign_up(gallery: Gallery) -> Page:
    return gallery.start(gallery.browser(), prompt="create")


@shown
def sign_up_by_itself(gallery: Gallery) -> Page:
    return gallery.browser().visit("/signup")


@shown
def sign_up_on_the_way(gallery: Gallery) -> Page:
    browser = gallery.browser()
    page = browser.visit("/account/requests")
    assert 'id="sign-up"' in page.text
    return browser.visit(page.url.replace("/login", "/signup"))


@shown
def sign_up_empty(gallery: Gallery) -> Page:
    return _sent(gallery, username="", email="", password="")


@shown
def sign_up_all_wrong(gallery: Gallery) -> Page:
    return _sent(
        gallery, username="\N{CYRILLIC SMALL LETTER A}lice b", email="nowhere", name="x" * 500, password="short"
    )


@shown
def sign_up_taken(gallery: Gallery) -> Page:
    return _sent(gallery, username="alice")


@shown
def sign_up_with_an_easy_password(gallery: Gallery) -> Page:
    return _sent(gallery, password="passwordpassword")


@shown
def sign_up_delayed(gallery: Gallery) -> Page:
    browser = gallery.browser(at=gallery.server(limits={"sign_ups_per_address": 1}))
    page = browser.visit("/signup")
    browser.submit(page, "signup-submit", **GOOD)
    return browser.submit(page, "signup-submit", **{**GOOD, "username": "frank", "form_id": ""})


def _somewhere(gallery: Gallery, **settings: Any) -> Page:
    return gallery.browser(at=gallery.server(**settings)).visit("/signup")


@shown
def sign_up_without_terms(gallery: Gallery) -> Page:
    return _somewhere(gallery, signup={})


@shown
def sign_up_with_terms_alone(gallery: Gallery) -> Page:
    return _somewhere(gallery, signup={"terms_uri": f"{HOME}/terms"})


@shown
def sign_up_with_a_policy_alone(gallery: Gallery) -> Page:
    return _somewhere(gallery, signup={"policy_uri": f"{HOME}/privacy"})

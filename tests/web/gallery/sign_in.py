"""Signing in: the password, the accounts to choose from, the second step, and its offer."""

from pytest_authserver import Browser, Page
from pytest_authserver.server import PASSWORD
from tests.authenticator import Authenticator, enrol
from tests.web.gallery.world import Gallery, shown

MFA = "urn:authserver:mfa"


@shown
def login(gallery: Gallery) -> Page:
    return gallery.start(gallery.browser())


@shown
def login_by_itself(gallery: Gallery) -> Page:
    return gallery.browser().visit("/login")


@shown
def login_on_the_way(gallery: Gallery) -> Page:
    return gallery.browser().visit("/account/requests")


@shown
def login_again(gallery: Gallery) -> Page:
    browser = gallery.signed_in()
    with gallery.at.later(301):
        return browser.visit("/account/second-factor")


@shown
def login_for_an_endless_name(gallery: Gallery) -> Page:
    client = gallery.client(
        client_name="Donaudampfschifffahrt" * 5, redirect_uris=[f"https://{'a' * 60}.{'b' * 60}.example/"]
    )
    return gallery.start(gallery.browser(), client)


@shown
def login_for_a_stranger(gallery: Gallery) -> Page:
    return gallery.start(gallery.browser(), gallery.gifts, scope="openid profile", resource=None)


@shown
def login_for_a_described_application(gallery: Gallery) -> Page:
    return gallery.start(gallery.browser(), gallery.described, scope="openid profile", resource=None)


@shown
def login_with_less_to_choose(gallery: Gallery) -> Page:
    return gallery.browser(at=gallery.server(features={}, sessions={"remember_seconds": 0})).visit("/login")


@shown
def login_to_be_remembered(gallery: Gallery) -> Page:
    browser = gallery.browser()
    return browser.submit(browser.visit("/login"), "login-submit", username="carol", password="wrong", remember="1")


@shown
def login_empty(gallery: Gallery) -> Page:
    browser = gallery.browser()
    return browser.log_in(gallery.start(browser), "", "")


@shown
def login_refused(gallery: Gallery) -> Page:
    browser = gallery.browser()
    return browser.log_in(gallery.start(browser), "carol", "wrong")


def _delayed(gallery: Gallery, **limits: int) -> Page:
    at = gallery.server(limits=limits)
    browser = gallery.browser(at=at)
    page = browser.visit("/login")
    for _ in range(3):
        page = browser.log_in(page, "carol", "wrong")
    return page


@shown
def login_delayed(gallery: Gallery) -> Page:
    return _delayed(gallery, sign_in_per_address=1)


@shown
def login_delayed_for_a_second(gallery: Gallery) -> Page:
    return _delayed(gallery, sign_in_free=1)


@shown
def login_over(gallery: Gallery) -> Page:
    browser, page, app = _second_step(gallery)
    for _ in range(5):
        page = browser.submit(page, "second-factor-submit", code=app.wrong())
    return page


@shown
def select_account(gallery: Gallery) -> Page:
    return gallery.start(gallery.signed_in(gallery.person("bob"), gallery.alice), prompt="select_account")


@shown
def select_account_of_an_endless_name(gallery: Gallery) -> Page:
    return gallery.start(gallery.signed_in(gallery.person("w" * 60), gallery.alice), prompt="select_account")


@shown
def select_account_for_a_stranger(gallery: Gallery) -> Page:
    browser = gallery.signed_in()
    return gallery.start(browser, gallery.gifts, scope="openid", resource=None, prompt="select_account")


@shown
def choose_account(gallery: Gallery) -> Page:
    return gallery.signed_in(gallery.person("bob"), gallery.alice).visit("/login/account")


@shown
def choose_account_of_which_one_is_idle(gallery: Gallery) -> Page:
    browser = gallery.signed_in(gallery.person("bob"))
    with gallery.at.later(13 * 3600):
        browser.log_in(browser.visit("/login?switch=1"), "alice", PASSWORD)
        return gallery.start(browser, prompt="select_account")


def _second_step(gallery: Gallery, path: str | None = None) -> tuple[Browser, Page, Authenticator]:
    person, app = gallery.with_app()
    browser = gallery.browser()
    page = gallery.start(browser) if path is None else browser.visit(path)
    return browser, browser.log_in(page, person.username, PASSWORD), app


@shown
def second_step(gallery: Gallery) -> Page:
    return _second_step(gallery)[1]


@shown
def second_step_by_itself(gallery: Gallery) -> Page:
    return _second_step(gallery, "/login")[1]


@shown
def second_step_to_step_up(gallery: Gallery) -> Page:
    person, _ = gallery.with_app()
    return gallery.start(gallery.browser(person), acr_values=MFA)


@shown
def second_step_empty(gallery: Gallery) -> Page:
    browser, page, _ = _second_step(gallery)
    return browser.submit(page, "second-factor-submit", code="")


@shown
def second_step_refused(gallery: Gallery) -> Page:
    browser, page, app = _second_step(gallery)
    return browser.submit(page, "second-factor-submit", code=app.wrong())


@shown
def second_step_delayed(gallery: Gallery) -> Page:
    at = gallery.server(limits={"sign_in_free": 2})
    person = at.user("alice")
    app = enrol(at, gallery.browser(person, at))
    browser = gallery.browser(at=at)
    page = browser.log_in(browser.visit("/login"), person.username, PASSWORD)
    for _ in range(3):
        page = browser.submit(page, "second-factor-submit", code=app.wrong())
    return page


@shown
def recovery(gallery: Gallery) -> Page:
    browser, page, _ = _second_step(gallery)
    return browser.visit(f"{page.url}&recovery=1")


@shown
def recovery_refused(gallery: Gallery) -> Page:
    browser, page, _ = _second_step(gallery)
    page = browser.visit(f"{page.url}&recovery=1")
    return browser.submit(page, "second-factor-submit", code="aaaa-bbbb-cccc")


@shown
def offer(gallery: Gallery) -> Page:
    return gallery.start(gallery.browser(gallery.person()), acr_values=MFA)


@shown
def offer_for_a_stranger(gallery: Gallery) -> Page:
    browser = gallery.browser(gallery.person())
    return gallery.start(browser, gallery.gifts, scope="openid", resource=None, acr_values=MFA)

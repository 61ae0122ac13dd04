"""The account pages, and signing out."""

from typing import Any
from urllib.parse import urlencode

from authserver.identity import second_factor
from authserver.manage import users
from pytest_authserver import Browser, Page
from pytest_authserver.server import PASSWORD
from tests.authenticator import Authenticator, enrol, scanned
from tests.backchannel import PLENTY
from tests.web.gallery.sign_in import MFA
from tests.web.gallery.world import API, BANK, Gallery, shown

PATH = "/account/second-factor"


@shown
def profile(gallery: Gallery) -> Page:
    return gallery.browser(gallery.alice).visit("/account")


@shown
def profile_with_little(gallery: Gallery) -> Page:
    bare = users.make_user("eve", email=None, claims={})
    users.add(gallery.at.store, bare, "no hash", actor="test")
    return gallery.browser(bare).visit("/account")


@shown
def profile_not_confirmed(gallery: Gallery) -> Page:
    return gallery.browser(gallery.person()).visit("/account")


@shown
def profile_of_an_endless_name(gallery: Gallery) -> Page:
    return gallery.browser(gallery.person("v" * 60, name="Wolfeschlegelsteinhausenbergerdorff" * 3)).visit("/account")


@shown
def security(gallery: Gallery) -> Page:
    return gallery.browser(gallery.alice).visit("/account/security")


def _change(gallery: Gallery, current: str, new: str, repeat: str) -> Page:
    browser = gallery.browser(gallery.person())
    page = browser.visit("/account/security")
    return browser.submit(page, "password-submit", current=current, new=new, repeat=repeat)


@shown
def password_changed(gallery: Gallery) -> Page:
    return _change(gallery, PASSWORD, *["seven green whales in a teapot"] * 2)


@shown
def password_wrong(gallery: Gallery) -> Page:
    return _change(gallery, "wrong", *["seven green whales in a teapot"] * 2)


@shown
def password_weak(gallery: Gallery) -> Page:
    return _change(gallery, PASSWORD, *["passwordpassword"] * 2)


@shown
def password_short(gallery: Gallery) -> Page:
    return _change(gallery, PASSWORD, "short", "short")


@shown
def password_long(gallery: Gallery) -> Page:
    return _change(gallery, PASSWORD, *["\N{SNOWMAN}" * 500] * 2)


@shown
def password_like_the_name(gallery: Gallery) -> Page:
    browser = gallery.browser(gallery.at.user("a-name-that-is-long-enough"))
    again = "A-name-that-is-long-enough"
    page = browser.visit("/account/security")
    return browser.submit(page, "password-submit", current=PASSWORD, new=again, repeat=again)


@shown
def password_the_same(gallery: Gallery) -> Page:
    return _change(gallery, PASSWORD, PASSWORD, PASSWORD)


@shown
def password_not_repeated(gallery: Gallery) -> Page:
    return _change(gallery, PASSWORD, "seven green whales in a teapot", "six green whales in a teapot")


@shown
def password_delayed(gallery: Gallery) -> Page:
    at = gallery.server(limits={"sign_in_free": 1})
    browser = gallery.browser(at.user("alice"), at=at)
    page = browser.visit("/account/security")
    for _ in range(3):
        page = browser.submit(page, "password-submit", current="wrong", new="x", repeat="x")
    return page


@shown
def password_takes_both_steps(gallery: Gallery) -> Page:
    person, _ = gallery.with_app()
    browser = gallery.browser(person)
    page = browser.visit("/account/security")
    return browser.submit(page, "password-submit", current=PASSWORD, new="x", repeat="x")


# The second factor.


def _on(gallery: Gallery) -> tuple[Browser, Authenticator]:
    browser = gallery.signed_in(gallery.person())
    return browser, enrol(gallery.at, browser)


def _offered(gallery: Gallery) -> tuple[Browser, Page]:
    """Come to the set-up on the way to an application."""
    browser = gallery.signed_in(gallery.person())
    page = gallery.start(browser, acr_values=MFA)
    return browser, browser.visit(page.url.replace("/login/offer", PATH))


@shown
def app_to_set_up(gallery: Gallery) -> Page:
    return gallery.signed_in(gallery.person()).visit(PATH)


@shown
def app_to_set_up_for_an_application(gallery: Gallery) -> Page:
    return _offered(gallery)[1]


@shown
def app_set_up_empty(gallery: Gallery) -> Page:
    browser = gallery.signed_in(gallery.person())
    return browser.submit(browser.visit(PATH), "second-factor-add", code="")


@shown
def app_set_up_refused(gallery: Gallery) -> Page:
    browser = gallery.signed_in(gallery.person())
    page = browser.visit(PATH)
    return browser.submit(page, "second-factor-add", code=scanned(page).wrong())


@shown
def app_set_up_too_late(gallery: Gallery) -> Page:
    browser = gallery.signed_in(gallery.person())
    return browser.submit(browser.visit(PATH), "second-factor-add", offer="", code="123456")


@shown
def recovery_codes(gallery: Gallery) -> Page:
    browser = gallery.signed_in(gallery.person())
    page = browser.visit(PATH)
    return browser.submit(page, "second-factor-add", code=scanned(page).code())


@shown
def recovery_codes_for_an_application(gallery: Gallery) -> Page:
    browser, page = _offered(gallery)
    return browser.submit(page, "second-factor-add", code=scanned(page).code())


@shown
def app_on(gallery: Gallery) -> Page:
    return _on(gallery)[0].visit(PATH)


@shown
def app_on_for_an_application(gallery: Gallery) -> Page:
    browser, page = _offered(gallery)
    enrol(gallery.at, browser, page)
    return browser.visit(page.url)


@shown
def app_on_with_one_recovery_code(gallery: Gallery) -> Page:
    person, app = gallery.with_app()
    browser = gallery.browser()
    for code in app.recovery_codes[1:]:
        page = browser.log_in(browser.visit("/login?switch=1"), person.username, PASSWORD)
        browser.submit(page, "second-factor-submit", code=code)
    return browser.visit(PATH)


@shown
def app_change_empty(gallery: Gallery) -> Page:
    browser, _ = _on(gallery)
    return browser.submit(browser.visit(PATH), "codes-renew", code="")


@shown
def app_change_refused(gallery: Gallery) -> Page:
    browser, app = _on(gallery)
    return browser.submit(browser.visit(PATH), "second-factor-remove", code=app.wrong())


@shown
def app_change_delayed(gallery: Gallery) -> Page:
    browser, app = _on(gallery)
    page = browser.visit(PATH)
    for _ in range(40):
        page = browser.submit(page, "second-factor-remove", code=app.wrong())
        if page.status == 429:
            break
    return page


@shown
def app_change_delayed_for_a_day(gallery: Gallery) -> Page:
    at = gallery.server(limits={**PLENTY, "sign_in_free": 1000})
    browser = gallery.browser(at.user("alice"), at=at)
    app = enrol(at, browser)
    page = browser.visit(PATH)
    for _ in range(second_factor.MOST_A_DAY + 1):
        page = browser.submit(page, "second-factor-remove", code=app.wrong())
    return page


@shown
def security_with_an_app(gallery: Gallery) -> Page:
    return _on(gallery)[0].visit("/account/security?added=1")


@shown
def app_removed(gallery: Gallery) -> Page:
    browser, app = _on(gallery)
    return browser.submit(browser.visit(PATH), "second-factor-remove", code=app.code())


# Sessions and applications.


@shown
def sessions_one(gallery: Gallery) -> Page:
    return gallery.signed_in(gallery.person()).visit("/account/sessions")


@shown
def sessions(gallery: Gallery) -> Page:
    person = gallery.person()
    for agent in ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "curl/8.9"):
        other = gallery.browser()
        other.http.headers["User-Agent"] = agent
        other.log_in(other.visit("/login"), person.username, PASSWORD)
    nowhere = Browser(gallery.at.http(address="", headers={"User-Agent": ""}), gallery.at.issuer)
    nowhere.log_in(nowhere.visit("/login"), person.username, PASSWORD)
    return gallery.signed_in(person).visit("/account/sessions")


@shown
def sessions_remembered(gallery: Gallery) -> Page:
    at = gallery.server(sessions={"idle_seconds": 90_000, "absolute_seconds": 86_400})
    at.user("alice")
    remembered, browser = gallery.browser(at=at), gallery.browser(at=at)
    form = remembered.visit("/login")
    remembered.submit(form, "login-submit", username="alice", password=PASSWORD, remember="1")
    browser.log_in(browser.visit("/login"), "alice", PASSWORD)
    return browser.visit("/account/sessions")


@shown
def nothing_changed_yet(gallery: Gallery) -> Page:
    person = gallery.person()
    browser = gallery.signed_in(person)
    page = browser.visit(PATH)
    with gallery.at.later(3600):
        late = browser.submit(page, "second-factor-add", code="123456")
        return browser.log_in(late, person.username, PASSWORD)


@shown
def apps_none(gallery: Gallery) -> Page:
    return gallery.browser(gallery.person()).visit("/account/apps")


@shown
def apps(gallery: Gallery) -> Page:
    person = gallery.person()
    browser = gallery.signed_in(person)
    browser.allow(gallery.start(browser))
    browser.allow(gallery.start(browser, gallery.gifts, scope="openid", resource=None))
    browser.allow(gallery.start(browser, scope="openid photos:read", resource=[API, BANK]))
    return browser.visit("/account/apps")


# Signing out.


@shown
def logout(gallery: Gallery) -> Page:
    return gallery.browser(gallery.alice).visit("/logout")


@shown
def logout_of_three_for_an_application(gallery: Gallery) -> Page:
    people = (gallery.person("bob"), gallery.person("carla"), gallery.alice)
    return gallery.signed_in(*people).visit(f"/logout?client_id={gallery.photos.client_id}")


@shown
def logged_out(gallery: Gallery) -> Page:
    browser = gallery.browser(gallery.alice)
    return browser.submit(browser.visit("/logout"), "logout-confirm")


def _signed_in_to(gallery: Gallery, browser: Browser, **members: Any) -> str:
    """Let a browser's latest account into an application; return the ID token."""
    client = gallery.client(trusted=True, **members)
    pkce = gallery.at.pkce()
    page = browser.visit_request(gallery.at.request(client, pkce, scope="openid"))
    sent = {"grant_type": "authorization_code", "redirect_uri": client.redirect_uri, "code_verifier": pkce.verifier}
    return str(gallery.at.token(client, code=page.callback["code"], **sent).json()["id_token"])


@shown
def logged_out_of_one_of_three(gallery: Gallery) -> Page:
    browser = gallery.signed_in(gallery.person("bob"), gallery.alice, gallery.person("carla"))
    hint = _signed_in_to(gallery, browser)
    return browser.visit(f"/logout?{urlencode({'id_token_hint': hint})}")


@shown
def signing_out_of_applications(gallery: Gallery) -> Page:
    browser = gallery.signed_in(gallery.person())
    place = "https://photos.example/front-channel"
    hint = _signed_in_to(gallery, browser, frontchannel_logout_uri=place)
    return browser.visit(f"/logout?{urlencode({'id_token_hint': hint})}")

"""The whole story in a real browser against the three real servers: what a person can do, and what it looks like."""

from collections.abc import Callable

import pytest

from tests.browser.demonstration import Demonstration, Person
from tests.browser.walker import Walker
from tests.servers.looks import DESKTOP, DESKTOP_DARK, Look

PHONE = Look("phone", 375, 740, "light", touch=True)
PHONE_DARK = Look("phone-dark", 375, 740, "dark", touch=True)

Walk = Callable[..., Walker]


@pytest.mark.parametrize("look", [DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK], ids=str)
def test_a_day_from_welcome_to_logged_out(walk: Walk, person: Person, look: Look):
    walker = walk(look)
    page = walker.page
    walker.open()
    walker.picture("1-welcome")
    page.click("#login")
    page.wait_for_selector("#username")
    assert page.inner_text(".lead").startswith("to continue to ")
    walker.picture("2-sign-in")
    walker.sign_in(person)
    page.wait_for_selector("#consent-allow")
    asked = page.inner_text("main")
    assert "Read your notes" in asked
    assert "Add and delete your notes" in asked
    assert "Read the almanac" in asked
    walker.picture("3-consent")
    page.click("#consent-allow")
    walker.at_home()

    # Greeted by name, which the ID token does not carry and userinfo does.
    assert page.inner_text("h1") == f"Hello, {person.name}"
    assert page.url == f"{walker.demo.web}/"
    assert page.inner_text("#notes-card .checked") == "checked by introspection (opaque token)"
    assert page.inner_text("#almanac-card .checked") == "checked by published keys (JWT)"
    assert page.inner_text("#notes-status") == "No notes yet. Write the first one above."
    assert "Moon" in page.inner_text("#almanac")

    walker.add("Buy oranges")
    walker.add("<b>Tea</b> at four, and a word of a length that no phone is wide enough for: " + "hottentot" * 12)
    walker.picture("4-notes")
    page.reload()
    walker.at_home()
    assert [text[:11] for text in walker.notes()] == ["Buy oranges", "<b>Tea</b> "]
    page.click("#notes li:first-child button")
    page.wait_for_selector("#notes li >> nth=1", state="detached")
    assert page.inner_text("#notes-status") == "Note deleted."
    assert walker.notes()[0].startswith("<b>Tea</b>")

    page.click("#logout")
    page.wait_for_selector(".notice")
    assert page.inner_text(".notice") == "You are logged out."
    assert page.url.startswith(walker.demo.web)
    walker.picture("5-logged-out")
    # Out at the provider too: the next log-in asks for the password.
    page.click("#login")
    page.wait_for_selector("#password")


def test_notes_belong_to_one_person(walk: Walk, demonstration: Demonstration):
    first, second = walk(), walk()
    first.log_in(demonstration.person())
    first.add("Mine alone")
    second.log_in(demonstration.person())
    assert second.notes() == []


@pytest.mark.parametrize("look", [DESKTOP, PHONE_DARK], ids=str)
def test_a_wrong_password_is_told_calmly_and_the_right_one_goes_on(walk: Walk, person: Person, look: Look):
    walker = walk(look)
    walker.open()
    walker.page.click("#login")
    walker.sign_in(Person(person.username, person.name, "wrong"))
    walker.page.wait_for_selector("#problem")
    assert walker.page.inner_text("#problem") == "The user name or the password is not right."
    assert walker.page.input_value("#username") == person.username
    assert walker.page.evaluate("document.activeElement.id") == "password"
    assert walker.page.input_value("#password") == ""
    walker.picture("1-refused")
    walker.sign_in(person)
    walker.page.wait_for_selector("#consent-allow")


def test_an_unknown_user_is_answered_like_a_wrong_password(walker: Walker, person: Person):
    walker.open()
    walker.page.click("#login")
    walker.sign_in(Person("nobody", "Nobody", "wrong"))
    walker.page.wait_for_selector("#problem")
    assert walker.page.inner_text("#problem") == "The user name or the password is not right."


@pytest.mark.parametrize("look", [DESKTOP, PHONE_DARK], ids=str)
def test_who_does_not_allow_access_is_not_logged_in_and_may_try_again(walk: Walk, person: Person, look: Look):
    walker = walk(look)
    walker.log_in(person, allow=False)
    walker.page.click("#consent-deny")
    walker.page.wait_for_selector("#error-code")
    assert walker.page.inner_text("#error-code") == "access_denied"
    assert "You did not allow the application to continue" in walker.page.inner_text("main")
    walker.picture("1-denied")
    walker.page.click("#login")
    # Signed in already, and asked again.
    walker.page.wait_for_selector("#consent-allow")
    walker.page.click("#consent-allow")
    walker.at_home()


@pytest.mark.parametrize(("place", "button"), [("sessions", "[name=sid]"), ("apps", "[name=client_id]")])
def test_what_is_ended_at_the_account_page_is_over_at_once(walk: Walk, person: Person, place: str, button: str):
    walker = walk(PHONE if place == "apps" else DESKTOP)
    walker.log_in(person)
    walker.add("Before")
    tab = walker.account(place)
    walker.picture(f"1-{place}", tab)
    tab.click(button)
    tab.wait_for_load_state()
    walker.picture(f"2-{place}-after", tab)

    walker.page.fill("#note-text", "After")
    walker.page.click("#note-add")
    walker.page.wait_for_selector("#session-over:not([hidden])")
    assert "Your session has ended. Nothing is lost" in walker.page.inner_text("#session-over")
    assert walker.page.evaluate("document.activeElement.id") == "login-again"
    assert not walker.page.is_visible("#notes-card")
    walker.picture("3-over")

    walker.page.click("#login-again")
    if place == "sessions":
        walker.page.wait_for_selector("#password")
        walker.sign_in(person)
    else:
        walker.page.click("#consent-allow")
    walker.at_home()
    # What was written and not sent is there, and was not sent behind anybody's back.
    assert walker.page.input_value("#note-text") == "After"
    assert walker.notes() == ["Before"]


def test_the_account_knows_the_person_the_session_and_the_application(walk: Walk, person: Person):
    walker = walk(PHONE)
    walker.log_in(person)
    tab = walker.account("../account")
    assert person.name in tab.inner_text("main")
    for name, expected in (
        ("security", "Change the password"),
        ("sessions", "This device"),
        ("apps", "Read your notes"),
    ):
        tab.goto(f"{walker.demo.issuer}/account/{name}")
        assert expected in tab.inner_text("main")
        walker.picture(name, tab)


def test_a_changed_password_ends_the_other_browsers_log_in(walk: Walk, person: Person):
    here, there = walk(), walk()
    here.log_in(person)
    there.log_in(person)
    tab = here.account("security")
    tab.fill("#current", person.password)
    for field in ("#new", "#repeat"):
        tab.fill(field, "seven quiet herons at noon")
    tab.click("#password-submit")
    tab.wait_for_selector("#password-changed")
    there.page.fill("#note-text", "Still here?")
    there.page.click("#note-add")
    there.page.wait_for_selector("#session-over:not([hidden])")
    there.page.reload()
    there.page.wait_for_selector("#login")

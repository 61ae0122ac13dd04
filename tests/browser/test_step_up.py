"""Step-up in a real browser against the three real servers (RFC 9470): asked for, offered, set up, used; or not."""

from base64 import b32decode
from collections.abc import Callable

import pytest

from tests.authenticator import Authenticator
from tests.browser.demonstration import Person
from tests.browser.walker import Walker
from tests.servers.looks import DESKTOP, Look

PHONE_DARK = Look("phone-dark", 375, 740, "dark", touch=True)

Walk = Callable[..., Walker]


def _ask(walker: Walker, person: Person) -> None:
    """Log in by the password, write a note, and ask to delete all."""
    walker.log_in(person)
    walker.add("Something to lose")
    walker.page.click("#notes-clear")
    walker.page.wait_for_selector("#step-up")


@pytest.mark.parametrize("look", [DESKTOP, PHONE_DARK], ids=str)
def test_what_takes_two_steps_is_done_after_the_second_is_set_up(walk: Walk, person: Person, look: Look):
    walker = walk(look)
    page = walker.page
    _ask(walker, person)
    assert walker.notes() == ["Something to lose"]
    walker.picture("1-step-up")
    page.click("#step-up-go")
    page.wait_for_selector("#offer-set-up")
    walker.picture("2-offer")
    page.click("#offer-set-up")
    app = Authenticator(b32decode(page.inner_text("#secret").replace(" ", "")), [])
    box = page.locator(".qr").bounding_box()
    assert box is not None
    assert box["width"] >= 150
    walker.picture("3-set-up")
    page.fill("#code", app.code())
    page.click("#second-factor-add")
    page.wait_for_selector("#recovery-codes")
    walker.picture("4-recovery-codes")
    page.click("#codes-kept")
    walker.at_home()
    page.click("#notes-clear")
    page.wait_for_selector("#notes li", state="detached")
    assert page.inner_text("#notes-status") == "All notes deleted."
    assert page.is_hidden("#step-up")


def test_going_on_without_ends_on_a_page_and_leaves_everything_as_it_was(walk: Walk, person: Person):
    walker = walk(DESKTOP)
    page = walker.page
    _ask(walker, person)
    page.click("#step-up-go")
    page.click("#offer-without")
    page.wait_for_selector("#error-code")
    assert page.inner_text("#error-code") == "unmet_authentication_requirements"
    walker.picture("5-unmet")
    page.click("a.button")
    walker.at_home()
    assert walker.notes() == ["Something to lose"]

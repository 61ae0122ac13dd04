"""The pages for everybody: by keyboard alone, without scripts, and as the WCAG ask (checked by axe-core)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.demonstration import Person
from tests.browser.walker import Walker
from tests.servers.looks import DESKTOP, DESKTOP_DARK, Look

PHONE = Look("phone", 375, 740, "light", touch=True)
PHONE_DARK = Look("phone-dark", 375, 740, "dark", touch=True)
AXE = """async () => (await axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa",
    "best-practice"]})).violations.map(found => found.id + ": " + found.nodes.map(node => node.html).join(" | "))"""
INDICATED = """() => {
    const style = getComputedStyle(document.activeElement);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 || style.boxShadow !== "none";
}"""

Walk = Callable[..., Walker]


def tab_to(page: Page, wanted: str) -> None:
    """Press the tabulator until an element has the focus; all that have it on the way must show it."""
    for _ in range(30):
        page.keyboard.press("Tab")
        assert page.evaluate(INDICATED), page.evaluate("document.activeElement.outerHTML")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            return
    raise AssertionError(f"no way by keyboard to {wanted} on {page.url}")


def test_everything_can_be_done_with_the_keyboard(walker: Walker, person: Person):
    page = walker.page
    walker.open()
    tab_to(page, "#login")
    page.keyboard.press("Enter")
    page.wait_for_selector("#username:focus")
    page.keyboard.type(person.username)
    page.keyboard.press("Tab")
    page.keyboard.type(person.password)
    page.keyboard.press("Enter")
    page.wait_for_selector("#consent-allow")
    tab_to(page, "#consent-allow")
    page.keyboard.press("Enter")
    walker.at_home()
    tab_to(page, "#note-text")
    page.keyboard.type("Typed")
    page.keyboard.press("Enter")
    page.wait_for_selector("#notes li")
    # The focus waits where the next note is written.
    page.keyboard.type("Typed again")
    page.keyboard.press("Enter")
    page.wait_for_selector("#notes li >> nth=1")
    tab_to(page, "#notes li button")
    page.keyboard.press("Space")
    page.wait_for_selector("#notes li >> nth=1", state="detached")
    assert walker.notes() == ["Typed again"]
    page.reload()
    walker.at_home()
    tab_to(page, "#logout")
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice")


def test_the_first_stop_of_the_keyboard_skips_to_the_content(walker: Walker, person: Person):
    walker.log_in(person)
    for page in (walker.page, walker.account("apps")):
        page.reload()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"
        page.keyboard.press("Enter")
        assert page.url.endswith("#main")


def test_the_authorization_server_needs_no_script(walk: Walk, person: Person):
    walker = walk(PHONE, java_script_enabled=False)
    page = walker.page
    walker.open()
    page.click("#login")
    walker.sign_in(Person(person.username, person.name, "wrong"))
    assert page.inner_text("#problem") == "The user name or the password is not right."
    walker.sign_in(person)
    page.click("#consent-allow")
    # The notes need one, and the page says so.
    page.wait_for_selector("#notes-card")
    assert "need JavaScript" in page.inner_text("noscript")
    page.goto(f"{walker.demo.issuer}/account/apps")
    page.click("[name=client_id]")
    assert "No application has access" in page.inner_text("main")
    page.goto(f"{walker.demo.issuer}/logout")
    page.click("#logout-confirm")
    page.wait_for_selector("#logged-out")
    walker.open()
    page.reload()


@pytest.mark.parametrize("look", [DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK], ids=str)
def test_every_page_meets_the_accessibility_guidelines(walk: Walk, person: Person, node_modules: Path, look: Look):
    walker = walk(look)
    page = walker.page
    axe = (node_modules / "axe-core" / "axe.min.js").read_text()
    problems: list[str] = []

    def check(shown: Page = page) -> None:
        # Evaluated by the debugger, which the page's policy does not concern.
        shown.evaluate(axe)
        problems.extend(f"{shown.url}: {problem}" for problem in shown.evaluate(AXE))

    walker.open()
    check()
    page.click("#login")
    page.wait_for_selector("#username")
    check()
    walker.sign_in(Person(person.username, person.name, "wrong"))
    page.wait_for_selector("#problem")
    check()
    walker.sign_in(person)
    page.wait_for_selector("#consent-allow")
    check()
    page.click("#consent-allow")
    walker.at_home()
    walker.add("A note")
    check()
    tab = walker.account("../account")
    check(tab)
    for name in ("security", "sessions", "apps"):
        tab.goto(f"{walker.demo.issuer}/account/{name}")
        check(tab)
    tab.click("[name=client_id]")
    page.click("#notes li button")
    page.wait_for_selector("#session-over:not([hidden])")
    check()
    tab.goto(f"{walker.demo.issuer}/logout")
    check(tab)
    tab.click("#logout-confirm")
    tab.wait_for_selector("#logged-out")
    check(tab)
    tab.goto(f"{walker.demo.issuer}/authorize")
    check(tab)
    walker.open("/no-such-page")
    check()
    assert problems == []

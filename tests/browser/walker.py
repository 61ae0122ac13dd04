"""Somebody at the pages of all servers: the steps of the story, and what the browser got to see meanwhile."""

from contextlib import suppress
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Error, Page, Request

from tests.browser.demonstration import Demonstration, Person
from tests.servers.looks import Look

PICTURES = Path("var/screenshots/story")


class Walker:
    """A page in a browser of its own, with a record of what it received."""

    def __init__(self, demonstration: Demonstration, page: Page, story: str, look: Look) -> None:
        self.demo = demonstration
        self.page = page
        self.look = look
        self.pictures = PICTURES / story
        self.violations: list[str] = []
        self.received: dict[str, list[str]] = {}
        self.policies: dict[str, str] = {}
        page.context.on("console", self._heard)
        page.context.on("requestfinished", self._got)

    def log_in(self, person: Person, *, allow: bool = True) -> None:
        """Come from the welcome page to the notes, by way of the consent page where it is shown, or up to there."""
        self.open()
        self.page.click("#login")
        self.sign_in(person)
        self.page.wait_for_selector("#consent-allow, #almanac")
        if allow:
            if self.page.query_selector("#consent-allow"):
                self.page.click("#consent-allow")
            self.at_home()

    def open(self, path: str = "/") -> None:
        self.page.goto(self.demo.web + path)

    def sign_in(self, person: Person) -> None:
        self.page.fill("#username", person.username)
        self.page.fill("#password", person.password)
        self.page.click("#login-submit")

    def at_home(self) -> None:
        """Wait until the cards are filled."""
        self.page.wait_for_selector("#almanac dl")
        self.page.wait_for_selector("[aria-busy=true]", state="detached")

    def add(self, text: str) -> None:
        """Add a note and wait until it is listed."""
        known = len(self.notes())
        self.page.fill("#note-text", text)
        self.page.click("#note-add")
        self.page.wait_for_selector(f"#notes li >> nth={known}")

    def notes(self) -> list[str]:
        return self.page.locator("#notes li span").all_inner_texts()

    def account(self, name: str) -> Page:
        """Open an account page in a second tab of the same browser."""
        tab = self.page.context.new_page()
        tab.goto(f"{self.demo.issuer}/account/{name}")
        return tab

    def picture(self, name: str, page: Page | None = None) -> None:
        """Keep a picture for people; check on the way that nothing sticks out."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        shown = page or self.page
        # A picture is for looking at; a machine short of memory for it has not failed the story.
        with suppress(Error):
            shown.screenshot(path=self.pictures / f"{name}-{self.look}.png", full_page=True)
        wide, window = shown.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= window, f"{shown.url} is {wide} wide in a window of {window}"

    def _heard(self, message: ConsoleMessage) -> None:
        # Chromium reports every answer of 400 and above as an error; those are part of the story.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.violations.append(message.text)

    def _got(self, request: Request) -> None:
        response = request.response()
        if response is None:
            return
        if request.is_navigation_request():
            self.policies[request.url] = response.headers.get("content-security-policy", "")
        try:
            body = response.body().decode("utf-8", "replace")
        except Error:
            # A redirect has no body, and one that the browser has dropped cannot be read any more.
            body = ""
        self.received.setdefault(request.url, []).append(f"{response.headers}\n{body}")

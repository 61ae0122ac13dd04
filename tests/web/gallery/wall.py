"""A browser window in which the pages of a gallery are hung up: as the server has sent them, policy and all."""

from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Route

from authserver.web import pages
from pytest_authserver import Page

_STATIC = Path(pages.__file__).with_name("static")
_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_GUIDELINES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

_DRAWN = """async () => {
    const styles = () => [...document.querySelectorAll("link[rel=stylesheet]")];
    while (document.readyState === "loading" || styles().some(link => !link.sheet))
        await new Promise(done => setTimeout(done, 2));
}"""

_REWORDED = """text => {
    const next = new DOMParser().parseFromString(text, "text/html");
    document.title = next.title;
    document.body.replaceWith(next.body);
}"""

_AXE = """async rules => (await axe.run(document, {runOnly: rules, resultTypes: ["violations"]})).violations.map(
    found => found.id + ": " + found.nodes.map(node => node.html).join(" | "))"""

_FAULTS = """() => {
    const faults = [], all = [...document.querySelectorAll("body *")];
    const seen = element => element.checkVisibility() && !element.closest(".unseen, .skip, svg, iframe");
    const name = element => element.outerHTML.slice(0, 120);
    if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
    if (!document.title.includes(" · ")) faults.push("title: " + document.title);
    if (document.documentElement.scrollWidth > innerWidth) faults.push("wider than the window");
    for (const element of all.filter(seen)) {
        const {left, right, height} = element.getBoundingClientRect();
        if (left < -1 || right > innerWidth + 1) faults.push("sticks out: " + name(element));
        if (element.matches("button, input:not([type=checkbox]), .button") && height < 44)
            faults.push("too small to press: " + name(element));
        if (element.matches("button, .button, .tag") && element.scrollWidth > element.clientWidth + 1)
            faults.push("text sticks out of: " + name(element));
    }
    const stops = all.filter(element => seen(element) && element.tabIndex >= 0);
    if (stops.some(element => element.tabIndex > 0)) faults.push("an order of its own for the keyboard");
    const across = document.dir === "rtl" ? -1 : 1;
    for (let n = 1; n < stops.length; n++) {
        const [one, next] = [stops[n - 1], stops[n]].map(element => element.getClientRects()[0]);
        const beside = next.top < one.bottom - 4;
        if (beside && (next.left - one.left) * across < 0)
            faults.push("the keyboard jumps back to: " + name(stops[n]));
    }
    return faults;
}"""


class Wall:
    """One window; ``hang`` shows a page in it."""

    def __init__(self, chromium: Browser, axe: Path | None = None) -> None:
        self._context = chromium.new_context(reduced_motion="reduce")
        self._context.set_default_timeout(10_000)
        if axe is not None:
            # By the debugger, which the pages' policy does not concern.
            self._context.add_init_script(path=axe)
        self._context.route("**/*", self._answer)
        self.window = self._context.new_page()
        self._page: Page | None = None

    def close(self) -> None:
        """Close the window."""
        self._context.close()

    def hang(self, page: Page, width: int, height: int, *, dark: bool = False) -> None:
        """Show a page in a window of this size."""
        self.turn(width, height, dark=dark)
        self._page = page
        # Not until "load": a script of the page may want to go on before that.
        self.window.goto(page.url, wait_until="commit")
        self.window.evaluate(_DRAWN)

    def reword(self, page: Page) -> None:
        """Show a page that differs from the one that hangs in its words alone: much faster than to hang it up too."""
        if page is not self._page:
            self._page = page
            self.window.evaluate(_REWORDED, page.text)

    def turn(self, width: int, height: int, *, dark: bool = False) -> None:
        """See the same page in another way."""
        self.window.set_viewport_size({"width": width, "height": height})
        self.window.emulate_media(color_scheme="dark" if dark else "light")

    def faults(self) -> list[str]:
        """Return what is wrong with the page in this look."""
        found: list[str] = self.window.evaluate(_FAULTS)
        return found

    def violations(self, *rules: str) -> list[str]:
        """Return what axe-core finds against the guidelines, or against these rules of them alone."""
        found: list[str] = self.window.evaluate(_AXE, list(rules or _GUIDELINES))
        return found

    def _answer(self, route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path.startswith("/static/"):
            kind = _TYPES[Path(path).suffix]
            route.fulfill(body=_asset(path.removeprefix("/static/")), content_type=kind)
        elif self._page is not None and route.request.url == self._page.url and route.request.method == "GET":
            headers = {name: value for name, value in self._page.headers.items() if name != "set-cookie"}
            route.fulfill(status=self._page.status, headers=headers, body=self._page.text)
        else:
            # Scripts that go on by themselves stay where they are.
            route.fulfill(status=204)


@cache
def _asset(name: str) -> bytes:
    return (_STATIC / name).read_bytes()

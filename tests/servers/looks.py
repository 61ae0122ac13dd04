"""Through which windows the tests look at a page."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Page

_WIDE = "document.documentElement.scrollWidth > innerWidth"
_SMALL = """[...document.querySelectorAll("button, input:not([type=hidden], [hidden]), .button")]
    .filter(element => element.getBoundingClientRect().height < 44).map(element => element.outerHTML)"""


@dataclass(frozen=True)
class Look:
    """The window through which a page is seen, in CSS pixels, and the colours that its user prefers."""

    name: str
    width: int
    height: int
    colors: Literal["light", "dark"]
    touch: bool = False

    def __str__(self) -> str:
        return self.name


DESKTOP = Look("desktop", 1280, 800, "light")
DESKTOP_DARK = Look("desktop-dark", 1280, 800, "dark")
PHONE = Look("phone", 390, 844, "light", touch=True)
PHONE_DARK = Look("phone-dark", 390, 844, "dark", touch=True)
LOOKS = (DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK)


def complaints_of(page: "Page") -> list[str]:
    """Return a list into which the browser writes what it complains of from now on, such as a broken policy."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type in {"error", "warning"} else None)
    return found


def assert_fits(page: "Page") -> None:
    """Check that a page is no wider than its window, and that fingers find all that can be pressed."""
    assert not page.evaluate(_WIDE), page.url
    assert page.evaluate(_SMALL) == [], page.url

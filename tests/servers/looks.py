"""Through which windows the tests look at a page."""

from dataclasses import dataclass
from typing import Literal


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

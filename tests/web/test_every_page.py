"""Every page of the gallery in a real browser: on a phone and a desk, light and dark, in every language."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_authserver import Page
from tests.servers.looks import complaints_of
from tests.web.gallery import PAGES, Gallery

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.web.gallery.wall import Wall

PHONE, DESK = (360, 740), (1280, 800)
NARROW = (320, 568)  # a desk at 400 percent (WCAG 2.2, 1.4.10)
# What of axe-core words can change, and the languages in which it looks at everything nevertheless: the one from the
# right, and the one with the longest words.
_OF_WORDS = ("cat.language", "cat.name-role-value", "cat.text-alternatives")
_ALL_OF_AXE = {"ar", "de"}
_FILLED_IN = re.compile(r'>[^<]+|\s(?:action|content|d|datetime|href|src|nonce|value)="[^"]*"')


@pytest.fixture
def wall(chromium: "Browser", node_modules: Path) -> Iterator["Wall"]:
    from tests.web.gallery.wall import Wall

    made = Wall(chromium, node_modules / "axe-core" / "axe.min.js")
    yield made
    made.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[str], Gallery]]:
    """A function that opens a gallery in a language."""
    galleries = []

    def open_gallery(language: str) -> Gallery:
        galleries.append(Gallery(tmp_path, language))
        return galleries[-1]

    yield open_gallery
    for gallery in galleries:
        gallery.close()


@pytest.mark.parametrize("room", sorted({way.__module__ for way in PAGES.values()}))
def test_every_page_can_be_used_by_everybody_on_a_phone_and_on_a_desk(
    opened: Callable[[str], Gallery], wall: "Wall", room: str
) -> None:
    """WCAG 2.2 A and AA and best practices by axe-core; nothing sticks out, nothing breaks the page's policy."""
    gallery, faults, known = opened("en"), [], set()
    complaints = complaints_of(wall.window)
    for name in (name for name, way in PAGES.items() if way.__module__ == room):
        page = PAGES[name](gallery)
        wall.hang(page, *PHONE)
        faults += [f"{name}, phone: {fault}" for fault in wall.faults()]
        if _shape_of(page) in known:
            continue
        known.add(_shape_of(page))
        faults += [f"{name}: {fault}" for fault in wall.violations()]
        wall.turn(*NARROW)
        faults += [f"{name}, narrow: {fault}" for fault in wall.faults()]
        wall.turn(*DESK, dark=True)
        faults += [f"{name}, desk: {fault}" for fault in (*wall.faults(), *wall.violations("color-contrast"))]
    assert faults == []
    # Chromium tells of every status from 400 on as if it were a fault.
    assert [text for text in complaints if "Failed to load resource" not in text] == []


@pytest.mark.parametrize("language", ["ar", "de", "es", "fr", "zh"])
def test_every_page_fits_in_its_language_on_a_phone_and_on_a_desk(
    opened: Callable[[str], Gallery], wall: "Wall", language: str
) -> None:
    """Long words, characters without spaces, and lines from the right."""
    gallery, faults = opened(language), []
    alike: dict[str, dict[str, Page]] = {}
    for name, way in PAGES.items():
        page = way(gallery)
        alike.setdefault(_shape_of(page), {})[name] = page
    for pages in alike.values():
        wall.hang(next(iter(pages.values())), *PHONE)
        for look, size in (("phone", PHONE), ("desk", DESK)):
            wall.turn(*size)
            for name, page in pages.items():
                wall.reword(page)
                faults += [f"{name}, {look}: {fault}" for fault in wall.faults()]
        spoken, direction = wall.window.evaluate("[document.documentElement.lang, document.dir]")
        assert (spoken[:2], direction) == (language, "rtl" if language == "ar" else "ltr"), [*pages]
        rules = () if language in _ALL_OF_AXE else _OF_WORDS
        faults += [f"{[*pages]}, desk: {fault}" for fault in wall.violations(*rules)]
    assert faults == []


def _shape_of(page: Page) -> str:
    """Return what two pages have in common that differ in their words alone: for axe-core they are the same."""
    return _FILLED_IN.sub("", page.text)

"""Filling in the sign-up page."""

from pytest_authserver import Browser, Page

NEW = "a quokka under my piano"


def is_sign_up(page: Page) -> bool:
    """Say whether this is the sign-up page."""
    return page.location is None and "signup-submit" in page.text


def sign_up(
    browser: Browser, page: Page, username: str, *, email: str | None = None, name: str = "", password: str = NEW
) -> Page:
    """Fill in the form and send it."""
    address = f"{username}@people.test" if email is None else email
    return browser.submit(page, "signup-submit", username=username, email=address, name=name, password=password)

"""Who may see the account pages: whoever is signed in in this browser, by the latest sign-in."""

from typing import NamedTuple

from flask import Blueprint, Response, url_for

from authserver.identity.sessions import Browser, new_browser
from authserver.records import Session
from authserver.web import context
from authserver.web import security as protection

blueprint = Blueprint("account", __name__, url_prefix="/account")


class Visitor(NamedTuple):
    """The person at the account pages."""

    browser: Browser
    session: Session

    def token(self, form: str) -> str:
        """Return the token of a form of this session."""
        return protection.form_token(form, self.browser, self.session.sid)

    def check(self, form: str) -> None:
        """Abort with 403 unless the form in the request was rendered for this session."""
        protection.check_form(form, self.browser, self.session.sid)


def visitor() -> Visitor | None:
    """Return the signed-in person, or None."""
    browser, sessions = context.browser(), context.sessions()
    return Visitor(browser, sessions[0]) if browser is not None and sessions else None


def sign_in_again(on: str) -> Response:
    """Send somebody to sign in anew and come back to a page of ours."""
    browser = context.browser()
    known = browser or new_browser()
    response = protection.see_other(url_for("login.show", again=1, **protection.way_on(known, on)))
    if browser is None:
        protection.set_browser_cookie(response, context.server().settings, known)
    return response


def sign_in_first() -> Response:
    """Send somebody who is not signed in to the sign-in page."""
    return protection.see_other(url_for("login.show"))

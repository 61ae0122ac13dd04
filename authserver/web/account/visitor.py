"""Who may see the account pages: whoever is signed in in this browser; of several, the account that was chosen.

A form counts for the account whose page it stands on, whichever was chosen since in another tab. What changes how an
account is protected, or where it is signed in, takes a sign-in of the last minutes: an unlocked screen is not enough
(OWASP ASVS 7.5.1, 7.5.2). Who comes back from that sign-in is told that nothing has been changed yet.
"""

from typing import Any, Final, NamedTuple

from flask import Blueprint, Response, request, url_for

from authserver.identity import sessions
from authserver.identity.sessions import Browser, new_browser
from authserver.records import Session
from authserver.web import context
from authserver.web import security as protection

blueprint = Blueprint("account", __name__, url_prefix="/account")

_UNDONE: Final = "undone"
_FIRST: Final = "account.profile"  # where every sign-in leads by itself


class Visitor(NamedTuple):
    """The person at the account pages."""

    browser: Browser
    session: Session

    @property
    def is_fresh(self) -> bool:
        """Say whether the sign-in is young enough for what protects the account."""
        return sessions.is_fresh(context.server().settings, self.session)

    def token(self, form: str, about: str = "") -> str:
        """Return the token of a form of this session, about one thing where it is not about the account."""
        return protection.form_token(form, self.browser, f"{about} {self.session.sid}")

    def check(self, form: str, about: str = "") -> None:
        """Abort with 403 unless the form in the request was rendered for this session, about the same."""
        protection.check_form(form, self.browser, f"{about} {self.session.sid}")

    def has_sent(self, form: str, about: str = "") -> bool:
        """Say whether the form in the request stands on a page of this session."""
        sent = request.form.get(protection.TOKEN_FIELD, "")
        return protection.is_token(sent, form, self.browser, f"{about} {self.session.sid}")


def visitor() -> Visitor | None:
    """Return the signed-in person whom these pages are about, or None."""
    browser, session = context.browser(), context.account()
    return Visitor(browser, session) if browser is not None and session is not None else None


def sender(form: str, about: str = "") -> Visitor | None:
    """Return the signed-in person on whose page the form in the request stands; without one, whom pages are about."""
    person = visitor()
    if person is None or person.has_sent(form, about):
        return person
    others = (Visitor(person.browser, session) for session in context.sessions())
    return next((other for other in others if other.has_sent(form, about)), person)


def sign_in_first(page: str = _FIRST, **values: Any) -> Response:
    """Send somebody who is not signed in to the sign-in page, and from there to this one."""
    return _sign_in(page, values, {})


def sign_in_again(session: Session, page: str, **values: Any) -> Response:
    """Send somebody to prove to be the owner of this account once more, and from there to this page."""
    return _sign_in(page, values, {"again": 1, "account": session.sid})


@blueprint.context_processor
def tell_undone() -> dict[str, bool]:
    """Let the pages say that what was sent before the sign-in has changed nothing."""
    browser, proof = context.browser(), request.args.get(_UNDONE, "")
    return {"undone": browser is not None and protection.is_token(proof, _UNDONE, browser)}


def _sign_in(page: str, values: dict[str, Any], about: dict[str, Any]) -> Response:
    browser = context.browser()
    if browser is None and request.method == "POST" and request.headers.get("Sec-Fetch-Site") != "same-origin":
        # A form of another site comes without the cookie: a new one would take its place and sign everybody out.
        return protection.see_other(url_for(page, **values))
    known = browser or new_browser()
    if request.method == "POST":
        values[_UNDONE] = protection.form_token(_UNDONE, known)
    is_first = page == _FIRST and not values
    way = {} if is_first else protection.way_on(known, url_for(page, **values))
    response = protection.see_other(url_for("login.show", **about, **way))
    if browser is None and way:
        protection.set_browser_cookie(response, context.server().settings, known)
    return response

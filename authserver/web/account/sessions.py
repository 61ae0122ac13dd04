"""Sessions: where the account is signed in, until when, and how to end that."""

import re
from typing import Final

from flask import Response, abort, make_response, render_template, request, url_for

from authserver.identity import sessions as browser_sessions
from authserver.web import context, language, logout
from authserver.web import security as protection
from authserver.web.account.visitor import blueprint, sender, sign_in_again, sign_in_first, visitor

# In this order: most browsers also name the ones that they descend from.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_PRODUCT: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,30}")


@blueprint.get("/sessions", endpoint="sessions")
def show() -> Response:
    """List the sessions of the account."""
    at, person = context.server(), visitor()
    if person is None:
        return sign_in_first("account.sessions")
    listed = browser_sessions.sessions_of(at, person.session.sub)
    ordered = sorted(listed, key=lambda session: (session.sid != person.session.sid, -session.seen_at))
    page = render_template(
        "account/sessions.html",
        session=person.session,
        listed=[(one, device(one.user_agent), browser_sessions.idle_end(at.settings, one)) for one in ordered],
        token=person.token("sessions"),
    )
    return make_response(page)


@blueprint.post("/sessions", endpoint="end_sessions")
def submit() -> Response:
    """Sign out here, or end sessions elsewhere, which takes a sign-in of the last minutes."""
    at, person = context.server(), sender("sessions")
    if person is None:
        return sign_in_first("account.sessions")
    person.check("sessions")
    sid = request.form.get("sid", "")
    if sid == person.session.sid:
        return logout.end(person.browser, (person.session,), None)
    if not person.is_fresh:
        return sign_in_again(person.session, "account.sessions")
    if request.form.get("which") == "others":
        browser_sessions.end_others(at, person.session)
        return protection.see_other(url_for("account.sessions"))
    # Only what is listed can be ended: another user's session is as unknown as a made-up one.
    if all(session.sid != sid for session in browser_sessions.sessions_of(at, person.session.sub)):
        abort(404)
    browser_sessions.end_by_id(at, person.session.sub, sid, "user")
    return protection.see_other(url_for("account.sessions"))


def device(user_agent: str) -> str:
    """Return a browser's own words as people know it, in the language of the page: "Firefox on Linux"."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), None)
    if browser is None:
        product = _PRODUCT.match(user_agent)
        browser = product[0] if product else language.gettext("Unknown browser")
    # Translators: where somebody is signed in, as in "Firefox on Linux".
    return language.gettext("%(browser)s on %(system)s", browser=browser, system=system) if system else browser

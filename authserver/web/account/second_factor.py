"""The second factor: setting up an authenticator app, new recovery codes, removing it."""

from typing import Final

import segno
from flask import Response, abort, make_response, render_template, request, url_for
from markupsafe import Markup

from authserver.identity import login, second_factor
from authserver.identity.sessions import Browser
from authserver.oidc import interaction
from authserver.web import context
from authserver.web import security as protection
from authserver.web.account.visitor import Visitor, blueprint, sender, sign_in_again, sign_in_first, visitor
from authserver.web.login import delayed
from authserver.web.second_factor import EMPTY, REFUSED

_PATH: Final = "/second-factor"
_QUIET: Final = 4  # modules of light around the picture (ISO/IEC 18004)


@blueprint.get(_PATH, endpoint="second_factor")
def show() -> Response:
    """Show what there is: nothing yet and how to set it up, or what can be done with it."""
    person = _whoever()
    return _page(person) if person is not None and person.is_fresh else _again(person)


@blueprint.post(_PATH, endpoint="add_second_factor")
def add() -> Response:
    """Take the first code of an app that was set up."""
    # Not asked to be fresh any more: the offer was made to a fresh session, for that one and for ten minutes.
    at, person = context.server(), _whoever("second-factor")
    if person is None:
        return _again(None)
    person.check("second-factor")
    if second_factor.is_enrolled(at, person.session.sub):
        return protection.see_other(url_for("account.second_factor", interaction=request.args.get("interaction")))
    code = request.form.get("code", "").strip()
    outcome = second_factor.enrol(at, person.session, request.form.get("offer", ""), code)
    if outcome.refused == second_factor.OVER and not person.is_fresh:
        # A new offer is made to a fresh session alone, or the form once shown would open this for ever.
        return _again(person)
    if outcome.refused is not None:
        return _page(person, problem=outcome.refused if code else EMPTY)
    raised = login.raise_session(at, context.visit(person.browser), person.session, second_factor.AMR_TOTP)
    return _codes(person, outcome.codes, raised.browser)


@blueprint.post(_PATH + "/change", endpoint="change_second_factor")
def change() -> Response:
    """Make new recovery codes, or remove the app with them; either takes a code."""
    at, person = context.server(), _whoever("second-factor.change")
    if person is None or not person.is_fresh:
        return _again(person)
    person.check("second-factor.change")
    what, typed = request.form.get("do"), request.form.get("code", "").strip()
    if what not in {"renew", "remove"}:
        abort(400)
    if not typed:
        return _page(person, problem=EMPTY)
    verdict = second_factor.check(at, context.visit(person.browser), person.session.sub, typed)
    if verdict.wait:
        response = _page(person, problem=delayed(verdict.wait), status=429)
        response.headers["Retry-After"] = str(verdict.wait)
        return response
    if verdict.amr is None:
        return _page(person, problem=REFUSED)
    if what == "renew":
        return _codes(person, second_factor.renew_codes(at, person.session.sub), None)
    user = at.store.users.get(person.session.sub)
    if user is not None:
        second_factor.remove(at.store, user, actor=user.sub)
    return protection.see_other(url_for("account.security", removed=1))


def _whoever(form: str | None = None) -> Visitor | None:
    """Return the person that an application waits for, where one does; that need not be the latest to sign in here."""
    if "interaction" not in request.args:
        return sender(form) if form is not None else visitor()
    browser, waiting = context.browser(), context.waiting()
    session = interaction.account(waiting, context.sessions()) if waiting else None
    return Visitor(browser, session) if browser is not None and session is not None else None


def _again(person: Visitor | None) -> Response:
    """Send somebody to sign in, or to sign in anew, and come back."""
    about = {"interaction": request.args["interaction"]} if "interaction" in request.args else {}
    if person is None:
        return sign_in_first("account.second_factor", **about)
    return sign_in_again(person.session, "account.second_factor", **about)


def _page(person: Visitor, *, problem: str | None = None, status: int | None = None) -> Response:
    at = context.server()
    enrolled = second_factor.is_enrolled(at, person.session.sub)
    offer = None if enrolled else second_factor.offer(at, person.session, request.form.get("offer", ""))
    page = render_template(
        "account/second_factor.html",
        session=person.session,
        waiting=context.waiting(),
        offer=offer,
        picture=_picture(offer.uri) if offer else None,
        codes_left=second_factor.codes_left(at, person.session.sub) if enrolled else 0,
        token=person.token("second-factor.change" if enrolled else "second-factor"),
        problem=problem,
    )
    return make_response(page, status or (400 if problem else 200))


def _codes(person: Visitor, codes: tuple[str, ...], fresh: Browser | None) -> Response:
    """Show the recovery codes, this once; they are nowhere in clear after it."""
    waiting = context.waiting()
    page = render_template("account/recovery_codes.html", session=person.session, waiting=waiting, codes=codes)
    response = make_response(page)
    if fresh is not None:
        protection.set_browser_cookie(response, context.server().settings, fresh)
    return response


def _picture(uri: str) -> Markup:
    """Draw a QR code as SVG, dark on light in either look, for the page itself: no script, nothing to fetch."""
    drawing = segno.make(uri, micro=False, error="l")
    # Made of numbers alone: nothing of the text that it encodes is in its markup.
    inside = drawing.svg_inline(border=_QUIET, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None)
    return Markup(inside)  # noqa: S704

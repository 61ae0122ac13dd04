"""The pages on which a person connects a device (RFC 8628 3.3, 5.4): enter the code, sign in, compare, decide.

A code is looked up only for somebody who is signed in, and only where this browser has posted it: a link fills the form
in and does nothing else (3.3.1). A remembered consent does not stand in for the comparison.
"""

from typing import Any, Final

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for

from authserver.identity.sessions import Browser, new_browser
from authserver.language import N_
from authserver.limits import Exceeded, network_of
from authserver.oauth import device
from authserver.oauth.device import Device
from authserver.oidc import consent
from authserver.records import Client, Session
from authserver.web import context, language, security
from authserver.web.client import client_view
from authserver.web.proxy import client_address

blueprint = Blueprint("device", __name__, url_prefix=device.VERIFICATION_PATH)

WRONG: Final = N_("This code is not right, or its time is over. Look at your device again.")
DELAYED: Final = N_("There were too many wrong codes. Wait an hour and try again.")


@blueprint.before_request
def check_feature() -> None:
    """Have no pages while the extension is switched off."""
    if not context.server().settings.features.device:
        abort(404)


@blueprint.get("")
def show() -> Response:
    """Show the form; verification_uri_complete fills it in."""
    code = device.entered(request.args.get("user_code", ""))
    return _form(device.shown(code) if code else "")


@blueprint.post("")
def enter() -> Response:
    """Take a code that somebody has entered, or compared where a link has filled it in."""
    browser, text = context.browser(), request.form.get("user_code", "")
    if browser is None:
        return security.lost_interaction()
    security.check_form("device", browser)
    code = device.entered(text)
    if code is None:
        return _form(text[: device.MAX_ENTERED], WRONG)
    return _sign_in_first(browser, code) or security.see_other(url_for("device.compare", **_ticket(browser, code)))


@blueprint.get("/confirm")
def compare() -> Response:
    """Show who asks for what, and the code to compare with that on the device."""
    browser, code = context.browser(), request.args.get("user_code", "")
    if browser is None or not _is_posted(browser, code):
        return security.see_other(url_for("device.show"))
    away = _sign_in_first(browser, code)
    if away is not None:
        return away
    session = _account()
    found = _find(code, session)
    if isinstance(found, Response):
        return found
    if found[0].decision is not None:
        return _done(browser, found[0].decision)
    return _confirmation(browser, session, code, *found)


@blueprint.post("/confirm")
def decide() -> Response:
    """Take the decision; sending it twice is sending it once."""
    browser, code = context.browser(), request.args.get("user_code", "")
    if browser is None or not _is_posted(browser, code):
        return security.see_other(url_for("device.show"))
    away = _sign_in_first(browser, code)
    if away is not None:
        return away
    session, decision = _account(), request.form.get("decision")
    security.check_form("device.confirm", browser, _about(code, session))
    if decision not in {"allow", "deny"}:
        abort(400)
    found = _find(code, session)
    if isinstance(found, Response):
        return found
    at, (waiting, client) = context.server(), found
    if waiting.decision is not None:
        return _done(browser, waiting.decision)
    scope = consent.granted_scope(at, client, waiting.request, session) if decision == "allow" else None
    return _done(browser, decision) if device.decide(at, waiting, session, scope) else _form("", WRONG)


@blueprint.get("/done")
def done() -> Response:
    """Say how it ended, to the browser in which it was decided."""
    browser, decision = context.browser(), request.args.get("decision", "")
    if browser is None or not security.is_token(request.args.get("proof", ""), "device.done", browser, decision):
        return security.see_other(url_for("device.show"))
    return make_response(render_template("device/done.html", allowed=decision == "allow"))


def _ticket(browser: Browser, code: str) -> dict[str, Any]:
    """Return the parameters that name a code which this browser has posted."""
    return {"user_code": code, "ticket": security.form_token("device.code", browser, code)}


def _is_posted(browser: Browser, code: str) -> bool:
    return security.is_token(request.args.get("ticket", ""), "device.code", browser, code)


def _about(code: str, session: Session) -> str:
    # A page that was shown to one account decides for that account alone.
    return f"{code} {session.sid}"


def _account() -> Session:
    return context.account() or context.sessions()[0]


def _way(browser: Browser, code: str) -> dict[str, Any]:
    return security.way_on(browser, url_for("device.compare", **_ticket(browser, code)))


def _sign_in_first(browser: Browser, code: str) -> Response | None:
    """Send whoever is not signed in to the sign-in page, and from there to the comparison."""
    return None if context.sessions() else security.see_other(url_for("login.show", **_way(browser, code)))


def _find(code: str, session: Session) -> tuple[Device, Client] | Response:
    """Return the device that shows the code, or the form again."""
    at = context.server()
    try:
        found = device.find(at, code, session, client_address(request.environ, at.settings))
    except Exceeded as limit:
        response = _form("", DELAYED, 429)
        response.headers["Retry-After"] = str(limit.retry_after)
        return response
    return found or _form(device.shown(code), WRONG)


def _form(code: str, problem: str | None = None, status: int = 400) -> Response:
    known = context.browser() or new_browser()
    page = render_template(
        "device/enter.html",
        code=code,
        problem=problem,
        longest=device.MAX_ENTERED,
        token=security.form_token("device", known),
    )
    response = make_response(page, status if problem else 200)
    if context.browser() is None:
        security.set_browser_cookie(response, context.server().settings, known)
    return response


def _confirmation(browser: Browser, session: Session, code: str, waiting: Device, client: Client) -> Response:
    at = context.server()
    here = network_of(client_address(request.environ, at.settings))
    page = render_template(
        "device/confirm.html",
        client=client_view(client, ""),
        asked=consent.asked(at, client, waiting.request, session, language.spoken()),
        session=session,
        code=device.shown(code),
        device=waiting,
        near=here == network_of(waiting.address) and here != network_of(""),
        ticket=_ticket(browser, code),
        way=_way(browser, code),
        token=security.form_token("device.confirm", browser, _about(code, session)),
    )
    return make_response(page)


def _done(browser: Browser, decision: str) -> Response:
    proof = security.form_token("device.done", browser, decision)
    return security.see_other(url_for("device.done", decision=decision, proof=proof))

"""The sign-in page, on its own or for an application that waits (``interaction``)."""

from typing import Any, Final

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for

from authserver.identity import login, sessions
from authserver.identity.login import SignIn
from authserver.identity.sessions import Browser
from authserver.oidc import interaction
from authserver.oidc.interaction import Interaction
from authserver.web import context, security
from authserver.web.client import client_view

blueprint = Blueprint("login", __name__)

REFUSED: Final = "The user name or the password is not right."
DELAYED: Final = "There were too many tries. Wait {} and try again."
_DAY: Final = 86_400
EMPTY: Final = "Enter your user name and your password."
OVER: Final = "There were too many wrong codes, or it took too long. Sign in again."


@blueprint.get("/login")
def show() -> Response:
    """Show the form, or the accounts of this browser to choose from."""
    browser, waiting = context.browser(), None
    if "interaction" in request.args:
        waiting = _load(browser)
        if waiting is None:
            return security.lost_interaction()
        step = interaction.step(context.server(), waiting, context.sessions())
        if "switch" not in request.args:
            if step not in {"login", "select_account"}:
                return _resume(waiting)
            if step == "select_account" and browser:
                return _accounts(browser, waiting)
    elif context.sessions() and {"switch", "again"}.isdisjoint(request.args):
        return security.see_other(security.next_page(browser) or url_for("account.profile"))
    known = browser or sessions.new_browser()
    response = _form(known, waiting, username=_hint(waiting), problem=OVER if "over" in request.args else None)
    if browser is None:
        security.set_browser_cookie(response, context.server().settings, known)
    return response


@blueprint.post("/login")
def submit() -> Response:
    """Sign in with name and password; where the account has a second factor, its page comes next."""
    at, browser = context.server(), context.browser()
    waiting = _load(browser) if "interaction" in request.args else None
    if browser is None or (waiting is None and "interaction" in request.args):
        return security.lost_interaction()
    security.check_form("login", browser, _id(waiting))
    username, password = request.form.get("username", ""), request.form.get("password", "")
    if not username.strip() or not password:
        return _form(browser, waiting, username=username, problem=EMPTY, status=400)
    outcome = login.sign_in(at, context.visit(browser), username, password, _id(waiting))
    if outcome.browser is None:
        return _refused(browser, waiting, username, outcome.wait)
    if outcome.half:
        response = security.see_other(url_for("second_factor.show", **way(browser, waiting)))
        security.set_browser_cookie(response, at.settings, outcome.browser)
        return response
    return go_on(waiting, outcome, browser)


def go_on(waiting: Interaction | None, outcome: SignIn, browser: Browser) -> Response:
    """Lead somebody who has just signed in to where the sign-in was begun for, with the browser's new cookie."""
    at = context.server()
    if waiting is not None and outcome.sid is not None:
        interaction.choose(at, waiting, outcome.sid)
    on = security.next_page(browser) or url_for("account.profile")
    response = _resume(waiting) if waiting else security.see_other(on)
    if outcome.browser is not None:
        security.set_browser_cookie(response, at.settings, outcome.browser)
    return response


def delayed(wait: int) -> str:
    """Say how long to wait, in words."""
    if wait >= _DAY:
        return DELAYED.format("a day")
    return DELAYED.format(f"{wait} seconds" if wait > 1 else "a second")


def way(browser: Browser, waiting: Interaction | None) -> dict[str, Any]:
    """Return the parameters by which the next page of a sign-in knows what it is for."""
    if waiting is not None:
        return {"interaction": waiting.interaction_id}
    on = security.next_page(browser)
    return security.way_on(browser, on) if on else {}


@blueprint.post("/login/account")
def choose() -> Response:
    """Go on with an account that is signed in here already."""
    browser = context.browser()
    waiting = _load(browser)
    if browser is None or waiting is None:
        return security.lost_interaction()
    security.check_form("account", browser, _id(waiting))
    sid = request.form.get("sid", "")
    if all(session.sid != sid for session in context.sessions()):
        abort(403)
    interaction.choose(context.server(), waiting, sid)
    return _resume(waiting)


def _load(browser: Browser | None) -> Interaction | None:
    return interaction.load(context.server(), request.args.get("interaction", ""), browser.id) if browser else None


def _id(waiting: Interaction | None) -> str:
    return waiting.interaction_id if waiting else ""


def _resume(waiting: Interaction) -> Response:
    return security.see_other(url_for("authorize.resume", interaction=waiting.interaction_id))


def _hint(waiting: Interaction | None) -> str:
    """Return the name to begin with: of the account that has to prove itself again, or the application's guess."""
    if "again" in request.args and context.sessions():
        return context.sessions()[0].username
    if waiting is None or "switch" in request.args:
        return ""
    session = interaction.account(waiting, context.sessions())
    return session.username if session else (waiting.request.login_hint or "")[: login.MAX_NAME]


def _refused(browser: Browser, waiting: Interaction | None, username: str, wait: int) -> Response:
    if not wait:
        return _form(browser, waiting, username=username, problem=REFUSED, status=400)
    response = _form(browser, waiting, username=username, problem=delayed(wait), status=429)
    response.headers["Retry-After"] = str(wait)
    return response


def _form(
    browser: Browser, waiting: Interaction | None, *, username: str, problem: str | None = None, status: int = 200
) -> Response:
    client, on = _client(waiting), security.next_page(browser)
    page = render_template(
        "login.html",
        client=client,
        way=security.way_on(browser, on) if on else {},
        token=security.form_token("login", browser, _id(waiting)),
        interaction=_id(waiting) or None,
        username=username,
        problem=problem,
    )
    return make_response(page, status)


def _accounts(browser: Browser, waiting: Interaction) -> Response:
    page = render_template(
        "select_account.html",
        client=_client(waiting),
        token=security.form_token("account", browser, _id(waiting)),
        interaction=_id(waiting),
        sessions=context.sessions(),
    )
    return make_response(page)


def _client(waiting: Interaction | None) -> object:
    if waiting is None:
        return None
    security.allow_form_target(waiting.request.redirect_uri)
    return client_view(waiting.client, waiting.request.redirect_uri)

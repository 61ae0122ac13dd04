"""The sign-in page, on its own or for an application that waits (``interaction``)."""

from typing import Any, Final

from flask import Blueprint, Response, make_response, render_template, request, url_for

from authserver.identity import login, sessions
from authserver.identity.login import SignIn
from authserver.identity.sessions import Browser
from authserver.language import N_
from authserver.oidc import interaction
from authserver.oidc.interaction import Interaction
from authserver.records import Session
from authserver.web import context, security
from authserver.web.client import client_view
from authserver.web.language import gettext, ngettext

blueprint = Blueprint("login", __name__)

REFUSED: Final = N_("The user name or the password is not right.")
DELAYED: Final = N_("There were too many tries. Wait a day and try again.")
_DAY: Final = 86_400
EMPTY: Final = N_("Enter your user name and your password.")
OVER: Final = N_("There were too many wrong codes, or it took too long. Sign in again.")


@blueprint.get("/login")
def show() -> Response:
    """Show the form, unless there is nothing to sign in for, or accounts to choose from."""
    browser, waiting = context.browser(), None
    if "interaction" in request.args:
        waiting = _load(browser)
        if waiting is None or browser is None:
            return security.lost_interaction()
        away = _elsewhere(browser, waiting) if {"switch", "over"}.isdisjoint(request.args) else None
        if away is not None:
            return away
    elif context.sessions() and {"switch", "over", "again"}.isdisjoint(request.args):
        return security.see_other(security.next_page(browser) or url_for("account.profile"))
    known, proving = browser or sessions.new_browser(), _proving(waiting)
    response = _form(
        known,
        waiting,
        username=_guess(browser, waiting, proving),
        problem=OVER if "over" in request.args else None,
        may_remember=proving is None,
    )
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
    # Where the choice was not offered, whoever proves to be there again stays as they were.
    remember = "remember" in request.form if "may_remember" in request.form else None
    outcome = login.sign_in(at, context.visit(browser), username, password, _id(waiting), remember=remember)
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
    elif outcome.browser is not None and outcome.sid is not None:
        sessions.choose_account(at, outcome.browser, outcome.sid)
    on = security.next_page(browser) or url_for("account.profile")
    response = resume(waiting) if waiting else security.see_other(on)
    if outcome.browser is not None:
        security.set_browser_cookie(response, at.settings, outcome.browser)
    return response


def delayed(wait: int) -> str:
    """Say how long to wait, in words."""
    if wait >= _DAY:
        return gettext(DELAYED)
    return ngettext(
        "There were too many tries. Wait a second and try again.",
        "There were too many tries. Wait %(num)s seconds and try again.",
        wait,
    )


def way(browser: Browser, waiting: Interaction | None) -> dict[str, Any]:
    """Return the parameters by which the next page of a sign-in knows what it is for."""
    if waiting is not None:
        return {"interaction": waiting.interaction_id}
    on = security.next_page(browser)
    return security.way_on(browser, on) if on else {}


def resume(waiting: Interaction) -> Response:
    """Lead back to the request that waits."""
    return security.see_other(url_for("authorize.resume", interaction=waiting.interaction_id))


def client_of(waiting: Interaction | None) -> object:
    """Return what this page says of the application that waits, and let its forms lead there."""
    if waiting is None:
        return None
    security.allow_form_target(waiting.request.redirect_uri)
    return client_view(waiting.client, waiting.request.redirect_uri)


def _load(browser: Browser | None) -> Interaction | None:
    return context.waiting() if browser else None


def _id(waiting: Interaction | None) -> str:
    return waiting.interaction_id if waiting else ""


def _elsewhere(browser: Browser, waiting: Interaction) -> Response | None:
    """Return the way to what the request needs, where that is not a sign-in."""
    step = interaction.step(context.server(), waiting, context.sessions())
    if step == "select_account" or (step == "login" and _may_know(browser, waiting)):
        return security.see_other(url_for("chooser.show", **way(browser, waiting)))
    return None if step == "login" else resume(waiting)


def _may_know(browser: Browser, waiting: Interaction) -> bool:
    """Say whether there is an account to choose though nobody is signed in: its session was not used for too long."""
    asked = "select_account" in waiting.request.prompt and waiting.sid is None
    return asked and bool(sessions.idle_sessions(context.server(), browser))


def _proving(waiting: Interaction | None) -> Session | None:
    """Return who is signed in and has to prove it again."""
    if "again" in request.args:
        named = request.args.get("account")
        return next((one for one in context.sessions() if one.sid == named), None) if named else context.account()
    if waiting is None or "switch" in request.args:
        return None
    return interaction.account(waiting, context.sessions())


def _guess(browser: Browser | None, waiting: Interaction | None, proving: Session | None) -> str:
    """Return the name to begin with: of the account that was chosen, else the application's guess, else who is here."""
    hint = _hint(browser, waiting)
    if proving is None:
        return hint
    chosen = waiting is None or waiting.sid is not None or waiting.request.hinted_sub is not None
    return proving.username if chosen or not hint else hint


def _hint(browser: Browser | None, waiting: Interaction | None) -> str:
    """Return the name of an account that was chosen, though signed out, or the application's guess."""
    named = request.args.get("account")
    if named and browser is not None:
        idle = sessions.idle_sessions(context.server(), browser)
        return next((one.username for one in idle if one.sid == named), "")
    if waiting is None or "switch" in request.args:
        return ""
    return (waiting.request.login_hint or "")[: login.MAX_NAME]


def _refused(browser: Browser, waiting: Interaction | None, username: str, wait: int) -> Response:
    if not wait:
        return _form(browser, waiting, username=username, problem=REFUSED, status=400)
    response = _form(browser, waiting, username=username, problem=delayed(wait), status=429)
    response.headers["Retry-After"] = str(wait)
    return response


def _form(
    browser: Browser,
    waiting: Interaction | None,
    *,
    username: str,
    problem: str | None = None,
    status: int = 200,
    may_remember: bool | None = None,
) -> Response:
    offered = "may_remember" in request.form if may_remember is None else may_remember
    on = security.next_page(browser)
    page = render_template(
        "login.html",
        client=client_of(waiting),
        may_remember=offered and context.server().settings.sessions.remember_seconds > 0,
        remember="remember" in request.form,
        way=security.way_on(browser, on) if on else {},
        token=security.form_token("login", browser, _id(waiting)),
        interaction=_id(waiting) or None,
        username=username,
        problem=problem,
        new_account="again" not in request.args and (waiting is None or waiting.request.hinted_sub is None),
    )
    return make_response(page, status)

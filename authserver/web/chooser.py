"""The account chooser: who is signed in in this browser, for an application that waits or for the pages of ours.

It changes nothing by being opened: an account is taken by a form that this page alone has, so a link of somebody else
switches nobody. Beside the accounts that are signed in it names those whose session was not used for too long. They
were in this browser, they did not sign out, and their rows stand in the store until their last end: nothing is kept
for it, least of all in a cookie.
"""

from typing import Any

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for

from authserver.identity import sessions
from authserver.identity.sessions import Browser
from authserver.oidc import interaction
from authserver.oidc.interaction import Interaction
from authserver.web import context, logout, security
from authserver.web.login import client_of, resume, way

blueprint = Blueprint("chooser", __name__)

_FORM = "account"


@blueprint.get("/login/account")
def show() -> Response:
    """Show the accounts, or the sign-in page where there is none."""
    at, browser, waiting = context.server(), context.browser(), context.waiting()
    if waiting is None and "interaction" in request.args:
        return security.lost_interaction()
    known = sessions.idle_sessions(at, browser) if browser else ()
    if browser is None or not (context.sessions() or known):
        on = way(browser, waiting) if browser else {}
        return security.see_other(url_for("login.show", switch=1, **on))
    shown = context.account()
    page = render_template(
        "select_account.html",
        client=client_of(waiting),
        way=way(browser, waiting),
        token=security.form_token(_FORM, browser, _about(waiting)),
        sessions=context.sessions(),
        idle=known,
        current=shown.sid if shown and waiting is None else None,
    )
    return make_response(page)


@blueprint.post("/login/account")
def choose() -> Response:
    """Go on with an account that is signed in here already, or end the sign-in of one."""
    at, browser, waiting = context.server(), context.browser(), context.waiting()
    if browser is None or (waiting is None and "interaction" in request.args):
        return security.lost_interaction()
    security.check_form(_FORM, browser, _about(waiting))
    if "end" in request.form:
        return _sign_out(browser, request.form["end"], way(browser, waiting))
    sid = request.form.get("sid", "")
    if all(session.sid != sid for session in context.sessions()):
        abort(403)
    if waiting is not None:
        interaction.choose(at, waiting, sid)
        return resume(waiting)
    sessions.choose_account(at, browser, sid)
    return security.see_other(security.next_page(browser) or url_for("account.profile"))


def _sign_out(browser: Browser, sid: str, on: dict[str, Any]) -> Response:
    """End one account's session in this browser and show the others."""
    here = (*context.sessions(), *sessions.idle_sessions(context.server(), browser))
    ended = tuple(session for session in here if session.sid == sid)
    return logout.end(browser, ended, url_for("chooser.show", **on))


def _about(waiting: Interaction | None) -> str:
    return waiting.interaction_id if waiting else ""

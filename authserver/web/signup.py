"""The sign-up page, on its own or for an application that waits (``interaction``): one form, and then signed in."""

import re
from typing import Final

from flask import Blueprint, Response, make_response, render_template, request

from authserver.identity import accounts, sessions
from authserver.identity.accounts import Form, Refused
from authserver.identity.login import SignIn
from authserver.identity.sessions import Browser
from authserver.oidc.interaction import Interaction
from authserver.web import context, security
from authserver.web.login import client_of, go_on, resume, way

blueprint = Blueprint("signup", __name__)

_FORM_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
_TYPED: Final = {"username": accounts.MAX_USERNAME, "email": accounts.MAX_EMAIL, "name": accounts.MAX_NAME}


@blueprint.get("/signup")
def show() -> Response:
    """Show the empty form, with what the application knows of its visitor."""
    browser, waiting = context.browser(), context.waiting()
    if waiting is None and "interaction" in request.args:
        return security.lost_interaction()
    if waiting is not None and not _is_open(waiting):
        return resume(waiting)
    known = browser or sessions.new_browser()
    response = _page(known, waiting, _hinted(waiting))
    if browser is None:
        security.set_browser_cookie(response, context.server().settings, known)
    return response


@blueprint.post("/signup")
def submit() -> Response:
    """Make the account, and go on as after a sign-in."""
    at, browser, waiting = context.server(), context.browser(), context.waiting()
    if browser is None or (waiting is None and "interaction" in request.args):
        return security.lost_interaction()
    security.check_form("signup", browser, _id(waiting))
    if waiting is not None and not _is_open(waiting):
        return resume(waiting)
    form, client_id = _read(), waiting.client.client_id if waiting else None
    outcome = accounts.sign_up(at, context.visit(browser), form, client_id=client_id, about=_id(waiting))
    return go_on(waiting, outcome, browser) if isinstance(outcome, SignIn) else _page(browser, waiting, form, outcome)


def _is_open(waiting: Interaction) -> bool:
    """Say whether a new account could still be the answer: nothing is answered, and nobody is named already."""
    answered = waiting.done_at is not None or waiting.decision == "deny"
    return not answered and waiting.request.hinted_sub is None


def _read() -> Form:
    """Return what was typed; what people cannot see at the ends of a line was not meant."""
    typed = {name: request.form.get(name, "").strip() for name in _TYPED}
    form_id = request.form.get("form_id", "")
    # What was not drawn here is drawn now: nothing is then known to be the same form again.
    known = form_id if _FORM_ID.fullmatch(form_id) else accounts.new_form_id()
    return Form(**typed, password=request.form.get("password", ""), form_id=known)


def _hinted(waiting: Interaction | None) -> Form:
    """Return the form to begin with: the application may have guessed who comes (OpenID Connect Core 3.1.2.1)."""
    hint = (waiting.request.login_hint or "") if waiting else ""
    typed = {"username": "", "email": "", ("email" if "@" in hint else "username"): hint}
    return Form(**typed, name="", password="", form_id=accounts.new_form_id())


def _id(waiting: Interaction | None) -> str:
    return waiting.interaction_id if waiting else ""


def _page(browser: Browser, waiting: Interaction | None, form: Form, refused: tuple[Refused, ...] = ()) -> Response:
    """Show the form with what was typed, except for the password, and a sentence at each field that is not right."""
    wait = max((each.wait for each in refused), default=0)
    page = render_template(
        "signup.html",
        client=client_of(waiting),
        way=way(browser, waiting),
        token=security.form_token("signup", browser, _id(waiting)),
        typed={name: getattr(form, name)[: 2 * size] for name, size in _TYPED.items()},
        most=_TYPED,
        form_id=form.form_id,
        problems={each.field: each.sentence for each in refused},
        about=context.server().settings.signup,
    )
    response = make_response(page, 429 if wait else 400 if refused else 200)
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response

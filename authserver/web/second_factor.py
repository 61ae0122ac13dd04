"""The page that asks for the second factor, after the password or for a step-up, and the offer to set one up."""

from typing import Final

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for

from authserver.identity import login
from authserver.identity.login import Half
from authserver.identity.sessions import Browser
from authserver.language import N_
from authserver.oidc import interaction
from authserver.oidc.interaction import Interaction
from authserver.records import Session
from authserver.web import context, security
from authserver.web.client import client_view
from authserver.web.login import delayed, go_on, way

blueprint = Blueprint("second_factor", __name__, url_prefix="/login")

REFUSED: Final = N_("This code is not right, or was used before. Wait for the next one and try again.")
REFUSED_RECOVERY: Final = N_("This recovery code is not right, or was used before.")
EMPTY: Final = N_("Enter a code.")


@blueprint.get("/second-factor")
def show() -> Response:
    """Ask for a code of whoever has got half way in this browser, or has to step up."""
    browser, waiting = context.browser(), context.waiting()
    if browser is None or (waiting is None and "interaction" in request.args):
        return security.lost_interaction()
    who = _who(browser, waiting)
    return _form(browser, waiting, who) if who else _elsewhere(browser, waiting)


@blueprint.post("/second-factor")
def submit() -> Response:
    """Take a code."""
    at, browser, waiting = context.server(), context.browser(), context.waiting()
    if browser is None or (waiting is None and "interaction" in request.args):
        return security.lost_interaction()
    who = _who(browser, waiting)
    if who is None:
        return _elsewhere(browser, waiting)
    security.check_form("second-factor", browser, _about(waiting, who))
    typed, visit = request.form.get("code", "").strip(), context.visit(browser)
    if not typed:
        return _form(browser, waiting, who, problem=EMPTY, status=400)
    take = login.complete(at, visit, who, typed) if isinstance(who, Half) else login.step_up(at, visit, who, typed)
    if take.sid is not None:
        return go_on(waiting, take, browser)
    if take.over:
        return security.see_other(url_for("login.show", over=1, **way(browser, waiting)))
    if take.wait:
        return _delayed(browser, waiting, who, take.wait)
    return _form(browser, waiting, who, problem=REFUSED_RECOVERY if _by_recovery() else REFUSED, status=400)


@blueprint.get("/offer")
def offer() -> Response:
    """Say that the application wishes for a second factor, to somebody who has none."""
    browser, waiting = context.browser(), context.waiting()
    if browser is None or waiting is None:
        return security.lost_interaction()
    session = interaction.account(waiting, context.sessions())
    if session is None or interaction.step(context.server(), waiting, context.sessions()) != "offer":
        return _resume(waiting)
    page = render_template(
        "second_factor_offer.html",
        client=_client(waiting),
        session=session,
        token=security.form_token("offer", browser, _about(waiting, session)),
        interaction=waiting.interaction_id,
    )
    return make_response(page)


@blueprint.post("/offer")
def decline() -> Response:
    """Go on without a second factor."""
    at, browser, waiting = context.server(), context.browser(), context.waiting()
    if browser is None or waiting is None:
        return security.lost_interaction()
    session = interaction.account(waiting, context.sessions())
    if session is None:
        return _resume(waiting)
    security.check_form("offer", browser, _about(waiting, session))
    if request.form.get("decision") != "without":
        abort(400)
    if interaction.step(at, waiting, context.sessions()) == "offer":
        interaction.go_on_without(at, waiting, session)
    return _resume(waiting)


def _who(browser: Browser, waiting: Interaction | None) -> Half | Session | None:
    half = login.half_of(context.server(), browser, waiting.interaction_id if waiting else "")
    if half is not None or waiting is None:
        return half
    if interaction.step(context.server(), waiting, context.sessions()) != "second_factor":
        return None
    return interaction.account(waiting, context.sessions())


def _about(waiting: Interaction | None, who: Half | Session) -> str:
    # A page that was shown to one account, or in one sign-in, takes the code of that one alone.
    return f"{waiting.interaction_id if waiting else ''} {who.half_id if isinstance(who, Half) else who.sid}"


def _by_recovery() -> bool:
    return "recovery" in request.args


def _resume(waiting: Interaction) -> Response:
    return security.see_other(url_for("authorize.resume", interaction=waiting.interaction_id))


def _elsewhere(browser: Browser, waiting: Interaction | None) -> Response:
    """Lead on where there is nobody to ask: the sign-in is complete, over, or was never begun."""
    return _resume(waiting) if waiting else security.see_other(url_for("login.show", **way(browser, None)))


def _delayed(browser: Browser, waiting: Interaction | None, who: Half | Session, wait: int) -> Response:
    response = _form(browser, waiting, who, problem=delayed(wait), status=429)
    response.headers["Retry-After"] = str(wait)
    return response


def _form(
    browser: Browser,
    waiting: Interaction | None,
    who: Half | Session,
    *,
    problem: str | None = None,
    status: int = 200,
) -> Response:
    page = render_template(
        "second_factor.html",
        client=_client(waiting) if waiting else None,
        way=way(browser, waiting),
        token=security.form_token("second-factor", browser, _about(waiting, who)),
        username=who.username,
        recovery=_by_recovery(),
        signed_in=not isinstance(who, Half),
        problem=problem,
    )
    return make_response(page, status)


def _client(waiting: Interaction) -> object:
    security.allow_form_target(waiting.request.redirect_uri)
    return client_view(waiting.client, waiting.request.redirect_uri)

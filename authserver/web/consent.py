"""The consent page: who asks, for what, where the answer goes (OpenID Connect Core 1.0, 3.1.2.4)."""

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for

from authserver.oidc import consent, interaction
from authserver.oidc.interaction import Interaction
from authserver.records import Session
from authserver.web import context, language, security
from authserver.web.client import client_view

blueprint = Blueprint("consent", __name__)


@blueprint.get("/consent")
def show() -> Response:
    """Show what the application asks for."""
    at, browser, waiting = context.server(), context.browser(), context.waiting()
    if browser is None or waiting is None:
        return security.lost_interaction()
    session = interaction.account(waiting, context.sessions())
    if session is None or interaction.step(at, waiting, context.sessions()) != "consent":
        return _resume(waiting)
    security.allow_form_target(waiting.request.redirect_uri)
    page = render_template(
        "consent.html",
        client=client_view(waiting.client, waiting.request.redirect_uri),
        asked=consent.asked(at, waiting.client, waiting.request, session, language.spoken()),
        session=session,
        token=security.form_token("consent", browser, _about(waiting, session)),
        interaction=waiting.interaction_id,
    )
    return make_response(page)


@blueprint.post("/consent")
def submit() -> Response:
    """Take the decision; sending it twice is sending it once."""
    at, browser, waiting = context.server(), context.browser(), context.waiting()
    if browser is None or waiting is None:
        return security.lost_interaction()
    session = interaction.account(waiting, context.sessions())
    if session is None:
        # Ended while the page was open: nobody is there who could decide.
        return _resume(waiting)
    security.check_form("consent", browser, _about(waiting, session))
    decision = request.form.get("decision")
    if decision not in {"allow", "deny"}:
        abort(400)
    if interaction.step(at, waiting, context.sessions()) in {"consent", "done"}:
        interaction.decide(at, waiting, session, allow=decision == "allow")
    return _resume(waiting)


def _about(waiting: Interaction, session: Session) -> str:
    # A page that was shown to one account decides for that account alone.
    return f"{waiting.interaction_id} {session.sid}"


def _resume(waiting: Interaction) -> Response:
    return security.see_other(url_for("authorize.resume", interaction=waiting.interaction_id))

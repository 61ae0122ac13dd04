"""The end_session endpoint's pages (OpenID Connect RP-Initiated Logout 1.0) and signing out by hand."""

from hashlib import sha256
from typing import Final

from flask import Blueprint, Response, make_response, render_template, request, url_for

from authserver.clock import MINUTE, now
from authserver.crypto import new_id
from authserver.identity import sessions
from authserver.identity.sessions import Browser
from authserver.oauth import errors
from authserver.oauth.parameters import decode_form, read_query
from authserver.oidc import end_session
from authserver.records import Session
from authserver.web import context, security
from authserver.web.client import client_view
from authserver.web.errors import error_page
from authserver.web.protocol import MAX_BODY, TooLarge, read_body

blueprint = Blueprint("logout", __name__)

_POSTED: Final = "posted-logout"
_HINT: Final = "Go back to the application, or sign out here."


@blueprint.get(end_session.PATH)
def start() -> Response:
    """Take a logout request: at once when the application proves which session it means, else ask the person."""
    at, browser, signed_in = context.server(), context.browser(), context.sessions()
    try:
        sent = read_query(_posted(request.query_string.decode("latin-1")), end_session.PARAMETERS)
        if sent.repeated:
            raise errors.InvalidRequest(errors.REPEATED)
        found = end_session.check(at, sent.data, signed_in)
    except errors.OAuth2Error:
        return error_page("invalid_request", errors.MALFORMED, errors.ASK_DEVELOPER)
    except end_session.InvalidLogout as error:
        return error_page("invalid_logout", str(error), _HINT)
    if found.needs_confirmation and browser is not None:
        client = client_view(found.client, "") if found.client else None
        token = security.form_token("logout", browser, _about(signed_in))
        return make_response(render_template("logout.html", client=client, sessions=signed_in, token=token))
    return _end(browser, found.sessions, found.location or url_for("logout.done"))


@blueprint.post(end_session.PATH)
def start_by_post() -> Response:
    """Take a logout request by POST: kept, and answered 303 to a GET of ours.

    A browser does not send SameSite=Lax cookies with a form that another site posts, but it does with the GET after it.
    """
    try:
        text = decode_form(request.content_type or "", read_body(request.environ, MAX_BODY))
        read_query(text, end_session.PARAMETERS)
    except TooLarge:
        return error_page("invalid_request", errors.TOO_LARGE, errors.ASK_DEVELOPER, 413)
    except errors.OAuth2Error:
        return error_page("invalid_request", errors.MALFORMED, errors.ASK_DEVELOPER)
    key = new_id(32)
    context.server().store.ephemeral.put(_POSTED, sha256(key.encode()).hexdigest(), text, now() + MINUTE)
    return security.see_other(url_for("logout.start", posted=key))


@blueprint.post(end_session.PATH + "/confirm")
def confirm() -> Response:
    """End the sessions of this browser."""
    browser, signed_in = context.browser(), context.sessions()
    if browser is None or not signed_in:
        return security.see_other(url_for("logout.done"))
    security.check_form("logout", browser, _about(signed_in))
    return _end(browser, signed_in, url_for("logout.done"))


@blueprint.get("/logged-out")
def done() -> Response:
    """Say that it is done."""
    return make_response(render_template("logged_out.html", sessions=context.sessions()))


def _end(browser: Browser | None, ended: tuple[Session, ...], location: str) -> Response:
    at, response = context.server(), security.see_other(location)
    if browser is not None and ended:
        sessions.end(at, ended, "logout")
        security.set_browser_cookie(response, at.settings, sessions.renew_cookie(at, browser))
    return response


def _about(signed_in: tuple[Session, ...]) -> str:
    return " ".join(sorted(session.sid for session in signed_in))


def _posted(query: str) -> str:
    """Return the query, or the posted body that it stands for."""
    key = query.removeprefix("posted=")
    if key == query or "&" in key:
        return query
    item = context.server().store.ephemeral.get(_POSTED, sha256(key.encode()).hexdigest())
    return item.value if item is not None else ""

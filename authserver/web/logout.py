"""The end_session endpoint's pages (OpenID Connect RP-Initiated Logout 1.0) and signing out by hand."""

from typing import Final

import orjson
from flask import Blueprint, Response, abort, make_response, render_template, request, url_for

from authserver.clock import MINUTE, now
from authserver.crypto import new_id
from authserver.identity import sessions
from authserver.identity.sessions import Browser
from authserver.language import N_, tags
from authserver.oauth import errors
from authserver.oauth.parameters import read_query
from authserver.oidc import end_session
from authserver.records import Session
from authserver.web import context, language, posted, security
from authserver.web.client import client_view
from authserver.web.errors import error_page

blueprint = Blueprint("logout", __name__)

_POSTED: Final = "posted-logout"
_TOLD: Final = "logout-frames"
_HINT: Final = N_("Go back to the application, or sign out here.")


@blueprint.get(end_session.PATH)
def start() -> Response:
    """Take a logout request: at once when the application proves which session it means, else ask the person."""
    if request.method == "HEAD":
        abort(405)
    at, browser, signed_in = context.server(), context.browser(), context.sessions()
    try:
        query = posted.resolve(at, _POSTED, request.query_string.decode("latin-1"))
        sent = read_query(query, end_session.PARAMETERS)
        if sent.repeated:
            raise errors.InvalidRequest(errors.REPEATED)
        language.wish(tags(sent.data.get("ui_locales", "")))
        idle = sessions.idle_sessions(at, browser) if browser and "id_token_hint" in sent.data else ()
        found = end_session.check(at, sent.data, signed_in, idle)
    except errors.OAuth2Error:
        return error_page("invalid_request", errors.MALFORMED, errors.ASK_DEVELOPER)
    except end_session.InvalidLogout as error:
        return error_page("invalid_logout", str(error), _HINT)
    if found.needs_confirmation and browser is not None:
        client = client_view(found.client, "") if found.client else None
        token = security.form_token("logout", browser, _about(signed_in))
        page = render_template("logout.html", client=client, sessions=signed_in, token=token, wish=language.handed_on())
        return make_response(page)
    return end(browser, found.sessions, found.location)


@blueprint.post(end_session.PATH)
def start_by_post() -> Response:
    """Take a logout request by POST."""
    return posted.keep(context.server(), _POSTED, "logout.start")


@blueprint.post(end_session.PATH + "/confirm")
def confirm() -> Response:
    """End the sessions of this browser."""
    browser, signed_in = context.browser(), context.sessions()
    if browser is None or not signed_in:
        return security.see_other(url_for("logout.done", **language.handed_on()))
    security.check_form("logout", browser, _about(signed_in))
    return end(browser, signed_in, None)


@blueprint.get("/logged-out")
def done() -> Response:
    """Say that it is done; where clients have to be told by frames, load these and go on."""
    told = _told(request.args.get("told", ""), context.browser())
    if told is None:
        return make_response(render_template("logged_out.html", sessions=context.sessions()))
    frames, location = told
    nonce = security.allow_frames(frames)
    return make_response(render_template("logging_out.html", frames=frames, location=location, nonce=nonce))


def end(browser: Browser | None, ended: tuple[Session, ...], location: str | None) -> Response:
    """End sessions of this browser, tell the clients that are told by frames, and go on."""
    at, after = context.server(), location or url_for("logout.done", **language.handed_on())
    if browser is None or not ended:
        return security.see_other(after)
    frames = [frame for told in at.registry.LOGOUT_FRAMES for frame in told(at, ended)]
    sessions.sign_out(at, browser, ended, "logout")
    if frames:
        after = url_for("logout.done", told=_keep(browser, frames, after), **language.handed_on())
    response = security.see_other(after)
    security.set_browser_cookie(response, at.settings, sessions.renew_cookie(at, browser))
    return response


def _keep(browser: Browser, frames: list[str], location: str) -> str:
    """Keep what the page after a logout loads, and where it leads, for this browser alone; return its name."""
    key = new_id()
    text = orjson.dumps([frames, location]).decode()
    context.server().store.ephemeral.put(_TOLD, f"{browser.id}.{key}", text, now() + MINUTE)
    return key


def _told(key: str, browser: Browser | None) -> tuple[list[str], str] | None:
    item = context.server().store.ephemeral.get(_TOLD, f"{browser.id}.{key}") if browser and key else None
    if item is None:
        return None
    frames, location = orjson.loads(item.value)
    return frames, location


def _about(signed_in: tuple[Session, ...]) -> str:
    return " ".join(sorted(session.sid for session in signed_in))

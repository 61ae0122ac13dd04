"""The authorization endpoint (RFC 6749 3.1) and its way back from login and consent.

A request that needs nothing from the user (session there, consent there) is answered at once, without an interaction
and without Flask (``quick``); every other one is kept and continues on pages.
"""

from typing import Final

from flask import Blueprint, Response, render_template, request, url_for
from werkzeug.exceptions import MethodNotAllowed

from authserver.identity.sessions import live_sessions, new_browser
from authserver.oauth import errors
from authserver.oauth.parameters import read_query
from authserver.oauth.request import Answer, AuthorizationRequest, FormPost, Request
from authserver.oauth.server import Server
from authserver.oidc import interaction
from authserver.web import context, language, posted, security
from authserver.web.errors import error_page
from authserver.web.protocol import Environ
from authserver.web.proxy import client_address

blueprint = Blueprint("authorize", __name__)

PATH: Final = "/authorize"
_PAGES: Final = {
    "create": "signup.show",
    "login": "login.show",
    "select_account": "chooser.show",
    "second_factor": "second_factor.show",
    "offer": "second_factor.offer",
    "consent": "consent.show",
}
_ADDRESSES: Final = frozenset({"client_id", "redirect_uri"})
_ASKED: Final = "authserver.asked"  # where the gateway leaves the request that it has validated
_POSTED: Final = "posted-request"


@blueprint.get(PATH)
def start() -> Response:
    """Take an authorization request by GET; a HEAD would do all of it and show nothing."""
    if request.method == "HEAD":
        raise MethodNotAllowed(("GET", "POST"))
    at = context.server()
    asked = request.environ.get(_ASKED) or _validate(at, request.query_string.decode("latin-1"))
    if isinstance(asked, errors.NotRedirectable):
        raise asked
    return _begin(at, asked) if isinstance(asked, AuthorizationRequest) else _write(asked)


@blueprint.post(PATH)
def start_by_post() -> Response:
    """Take an authorization request by POST."""
    return posted.keep(context.server(), _POSTED, "authorize.start")


@blueprint.get(PATH + "/resume")
def resume() -> Response:
    """Continue after a page."""
    if request.method == "HEAD":
        raise MethodNotAllowed(("GET",))
    at, found = context.server(), context.waiting()
    if found is None:
        return security.lost_interaction()
    sessions = context.sessions()
    step = interaction.step(at, found, sessions)
    if step in _PAGES:
        return security.see_other(url_for(_PAGES[step], interaction=found.interaction_id))
    return _write(interaction.finish(at, found, sessions))


@blueprint.app_errorhandler(errors.NotRedirectable)
def not_redirectable(error: errors.NotRedirectable) -> Response:
    """Show the page for a request that may not be answered by a redirect (RFC 6749 4.1.2.1)."""
    return error_page(error.code, error.sentence, error.hint)


def quick(at: Server, environ: Environ) -> Answer | None:
    """Answer a GET of a browser that is signed in when nothing needs a page; None when Flask has to take it."""
    browser = context.browser_of(at, environ)
    # An answer that tells the state of the browser goes with the cookie that has it, which pages keep right.
    if browser is None or environ["REQUEST_METHOD"] != "GET" or at.registry.AUTHORIZE_ANSWER:
        return None
    try:
        environ[_ASKED] = asked = _validate(at, environ.get("QUERY_STRING", ""))
        if isinstance(asked, AuthorizationRequest):
            if asked.prompt or asked.response_mode.startswith("form_post"):
                return None
            sessions = live_sessions(at, browser)
            passing = interaction.transient(at, asked)
            if interaction.step(at, passing, sessions) != "done":
                return None
            asked = interaction.finish(at, passing, sessions)
    except errors.NotRedirectable as refused:
        # Once is enough: the request object may lie at a place that answers slowly.
        environ.setdefault(_ASKED, refused)
        return None
    except Exception:  # noqa: BLE001 - Flask takes the request again and turns every failure into its page
        return None
    return asked if isinstance(asked, Answer) else None


def _begin(at: Server, asked: AuthorizationRequest) -> Response:
    language.wish(asked.ui_locales)
    browser, sessions = context.browser(), context.sessions()
    passing = interaction.transient(at, asked)
    step = interaction.step(at, passing, sessions)
    if "none" in asked.prompt and step != "done":
        return _write(interaction.refuse(at, asked, step))
    if step == "done":
        return _write(interaction.finish(at, passing, sessions))
    if browser is None:
        at.limits.count_stranger(client_address(request.environ, at.settings))
    known = browser or new_browser()
    response = security.see_other(url_for(_PAGES[step], interaction=interaction.begin(at, asked, known.id)))
    if browser is None:
        security.set_browser_cookie(response, at.settings, known)
    return response


def _validate(at: Server, query: str) -> AuthorizationRequest | Answer | FormPost:
    """Return the validated request, or the error response to its proven redirect URI; raises NotRedirectable."""
    try:
        parameters = read_query(posted.resolve(at, _POSTED, query), at.parameters)
    except errors.OAuth2Error:
        raise errors.NotRedirectable("invalid_request", errors.MALFORMED, errors.ASK_DEVELOPER) from None
    if not _ADDRESSES.isdisjoint(parameters.repeated):
        raise errors.NotRedirectable("invalid_request", errors.REPEATED_ADDRESS, errors.ASK_DEVELOPER)
    asked = Request(parameters, {}, endpoint=at.settings.issuer + PATH)
    try:
        return at.begin_authorization(asked)
    except errors.OAuth2Error as error:
        return at.refuse_authorization(AuthorizationRequest.so_far(asked), error)


def _write(answer: Answer | FormPost) -> Response:
    if isinstance(answer, Answer):
        return Response(answer.body, answer.status, answer.headers)
    nonce = security.allow_script(form_action=answer.action)
    return Response(render_template("form_post.html", action=answer.action, fields=answer.fields, nonce=nonce))

"""The blueprint for any Flask application, and the stand-alone server with its web page."""

import hmac
import logging

from flask import Blueprint, Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError

from bff.backend import Backend
from bff.errors import BffError
from bff.settings import BffSettings, load_settings
from bff.views import Views
from resourceserver.whole_request import WholeRequests

_log = logging.getLogger("bff.app")

_SENTENCES = {
    404: "There is no such page.",
    405: "This page cannot be used in that way.",
    413: "That is more than this page may send.",
}


def create_bff(settings: BffSettings, backend: Backend | None = None) -> Blueprint:
    """Make the blueprint with every `/bff/...` and `/api/...` route."""
    blueprint = Blueprint(
        "bff", __name__, template_folder="templates", static_folder="static", static_url_path="/bff/static"
    )
    Views(backend or Backend(settings)).mount(blueprint)
    return blueprint


def create_app(settings: BffSettings | None = None) -> Flask:
    """Make the stand-alone application: the blueprint, a web page at `/`, error pages and health."""
    settings = settings or load_settings()
    backend = Backend(settings)
    app = Flask("bff", static_folder=None, template_folder=None)
    # Two slashes in a row are another path, not one to be tidied by a redirect.
    app.url_map.merge_slashes = False
    app.register_blueprint(create_bff(settings, backend))
    app.extensions["bff"] = backend
    app.add_url_rule("/", view_func=_Home(backend).show, endpoint="home", methods=["GET"])
    app.add_url_rule("/health/live", view_func=lambda: _health("live"), endpoint="live", methods=["GET"])
    app.add_url_rule("/health/ready", view_func=lambda: _ready(backend), endpoint="ready", methods=["GET"])
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(BffError, _bff_error)

    @app.after_request
    def _mark(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "no-store")
        if "Content-Security-Policy" in response.headers:
            return response
        return backend.gatekeeper.mark(response, page=response.mimetype == "text/html")

    app.wsgi_app = WholeRequests(app.wsgi_app, threads=settings.threads, limit=settings.api_request_bytes)  # type: ignore[method-assign] # Flask's documented extension point
    return app


class _Home:
    """The web page: logged out, logged in, or after a session's end."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def show(self) -> Response:
        """Answer GET / without asking anybody but the database."""
        sessions = self._backend.sessions
        session = sessions.find(request)
        expected = sessions.logout_cookie.read(request)
        state = request.args.get("state", "")
        logged_out = expected is not None and hmac.compare_digest(state.encode("utf-8", "replace"), expected.encode())
        ended = session is None and sessions.cookie.sent(request)
        page = render_template(
            "bff/home.html",
            user=session and session.user,
            apis={api.prefix: api for api in self._backend.settings.apis},
            notice="logged-out" if logged_out and session is None else "ended" if ended else None,
        )
        response = Response(page, mimetype="text/html")
        response.vary.add("Cookie")
        if ended:
            sessions.cookie.clear(response)
        if logged_out:
            sessions.logout_cookie.clear(response)
        return response


def _ready(backend: Backend) -> Response:
    # The provider is left out: while it is away, sessions and the page still work.
    return _health("ready") if backend.store.ready() else _health("not ready", 503)


def _health(status: str, code: int = 200) -> Response:
    return Response(f'{{"status": "{status}"}}\n', status=code, mimetype="application/json")


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if isinstance(error, InternalServerError) and error.original_exception is not None:
        # The type alone: the text of a foreign exception may hold what a stranger sent.
        _log.error("a request failed: %s", type(error.original_exception).__name__)
    sentence = _SENTENCES.get(status, "The request could not be answered.")
    code = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(status, "invalid_request")
    page = render_template("bff/error.html", code="server_error" if status >= 500 else code, sentence=sentence)
    response = Response(page, status=status, mimetype="text/html")
    if status == 405 and error.get_headers():
        response.headers["Allow"] = dict(error.get_headers()).get("Allow", "")
    return response


def _bff_error(error: BffError) -> Response:
    page = render_template("bff/error.html", code=error.code, sentence=error.sentence)
    response = Response(page, status=error.status, mimetype="text/html")
    if error.status == 503:
        response.headers["Retry-After"] = "5"
    return response

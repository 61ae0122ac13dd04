"""The routes: log-in, callback, log-out, who am I, the proxy, and the provider's back-channel logout."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Blueprint, Request, Response, g, render_template, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from bff.backend import Backend
from bff.errors import (
    BffError,
    LoginRefusedError,
    NotLoggedInError,
    RequestRefusedError,
    StepUpNeededError,
    TooLargeError,
    UnreadableError,
)
from bff.login import Finished
from bff.proxy import METHODS, Call
from bff.records import Session, User
from bff.step_up import demand

_MAX_FORM = 64 * 1024
_FORM = "application/x-www-form-urlencoded"
_PAGES = frozenset({"login", "callback"})
_NOT_OURS = frozenset({"unknown_state", "already_logged_in", "cross_site_request"})


class Views:
    """The views of one BFF; each reads the request, asks one part and writes the answer."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._cookie = backend.sessions.cookie
        self._login_cookie = backend.sessions.login_cookie
        self._logout_cookie = backend.sessions.logout_cookie

    def mount(self, blueprint: Blueprint) -> None:
        """Add the routes, the error pages and the headers to a blueprint."""
        for rule, view, methods in (
            ("/bff/login", self.login, ("GET",)),
            ("/bff/callback", self.callback, ("GET", "POST")),
            ("/bff/logout", self.log_out, ("POST",)),
            ("/bff/backchannel-logout", self.backchannel_logout, ("POST",)),
            ("/bff/user", self.user, ("GET",)),
            ("/api/<path:path>", self.api, METHODS),
        ):
            # Two slashes in a row are a path of their own here, not something to be tidied by a redirect.
            blueprint.add_url_rule(
                rule,
                endpoint=view.__name__,
                view_func=view,
                methods=list(methods),
                provide_automatic_options=False,
                merge_slashes=False,
            )
        blueprint.register_error_handler(BffError, self.failed)
        blueprint.after_request(self.finish)

    def login(self) -> Response:
        """GET /bff/login: begin a log-in; asked by another site, ask the person first (login CSRF)."""
        return_to = request.args.get("return_to")
        if not self._backend.gatekeeper.starts_here(request):
            return _page("continue.html", 200)
        wanted = demand(request.args.get("acr_values"), request.args.get("max_age"))
        started = self._backend.login.start(return_to, self._login_cookie.read(request), wanted)
        response = _redirect(started.url)
        self._login_cookie.write(response, started.browser, self._backend.settings.login_seconds)
        return response

    def callback(self) -> Response:
        """GET or POST /bff/callback: the provider's answer, by redirect or handed over by a front end."""
        parameters = self._posted() if request.method == "POST" else request.args.to_dict(flat=False)
        old = self._cookie.read(request)
        try:
            finished = self._backend.login.finish(parameters, self._login_cookie.read(request), old)
        except LoginRefusedError as error:
            if error.reason == "unknown_state" and self._backend.sessions.find(request) is not None:
                raise LoginRefusedError("already_logged_in") from None
            raise
        response = self._logged_in(finished)
        self._cookie.write(response, finished.cookie, finished.seconds)
        self._login_cookie.clear(response)
        return response

    def log_out(self) -> Response:
        """POST /bff/logout: end the session here and send the browser to end it at the provider."""
        self._backend.gatekeeper.require_own_page(request)
        session = self._backend.sessions.find(request)
        home = f"{self._backend.settings.public_url}/"
        ended = None if session is None else self._backend.logout.end(session)
        url = home if ended is None else ended.url
        response = _json({"logout_url": url}) if _wants_json(request) else _redirect(url)
        self._cookie.clear(response)
        if ended is not None:
            self._logout_cookie.write(response, ended.state, 600)
        return response

    def backchannel_logout(self) -> Response:
        """POST /bff/backchannel-logout: the provider ends sessions (Back-Channel Logout 1.0 section 2.5)."""
        # Back-channel requests are forms; what comes in another shape was not sent by a provider.
        tokens = self._posted().get("logout_token", []) if request.mimetype == _FORM else []
        if len(tokens) != 1:
            return _json({"error": "invalid_request"}, 400)
        try:
            self._backend.logout.end_by_logout_token(tokens[0])
        except BffError as error:
            return _json({"error": "invalid_request"}, error.status)
        return Response(status=200)

    def user(self) -> Response:
        """GET /bff/user: who is logged in, until when, and which APIs there are; never a token."""
        session = self._session()
        response = _json(
            {
                **_user(session.user),
                "expires_at": min(session.expires_at, session.idle_expires_at),
                "scope": session.scope,
                "apis": [
                    {
                        "prefix": api.prefix,
                        "name": api.name,
                        "url": f"/api/{api.prefix}",
                        "resource": api.resource,
                        "checked_by": api.checked_by,
                    }
                    for api in self._backend.settings.apis
                ],
            }
        )
        response.vary.add("Cookie")
        return response

    def api(self, path: str) -> Response:
        """/api/<prefix>/...: forward to a listed API with the session's token."""
        self._backend.gatekeeper.require_own_page(request)
        query = request.query_string.decode("latin-1")
        self._backend.proxy.url(path, query)
        session = self._session()
        body = _body(self._backend.settings.api_request_bytes)
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = self._backend.proxy.forward(session, Call(request.method, path, query, headers, body))
        response = Response(answer.body, status=answer.status)
        response.headers.remove("Content-Type")
        for name, value in answer.headers:
            response.headers.add(name, value)
        return response

    def failed(self, error: BffError) -> Response:
        """Say what happened: a page where a person is looking, JSON where a program is."""
        code, sentence = error.code, error.sentence
        if isinstance(error, LoginRefusedError):
            code, sentence = error.reason, error.explanation
        if _endpoint() in _PAGES and not _wants_json(request):
            response = _page("error.html", error.status, code=code, sentence=sentence)
        else:
            response = _json({"error": code, "message": sentence}, error.status)
        if isinstance(error, NotLoggedInError):
            g.bff_forget = True
            response = _json({"error": code, "message": sentence, "login_url": "/bff/login"}, 401)
        if isinstance(error, StepUpNeededError):
            response = _json({"error": code, "message": sentence, "login_url": error.login_url}, error.status)
        if error.status == 503:
            response.headers["Retry-After"] = "5"
        # An answer that fits no log-in of this browser may come from anybody: the log-in under way goes on.
        if _endpoint() == "callback" and code not in _NOT_OURS:
            self._login_cookie.clear(response)
        return response

    def finish(self, response: Response) -> Response:
        """Add the security headers, and make the browser forget a session cookie that names nothing."""
        static = _endpoint() == "static"
        if not static:
            response.headers["Cache-Control"] = "no-store"
        if g.get("bff_forget") and self._cookie.sent(request) and not _sets(response, self._cookie.name):
            self._cookie.clear(response)
        return self._backend.gatekeeper.mark(response, page=response.mimetype == "text/html" and _endpoint() != "api")

    def _session(self) -> Session:
        g.bff_forget = False
        return self._backend.sessions.require(request)

    def _posted(self) -> Mapping[str, list[str]]:
        """Read what was posted, JSON or form, within the limits; raises RequestRefusedError or LoginRefusedError."""
        if _endpoint() == "callback":
            try:
                self._backend.gatekeeper.require_own_or_provider(request)
            except RequestRefusedError:
                raise LoginRefusedError("cross_site_request") from None
        if request.mimetype == "application/json":
            try:
                document = orjson.loads(_body(_MAX_FORM))
            except orjson.JSONDecodeError:
                raise LoginRefusedError("invalid_response") from None
            if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
                raise LoginRefusedError("invalid_response")
            return {name: [value] for name, value in document.items()}
        request.max_content_length = _MAX_FORM
        request.max_form_parts = 100
        try:
            return request.form.to_dict(flat=False)
        except (HTTPException, ValueError):
            raise LoginRefusedError("invalid_response") from None

    def _logged_in(self, finished: Finished) -> Response:
        if _wants_json(request):
            return _json({"return_to": finished.return_to, "user": _user(finished.user)})
        return _redirect(f"{self._backend.settings.public_url}{finished.return_to}")


def _user(user: User) -> dict[str, str | None]:
    return {"issuer": user.issuer, "sub": user.sub, "name": user.name, "email": user.email}


def _endpoint() -> str:
    return (request.endpoint or "").rpartition(".")[2]


def _wants_json(incoming: Request) -> bool:
    """Decide by what was sent, not by Accept: JSON is answered with JSON."""
    return incoming.method == "POST" and incoming.mimetype == "application/json"


def _body(limit: int) -> bytes:
    request.max_content_length = limit
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise TooLargeError from None
    except (HTTPException, OSError):
        raise UnreadableError from None


def _json(document: object, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status=status, mimetype="application/json")


def _redirect(url: str) -> Response:
    # 303: whatever the method was, the next request is a GET without a body (RFC 9700 section 4.12).
    return Response(status=303, headers={"Location": url})


def _page(template: str, status: int, **values: Any) -> Response:
    return Response(render_template(f"bff/{template}", **values), status=status, mimetype="text/html")


def _sets(response: Response, name: str) -> bool:
    return any(value.startswith(f"{name}=") for value in response.headers.getlist("Set-Cookie"))

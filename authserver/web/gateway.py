"""The short way: protocol endpoints without a page are answered before Flask is entered.

Measured, Flask's routing and contexts cost 90 to 140 µs of a request that takes 200. Flask serves everything that
people see, and the same functions (``protocol.py``) when this way is switched off by ``AUTHSERVER_GATEWAY``.
"""

from collections.abc import Callable, Iterable
from os import urandom
from time import perf_counter_ns
from typing import Any, Final
from urllib.parse import urlsplit

from authserver import log
from authserver.oauth.request import NO_STORE, Answer, Stream
from authserver.oauth.server import Server
from authserver.web import authorize, metrics, protocol, security
from authserver.web.errors import REFUSED
from authserver.web.protocol import MAX_URL, STREAMS, Endpoints, Environ

StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

STATUS: Final = {
    200: "200 OK",
    201: "201 Created",
    204: "204 No Content",
    303: "303 See Other",
    304: "304 Not Modified",
    400: "400 Bad Request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    409: "409 Conflict",
    412: "412 Precondition Failed",
    413: "413 Content Too Large",
    414: "414 URI Too Long",
    415: "415 Unsupported Media Type",
    428: "428 Precondition Required",
    429: "429 Too Many Requests",
    500: "500 Internal Server Error",
    501: "501 Not Implemented",
    503: "503 Service Unavailable",
}
_MAX_REQUEST_ID: Final = 64


class Gateway:
    """WSGI application in front of Flask's."""

    def __init__(self, application: Application, server: Server, endpoints: Endpoints) -> None:
        self._application = application
        self._server = server
        self._endpoints = endpoints
        self._base = server.base_path
        self._host = urlsplit(server.settings.issuer).netloc
        table = protocol.routes(server)
        self._routes = table if server.settings.gateway else {}
        self._pageless = frozenset(table)
        self._roots = frozenset(path for path in table if not path.startswith(self._base + "/"))
        self._authorize = self._base + authorize.PATH if server.settings.gateway else None
        self._security = security.api_headers(server.settings)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer, or hand over to Flask."""
        started = perf_counter_ns()
        environ["authserver.request_id"] = request_id = _request_id(environ.get("HTTP_X_REQUEST_ID"))
        name, answer = self._answer(environ)
        if answer is None:
            return self._enter(environ, start_response, started)
        headers = [*answer.headers, *self._security, ("X-Request-ID", request_id)]
        pieces: Iterable[bytes]
        if isinstance(answer, Stream):
            pieces, environ[STREAMS] = answer.body, True
        else:
            pieces = [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]
            if answer.status not in {204, 304}:
                headers.append(("Content-Length", str(len(answer.body))))
        start_response(STATUS[answer.status], headers)
        metrics.count(name, answer.status)
        log.access(environ, name, answer.status, started)
        return pieces

    def _answer(self, environ: Environ) -> tuple[str, Answer | Stream | None]:
        path: str = environ["PATH_INFO"]
        route = self._routes.get(path)
        if route is not None:
            return route.name, self._endpoints.answer(route, environ)
        query: str = environ.get("QUERY_STRING", "")
        if not path.startswith(self._base + "/") and path not in self._roots:
            return "-", Answer(404, b"", [NO_STORE])
        # RFC 3986 2: the characters of a URL are ASCII; what else comes is not encoded, and Flask cannot read it.
        wrong = 414 if len(path) + len(query) > MAX_URL else 0 if query.isascii() else 400
        if wrong and path in self._pageless:
            return "-", Answer(wrong, b"", [NO_STORE])
        if wrong:
            environ[REFUSED], environ["QUERY_STRING"] = wrong, ""
        elif path == self._authorize:
            return "authorize", authorize.quick(self._server, environ)
        return "", None

    def _enter(self, environ: Environ, start_response: StartResponse, started: int) -> Iterable[bytes]:
        """Hand over to Flask, with the issuer's path as the application's root (RFC 8414 3.1)."""

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            metrics.count("page", int(status[:3]))
            log.access(environ, "page", int(status[:3]), started)
            return start_response(status, [*headers, ("X-Request-ID", environ["authserver.request_id"])], *more)

        # Nothing that a page says may come from the Host header, and a malformed one would leave it without URLs.
        environ["HTTP_HOST"] = self._host
        if self._base and environ["PATH_INFO"] not in self._roots:
            environ["SCRIPT_NAME"] = self._base
            environ["PATH_INFO"] = environ["PATH_INFO"][len(self._base) :]
        return self._application(environ, start)


def _request_id(sent: str | None) -> str:
    """Take over a short plain id, or make one."""
    if sent and len(sent) <= _MAX_REQUEST_ID and sent.isascii() and sent.replace("-", "").isalnum():
        return sent
    return urandom(8).hex()

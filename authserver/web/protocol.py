"""From HTTP to the protocol and back: limits, parameters, errors; the Flask side of each endpoint.

The gateway and Flask call the same ``respond``, so a request looks the same whichever way it went.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from flask import Flask, Response
from flask import request as flask_request

from authserver.api.metadata import WELL_KNOWN as PROTECTED
from authserver.oauth import errors
from authserver.oauth.parameters import read_form, read_json, read_query
from authserver.oauth.request import NO_STORE, Answer, Parameters, Request, Stream, json_answer
from authserver.oauth.server import Server, error_answer
from authserver.oidc import userinfo
from authserver.store.errors import StoreError
from authserver.web.cors import Origins
from authserver.web.proxy import client_address, client_certificate
from resourceserver.mtls import CertificateError

logger = logging.getLogger(__name__)

Environ = dict[str, Any]

MAX_BODY: Final = 64 * 1024
MAX_JSON: Final = 32 * 1024
MAX_URL: Final = 8 * 1024
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
_DIGITS: Final = 12  # of a Content-Length; more of them would be a number to spend time on
STREAMS: Final = "authserver.streams"
"""In the environ of a request whose answer is not over with the next pieces of it."""
RETRY_AFTER: Final = ("Retry-After", "1")
_NOTHING: Final = Parameters({})
_AWAY: Final = {
    "error": "temporarily_unavailable",
    "error_description": "The server cannot answer now; try again soon.",
}
_FAILED: Final = {
    "error": "server_error",
    "error_description": "The server failed to answer; the failure was recorded.",
}
_TOO_LARGE: Final = {"error": "invalid_request", "error_description": errors.TOO_LARGE}


class Route(NamedTuple):
    """An endpoint as HTTP knows it."""

    name: str
    url: str
    methods: tuple[str, ...]
    respond: Callable[[Server, Request], Answer | Stream]
    takes_json: bool = False
    takes_query: bool = False
    parameters: frozenset[str] | None = None
    """What an endpoint with a table of its own takes in its URL; it asks for its body, in JSON, when it wants it."""


class TooLarge(Exception):
    """The body is over the limit."""


class Headers(Mapping[str, str]):
    """The few request headers that the protocol asks for, read from the environ when asked."""

    def __init__(self, environ: Environ) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        value: str = self._environ["HTTP_" + name.upper().replace("-", "_")]
        return value

    def __contains__(self, name: object) -> bool:
        # Mapping's own get and "in" find out by an exception that something is not there.
        return isinstance(name, str) and "HTTP_" + name.upper().replace("-", "_") in self._environ

    def get(self, name: str, default: Any = None) -> Any:
        return self._environ.get("HTTP_" + name.upper().replace("-", "_"), default)

    def __iter__(self) -> Iterator[str]:
        return (name[5:].replace("_", "-").title() for name in self._environ if name.startswith("HTTP_"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def routes(server: Server) -> dict[str, Route]:
    """Return path → route, below the issuer's path; well-known documents also at the root (RFC 8414 3.1)."""
    table, base = {}, server.base_path
    for name, path, methods, answer in server.registry.ENDPOINTS:
        takes_json, takes_query = name in server.registry.TAKE_JSON, name in server.registry.TAKE_QUERY
        route = Route(name, server.settings.issuer + path, methods, answer, takes_json, takes_query)
        # RFC 9728 3.1: of a resource with a path, the well-known part stands before the whole of it.
        table[path.replace(PROTECTED, PROTECTED + base) if path.startswith(PROTECTED) else base + path] = route
        if base and path in server.registry.WELL_KNOWN:
            table[path + base] = route
    for name, path, methods, answer in server.registry.MANAGEMENT:
        url = server.settings.issuer + path
        table[base + path] = Route(name, url, methods, answer, parameters=answer.parameters)
    return table


class Endpoints:
    """The endpoints over HTTP: methods, the limit of the URL, cross-origin rules, then the endpoint itself."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._origins = Origins(server)

    def answer(self, route: Route, environ: Environ) -> Answer | Stream:
        """Answer a request at an endpoint."""
        method, origin = environ["REQUEST_METHOD"], environ.get("HTTP_ORIGIN")
        if method == "OPTIONS":
            return Answer(204, b"", [_allow(route), NO_STORE, *self._origins.preflight(route.name, origin)])
        if len(environ.get("QUERY_STRING", "")) > MAX_URL:
            return Answer(414, b"", [NO_STORE])
        known = method in route.methods
        answer = respond(self._server, route, environ) if known else Answer(405, b"", [_allow(route), NO_STORE])
        cors = self._origins.headers(route.name, origin)
        return answer._replace(headers=[*answer.headers, *cors]) if cors else answer


def respond(server: Server, route: Route, environ: Environ) -> Answer | Stream:
    """Answer a protocol request; every exception becomes an answer."""
    try:
        return route.respond(server, _read(server, route, environ))
    except errors.OAuth2Error as error:
        return userinfo.challenge(error) if route.name == "userinfo" else error_answer(error)
    except TooLarge:
        return json_answer(413, _TOO_LARGE)
    except StoreError as error:
        logger.warning("store away at %s: %s", route.name, type(error).__name__)
        return json_answer(503, _AWAY, RETRY_AFTER)
    except Exception:
        logger.exception("unexpected failure at %s", route.name)
        return json_answer(500, _FAILED)


def read_body(environ: Environ, limit: int) -> bytes:
    """Read a body of at most ``limit`` bytes, with or without Content-Length; raises TooLarge or InvalidRequest."""
    length: str = environ.get("CONTENT_LENGTH") or ""
    if length and not (length.isascii() and length.isdigit() and len(length) <= _DIGITS and int(length) <= limit):
        raise TooLarge
    try:
        body: bytes = environ["wsgi.input"].read(int(length) if length else limit + 1)
    except OSError:
        raise errors.InvalidRequest(errors.CUT_OFF) from None
    if len(body) > limit:
        raise TooLarge
    if length and len(body) < int(length):
        # RFC 9112 8: the sender went away in the middle; what came may read like a request of another meaning.
        raise errors.InvalidRequest(errors.CUT_OFF)
    return body


def mount(app: Flask, server: Server, endpoints: Endpoints) -> None:
    """Mount every endpoint as a Flask view over the same function; it knows its methods itself."""

    def view(route: Route) -> Callable[[], Response]:
        def answer() -> Response:
            made = endpoints.answer(route, flask_request.environ)
            response = Response(made.body, made.status, made.headers)
            flask_request.environ[STREAMS] = isinstance(made, Stream)
            if not made.body:
                # An answer without a body has no type; Flask would call it a page.
                response.headers.remove("Content-Type")
                response.headers.extend([header for header in made.headers if header[0] == "Content-Type"])
            return response

        return answer

    for path, route in routes(server).items():
        rule = path.removeprefix(server.base_path)
        name = f"protocol.{route.name}.{rule}".replace(".", "_")
        app.add_url_rule(rule, name, view(route), methods=_METHODS, provide_automatic_options=False)


def _allow(route: Route) -> tuple[str, str]:
    return "Allow", ", ".join((*route.methods, "OPTIONS"))


def _read(server: Server, route: Route, environ: Environ) -> Request:
    parameters, method = _NOTHING, environ["REQUEST_METHOD"]
    if method == "POST" and environ.get("QUERY_STRING"):
        # RFC 6749 2.3.1 and 3.2: never in the URL, where logs and referrers keep it.
        raise errors.InvalidRequest(errors.IN_QUERY)
    if route.parameters is not None:
        parameters = read_query(environ.get("QUERY_STRING", ""), route.parameters)
    elif route.takes_json or (route.takes_query and method != "POST"):
        parameters = read_query(environ.get("QUERY_STRING", ""), server.parameters)
        if parameters.repeated and route.takes_query:
            raise errors.InvalidRequest(errors.REPEATED)
    elif method == "POST":
        body = read_body(environ, MAX_BODY)
        # OpenID Connect Core 5.3.1: a POST to userinfo may carry its token in the header and no body at all.
        if body or route.name != "userinfo":
            parameters = read_form(environ.get("CONTENT_TYPE", ""), body, server.parameters)
    address = client_address(environ, server.settings)
    request = Request(
        parameters,
        Headers(environ),
        endpoint=route.url,
        address=address,
        method=method,
        certificate=_certificate(server, environ) if server.takes_certificates else None,
    )
    if route.takes_json and method in {"POST", "PUT"}:
        request.document = _document(environ)
    elif route.parameters is not None:
        request.read_document = partial(_document, environ)
    return request


def _document(environ: Environ) -> dict[str, Any]:
    return read_json(environ.get("CONTENT_TYPE", ""), read_body(environ, MAX_JSON))


def _certificate(server: Server, environ: Environ) -> bytes | None:
    try:
        return client_certificate(environ, server.settings)
    except CertificateError as problem:
        logger.warning("certificate header of a proxy refused: %s", problem)
        raise errors.InvalidRequest(errors.CERTIFICATE_UNREADABLE) from None

"""What a view asks first: the server, the browser at the other end, and who is signed in there."""

from typing import cast

from flask import current_app, g, request

from authserver.identity.sessions import Browser, Visit, cookie_name, live_sessions, read_browser, shown
from authserver.oauth.server import Server
from authserver.records import Session
from authserver.web.proxy import client_address


def server() -> Server:
    """Return the server of this application."""
    return cast(Server, current_app.extensions["authserver"])


def browser() -> Browser | None:
    """Return the browser that sent the request, or None without a cookie of ours."""
    return read_browser(request.cookies.get(cookie_name(server().settings)))


def sessions() -> tuple[Session, ...]:
    """Return the live sessions of the browser, the newest sign-in first; read once per request."""
    if "sessions" not in g:
        known = browser()
        g.sessions = live_sessions(server(), known) if known else ()
    return cast(tuple[Session, ...], g.sessions)


def visit(known: Browser) -> Visit:
    """Return where the request comes from."""
    # A proxy hands on whatever it was sent: what is no address is at least short and printable.
    address = shown(client_address(request.environ, server().settings))
    return Visit(known, request.headers.get("User-Agent", ""), address)

"""What a view asks first: the server, the browser at the other end, and who is signed in there."""

from typing import cast

from flask import current_app, g, request

from authserver.identity import sessions as browser_sessions
from authserver.identity.sessions import Browser, Visit, live_sessions, shown
from authserver.oauth.server import Server
from authserver.oidc import interaction
from authserver.oidc.interaction import Interaction
from authserver.records import Session
from authserver.web.protocol import Environ
from authserver.web.proxy import client_address


def server() -> Server:
    """Return the server of this application."""
    return cast(Server, current_app.extensions["authserver"])


def browser() -> Browser | None:
    """Return the browser that sent the request, or None without a cookie of ours."""
    return browser_of(server(), request.environ)


def browser_of(at: Server, environ: Environ) -> Browser | None:
    """Return the browser by the cookies of a request; two different ones of our name are as good as none.

    One of them was planted: a browser sends those of all hosts above ours under one name (RFC 6265 8.6), and those with
    a longer path first. ``__Host-`` keeps that out over https; nothing does over http on loopback.
    """
    name, mark = browser_sessions.cookie_name(at.settings), browser_sessions.mark_name(at.settings)
    found: dict[str, set[str]] = {name: set(), mark: set()}
    for part in environ.get("HTTP_COOKIE", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key in found:
            found[key].add(value)
    cookies, marks = found[name], found[mark]
    known = browser_sessions.read_browser(cookies.pop()) if len(cookies) == 1 else None
    return browser_sessions.marked(at.sealer, known, marks.pop()) if known and len(marks) == 1 else known


def sessions() -> tuple[Session, ...]:
    """Return the live sessions of the browser, the newest sign-in first; read once per request."""
    if "sessions" not in g:
        known = browser()
        g.sessions = live_sessions(server(), known) if known else ()
    return cast(tuple[Session, ...], g.sessions)


def account() -> Session | None:
    """Return the account that the pages of ours are about, of those that are signed in here."""
    known = browser()
    return browser_sessions.account_of(server(), known, sessions()) if known else None


def waiting() -> Interaction | None:
    """Return the application's request that the URL names, where this browser began it and it is still open."""
    known, named = browser(), request.args.get("interaction", "")
    g.ui_locales = ()
    found = interaction.load(server(), named, known.id) if known and named else None
    if found is not None:
        g.ui_locales = found.request.ui_locales
    return found


def visit(known: Browser) -> Visit:
    """Return where the request comes from."""
    # A proxy hands on whatever it was sent: what is no address is at least short and printable.
    address = shown(client_address(request.environ, server().settings))
    return Visit(known, request.headers.get("User-Agent", ""), address)

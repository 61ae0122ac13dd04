"""What protects pages: security headers, the browser's cookie, and proof that a form is one of ours.

Headers are plain lists, so that the gateway sends the same ones. A form is accepted when the browser says that it comes
from here (Sec-Fetch-Site, Origin) and it carries a token that only a page rendered for this browser and this
transaction has (RFC 9700 4.7; OWASP ASVS 3.5.1).
"""

import hmac
import re
import secrets
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, request

from authserver.crypto import b64, same
from authserver.identity.sessions import Browser, cookie_name, mark_name, mark_of
from authserver.language import N_
from authserver.redirects import origin_of
from authserver.settings import Settings
from authserver.web.context import server
from authserver.web.errors import error_page

Headers = list[tuple[str, str]]

TOKEN_FIELD: Final = "csrf_token"
_POWERFUL: Final = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
# What may stand in a policy (CSP 3, 2.3.1): no separator gets through, and there is no way to write an IPv6 address.
_SOURCE: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|[a-z][a-z0-9+.-]*:", re.ASCII)


def api_headers(settings: Settings) -> Headers:
    """Return the headers of every answer that is not a page."""
    return [*_always(settings), ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")]


def page_headers(
    settings: Settings, form_targets: tuple[str, ...] = (), nonce: str | None = None, frames: tuple[str, ...] = ()
) -> Headers:
    """Return the headers of a page; ``form_targets`` are the URIs to which a form may lead, redirects included."""
    targets = " ".join(dict.fromkeys(["'self'", *(source for uri in form_targets for source in _form_sources(uri))]))
    policy = [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data:",
        f"form-action {targets}",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    if nonce is not None:
        policy.append(f"script-src 'nonce-{nonce}'")
    if frames:
        origins = dict.fromkeys(origin_of(uri) for uri in frames)
        policy.append(" ".join(["frame-src", *(source for source in origins if _SOURCE.fullmatch(source))]))
    return [
        *_always(settings),
        ("Content-Security-Policy", "; ".join(policy)),
        ("X-Frame-Options", "DENY"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Permissions-Policy", _POWERFUL),
    ]


def protect(app: Flask) -> None:
    """Put the headers on every answer of the application."""
    settings = server_settings(app)

    @app.after_request
    def add_headers(response: Response) -> Response:
        page = response.mimetype == "text/html" and "framed" not in g
        asked = (g.get("form_targets", ()), g.get("nonce"), g.get("frames", ()))
        headers = page_headers(settings, *asked) if page else api_headers(settings)
        for name, value in headers:
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def server_settings(app: Flask) -> Settings:
    """Return the settings of an application that is being built."""
    settings: Settings = app.extensions["authserver"].settings
    return settings


def allow_form_target(uri: str) -> None:
    """Let the forms of this page end at a redirect URI (CSP 3, 6.4.1)."""
    g.form_targets = (*g.get("form_targets", ()), uri)


def allow_script(*, form_action: str) -> str:
    """Let one script run on this page and its form go to ``form_action``; return the script's nonce."""
    allow_form_target(form_action)
    g.nonce = secrets.token_urlsafe(16)
    return str(g.nonce)


def allow_frames(uris: list[str]) -> str:
    """Let this page load these URIs in frames, and one script that watches over them; return the script's nonce."""
    g.frames, g.nonce = tuple(uris), secrets.token_urlsafe(16)
    return str(g.nonce)


def see_other(location: str) -> Response:
    """Redirect with 303: what was posted is never posted again somewhere else (RFC 9700 4.12)."""
    return Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})


def set_browser_cookie(response: Response, settings: Settings, browser: Browser) -> None:
    """Give the browser its name (DECISIONS, Names in the browser): until it is closed, or for as long as it is kept."""
    g.browser_told = browser
    _set_cookie(response, settings, cookie_name(settings), browser.cookie, browser.seconds or None)
    if browser.kept:
        _set_cookie(response, settings, mark_name(settings), mark_of(server().sealer, browser), None)


def form_token(form: str, browser: Browser, about: str = "") -> str:
    """Return the token of a form for this browser and what the form is about (an interaction, a session)."""
    message = f"{browser.id}\0{form}\0{about}".encode()
    return b64(hmac.digest(server().sealer.derive("csrf"), message, "sha256"))


def check_form(form: str, browser: Browser, about: str = "") -> None:
    """Abort with 403 unless the form in the request is one of ours, rendered for this browser and transaction."""
    if not _from_here() or not is_token(request.form.get(TOKEN_FIELD, ""), form, browser, about):
        abort(403)


def is_token(token: str, form: str, browser: Browser, about: str = "") -> bool:
    """Say whether this is the token that ``form_token`` makes."""
    return same(token, form_token(form, browser, about))


def way_on(browser: Browser, path: str) -> dict[str, Any]:
    """Return the parameters by which the sign-in page leads on to a page of ours: nobody else can make them."""
    return {"next": path, "proof": form_token("next", browser, path)}


def next_page(browser: Browser | None) -> str | None:
    """Return the page to which this sign-in leads on, where it was begun here and in this browser (CWE-601)."""
    path = request.args.get("next", "")
    proven = browser is not None and is_token(request.args.get("proof", ""), "next", browser, path)
    return path if proven else None


def lost_interaction() -> Response:
    """Show that a sign-in cannot go on: expired, unknown, or of another browser."""
    return error_page(
        "interaction_lost",
        N_("This sign-in is not open any more."),
        N_(
            "It took too long, was started in another browser, or your browser keeps no cookies. "
            "Go back to the application and start again."
        ),
    )


def _set_cookie(response: Response, settings: Settings, name: str, value: str, max_age: int | None) -> None:
    secure = settings.issuer.startswith("https:")
    response.set_cookie(name, value, max_age=max_age, path="/", secure=secure, httponly=True, samesite="Lax")


def _from_here() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("Origin")
    # Under "no-referrer" a browser writes "null" for a form of our own page (Fetch 3.2); the token decides then.
    return origin is None or origin == "null" or origin == origin_of(server().settings.issuer)


def _form_sources(uri: str) -> list[str]:
    """Return the sources for a redirect URI: its origin, and its scheme for where the client sends people next.

    Chromium applies the directive to every redirect after a form, also to those that the client answers: a callback on
    one host that goes on to another would be a dead end with the origin alone.
    """
    return [source for source in (origin_of(uri), f"{urlsplit(uri).scheme}:") if _SOURCE.fullmatch(source)]


def _always(settings: Settings) -> Headers:
    headers = [("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer")]
    if settings.issuer.startswith("https:"):
        headers.append(("Strict-Transport-Security", "max-age=31536000"))
    return headers

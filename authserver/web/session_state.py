"""The frame that clients' pages ask (OpenID Connect Session Management 1.0, 3.2), and the cookie that it reads.

The page is the one of ours that may be framed. It has no form and no link, answers whoever knows a ``session_state``
whether that still holds, and nothing else.
"""

from base64 import b64encode
from hashlib import sha256
from typing import Final

from flask import Blueprint, Flask, Response, abort, g, request

from authserver.clock import SECOND, now
from authserver.identity.sessions import Browser, cookie_name, live_sessions
from authserver.oidc import session_management
from authserver.records import Session
from authserver.settings import Settings
from authserver.store.errors import StoreError
from authserver.web import context

blueprint = Blueprint("session_state", __name__)

_SCRIPT: Final = """
addEventListener("message", async ({data, origin, source}) => {
  if (!source || origin === "null") return;
  const answer = (word) => source.postMessage(word, origin);
  const [all, client, state, salt] = /^(\\S.*) (\\S+[.]([^.\\s]+))$/.exec(typeof data === "string" ? data : "") || [];
  const [, kept] = document.cookie.match(/(?:^|; )COOKIE=([^;]+)/) || [];
  // A browser that shows no cookie here says nothing of the person: "changed" would be asked again for ever.
  if (!all || !kept || !crypto.subtle) return answer("error");
  const text = new TextEncoder().encode([client, origin, kept, salt].join(" "));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  const hex = Array.from(hash, (octet) => octet.toString(16).padStart(2, "0")).join("");
  answer(hex + "." + salt === state ? "unchanged" : "changed");
});
"""


def state_cookie(settings: Settings) -> str:
    """Return the name of the cookie."""
    return f"{cookie_name(settings)}-state"


@blueprint.get(session_management.PATH)
def frame() -> Response:
    """Answer the frame; it is the same for everybody."""
    if request.method == "HEAD":
        abort(405)
    script = _SCRIPT.replace("COOKIE", state_cookie(context.server().settings))
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Session</title><script>{script}</script></html>'
    )
    digest = b64encode(sha256(script.encode()).digest()).decode()
    response = Response(page, mimetype="text/html")
    response.headers["Content-Security-Policy"] = f"default-src 'none'; script-src 'sha256-{digest}'; base-uri 'none'"
    response.headers["Cache-Control"] = "public, max-age=300"
    g.framed = True
    return response


def keep(app: Flask) -> None:
    """Keep the cookie right: whatever answer of a page comes after a change tells the browser its state."""

    @app.after_request
    def tell(response: Response) -> Response:
        told: Browser | None = g.get("browser_told")
        browser = told or context.browser()
        if browser is None or request.endpoint in {"static", f"{blueprint.name}.frame"}:
            return response
        at = context.server()
        try:
            sessions = live_sessions(at, browser)
        except StoreError:
            return response
        state = session_management.browser_state(at, sessions, browser.id)
        if told or request.cookies.get(state_cookie(at.settings)) != state:
            _set(response, at.settings, state, _seconds_true(sessions))
        return response


def _seconds_true(sessions: tuple[Session, ...]) -> int | None:
    """Return how long a state holds; None: until the browser is closed, as it forgets somebody then.

    A page that asks after that is not told of yesterday.
    """
    if not sessions or not all(session.remembered_at for session in sessions):
        return None
    return max((min(session.expires_at for session in sessions) - now()) // SECOND, 1)


def _set(response: Response, settings: Settings, state: str, lasts: int | None) -> None:
    secure = settings.issuer.startswith("https:")
    # Read in a frame on another site, by our script, so neither SameSite nor HttpOnly; it opens nothing.
    response.set_cookie(
        state_cookie(settings),
        state,
        max_age=lasts,
        path="/",
        secure=secure,
        httponly=False,
        samesite="None" if secure else None,
    )

"""The frame that clients' pages ask (OpenID Connect Session Management 1.0, 3.2), and the cookie that it reads.

The page is the one of ours that may be framed. It has no form and no link, answers whoever knows a ``session_state``
whether that still holds, and nothing else.
"""

from base64 import b64encode
from hashlib import sha256
from typing import Final

from flask import Blueprint, Flask, Response, abort, g, request

from authserver.identity.sessions import Browser, cookie_name, live_sessions
from authserver.oidc import session_management
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
        browser: Browser | None = g.get("browser_told") or context.browser()
        if browser is None or request.endpoint in {"static", f"{blueprint.name}.frame"}:
            return response
        at = context.server()
        try:
            state = session_management.browser_state(at, live_sessions(at, browser), browser.id)
        except StoreError:
            return response
        if request.cookies.get(state_cookie(at.settings)) != state:
            _set(response, at.settings, state)
        return response


def _set(response: Response, settings: Settings, state: str) -> None:
    secure = settings.issuer.startswith("https:")
    # Read in a frame on another site, by our script, so neither SameSite nor HttpOnly; it opens nothing.
    response.set_cookie(
        state_cookie(settings),
        state,
        max_age=settings.sessions.absolute_seconds,
        path="/",
        secure=secure,
        httponly=False,
        samesite="None" if secure else None,
    )

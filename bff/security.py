"""What keeps other sites out: the anti-forgery header, the request's origin, and the headers of every answer.

SameSite=Lax is not enough: a sibling host is the same site. A custom header cannot be sent across origins without a
CORS preflight, which this BFF never allows; `Origin` and `Sec-Fetch-Site` are checked where browsers send them.
"""

from flask import Request, Response

from bff.errors import RequestRefusedError
from bff.settings import BffSettings, origin_of

HEADER = "X-CSRF"
_PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


class Gatekeeper:
    """Decides whether a request comes from the application's own page, and marks every answer."""

    def __init__(self, settings: BffSettings) -> None:
        self._origin = origin_of(settings.public_url)
        self._issuer_origin = origin_of(settings.issuer)
        self._secure = settings.secure
        self._page_policy = "; ".join(
            [
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "connect-src 'self'",
                "img-src 'self' data:",
                f"form-action 'self' {self._issuer_origin}",
                "frame-ancestors 'none'",
                "base-uri 'none'",
            ]
        )

    def require_own_page(self, request: Request) -> None:
        """Let only the application's own page pass: header, origin and fetch metadata; raises RequestRefusedError."""
        if request.headers.getlist(HEADER) != ["1"]:
            raise RequestRefusedError
        self._require_origin(request, {self._origin})
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise RequestRefusedError

    def require_own_or_provider(self, request: Request) -> None:
        """Let the application's own page and the provider's form post pass; raises RequestRefusedError."""
        self._require_origin(request, {self._origin, self._issuer_origin})

    def starts_here(self, request: Request) -> bool:
        """Tell whether a navigation was begun by the user or by our own page, not by another site."""
        return request.headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}

    def mark(self, response: Response, *, page: bool) -> Response:
        """Add the security headers to an answer; a page may load its own script and style, anything else nothing."""
        policy = self._page_policy if page else "default-src 'none'; frame-ancestors 'none'; sandbox"
        response.headers["Content-Security-Policy"] = policy
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers["Permissions-Policy"] = _PERMISSIONS
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        if self._secure:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        return response

    @staticmethod
    def _require_origin(request: Request, allowed: set[str]) -> None:
        if any(origin not in allowed for origin in request.headers.getlist("Origin")):
            raise RequestRefusedError

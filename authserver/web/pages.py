"""What every template may use: addresses of assets, moments in words, the name of this place."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Response, request, url_for
from markupsafe import Markup

from authserver import language as speech
from authserver.clock import SECOND
from authserver.web import language
from authserver.web.security import server_settings

_STATIC: Final = Path(__file__).with_name("static")
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_AN_HOUR: Final = "public, max-age=3600"


def register(app: Flask) -> None:
    """Give the templates their words, and static files their lifetime."""
    settings = server_settings(app)
    host = urlsplit(settings.issuer).netloc
    language.register(app)
    app.jinja_env.globals.update(
        asset=asset, listed=listed, moment=moment, issuer_host=host, features=settings.in_force
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.after_request
    def keep_assets(response: Response) -> Response:
        if request.endpoint == "static" and response.status_code in {200, 304}:
            response.headers["Cache-Control"] = _FOR_EVER if "v" in request.args else _AN_HOUR
        return response


def asset(name: str) -> str:
    """Return the address of a static file; it changes with the content, so that browsers may keep it for ever."""
    return url_for("static", filename=name, v=_version(name))


def moment(at: int) -> Markup:
    """Write a time in microseconds for people and for programs."""
    when = datetime.fromtimestamp(at // SECOND, UTC)
    words = speech.moment(when, language.spoken())
    return Markup('<time datetime="{}">{}</time>').format(when.strftime("%Y-%m-%dT%H:%M:%SZ"), words)


def listed(names: Iterable[str]) -> Markup:
    """Write names one after the other, as the language of the page does."""
    shown = [Markup("<strong><bdi>{}</bdi></strong>").format(name) for name in names]
    return Markup(speech.enumeration(shown, language.spoken()))  # noqa: S704 - each name is escaped in the line above


@lru_cache
def _version(name: str) -> str:
    return sha256((_STATIC / name).read_bytes()).hexdigest()[:12]

"""The language of a page: picked when the first text of it is asked for, so that an answer without text picks none.

What counts, in this order: ``ui_locales`` in the URL of the page, those of the request that waits for its user, what
the browser accepts, the first of the setting ``languages``.

In templates a text stands in ``_("…")`` or ``{% trans %}``, which take literals alone: the catalogue's text is HTML
there, and what is filled in is escaped. A sentence that comes from elsewhere goes through ``|translated`` or
``gettext`` and stays text.
"""

from contextlib import suppress
from typing import Any

from flask import Flask, Response, g, request

from authserver import language
from authserver.language import Language
from authserver.oauth.errors import NotRedirectable
from authserver.store.errors import StoreError
from authserver.web import context


def register(app: Flask) -> None:
    """Teach the templates to translate, and say in which language each page is (RFC 9110 8.5, 12.5.5)."""
    jinja = app.jinja_env
    jinja.add_extension("jinja2.ext.i18n")
    jinja.policies["ext.i18n.trimmed"] = True
    jinja.install_gettext_callables(_translated, _counted, newstyle=True)  # type: ignore[attr-defined] # of the extension
    jinja.globals["language"] = spoken
    jinja.filters["translated"] = _translated

    @app.after_request
    def tell(response: Response) -> Response:
        if "language" in g and response.mimetype == "text/html":
            response.headers["Content-Language"] = spoken().tag
            response.vary.add("Accept-Language")
        return response


def wish(ui_locales: tuple[str, ...]) -> None:
    """Take the wish of a request that was read from elsewhere than the URL of this page."""
    g.ui_locales = ui_locales


def handed_on() -> dict[str, Any]:
    """Return the parameter by which a page of ours that follows hears of the wish."""
    wishes = language.tags(request.args.get("ui_locales", "")) or g.get("ui_locales", ())
    return {"ui_locales": " ".join(wishes)} if wishes else {}


def spoken() -> Language:
    """Return the language of this page."""
    if "language" not in g:
        wishes = (*language.tags(request.args.get("ui_locales", "")), *_waiting())
        accepted = request.headers.get("Accept-Language", "")
        g.language = language.negotiate(wishes, accepted, context.server().settings.languages)
    found: Language = g.language
    return found


def gettext(text: str, **values: Any) -> str:
    """Return a text in the language of this page, filled in with these values."""
    return _translated(text) % values if values else _translated(text)


def ngettext(one: str, many: str, num: int, **values: Any) -> str:
    """Return a text about a number of things (``%(num)s``) in the language of this page."""
    return _counted(one, many, num) % {"num": num, **values}


def _translated(text: str) -> str:
    # The translation of nothing would be the head of the catalogue.
    return language.translations(spoken().name).gettext(text) if text else text


def _counted(one: str, many: str, num: int) -> str:
    return language.translations(spoken().name).ngettext(one, many, num)


def _waiting() -> tuple[str, ...]:
    """Return what the request wishes for that waits for its user; a page is made also where that cannot be found."""
    if "ui_locales" not in g:
        with suppress(NotRedirectable, StoreError):
            context.waiting()
    found: tuple[str, ...] = g.ui_locales
    return found

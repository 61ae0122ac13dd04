"""Requests that another site posts into a browser: kept for a minute, and answered 303 to a GET of ours.

A browser does not send SameSite=Lax cookies with a form that another site posts, but it does with the GET after it
(DECISIONS, Names in the browser).
"""

from hashlib import sha256
from typing import Final

from flask import Response, request, url_for

from authserver.clock import MINUTE, now
from authserver.crypto import new_id
from authserver.oauth import errors
from authserver.oauth.parameters import decode_form, read_query
from authserver.oauth.server import Server
from authserver.web import security
from authserver.web.errors import error_page
from authserver.web.protocol import TooLarge, read_body
from authserver.web.proxy import client_address

MAX_POSTED: Final = 16 * 1024
_MARK: Final = "posted="


def keep(at: Server, space: str, view: str) -> Response:
    """Keep the body of this request and lead to the view that takes it by GET, or show what is wrong with it."""
    try:
        if request.query_string:
            raise errors.InvalidRequest(errors.IN_QUERY)
        text = decode_form(request.content_type or "", read_body(request.environ, MAX_POSTED))
        read_query(text, frozenset())
    except TooLarge:
        return error_page("invalid_request", errors.TOO_LARGE, errors.ASK_DEVELOPER, 413)
    except errors.OAuth2Error as error:
        return error_page("invalid_request", error.get_error_description(), errors.ASK_DEVELOPER)
    # The cookie does not come with a form of another site, so every browser is a stranger here.
    at.limits.count_stranger(client_address(request.environ, at.settings))
    key = new_id(32)
    at.store.ephemeral.put(space, _digest(key), text, now() + MINUTE)
    return security.see_other(url_for(view, posted=key))


def resolve(at: Server, space: str, query: str) -> str:
    """Return the query, or the posted body that it stands for."""
    key = query.removeprefix(_MARK)
    if key == query or "&" in key:
        return query
    item = at.store.ephemeral.get(space, _digest(key))
    return item.value if item is not None else ""


def _digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()

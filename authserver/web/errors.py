"""Error pages: what happened, what to do now, and a code to name when asking for help."""

import logging
from typing import Final, NamedTuple

from flask import Flask, Response, abort, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from authserver.identity.passwords import TooBusy
from authserver.language import N_
from authserver.limits import Exceeded
from authserver.store.errors import BadValue, StoreError

logger = logging.getLogger(__name__)


REFUSED: Final = "authserver.refused"
"""In the environ of a request that the gateway refuses, and for which a person should see a page: the status."""


class Words(NamedTuple):
    """The words of an error: its code, what happened, what to do."""

    code: str
    sentence: str
    hint: str


FAILED: Final = Words(
    "server_error", N_("Something went wrong on our side."), N_("The failure was recorded. Try again in a moment.")
)
AWAY: Final = Words(
    "temporarily_unavailable", N_("This cannot be answered right now."), N_("Wait a few seconds and try again.")
)
MALFORMED: Final = Words("bad_request", N_("The request could not be understood."), N_("Go back and try again."))
BY_STATUS: Final = {
    400: MALFORMED,
    403: Words(
        "form_expired",
        N_("This form is no longer valid."),
        N_("Go back, reload the page and send it again. Nothing was changed."),
    ),
    404: Words(
        "not_found", N_("There is no page at this address."), N_("Check the address, or go back where you came from.")
    ),
    405: Words(
        "method_not_allowed", N_("This address does not work that way."), N_("Go back and use the links on the page.")
    ),
    413: Words("too_large", N_("What was sent is too large."), N_("Go back and send less.")),
    414: Words(
        "address_too_long",
        N_("The address that brought you here is too long."),
        N_("Go back to the application and try again. If it happens again, tell the people who run it."),
    ),
    429: Words("too_many_requests", N_("There were too many tries."), N_("Wait a little and try again.")),
    500: FAILED,
    503: AWAY,
}


def error_page(code: str, sentence: str, hint: str, status: int = 400) -> Response:
    """Make an error page; the words are fixed sentences, never the request's."""
    return make_response(render_template("error.html", code=code, sentence=sentence, hint=hint), status)


def register(app: Flask) -> None:
    """Answer every failure of a page with a page."""
    app.before_request(_refuse)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(StoreError, _store)
    app.register_error_handler(TooBusy, _busy)
    app.register_error_handler(Exceeded, _exceeded)
    app.register_error_handler(Exception, _unexpected)


def _refuse() -> None:
    if REFUSED in request.environ:
        abort(request.environ[REFUSED])


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    response = error_page(*BY_STATUS.get(status, MALFORMED if status < 500 else FAILED), status)
    allow = error.get_response().headers.get("Allow")
    if allow is not None:
        response.headers["Allow"] = allow
    return response


def _store(error: StoreError) -> Response:
    if isinstance(error, BadValue):
        return error_page(*MALFORMED, 400)
    logger.warning("store away at %s: %s", request.endpoint, type(error).__name__)
    return _later(503, 1)


def _busy(error: TooBusy) -> Response:
    return _later(503, error.retry_after)


def _exceeded(error: Exceeded) -> Response:
    return _later(429, error.retry_after)


def _unexpected(error: Exception) -> Response:
    logger.error("unexpected failure at %s", request.endpoint, exc_info=error)
    return error_page(*FAILED, 500)


def _later(status: int, seconds: int) -> Response:
    response = error_page(*BY_STATUS[status], status)
    response.headers["Retry-After"] = str(seconds)
    return response

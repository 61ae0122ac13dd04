"""A decorator for Flask views. Decides nothing itself: see `resourceserver.verifier`."""

from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import quote

from flask import Response, after_this_request, g, request
from flask.typing import ResponseReturnValue

from resourceserver.access_token import AccessToken
from resourceserver.binding import PATH_CHARACTERS, Evidence
from resourceserver.errors import InvalidTokenError, ResourceError
from resourceserver.mtls import CertificateError
from resourceserver.verifier import Verifier

Arguments = ParamSpec("Arguments")
View = Callable[Concatenate[AccessToken, Arguments], ResponseReturnValue]

FORM = "application/x-www-form-urlencoded"


def protect(
    verifier: Verifier,
    *,
    scopes: Collection[str] = (),
    acr: Sequence[str] = (),
    max_age: int | None = None,
    details: Collection[str] = (),
    fresh: bool = False,
) -> Callable[[View[Arguments]], Callable[Arguments, ResponseReturnValue]]:
    """Let only requests with a good access token reach the view, which gets the AccessToken as its first argument.

    The arguments are those of `Verifier.verify`. The token is also `flask.g.access_token`; a refusal is
    `flask.g.refusal`, for the log. Raises ValueError for a promise that `verifier` cannot keep, or for one text where
    a collection of scopes is meant.
    """
    if isinstance(scopes, str) or isinstance(acr, str) or isinstance(details, str):
        raise ValueError("scopes, acr and details are collections of strings")  # noqa: TRY004
    if fresh and not verifier.can_introspect:
        raise ValueError("fresh answers need an introspection client")

    def decorate(view: View[Arguments]) -> Callable[Arguments, ResponseReturnValue]:
        @wraps(view)
        def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> ResponseReturnValue:
            try:
                g.access_token = verifier.verify(
                    request.headers.getlist("Authorization"),
                    _evidence(verifier),
                    scopes=scopes,
                    acr=acr,
                    max_age=max_age,
                    details=details,
                    fresh=fresh,
                    other_methods=_token_elsewhere(),
                )
            except ResourceError as refusal:
                g.refusal = refusal
                answer = verifier.answer(refusal)
                return Response(answer.body, answer.status, dict(answer.headers))
            _add_headers(verifier.headers(g.access_token))
            return view(g.access_token, *args, **kwargs)

        return guarded

    return decorate


def _evidence(verifier: Verifier) -> Evidence:
    certificate = _certificate(verifier)
    if verifier.dpop is None:
        return Evidence(certificate=certificate)
    # The path that the router saw, written as a URL has it: two ways to write it would be two targets (RFC 9449 4.3).
    path = quote(request.environ["PATH_INFO"].encode("latin-1"), safe=PATH_CHARACTERS)
    return Evidence(request.method, path, request.headers.getlist("DPoP"), certificate)


def _certificate(verifier: Verifier) -> bytes | None:
    try:
        return None if verifier.certificates is None else verifier.certificates.read(request.environ)
    except CertificateError:
        raise InvalidTokenError("certificate header unreadable") from None


def _add_headers(headers: Sequence[tuple[str, str]]) -> None:
    if headers:

        @after_this_request
        def add(response: Response) -> Response:
            response.headers.update(headers)
            return response


def _token_elsewhere() -> bool:
    """Say whether query or form hold a token too. Alone it counts for nothing, so nothing is read without a header."""
    if "Authorization" not in request.headers:
        return False
    return "access_token" in request.args or (request.mimetype == FORM and "access_token" in request.form)

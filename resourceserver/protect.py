"""A decorator for Flask views. Decides nothing itself: see `resourceserver.verifier`."""

from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec

from flask import Response, g, request
from flask.typing import ResponseReturnValue

from resourceserver.access_token import AccessToken
from resourceserver.errors import ResourceError
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
    fresh: bool = False,
) -> Callable[[View[Arguments]], Callable[Arguments, ResponseReturnValue]]:
    """Let only requests with a good access token reach the view, which gets the AccessToken as its first argument.

    The arguments are those of `Verifier.verify`. The token is also `flask.g.access_token`; a refusal is
    `flask.g.refusal`, for the log. Raises ValueError for a promise that `verifier` cannot keep, or for one text where
    a collection of scopes is meant.
    """
    if isinstance(scopes, str) or isinstance(acr, str):
        raise ValueError("scopes and acr are collections of strings")  # noqa: TRY004
    if fresh and not verifier.can_introspect:
        raise ValueError("fresh answers need an introspection client")

    def decorate(view: View[Arguments]) -> Callable[Arguments, ResponseReturnValue]:
        @wraps(view)
        def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> ResponseReturnValue:
            try:
                g.access_token = verifier.verify(
                    request.headers.getlist("Authorization"),
                    scopes=scopes,
                    acr=acr,
                    max_age=max_age,
                    fresh=fresh,
                    other_methods=_token_elsewhere(),
                )
            except ResourceError as refusal:
                g.refusal = refusal
                answer = verifier.answer(refusal)
                return Response(answer.body, answer.status, dict(answer.headers))
            return view(g.access_token, *args, **kwargs)

        return guarded

    return decorate


def _token_elsewhere() -> bool:
    """Say whether query or form hold a token too. Alone it counts for nothing, so nothing is read without a header."""
    if "Authorization" not in request.headers:
        return False
    return "access_token" in request.args or (request.mimetype == FORM and "access_token" in request.form)

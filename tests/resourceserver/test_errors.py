import json

import pytest

from resourceserver.errors import (
    InsufficientScopeError,
    InsufficientUserAuthenticationError,
    InvalidRequestError,
    InvalidTokenError,
    MissingTokenError,
    ResourceError,
    UnavailableError,
)

METADATA = "https://api.example/.well-known/oauth-protected-resource/things"


def _answer(error: ResourceError) -> tuple[int, dict[str, str], dict[str, str]]:
    answer = error.answer("things", METADATA)
    return answer.status, dict(answer.headers), json.loads(answer.body)


def test_a_request_without_token_learns_no_error_code() -> None:
    # RFC 6750 3.1, RFC 9728 5.1
    status, headers, body = _answer(MissingTokenError(("read", "write")))
    assert status == 401
    assert headers["WWW-Authenticate"] == f'Bearer realm="things", scope="read write", resource_metadata="{METADATA}"'
    assert body["error"] == "unauthorized"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidRequestError("secret detail"), 400, "invalid_request"),
        (InvalidTokenError("secret detail"), 401, "invalid_token"),
        (InsufficientScopeError(("write",)), 403, "insufficient_scope"),
        (InsufficientUserAuthenticationError("secret detail"), 401, "insufficient_user_authentication"),
    ],
)
def test_each_refusal_has_its_status_and_code(error: ResourceError, status: int, code: str) -> None:
    got, headers, body = _answer(error)
    assert got == status
    assert headers["WWW-Authenticate"].startswith(f'Bearer realm="things", error="{code}", error_description="')
    assert headers["WWW-Authenticate"].endswith(f'resource_metadata="{METADATA}"')
    assert body == {"error": code, "error_description": error.description}
    assert headers["Cache-Control"] == "no-store"
    assert "secret detail" not in str((headers, body))


def test_missing_scope_is_named() -> None:
    assert 'scope="a b"' in _answer(InsufficientScopeError(("a", "b")))[1]["WWW-Authenticate"]


def test_the_wanted_authentication_is_named() -> None:
    # RFC 9470 3
    challenge = _answer(InsufficientUserAuthenticationError("old", ("phr", "urn:x:mfa"), 0))[1]["WWW-Authenticate"]
    assert 'acr_values="phr urn:x:mfa"' in challenge
    assert 'max_age="0"' in challenge


def test_unavailable_is_503_without_a_challenge() -> None:
    status, headers, body = _answer(UnavailableError("detail", retry_after=7))
    assert status == 503
    assert headers["Retry-After"] == "7"
    assert "WWW-Authenticate" not in headers
    assert body["error"] == "temporarily_unavailable"


def test_a_bare_challenge_is_still_a_scheme() -> None:
    assert dict(InvalidTokenError("x").answer().headers)["WWW-Authenticate"].startswith('Bearer error="invalid_token"')

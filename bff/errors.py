"""Everything that can go wrong, each with a code for programs and a fixed sentence for people.

No error carries text from a provider, an API or a browser: what a stranger wrote is never shown and never logged.
"""

from collections.abc import Mapping
from typing import ClassVar


class BffError(Exception):
    """The root of all errors raised on purpose; `code`, `status` and `sentence` are what the browser sees."""

    code: ClassVar[str] = "server_error"
    status: ClassVar[int] = 500
    sentence: ClassVar[str] = "Something went wrong on our side."


class NotLoggedInError(BffError):
    """No session: the cookie is missing, unknown or expired, or the session was ended."""

    code = "not_logged_in"
    status = 401
    sentence = "You are not logged in, or your session has ended. Please log in."


class RequestRefusedError(BffError):
    """The request lacks the anti-forgery header or comes from another site."""

    code = "cross_site_request"
    status = 403
    sentence = "This request did not come from the application's own page."


class PathRefusedError(BffError):
    """The path names no listed API or is written in a way that could mean two things."""

    code = "unknown_api"
    status = 404
    sentence = "There is no such API."


class ApiNotGrantedError(BffError):
    """The provider gives no token for this API in this session."""

    code = "api_not_granted"
    status = 403
    sentence = "This log-in does not include access to that API."


class ApiUnavailableError(BffError):
    """The API cannot be reached, is too slow, or sends too much."""

    code = "api_unavailable"
    status = 502
    sentence = "The service behind this page does not answer. Please try again in a moment."


class ApiRefusedTokenError(BffError):
    """The API refuses a token that was issued a moment ago: a mistake in the configuration, not in the session."""

    code = "api_refused_token"
    status = 502
    sentence = "The service behind this page did not accept this log-in."


class StepUpNeededError(BffError):
    """The API wants a stronger or more recent log-in of the person (RFC 9470 section 3), begun at `login_url`."""

    code = "step_up_needed"
    status = 403
    sentence = "For this, please confirm once more that it is you."

    def __init__(self, login_url: str) -> None:
        super().__init__()
        self.login_url = login_url


class ApiRedirectedError(BffError):
    """The API answered with a redirect, which is never followed with a token."""

    code = "api_redirected"
    status = 502
    sentence = "The service behind this page pointed somewhere else, so we stopped."


class ProviderUnavailableError(BffError):
    """The provider cannot be reached or answers 5xx, 429 or nonsense; trying again may help."""

    code = "provider_unavailable"
    status = 503
    sentence = "The log-in service does not answer. Please try again in a moment."


class ProviderMismatchError(BffError):
    """The provider's metadata is not what its issuer may say (RFC 8414 section 3.3); trying again will not help."""

    code = "provider_mismatch"
    status = 502
    sentence = "The log-in service describes itself wrongly, so we did not continue."


class StoreBusyError(BffError):
    """The database did not take a write in time."""

    code = "temporarily_unavailable"
    status = 503
    sentence = "We could not save your session. Please try again in a moment."


class ProviderRefusedError(BffError):
    """The token endpoint answered with an OAuth error (RFC 6749 section 5.2), kept in `reason`."""

    code = "provider_refused"
    status = 400
    sentence = "The log-in service did not accept the request."

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokenRefusedError(BffError):
    """A JWT failed a check; the argument names the check and never repeats the token."""

    code = "token_refused"
    status = 400
    sentence = "The log-in service's answer could not be verified, so we did not log you in."


class KeyUnknownError(TokenRefusedError):
    """The JWT names a key that the provider did not publish when last asked; it may have published it since."""


LOGIN_SENTENCES: Mapping[str, str] = {
    "access_denied": "You did not allow the application to continue, so you are not logged in.",
    "already_logged_in": "You are already logged in. This answer belongs to a log-in that is over or began elsewhere.",
    "cross_site_request": "This answer did not come from the application or its log-in service.",
    "invalid_response": "The log-in service's answer was incomplete or came from somewhere else.",
    "invalid_scope": "The application asked for something that the log-in service does not offer.",
    "invalid_target": "The application asked for a service that this log-in may not use.",
    "issuer_mismatch": "The answer came from a different log-in service than the one that was asked.",
    "login_required": "The log-in service needs you to log in again.",
    "consent_required": "The log-in service needs your consent before you can continue.",
    "interaction_required": "The log-in service needs to ask you something before you can continue.",
    "server_error": "The log-in service reported a problem of its own.",
    "temporarily_unavailable": "The log-in service is busy or under maintenance.",
    "unauthorized_client": "The log-in service does not allow this application to log people in.",
    "unmet_authentication_requirements": (
        "What you wanted to do takes a log-in with a second step, and the log-in service could not confirm one. "
        "You are logged in as before. Set up a second step in your account there, then try again."
    ),
    "unknown_state": "This log-in attempt has expired, was already used, or began in another browser.",
}


class TooLargeError(BffError):
    """The request's body is larger than the settings allow."""

    code = "too_large"
    status = 413
    sentence = "That is more than this page may send."


class UnreadableError(BffError):
    """The request's body could not be read to its end."""

    code = "invalid_request"
    status = 400
    sentence = "The request could not be read."


class LoginRefusedError(BffError):
    """A log-in that ends on an error page; `code` is a key of LOGIN_SENTENCES or `login_failed`."""

    status = 400

    def __init__(self, code: str) -> None:
        known = code in LOGIN_SENTENCES
        self.reason = code if known else "login_failed"
        self.explanation = LOGIN_SENTENCES.get(code, "The log-in service did not complete the log-in.")
        super().__init__(self.reason)

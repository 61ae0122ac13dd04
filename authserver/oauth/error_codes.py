"""The error codes of OAuth and OpenID, each with the specification that registers it.

Plugs into: ``errors``, where their descriptions are.
"""

from typing import Final

from authlib.oauth2.rfc6749 import errors as rfc6749
from authlib.oauth2.rfc6749.errors import OAuth2Error

PROOF_NONCE: Final = "The DPoP proof has to carry the nonce of the DPoP-Nonce header."
TOO_MANY_FAILURES: Final = "Too many failed client authentications; wait before trying again."


class Refusal(OAuth2Error):
    """An error with a fixed description; subclasses name the code."""

    headers: tuple[tuple[str, str], ...] = ()

    def __init__(self, description: str, status: int | None = None) -> None:
        super().__init__(description=description, status_code=status)


class InvalidRequest(Refusal, rfc6749.InvalidRequestError):
    """RFC 6749 5.2 and 4.1.2.1."""


class InvalidClient(Refusal, rfc6749.InvalidClientError):
    """RFC 6749 5.2: client authentication failed; always 401 with a challenge (RFC 9110 15.5.2)."""

    status_code = 401


class InvalidGrant(Refusal, rfc6749.InvalidGrantError):
    """RFC 6749 5.2."""


class InvalidScope(Refusal, rfc6749.InvalidScopeError):
    """RFC 6749 5.2 and 4.1.2.1."""


class UnauthorizedClient(Refusal, rfc6749.UnauthorizedClientError):
    """RFC 6749 5.2 and 4.1.2.1."""


class UnsupportedGrantType(Refusal):
    """RFC 6749 5.2."""

    error = "unsupported_grant_type"


class UnsupportedResponseType(Refusal):
    """RFC 6749 4.1.2.1."""

    error = "unsupported_response_type"


class AccessDenied(Refusal, rfc6749.AccessDeniedError):
    """RFC 6749 4.1.2.1."""


class AuthorizationPending(Refusal):
    """RFC 8628 3.5: the person has not decided yet."""

    error = "authorization_pending"


class PollSlower(Refusal):
    """RFC 8628 3.5: not decided yet, and asked too often; the interval grows by five seconds."""

    error = "slow_down"


class ExpiredToken(Refusal):
    """RFC 8628 3.5: nobody decided in time."""

    error = "expired_token"


class UnknownUserID(Refusal):
    """CIBA 13."""

    error = "unknown_user_id"


class InvalidUserCode(Refusal):
    """CIBA 13."""

    error = "invalid_user_code"


class InvalidBindingMessage(Refusal):
    """CIBA 13."""

    error = "invalid_binding_message"


class InvalidTarget(Refusal):
    """RFC 8707 2."""

    error = "invalid_target"


class InvalidAuthorizationDetails(Refusal):
    """RFC 9396 5 and 6."""

    error = "invalid_authorization_details"


class LoginRequired(Refusal):
    """OpenID Connect Core 3.1.2.6."""

    error = "login_required"


class ConsentRequired(Refusal):
    """OpenID Connect Core 3.1.2.6."""

    error = "consent_required"


class AccountSelectionRequired(Refusal):
    """OpenID Connect Core 3.1.2.6."""

    error = "account_selection_required"


class RequestNotSupported(Refusal):
    """OpenID Connect Core 3.1.2.6."""

    error = "request_not_supported"


class RequestURINotSupported(Refusal):
    """OpenID Connect Core 3.1.2.6."""

    error = "request_uri_not_supported"


class InvalidRequestURI(Refusal):
    """RFC 9101 6.1 and RFC 9126 4."""

    error = "invalid_request_uri"


class InvalidRequestObject(Refusal):
    """RFC 9101 6.2."""

    error = "invalid_request_object"


class RegistrationNotSupported(Refusal):
    """OpenID Connect Core 3.1.2.6."""

    error = "registration_not_supported"


class UnmetAuthenticationRequirements(Refusal):
    """OpenID Connect Core Unmet Authentication Requirements 1.0."""

    error = "unmet_authentication_requirements"


class InvalidToken(Refusal):
    """RFC 6750 3.1, at what takes an access token."""

    error = "invalid_token"
    status_code = 401


class TokenWanted(InvalidToken):
    """RFC 6750 3.1: no access token came, so the challenge names no error."""


class InsufficientScope(Refusal):
    """RFC 6750 3.1, at userinfo."""

    error = "insufficient_scope"
    status_code = 403


class InvalidDPoPProof(Refusal):
    """RFC 9449 5; 401 where the proof comes with an access token (7.1)."""

    error = "invalid_dpop_proof"


class UseDPoPNonce(Refusal):
    """RFC 9449 8; 401 where the proof comes with an access token (9)."""

    error = "use_dpop_nonce"

    def __init__(self, nonce: str, status: int | None = None) -> None:
        super().__init__(PROOF_NONCE, status)
        self.headers = (("DPoP-Nonce", nonce),)


class SlowDown(Refusal):
    """Too many failed attempts; 429 with Retry-After in seconds (RFC 6585 4)."""

    error = "invalid_client"
    status_code = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__(TOO_MANY_FAILURES)
        self.retry_after = retry_after


class TooManyRequests(Refusal):
    """RFC 9126 2.3 and RFC 6585 4: too many requests of a client; 429 with Retry-After in seconds."""

    error = "invalid_request"
    status_code = 429

    def __init__(self, description: str, retry_after: int = 1) -> None:
        super().__init__(description)
        self.headers = (("Retry-After", str(retry_after)),)


class InvalidRedirectURI(Refusal):
    """RFC 7591 3.2.2."""

    error = "invalid_redirect_uri"


class InvalidClientMetadata(Refusal):
    """RFC 7591 3.2.2."""

    error = "invalid_client_metadata"


class InvalidSoftwareStatement(Refusal):
    """RFC 7591 3.2.2."""

    error = "invalid_software_statement"


class UnapprovedSoftwareStatement(Refusal):
    """RFC 7591 3.2.2."""

    error = "unapproved_software_statement"


class NotRedirectable(Exception):
    """An authorization request that may not be answered by a redirect: unknown client, unproven redirect URI."""

    def __init__(self, code: str, sentence: str, hint: str) -> None:
        super().__init__(code)
        self.code = code
        self.sentence = sentence
        self.hint = hint

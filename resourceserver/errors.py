"""Refusals of a protected resource and their WWW-Authenticate text.

RFC 6750 section 3 (The OAuth 2.0 Authorization Framework: Bearer Token Usage),
https://www.rfc-editor.org/rfc/rfc6750#section-3, RFC 9449 section 7 (Demonstrating Proof of Possession),
https://www.rfc-editor.org/rfc/rfc9449#section-7, RFC 9470 section 3 (Step Up Authentication Challenge Protocol),
https://www.rfc-editor.org/rfc/rfc9470#section-3, and the `resource_metadata` parameter of RFC 9728 section 5.1.

Descriptions are fixed sentences. `reason` is a fixed phrase too, and for the log only: it tells the operator which
check failed without telling the caller.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """A refusal as it goes on the wire: status, header fields in order, JSON body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class ResourceError(Exception):
    """A request that the protected resource does not serve.

    `status` is the HTTP status, `error` the code of the specification ("" where there must be none), `description`
    the sentence sent with it, `reason` the phrase for the log, `scheme` the authentication scheme of the request.
    """

    scheme = "Bearer"
    status = 401
    error = ""
    description = ""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def parameters(self) -> list[tuple[str, str]]:
        """Return what this refusal adds to the challenge, as pairs of name and unquoted value."""
        return []

    def answer(self, realm: str = "", resource_metadata: str = "", dpop_algs: Sequence[str] = ()) -> Answer:
        """Write the refusal; `realm` and `resource_metadata` (a URL) go into the challenge when not empty.

        `dpop_algs` are the algorithms of DPoP proofs, where the resource takes them.
        """
        headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        challenge = self._challenge(realm, resource_metadata, " ".join(dpop_algs))
        if challenge:
            headers.append(("WWW-Authenticate", challenge))
        members = {"error": self.error or "unauthorized", "error_description": self.description}
        return Answer(self.status, (*headers, *self._more_headers()), json.dumps(members).encode())

    def _challenge(self, realm: str, resource_metadata: str, algs: str) -> str:
        pairs = [("realm", realm)]
        if self.error:
            # RFC 6750 3.1: a request without any credentials learns no error code.
            pairs += [("error", self.error), ("error_description", self.description)]
        pairs += [*self.parameters(), ("resource_metadata", resource_metadata)]
        if self.scheme == "DPoP":
            return _written("DPoP", [*pairs, ("algs", algs)])
        challenge = _written("Bearer", pairs)
        # RFC 9449 7.2: what went wrong is said in the scheme of the request; the other one is only named.
        return f'{challenge}, DPoP algs="{algs}"' if algs and self.status == 401 else challenge

    def _more_headers(self) -> list[tuple[str, str]]:
        return []


def _written(scheme: str, pairs: Sequence[tuple[str, str]]) -> str:
    parameters = ", ".join(f'{name}="{value}"' for name, value in pairs if value)
    return f"{scheme} {parameters}".rstrip()


class InvalidRequestError(ResourceError):
    """The credentials are malformed or sent more than once (RFC 6750 section 3.1)."""

    status = 400
    error = "invalid_request"
    description = "Send the access token exactly once, in one Authorization header"


class MissingTokenError(ResourceError):
    """No access token came with the request; answered by a challenge without an error code."""

    description = "An access token is required"

    def __init__(self, scopes: Sequence[str] = ()) -> None:
        super().__init__("no access token")
        self.scopes = tuple(scopes)

    def parameters(self) -> list[tuple[str, str]]:
        """Return the scope that the resource wants."""
        return [("scope", " ".join(self.scopes))]


class InvalidTokenError(ResourceError):
    """The access token is expired, revoked, malformed, or meant for somebody else (RFC 6750 section 3.1)."""

    error = "invalid_token"
    description = "The access token is expired, revoked, malformed or not meant for this resource"


class InvalidProofError(ResourceError):
    """The DPoP proof is missing, or is not one for this request and this token (RFC 9449 sections 4.3 and 7.1)."""

    scheme = "DPoP"
    error = "invalid_dpop_proof"
    description = "The DPoP proof is missing, malformed, used before or not made for this request"


class NonceNeededError(ResourceError):
    """The DPoP proof has to carry the nonce that comes with this answer (RFC 9449 section 9)."""

    scheme = "DPoP"
    error = "use_dpop_nonce"
    description = "The DPoP proof has to carry the nonce of the DPoP-Nonce header"

    def __init__(self, nonce: str) -> None:
        super().__init__("nonce missing or old")
        self.nonce = nonce

    def _more_headers(self) -> list[tuple[str, str]]:
        return [("DPoP-Nonce", self.nonce)]


class InsufficientScopeError(ResourceError):
    """The access token lacks a scope that the resource needs (RFC 6750 section 3.1)."""

    status = 403
    error = "insufficient_scope"
    description = "The access token does not carry the scope that this request needs"

    def __init__(self, scopes: Sequence[str]) -> None:
        super().__init__("scope missing")
        self.scopes = tuple(scopes)

    def parameters(self) -> list[tuple[str, str]]:
        """Return the scope that the resource wants."""
        return [("scope", " ".join(self.scopes))]


class InsufficientDetailsError(InsufficientScopeError):
    """The access token lacks authorization details of a type that the resource needs; RFC 9396 has no code of its own.

    RFC 6750 section 3.1: insufficient_scope says that the request needs higher privileges than the token provides.
    """

    description = "The access token does not carry the authorization details that this request needs"

    def __init__(self) -> None:
        super().__init__(())
        self.reason = "authorization details missing"


class InsufficientUserAuthenticationError(ResourceError):
    """The user's authentication is too weak or too old for the resource (RFC 9470 section 3)."""

    error = "insufficient_user_authentication"
    description = "The resource asks for a stronger or more recent authentication of the user"

    def __init__(self, reason: str, acr: Sequence[str] = (), max_age: int | None = None) -> None:
        super().__init__(reason)
        self.acr = tuple(acr)
        self.max_age = max_age

    def parameters(self) -> list[tuple[str, str]]:
        """Return the authentication that the resource wants."""
        return [("acr_values", " ".join(self.acr)), ("max_age", "" if self.max_age is None else str(self.max_age))]


class UnavailableError(ResourceError):
    """The token could not be checked: the authorization server is away or answers nonsense.

    A 503, never a 401: a client that hears 401 throws its token away or logs its user out.
    """

    status = 503
    error = "temporarily_unavailable"
    description = "The access token cannot be checked at the moment"

    def __init__(self, reason: str, retry_after: int = 5) -> None:
        super().__init__(reason)
        self.retry_after = retry_after

    def _challenge(self, realm: str, resource_metadata: str, algs: str) -> str:
        del realm, resource_metadata, algs
        return ""

    def _more_headers(self) -> list[tuple[str, str]]:
        return [("Retry-After", str(self.retry_after))]

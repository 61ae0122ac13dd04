"""The OpenID Connect client: speaks to the provider for every session of this BFF.

RFC 6749 (token endpoint, sections 2.3.1, 4.1.3, 6), RFC 8707 (resource), RFC 7009 (revocation), OpenID Connect
Discovery 1.0. Credentials travel in the Authorization header only, never in a body or URL.
"""

import base64
import logging
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import orjson

from bff.errors import ProviderMismatchError, ProviderRefusedError, ProviderUnavailableError
from bff.jwks import Keys
from bff.metadata import Metadata, check
from bff.outbound import Answer, Outbound, OutboundError
from bff.pause import Pause
from bff.settings import BffSettings

_log = logging.getLogger("bff.client")

_MAX_BYTES = 64 * 1024
_MAX_TOKEN = 16 * 1024
_METADATA_SECONDS = 3600
_DEFAULT_LIFETIME = 300
_LONGEST_LIFETIME = 24 * 3600
_REVOCATION_SECONDS = 3.0
_USERINFO_SECONDS = 3.0
_ASK_JSON: Final = {"accept": "application/json"}
_ERRORS: Final = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "unauthorized_client",
        "unsupported_grant_type",
        "access_denied",
    }
)


@dataclass(frozen=True, slots=True, repr=False)
class TokenResponse:
    """A successful token response (RFC 6749 section 5.1); `lifetime` in seconds."""

    access_token: str
    lifetime: int
    scope: str | None
    refresh_token: str | None
    id_token: str | None


class Provider:
    """The OpenID provider as this client sees it; asked lazily, so the BFF starts without it."""

    def __init__(self, settings: BffSettings, outbound: Outbound) -> None:
        self._settings = settings
        self._outbound = outbound
        self._lock = threading.Lock()
        self._pause = Pause()
        self._metadata: Metadata | None = None
        self._fetched_at = float("-inf")
        self.keys = Keys(self._fetch_keys)

    def metadata(self) -> Metadata:
        """Give the checked metadata, at most an hour old; raises ProviderUnavailableError or ProviderMismatchError."""
        if self._metadata is None or time.monotonic() - self._fetched_at > _METADATA_SECONDS:
            with self._lock:
                if self._metadata is None or time.monotonic() - self._fetched_at > _METADATA_SECONDS:
                    self._metadata = self._pause.ask(self._discover)
                    self._fetched_at = time.monotonic()
        return self._metadata

    def authorization_url(self, parameters: Mapping[str, str]) -> str:
        """Give the URL of an authorization request, with every resource named (RFC 8707 section 2.1)."""
        pairs = [
            ("response_type", "code"),
            ("client_id", self._settings.client_id),
            ("redirect_uri", self._settings.redirect_uri),
            ("scope", self._settings.scope),
            *parameters.items(),
            *(("resource", resource) for resource in self._settings.resources),
        ]
        return f"{self.metadata().authorization_endpoint}?{urlencode(self._pushed(pairs) or pairs)}"

    def end_session_url(self, parameters: Mapping[str, str]) -> str | None:
        """Give the URL of an RP-initiated logout, or None where the provider has none."""
        endpoint = self.metadata().end_session_endpoint
        return endpoint and f"{endpoint}?{urlencode({**parameters, 'client_id': self._settings.client_id})}"

    def exchange_code(self, code: str, verifier: str) -> TokenResponse:
        """Redeem an authorization code (RFC 6749 section 4.1.3), for the first resource; never retried."""
        form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self._settings.redirect_uri),
            ("code_verifier", verifier),
            *(("resource", resource) for resource in self._settings.resources[:1]),
        ]
        return self._token(form)

    def refresh(self, refresh_token: str, resource: str) -> TokenResponse:
        """Get an access token for one resource (RFC 6749 section 6).

        A lost answer is asked for once more with the same refresh token: a provider with a retry window answers the
        same successor.
        """
        form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("resource", resource)]
        try:
            return self._token(form)
        except ProviderUnavailableError:
            return self._token(form)

    def revoke(self, token: str, hint: str) -> bool:
        """Revoke a token (RFC 7009) and tell whether the provider confirmed it; never raises."""
        try:
            endpoint = self.metadata().revocation_endpoint
            if endpoint is None:
                return False
            answer = self._post(endpoint, [("token", token), ("token_type_hint", hint)], _REVOCATION_SECONDS)
        except (OutboundError, ProviderUnavailableError, ProviderMismatchError):
            _log.warning("revocation failed: the provider does not answer")
            return False
        return answer.status == 200

    def userinfo(self, access_token: str) -> Mapping[str, Any] | None:
        """Ask for claims about the person (OpenID Connect Core 1.0 section 5.3); None without a usable answer.

        Never raises: who logged in is known from the ID token, only a name to show may be missing.
        """
        try:
            endpoint = self.metadata().userinfo_endpoint
            headers = {**_ASK_JSON, "authorization": f"Bearer {access_token}"}
            document = endpoint and self._get_json(endpoint, headers, _USERINFO_SECONDS)
        except (ProviderUnavailableError, ProviderMismatchError):
            _log.warning("there is no name to show: the userinfo endpoint gives no usable answer")
            return None
        # Section 5.3.2: "sub" is always there; what lacks it is no UserInfo response.
        return document if document and "sub" in document else None

    def _pushed(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]] | None:
        """Push an authorization request (RFC 9126 section 2); give what the browser then carries, or None.

        None means to send the request by the browser after all: the provider has no endpoint for it, or is too busy for
        this client. Raises ProviderRefusedError when it refuses the request itself.
        """
        wanted, metadata = self._settings.push_requests, self.metadata()
        endpoint = metadata.pushed_authorization_request_endpoint
        needed = wanted == "always" or metadata.requires_pushed_requests
        if (wanted == "never" and not needed) or (endpoint is None and not needed):
            return None
        try:
            answer = self._post(endpoint or "", pairs, self._settings.provider_timeout_seconds) if endpoint else None
        except OutboundError as error:
            _log.warning("the endpoint for pushed requests does not answer: %s", error)
            answer = None
        document = _json(answer) if answer else None
        reference = document.get("request_uri") if document else None
        if answer and answer.status == 201 and isinstance(reference, str) and 0 < len(reference) <= _MAX_TOKEN:
            return [("client_id", self._settings.client_id), ("request_uri", reference)]
        if answer and answer.status in {400, 401, 403}:
            _log.warning("the provider refused a pushed request: %s", _reason(document))
            raise ProviderRefusedError(_reason(document))
        if needed:
            raise ProviderUnavailableError
        return None

    def _discover(self) -> Metadata:
        url = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            return check(self._get_json(url), self._settings)
        except ProviderMismatchError as error:
            _log.error("the provider's metadata is refused: %s", error)
            raise

    def _fetch_keys(self) -> Sequence[object]:
        keys = self._get_json(self.metadata().jwks_uri).get("keys")
        if not isinstance(keys, list):
            raise ProviderUnavailableError
        return keys

    def _get_json(self, url: str, headers: Mapping[str, str] = _ASK_JSON, seconds: float = math.inf) -> dict[str, Any]:
        limit = min(seconds, self._settings.provider_timeout_seconds)
        try:
            answer = self._outbound.send("GET", url, headers=headers, seconds=limit, max_bytes=_MAX_BYTES)
        except OutboundError as error:
            _log.warning("the provider cannot be reached: %s", error)
            raise ProviderUnavailableError from None
        document = _json(answer)
        if answer.status != 200 or document is None:
            raise ProviderUnavailableError
        return document

    def _token(self, form: Sequence[tuple[str, str]]) -> TokenResponse:
        endpoint = self.metadata().token_endpoint
        try:
            answer = self._post(endpoint, form, self._settings.provider_timeout_seconds)
        except OutboundError as error:
            _log.warning("the token endpoint does not answer: %s", error)
            raise ProviderUnavailableError from None
        document = _json(answer)
        if answer.status in {400, 401} and document is not None and isinstance(document.get("error"), str):
            _log.warning("the token endpoint refused %s: %s", form[0][1], _reason(document))
            raise ProviderRefusedError(_reason(document))
        if answer.status != 200 or document is None:
            _log.warning("the token endpoint answered %d", answer.status)
            raise ProviderUnavailableError
        return _token_response(document)

    def _post(self, url: str, form: Sequence[tuple[str, str]], seconds: float) -> Answer:
        secret = self._settings.client_secret.get_secret_value() if self._settings.client_secret else ""
        # RFC 6749 section 2.3.1: both halves are form-encoded before they are joined by a colon.
        pair = f"{quote_plus(self._settings.client_id)}:{quote_plus(secret)}"
        headers = {
            "accept": "application/json",
            "authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
            "content-type": "application/x-www-form-urlencoded",
        }
        content = urlencode(form).encode()
        return self._outbound.send("POST", url, headers=headers, content=content, seconds=seconds, max_bytes=_MAX_BYTES)


def _reason(document: Mapping[str, Any] | None) -> str:
    """Give the error code of an answer if it is a known one: what a provider writes there may be anything."""
    code = document.get("error") if document else None
    return code if isinstance(code, str) and code in _ERRORS else "unknown"


def _json(answer: Answer) -> dict[str, Any] | None:
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _token_response(document: Mapping[str, Any]) -> TokenResponse:
    access_token = _token_text(document.get("access_token"))
    kind = document.get("token_type")
    if access_token is None or not isinstance(kind, str) or kind.lower() != "bearer":
        _log.warning("the token endpoint answered something that is no bearer token")
        raise ProviderUnavailableError
    lifetime, scope = document.get("expires_in"), document.get("scope")
    seconds = lifetime if isinstance(lifetime, int) and not isinstance(lifetime, bool) else _DEFAULT_LIFETIME
    return TokenResponse(
        access_token=access_token,
        lifetime=max(0, min(seconds, _LONGEST_LIFETIME)),
        scope=scope if isinstance(scope, str) and len(scope) <= 4096 and scope.isprintable() else None,
        refresh_token=_token_text(document.get("refresh_token")),
        id_token=_token_text(document.get("id_token")),
    )


def _token_text(value: object) -> str | None:
    """Keep a token that can travel in a header: visible ASCII, of bounded length."""
    usable = isinstance(value, str) and 0 < len(value) <= _MAX_TOKEN and value.isascii() and value.isprintable()
    return value if usable and isinstance(value, str) and " " not in value else None

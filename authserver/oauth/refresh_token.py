"""Refreshing an access token (RFC 6749 6) with rotation and reuse detection (RFC 9700 4.14.2).

https://www.rfc-editor.org/rfc/rfc6749#section-6

Every use replaces the token. Everything is checked before the rotation, so a wrong attempt is inert. Inside a short
window the same client gets the same successor again, because answers get lost; a replaced token that comes back later
revokes the grant. The successor is derived from the presented token and a stored salt (DECISIONS, Refresh tokens), so
the database never holds a usable token.

Plugs into: GRANTS.
"""

import hmac
import secrets
from typing import Any, Final

import orjson
from authlib.oauth2.rfc6749 import grants

from authserver.clock import SECOND, now
from authserver.crypto import Kind, digest, read_handle, same, write_handle
from authserver.oauth import errors, issue, scope
from authserver.oauth.server import Issuing
from authserver.records import RefreshState

PARAMETERS: Final = frozenset({"refresh_token"})
_SUCCESSOR: Final = b"authserver:refresh-successor\0"


class PresentedToken:
    """What Authlib checks of a refresh token."""

    def __init__(self, state: RefreshState) -> None:
        self.state = state

    def check_client(self, client: Any) -> bool:
        """Say whether the token belongs to this client."""
        return bool(self.state.grant.client_id == client.client_id)

    def get_scope(self) -> str:
        """Return the scope of the grant."""
        return self.state.grant.scope


class RefreshTokenGrant(Issuing, grants.RefreshTokenGrant):  # type: ignore[misc] # Authlib's hooks are untyped
    """Authlib's grant over the seam."""

    def validate_token_request(self) -> None:
        """Check token, scope, resource and bindings; nothing is taken yet."""
        self.check_grant_type()
        request = self.request
        if "refresh_token" not in request.parameters:
            raise errors.InvalidRequest(errors.REFRESH_MISSING)
        token = self._validate_request_token(request.client)
        request.refresh_token = token
        request.grant = token.state.grant
        request.granted_scope = scope.narrowed(scope.still_allowed(request.client, token.get_scope()), request.scope)
        try:
            self.run_checks()
        except errors.InvalidGrant:
            self._see_reuse(token.state)
            raise

    def _validate_request_token(self, client: Any) -> PresentedToken:
        try:
            token: PresentedToken = super()._validate_request_token(client)  # type: ignore[misc] # not in the stubs
        except errors.OAuth2Error:
            raise errors.InvalidGrant(errors.REFRESH_INVALID) from None
        return token

    def authenticate_refresh_token(self, refresh_token: str) -> Any:
        """Find the token, rotated ones too: only so is reuse told from rubbish."""
        self._raw = read_handle(Kind.REFRESH, refresh_token)
        state = self.server.store.tokens.find_refresh(digest(Kind.REFRESH, self._raw)) if self._raw else None
        return PresentedToken(state) if state is not None and state.alive else None

    def authenticate_user(self, refresh_token: PresentedToken) -> str:
        """Return the subject; ``find_refresh`` has proven that the account is in force."""
        return refresh_token.state.grant.sub

    def issue_token(self, user: str, refresh_token: Any) -> dict[str, Any]:
        """Prepare the access token, rotate, and answer (RFC 6749 6, OpenID Connect Core 12.2)."""
        del refresh_token
        issue.prepare(self.server, self.request, subject=user)
        self.request.response["refresh_token"] = (
            self._rotate() if self.request.client.refresh_rotation else self._extend()
        )
        return issue.respond(self.server, self.request)

    def save_token(self, token: dict[str, Any]) -> None:
        """Do nothing: the rotation has stored everything in its own transaction."""

    def revoke_old_credential(self, refresh_token: Any) -> None:
        """Do nothing: the rotation was the one atomic step."""

    def _rotate(self) -> str:
        raw, request, store = self._raw or b"", self.request, self.server.store
        salt = secrets.token_bytes(32)
        successor = _successor(raw, salt)
        rotation = store.tokens.rotate(
            digest(Kind.REFRESH, raw),
            request.client.client_id,
            salt=salt,
            successor_digest=digest(Kind.REFRESH, successor),
            sliding_us=self.server.settings.tokens.refresh_token_seconds * SECOND,
            grace_us=self._grace(),
            access=request.access_row,
        )
        if rotation.outcome == "repeated" and rotation.salt is not None:
            successor = _successor(raw, rotation.salt)
            if not same(digest(Kind.REFRESH, successor), rotation.successor_digest or b""):
                raise errors.InvalidGrant(errors.REFRESH_INVALID)
        elif rotation.outcome != "rotated":
            raise errors.InvalidGrant(errors.REFRESH_INVALID)
        return write_handle(Kind.REFRESH, successor)

    def _see_reuse(self, state: RefreshState) -> None:
        """Revoke the grant of a late token that needed no key when it was given out, though one is missing now.

        Whoever proved the first key may have stolen that token: only its return tells (RFC 9700 4.14.2). A token that
        always needed its key changes nothing without it.
        """
        bound: dict[str, Any] = orjson.loads(state.grant.cnf or "{}")
        needed_none = not bound or state.generation <= bound.get(issue.UNBOUND_UNTIL, 0)
        if needed_none and state.rotated_at is not None and now() >= state.rotated_at + self._grace():
            self._rotate()

    def _extend(self) -> str:
        raw, sliding = self._raw or b"", self.server.settings.tokens.refresh_token_seconds * SECOND
        if not self.server.store.tokens.extend(digest(Kind.REFRESH, raw), sliding, self.request.access_row):
            raise errors.InvalidGrant(errors.REFRESH_INVALID)
        return write_handle(Kind.REFRESH, raw)

    def _grace(self) -> int:
        client, tokens = self.request.client, self.server.settings.tokens
        bound = self.request.grant is not None and self.request.grant.cnf is not None
        default = tokens.grace_public_seconds if client.public and not bound else tokens.grace_confidential_seconds
        return (default if client.grace_seconds is None else client.grace_seconds) * SECOND


def _successor(raw: bytes, salt: bytes) -> bytes:
    return hmac.digest(raw, _SUCCESSOR + salt, "sha256")

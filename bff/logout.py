"""Ways out: OpenID Connect RP-Initiated Logout 1.0, RFC 7009, and Back-Channel Logout 1.0.

The session ends here first; what follows at the provider is best effort and can be repeated. A logout token ends the
sessions that it names (by sid, by sub, or by both); the next request of those browsers is not logged in.
"""

import logging
from dataclasses import dataclass

from bff.client import Provider
from bff.errors import ProviderMismatchError, ProviderUnavailableError, TokenRefusedError
from bff.jwt import LEEWAY_SECONDS, Expectation, verify
from bff.records import Session
from bff.seal import CannotOpenError, Sealer, digest
from bff.session import new_value
from bff.settings import BffSettings
from bff.store import Store

_log = logging.getLogger("bff.logout")

_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_OLDEST_SECONDS = 600
_MAX_TEXT = 512


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """Where the browser goes to log out at the provider too, and the state that comes back with it."""

    url: str
    state: str


class Logout:
    """Ends sessions, asked by the browser or by the provider."""

    def __init__(self, settings: BffSettings, store: Store, sealer: Sealer, provider: Provider) -> None:
        self._settings = settings
        self._store = store
        self._sealer = sealer
        self._provider = provider

    def end(self, session: Session) -> LoggedOut:
        """End a session here, revoke its tokens, and say where the browser ends it at the provider."""
        held = self._store.tokens(session.id)
        self._store.end_session(session.id)
        _log.info("a session ended: logged out")
        refresh_token = self._opened(session.sealed_refresh_token, "sessions", "refresh_token", session.id)
        if refresh_token is not None:
            # Ends the whole grant at the provider, access tokens included.
            self._provider.revoke(refresh_token, "refresh_token")
        else:
            for token in held:
                row = f"{token.session_id}|{token.resource}"
                access_token = self._opened(token.sealed_token, "access_tokens", "token", row)
                if access_token is not None:
                    self._provider.revoke(access_token, "access_token")
        state = new_value()
        return LoggedOut(self._provider_url(session, state), state)

    def end_by_logout_token(self, logout_token: str) -> None:
        """End the sessions that a logout token names (Back-Channel Logout section 2.6); raises TokenRefusedError."""
        expected = Expectation(
            issuer=self._settings.issuer,
            audience=self._settings.client_id,
            algorithms=self._settings.id_token_algorithms,
            types=(None, "jwt", "logout+jwt"),
            required=("iss", "aud", "iat", "exp", "jti", "events"),
        )
        claims, _ = verify(logout_token, self._provider.keys, expected)
        events, sid, sub = claims["events"], claims.get("sid"), claims.get("sub")
        if not isinstance(events, dict) or not isinstance(events.get(_EVENT), dict):
            raise TokenRefusedError("events")
        if "nonce" in claims:
            raise TokenRefusedError("nonce")
        if (sid is None and sub is None) or not all(value is None or _is_text(value) for value in (sid, sub)):
            raise TokenRefusedError("sid")
        if not _is_text(claims["jti"]) or claims["exp"] - claims["iat"] > _OLDEST_SECONDS:
            raise TokenRefusedError("jti")
        ended = self._store.end_sessions_of(
            self._settings.issuer,
            sid=sid,
            sub=sub,
            jti_digest=digest("jti", claims["jti"]),
            until=int(claims["exp"]) + LEEWAY_SECONDS + 1,
            sid_digest=None if sid is None else digest("sid", sid),
        )
        if ended < 0:
            raise TokenRefusedError("replay")
        _log.info("%d sessions ended: the provider says so", ended)

    def _provider_url(self, session: Session, state: str) -> str:
        home = f"{self._settings.public_url}/"
        parameters = {"post_logout_redirect_uri": home, "state": state}
        id_token = self._opened(session.sealed_id_token, "sessions", "id_token", session.id)
        if id_token is not None and self._settings.logout_id_token_hint:
            parameters["id_token_hint"] = id_token
        try:
            return self._provider.end_session_url(parameters) or home
        except (ProviderUnavailableError, ProviderMismatchError):
            return home

    def _opened(self, sealed: str | None, table: str, column: str, row: str) -> str | None:
        try:
            return None if sealed is None else self._sealer.open(sealed, table=table, column=column, row=row)
        except CannotOpenError:
            return None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and value.isprintable()

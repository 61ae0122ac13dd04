"""OpenID Connect Core 1.0 section 3.1: log-in by authorization code, start and callback.

With PKCE (RFC 7636), the issuer in the response (RFC 9207), resource indicators (RFC 8707), and RFC 9700 sections
4.4, 4.5 and 4.7. The state counts only together with the browser's own short-lived cookie, and only once.
"""

import base64
import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bff.client import Provider, TokenResponse
from bff.clock import now
from bff.errors import LoginRefusedError, ProviderRefusedError, TokenRefusedError
from bff.id_token import Identity, check_at_login
from bff.records import Login, Session, User
from bff.seal import CannotOpenError, Sealer, digest
from bff.session import new_value, session_digest
from bff.settings import BffSettings
from bff.step_up import Demand
from bff.store import Store
from bff.tokens import Tokens
from bff.userinfo import completed

_log = logging.getLogger("bff.login")

_MAX_VALUE = 4096
_LOCAL_PATH = re.compile(r"/(?![/\\])(?!(?:bff|api)(?:[/?#]|$))[!-\[\]-~]{0,2047}")


@dataclass(frozen=True, slots=True)
class Started:
    """A log-in that has begun: where to send the browser, and its key for the log-in cookie."""

    url: str
    browser: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A completed log-in: the new session cookie's value, its lifetime in seconds, where to go, who it is."""

    cookie: str
    seconds: int
    return_to: str
    user: User


def local_path(value: str | None) -> str:
    """Give a path on this site to return to; what could lead elsewhere, or back into the BFF's own, becomes `/`."""
    return value if value is not None and _LOCAL_PATH.fullmatch(value) else "/"


class LoginFlow:
    """Begins and completes log-ins."""

    def __init__(self, settings: BffSettings, store: Store, sealer: Sealer, provider: Provider, tokens: Tokens) -> None:
        self._settings = settings
        self._store = store
        self._sealer = sealer
        self._provider = provider
        self._tokens = tokens

    def start(self, return_to: str | None, browser: str | None, demand: Demand | None = None) -> Started:
        """Begin a log-in in the browser that holds the key `browser` (a new key without one), as an API demands it."""
        key, state, nonce, verifier = browser or new_value(), new_value(), new_value(), new_value()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        url = self._provider.authorization_url(
            {
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
                **(demand.parameters if demand else {}),
            }
        )
        state_digest, moment = digest("state", state), now()
        self._store.add_login(
            Login(
                state_digest=state_digest,
                browser_digest=digest("browser", key),
                nonce=nonce,
                sealed_verifier=self._sealer.seal(verifier, table="logins", column="verifier", row=state_digest),
                return_to=local_path(return_to),
                created_at=moment,
                expires_at=moment + self._settings.login_seconds,
                acr_values=demand.acr_values if demand else None,
                max_age=demand.max_age if demand else None,
            )
        )
        return Started(url, key)

    def finish(self, parameters: Mapping[str, Sequence[str]], browser: str | None, old_cookie: str | None) -> Finished:
        """Complete a log-in with the provider's answer; raises LoginRefusedError and the provider's errors."""
        state = _single(parameters, "state")
        if state is None or browser is None:
            raise LoginRefusedError("unknown_state")
        login = self._store.take_login(digest("state", state), digest("browser", browser))
        if login is None:
            raise LoginRefusedError("unknown_state")
        self._check_issuer(parameters)
        if "error" in parameters:
            raise LoginRefusedError(_single(parameters, "error") or "login_failed")
        code = _single(parameters, "code")
        if code is None:
            raise LoginRefusedError("invalid_response")
        return self._open_session(login, self._redeem(code, login), old_cookie)

    def _check_issuer(self, parameters: Mapping[str, Sequence[str]]) -> None:
        """RFC 9207 section 2.4: the issuer of the answer, before anything is sent anywhere."""
        if "iss" not in parameters and not self._provider.metadata().iss_in_responses:
            return
        if _single(parameters, "iss") != self._settings.issuer:
            raise LoginRefusedError("issuer_mismatch")

    def _redeem(self, code: str, login: Login) -> TokenResponse:
        try:
            verifier = self._sealer.open(
                login.sealed_verifier, table="logins", column="verifier", row=login.state_digest
            )
            return self._provider.exchange_code(code, verifier)
        except CannotOpenError:
            raise LoginRefusedError("unknown_state") from None
        except ProviderRefusedError as error:
            raise LoginRefusedError(error.reason) from None

    def _open_session(self, login: Login, response: TokenResponse, old_cookie: str | None) -> Finished:
        identity, id_token = self._identify(login, response)
        cookie, moment = new_value(), now()
        session = Session(
            id=(session_id := new_value()),
            digest=session_digest(cookie),
            user=User(new_value(), self._settings.issuer, identity.sub, identity.name, identity.email),
            provider_sid=identity.sid,
            scope=response.scope or self._settings.scope,
            sealed_id_token=self._sealer.seal(id_token, table="sessions", column="id_token", row=session_id),
            sealed_refresh_token=response.refresh_token
            and self._sealer.seal(response.refresh_token, table="sessions", column="refresh_token", row=session_id),
            version=0,
            created_at=moment,
            seen_at=moment,
            idle_expires_at=moment + self._settings.session_idle_seconds,
            expires_at=moment + self._settings.session_absolute_seconds,
        )
        resource = next(iter(self._settings.resources), "")
        held = self._tokens.sealed(session_id, resource, response)
        replaced = session_digest(old_cookie) if old_cookie else None
        user = self._store.open_session(session, held, replaced, digest("sid", identity.sid) if identity.sid else None)
        if user is None:
            self._give_back(response)
            raise LoginRefusedError("login_required")
        _log.info("a session began")
        return Finished(cookie, self._settings.session_absolute_seconds, login.return_to, user)

    def _identify(self, login: Login, response: TokenResponse) -> tuple[Identity, str]:
        id_token = response.id_token or ""
        try:
            identity = check_at_login(
                id_token,
                self._provider.keys,
                self._settings,
                nonce=login.nonce,
                access_token=response.access_token,
                not_before=login.created_at,
            )
            claims = self._provider.userinfo(response.access_token)
            if claims is not None:
                identity = completed(identity, claims)
        except TokenRefusedError as error:
            _log.warning("a log-in was refused: the check %s failed", error)
            self._give_back(response)
            raise
        # The session that is there stays: it is as good as before, and a second try would end like this one.
        if not Demand(login.acr_values, login.max_age).is_met_by(identity):
            self._give_back(response)
            raise LoginRefusedError("unmet_authentication_requirements")
        return identity, id_token

    def _give_back(self, response: TokenResponse) -> None:
        hint = "refresh_token" if response.refresh_token else "access_token"
        self._provider.revoke(response.refresh_token or response.access_token, hint)


def _single(parameters: Mapping[str, Sequence[str]], name: str) -> str | None:
    """Give a parameter that is there once, is not empty and is printable ASCII (RFC 6749 appendix A)."""
    values = parameters.get(name, ())
    if len(values) != 1 or not 0 < len(values[0]) <= _MAX_VALUE:
        return None
    return values[0] if values[0].isascii() and values[0].isprintable() else None

"""Access tokens for a session: one for each resource, refreshed once however many requests wait for it.

RFC 6749 section 6 with RFC 8707. A refresh token may be good for one use, so one refresh at a time runs for a
session: a lock among the threads of this process, and a lease in the session's row among processes. The lease is
renewed while the provider is slow and falls free by itself when its holder dies. Whoever waited reads the winner's
result. A result is stored only over the version of the session that was read: a session that ended meanwhile stays
ended.
"""

import hmac
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from bff.client import Provider, TokenResponse
from bff.clock import now
from bff.errors import (
    ApiNotGrantedError,
    KeyUnknownError,
    NotLoggedInError,
    ProviderRefusedError,
    ProviderUnavailableError,
    StoreBusyError,
    TokenRefusedError,
)
from bff.id_token import check_at_refresh
from bff.records import HeldToken, Session
from bff.seal import CannotOpenError, Sealer
from bff.settings import BffSettings
from bff.store import Store

_log = logging.getLogger("bff.tokens")

_LEASE_SECONDS = 8
_RENEW_SECONDS = 2.0
_POLL_SECONDS = 0.05
_ROUNDS = 3
_YOUNG_SECONDS = 5
_REMEMBERED = 4096


class _Locks:
    """One lock for each session in use."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, name: str, seconds: float) -> Iterator[None]:
        with self._guard:
            lock, users = self._locks.get(name, (threading.Lock(), 0))
            self._locks[name] = (lock, users + 1)
        try:
            if not lock.acquire(timeout=seconds):
                raise ProviderUnavailableError
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._guard:
                _, users = self._locks[name]
                if users == 1:
                    del self._locks[name]
                else:
                    self._locks[name] = (lock, users - 1)


class _Replaced:
    """Which tokens were replaced lately because an API refused them: an API that refuses all costs no more refreshes.

    A memory of this process, of bounded size; what it forgets costs one refresh.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._moments: OrderedDict[tuple[str, str], float] = OrderedDict()

    def note(self, held: HeldToken) -> None:
        with self._guard:
            self._moments[held.session_id, held.resource] = time.monotonic()
            self._moments.move_to_end((held.session_id, held.resource))
            while len(self._moments) > _REMEMBERED:
                self._moments.popitem(last=False)

    def lately(self, held: HeldToken) -> bool:
        moment = self._moments.get((held.session_id, held.resource))
        return moment is not None and time.monotonic() - moment < _YOUNG_SECONDS


class Tokens:
    """Gives access tokens; safe for many threads and several processes."""

    def __init__(self, settings: BffSettings, store: Store, sealer: Sealer, provider: Provider) -> None:
        self._settings = settings
        self._store = store
        self._sealer = sealer
        self._provider = provider
        self._locks = _Locks()
        self._replaced = _Replaced()
        # A refresh may take two requests to the provider; whoever waits for it waits a little longer.
        self._patience = 2 * settings.provider_timeout_seconds + _LEASE_SECONDS + 2

    def access_token(self, session: Session, resource: str) -> str:
        """Give a fresh access token for a resource.

        Raises NotLoggedInError (the session has ended), ApiNotGrantedError, ProviderUnavailableError or StoreBusyError.
        """
        held = self._fresh(session.id, resource)
        if held is None:
            with self._locks.hold(session.id, self._patience):
                held = self._fresh(session.id, resource) or self._under_lease(session.id, resource)
        return self._open(held)

    def replace(self, session: Session, resource: str, refused: str) -> str | None:
        """Give another token for one that an API refused, or None when the refused one had just replaced another.

        Raises NotLoggedInError when the provider has ended the session, which is what a refusal mostly means.
        """
        held = self._store.token(session.id, resource)
        if held is not None and hmac.compare_digest(self._open(held).encode(), refused.encode()):
            if now() - held.issued_at < _YOUNG_SECONDS and self._replaced.lately(held):
                return None
            self._replaced.note(held)
            self._store.drop_token(held)
        return self.access_token(session, resource)

    def sealed(self, session_id: str, resource: str, response: TokenResponse) -> HeldToken:
        """Make the row for a new access token."""
        moment = now()
        return HeldToken(
            session_id=session_id,
            resource=resource,
            sealed_token=self._sealer.seal(
                response.access_token, table="access_tokens", column="token", row=f"{session_id}|{resource}"
            ),
            scope=response.scope or "",
            issued_at=moment,
            expires_at=moment + response.lifetime,
        )

    def _fresh(self, session_id: str, resource: str) -> HeldToken | None:
        held = self._store.token(session_id, resource)
        if held is None:
            return None
        # A token that lives shorter than the margin is used to the middle of its life, not refreshed for each call.
        margin = min(self._settings.refresh_before_seconds, (held.expires_at - held.issued_at) // 2)
        return held if held.expires_at - margin > now() else None

    def _under_lease(self, session_id: str, resource: str) -> HeldToken:
        owner = secrets.token_hex(16)
        end = time.monotonic() + self._patience
        while not self._store.take_lease(session_id, owner, now() + _LEASE_SECONDS):
            if self._store.reload_session(session_id) is None:
                raise NotLoggedInError
            if time.monotonic() > end:
                raise ProviderUnavailableError
            time.sleep(_POLL_SECONDS)
            held = self._fresh(session_id, resource)
            if held is not None:
                return held
        with self._renewed(session_id, owner):
            return self._fresh(session_id, resource) or self._refresh(session_id, resource)

    @contextmanager
    def _renewed(self, session_id: str, owner: str) -> Iterator[None]:
        """Keep a lease while the block runs, however slow the provider is."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(_RENEW_SECONDS):
                try:
                    self._store.take_lease(session_id, owner, now() + _LEASE_SECONDS)
                except StoreBusyError:
                    _log.warning("a refresh lease could not be renewed")

        thread = threading.Thread(target=renew, name="bff-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            try:
                self._store.free_lease(session_id, owner)
            except StoreBusyError:
                _log.warning("a refresh lease could not be freed; it ends by itself")

    def _refresh(self, session_id: str, resource: str) -> HeldToken:
        for _ in range(_ROUNDS):
            session = self._store.reload_session(session_id)
            if session is None:
                raise NotLoggedInError
            try:
                response = self._provider.refresh(self._refresh_token(session), resource)
            except ProviderRefusedError as error:
                if self._is_over(error, session):
                    raise NotLoggedInError from None
                held = self._fresh(session_id, resource)
                if held is not None:
                    return held
                continue
            except ProviderUnavailableError:
                return self._not_yet_expired(session_id, resource)
            held = self._keep(session, resource, response)
            if held is not None:
                return held
        raise ProviderUnavailableError

    def _refresh_token(self, session: Session) -> str:
        """Open the session's refresh token; a session that has none, or one that does not open, is over."""
        try:
            sealed = session.sealed_refresh_token or ""
            return self._sealer.open(sealed, table="sessions", column="refresh_token", row=session.id)
        except CannotOpenError:
            self._store.end_session(session.id)
            raise NotLoggedInError from None

    def _is_over(self, error: ProviderRefusedError, session: Session) -> bool:
        """Decide what a refusal means; only `invalid_grant` for the current refresh token ends the session."""
        if error.reason in {"invalid_target", "invalid_scope", "access_denied"}:
            raise ApiNotGrantedError from None
        if error.reason != "invalid_grant":
            raise ProviderUnavailableError from None
        if self._store.end_session(session.id, session.version):
            _log.info("a session ended: its refresh token is no longer valid")
            return True
        return self._store.reload_session(session.id) is None

    def _keep(self, session: Session, resource: str, response: TokenResponse) -> HeldToken | None:
        """Store what a refresh brought; None when another process has refreshed the session meanwhile."""
        sealed = response.refresh_token and self._sealer.seal(
            response.refresh_token, table="sessions", column="refresh_token", row=session.id
        )
        held = self.sealed(session.id, resource, response)
        try:
            if response.id_token is not None:
                check_at_refresh(
                    response.id_token,
                    self._provider.keys,
                    self._settings,
                    sub=session.user.sub,
                    access_token=response.access_token,
                )
        except (ProviderUnavailableError, KeyUnknownError):
            # The presented refresh token is spent: its successor is kept, and an access token that nobody may use yet.
            self._store.store_refresh(session, sealed, replace(held, expires_at=held.issued_at))
            raise ProviderUnavailableError from None
        except TokenRefusedError as error:
            _log.warning("a session ended: the refreshed ID token failed the check %s", error)
            self._store.end_session(session.id)
            self._provider.revoke(response.refresh_token or response.access_token, _hint(response))
            raise NotLoggedInError from None
        if self._store.store_refresh(session, sealed, held):
            return held
        if self._store.reload_session(session.id) is not None:
            # The lease was lost to somebody who got the same refresh token in the retry window: theirs is kept.
            return self._fresh(session.id, resource)
        # Logged out in the meantime: what came too late is not kept, here or at the provider.
        self._provider.revoke(response.refresh_token or response.access_token, _hint(response))
        raise NotLoggedInError

    def _not_yet_expired(self, session_id: str, resource: str) -> HeldToken:
        held = self._store.token(session_id, resource)
        if held is None or held.expires_at <= now():
            raise ProviderUnavailableError
        return held

    def _open(self, held: HeldToken) -> str:
        try:
            return self._sealer.open(
                held.sealed_token, table="access_tokens", column="token", row=f"{held.session_id}|{held.resource}"
            )
        except CannotOpenError:
            self._store.end_session(held.session_id)
            raise NotLoggedInError from None


def _hint(response: TokenResponse) -> str:
    return "refresh_token" if response.refresh_token else "access_token"

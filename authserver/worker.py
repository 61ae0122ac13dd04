"""What is done beside the requests: cleaning, making the next signing keys in time, telling clients what is due.

Any number of processes on any number of machines may run this; a lease in the store lets one of them clean and make
keys at a time, and all of them tell.
"""

import logging
import secrets
import threading
from typing import Final

from authserver import keys
from authserver.clock import DAY, MINUTE, now
from authserver.crypto import Sealer
from authserver.deliveries import Deliveries
from authserver.settings import Settings
from authserver.store import Conflict, Store, StoreError

log = logging.getLogger("authserver.worker")

PAUSE: Final = 60.0  # seconds between two rounds
TICK: Final = 1.0  # seconds between two looks at what is due to be told
BATCH: Final = 1000  # rows of a table that one transaction deletes
_REST: Final = 0.2  # seconds between two batches, so that requests are not held up
_LEASE: Final = 5 * MINUTE


class Worker:
    """Rounds of work under the lease, until told to stop."""

    def __init__(self, store: Store, sealer: Sealer, settings: Settings, deliveries: Deliveries | None = None) -> None:
        self._store = store
        self._sealer = sealer
        self._settings = settings
        self._deliveries = deliveries
        self._name = secrets.token_hex(8)
        self._stop = threading.Event()

    def run(self) -> None:
        """Work a round a minute; an unreachable store is tried again in the next."""
        if self._deliveries is not None:
            # A round may take long (a million rows to delete), and nobody is told later for that.
            threading.Thread(target=self._tell, args=(self._deliveries,), name="teller", daemon=True).start()
        while not self._stop.is_set():
            try:
                if self.lease():
                    self.round()
            except StoreError as error:
                log.warning("work was put off: %s", error)
            except Exception:
                log.exception("work failed and will be tried again")
            self._stop.wait(PAUSE)
        self._release()

    def _tell(self, deliveries: Deliveries) -> None:
        while not self._stop.wait(TICK):
            deliveries.nudge()

    def stop(self) -> None:
        """Stop after the step that is under way."""
        self._stop.set()

    def lease(self) -> bool:
        """Take or keep the lease; return whether it is ours."""
        ends = now() + _LEASE
        held = self._store.ephemeral.get("lease", "worker")
        if held is not None:
            return held.value == self._name and self._store.ephemeral.swap(
                "lease", "worker", self._name, held.version, ends
            )
        try:
            self._store.ephemeral.put("lease", "worker", self._name, ends)
        except Conflict:
            return False
        return True

    def round(self) -> None:
        """Publish the keys that are due, and delete what has expired."""
        if keys.rotation_is_due(self._store, self._settings):
            made = keys.rotate(self._store, self._sealer, self._settings, actor="worker")
            log.info("the next signing keys are published", extra={"kids": [key.kid for key in made]})
        added = keys.ensure_encryption_keys(self._store, self._sealer, self._settings)
        if added:
            log.info("encryption keys are published", extra={"kids": [key.kid for key in added]})
        # Before the cleaner: a grant is how the use of a client is seen.
        expired = self._store.clients.expire(now() - self._settings.registration.unused_days * DAY)
        if expired:
            log.info("clients that nobody used are deleted", extra={"clients": expired})
        while not self._stop.is_set():
            gone = {table: count for table, count in self._store.purge(BATCH).items() if count}
            if gone:
                log.debug("expired rows are deleted", extra=gone)
            if max(gone.values(), default=0) < BATCH or not self.lease():
                return
            self._stop.wait(_REST)

    def _release(self) -> None:
        try:
            held = self._store.ephemeral.get("lease", "worker")
            if held is not None and held.value == self._name:
                self._store.ephemeral.forget("lease", "worker")
        except StoreError:
            return

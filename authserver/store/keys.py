"""Signing keys, sealed; a key's state follows from its times."""

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import func, select, update

from authserver.records import Event, SigningKey
from authserver.store.database import Database, Transaction
from authserver.store.statement import Row, number, octets, text
from authserver.store.tables import signing_keys

_COLUMNS = tuple(signing_keys.c[name] for name in SigningKey.__slots__)


def from_row(row: Row) -> SigningKey:
    """Read a key from its row."""
    return SigningKey(*row)


class Keys:
    """Verbs on signing keys."""

    def __init__(self, database: Database) -> None:
        self._database = database
        one = signing_keys.c.kid == text("of_kid")
        self._all = database.prepare(select(*_COLUMNS).order_by(signing_keys.c.signs_at, signing_keys.c.kid), from_row)
        self._insert = database.prepare(signing_keys.insert())
        self._set_times = database.prepare(
            update(signing_keys).where(one).values(retires_at=number("new_retires_at"), gone_at=number("new_gone_at"))
        )
        self._reseal = database.prepare(
            update(signing_keys)
            .where(one, signing_keys.c.sealed == octets("old_sealed"))
            .values(sealed=octets("new_sealed"))
        )
        self._count = database.prepare(select(func.count()).select_from(signing_keys))
        self._in_force = database.prepare(
            select(func.count())
            .select_from(signing_keys)
            .where(signing_keys.c.algorithm == text("of_algorithm"), signing_keys.c.retires_at > number("moment"))
        )

    def all(self) -> tuple[SigningKey, ...]:
        """Return every key, in the order in which they sign."""
        return tuple(self._database.all(self._all))

    def add(self, key: SigningKey, event: Event) -> None:
        """Add a key; raises Conflict when its kid is taken."""

        def work(transaction: Transaction) -> None:
            transaction.run(self._insert, **asdict(key))
            transaction.audit(event)

        self._database.transaction(work, lasting=True)

    def add_first(self, keys: Iterable[SigningKey]) -> bool:
        """Add the first keys of a deployment; of several processes that try at once, one does, the others get False."""
        first = tuple(keys)

        def work(transaction: Transaction) -> bool:
            transaction.lock(signing_keys)
            row = transaction.one(self._count)
            if row is None or row[0]:
                return False
            for key in first:
                transaction.run(self._insert, **asdict(key))
            return True

        return self._database.transaction(work, lasting=True)

    def add_missing(self, key: SigningKey, moment: int, event: Event) -> bool:
        """Add a key unless one of its algorithm is in force; of several processes that try at once, one does."""

        def work(transaction: Transaction) -> bool:
            transaction.lock(signing_keys)
            row = transaction.one(self._in_force, of_algorithm=key.algorithm, moment=moment)
            if row is None or row[0]:
                return False
            transaction.run(self._insert, **asdict(key))
            transaction.audit(event)
            return True

        return self._database.transaction(work, lasting=True)

    def set_times(self, kid: str, retires_at: int, gone_at: int, event: Event) -> bool:
        """Say when a key stops signing and when it is no more published; say whether there is such a key."""
        times = {"new_retires_at": retires_at, "new_gone_at": gone_at}
        return self._database.transaction(
            lambda transaction: transaction.noted(transaction.run(self._set_times, of_kid=kid, **times), event),
            lasting=True,
        )

    def reseal(self, kid: str, old_sealed: bytes, new_sealed: bytes) -> bool:
        """Store a key sealed anew, unless somebody else did it meanwhile; say whether it was stored."""
        return self._database.write(self._reseal, of_kid=kid, old_sealed=old_sealed, new_sealed=new_sealed) > 0

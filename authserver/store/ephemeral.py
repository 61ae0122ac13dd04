"""Short-lived and single-use things, under seven verbs: on the database here, on Redis in ``ephemeral_redis``.

A *space* names what kind of thing it is (interaction, pushed request, jti, counter). An item whose ``expires_at`` is
not later than now is not there, whether or not the cleaner took it. Each item has a version, which never comes back
for the same key: it begins with the time and grows with each swap.
"""

from typing import Any, Protocol

from sqlalchemy import BigInteger, and_, case, delete, literal, select, update

from authserver import clock
from authserver.records import Item
from authserver.store.database import Database
from authserver.store.errors import Conflict
from authserver.store.statement import NOW, number, text
from authserver.store.tables import ephemeral

_BIRTH = ("store", "born")
_NEVER = 2**62


class Ephemeral(Protocol):
    """What both implementations do; every verb is atomic over all threads, processes and nodes."""

    def put(self, space: str, key: str, value: str, expires_at: int, owner: str = "") -> None:
        """Store an item; raises Conflict when a live one is there."""

    def get(self, space: str, key: str) -> Item | None:
        """Return a live item."""

    def swap(self, space: str, key: str, value: str, version: int, expires_at: int) -> bool:
        """Replace value and end of a live item if its version is still the one that was read; say whether it was."""

    def take(self, space: str, key: str) -> Item | None:
        """Remove a live item and return it: to exactly one caller."""

    def first_time(self, space: str, key: str, expires_at: int) -> bool:
        """Remember a key until ``expires_at``; say whether it was not remembered before.

        What is over already cannot be remembered, so it is never seen for the first time.
        """

    def count(self, space: str, key: str, window_us: int, amount: int = 1) -> int:
        """Add to a counter that begins anew ``window_us`` after its first count; return the sum."""

    def counted(self, space: str, key: str) -> tuple[int, int]:
        """Return a counter's sum and the end of its window; (0, 0) when nothing was counted."""

    def forget(self, space: str, key: str) -> None:
        """Remove an item, a memory or a counter."""

    def born_at(self) -> int:
        """Return when this store began to remember; ask after ``first_time``, since what it knew before may be lost."""

    def close(self) -> None:
        """Close what this part alone has open."""


class SqlEphemeral:
    """On the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        table = ephemeral.c
        one = and_(table.space == text("of_space"), table.key == text("of_key"))
        live = table.expires_at > NOW
        ended = table.expires_at <= NOW
        item = (table.value, table.version, table.owner, table.expires_at)
        insert = database.insert(ephemeral)
        primary_key = list(ephemeral.primary_key)
        fresh = {name: insert.excluded[name] for name in ("value", "version", "owner", "expires_at")}
        self._put = database.prepare(
            insert.on_conflict_do_update(index_elements=primary_key, set_=fresh, where=ended).returning(table.version)
        )
        self._get = database.prepare(select(*item).where(one, live), Item._make)
        self._swap = database.prepare(
            update(ephemeral)
            .where(one, live, table.version == number("read_version"))
            .values(
                value=text("new_value"), version=table.version + literal(1, BigInteger), expires_at=number("new_end")
            )
        )
        self._take = database.prepare(delete(ephemeral).where(one, live).returning(*item), Item._make)
        added = table.version + insert.excluded.version
        self._count = database.prepare(
            insert.on_conflict_do_update(
                index_elements=primary_key,
                set_={
                    "version": case((ended, insert.excluded.version), else_=added),
                    "expires_at": case((ended, insert.excluded.expires_at), else_=table.expires_at),
                },
            ).returning(table.version)
        )
        self._forget = database.prepare(delete(ephemeral).where(one))
        self._all = database.prepare(
            select(table.key, *item)
            .where(table.space == text("of_space"), live, table.key > text("after"))
            .order_by(table.key)
            .limit(number("most"))
        )

    def put(self, space: str, key: str, value: str, expires_at: int, owner: str = "") -> None:
        if not self._inserted(space, key, value, expires_at, owner):
            raise Conflict(space)

    def get(self, space: str, key: str) -> Item | None:
        return self._database.one(self._get, of_space=space, of_key=key, now=clock.now())

    def swap(self, space: str, key: str, value: str, version: int, expires_at: int) -> bool:
        arguments: dict[str, Any] = {"of_space": space, "of_key": key, "read_version": version}
        changed = self._database.write(self._swap, new_value=value, new_end=expires_at, now=clock.now(), **arguments)
        return changed > 0

    def take(self, space: str, key: str) -> Item | None:
        return self._database.write_one(self._take, of_space=space, of_key=key, now=clock.now())

    def first_time(self, space: str, key: str, expires_at: int) -> bool:
        return expires_at > clock.now() and self._inserted(space, key, "", expires_at, "")

    def count(self, space: str, key: str, window_us: int, amount: int = 1) -> int:
        now = clock.now()
        arguments = {"space": space, "key": key, "value": "", "owner": "", "version": amount}
        row = self._database.write_one(self._count, expires_at=now + window_us, now=now, **arguments)
        return int(row[0]) if row else 0

    def counted(self, space: str, key: str) -> tuple[int, int]:
        item = self.get(space, key)
        return (item.version, item.expires_at) if item else (0, 0)

    def forget(self, space: str, key: str) -> None:
        self._database.write(self._forget, of_space=space, of_key=key)

    def all(self, space: str, after: str, limit: int) -> tuple[tuple[str, Item], ...]:
        """Return a page of what is alive in a space, by key: the ``limit`` first ones after one of them."""
        rows = self._database.all(self._all, of_space=space, after=after, most=limit, now=clock.now())
        return tuple((key, Item._make(rest)) for key, *rest in rows)

    def born_at(self) -> int:
        born = self.get(*_BIRTH)
        if born is None:
            self.first_time(*_BIRTH, _NEVER)
            born = self.get(*_BIRTH)
        return born.version if born else clock.now()

    def close(self) -> None:
        """Do nothing: the connections are the database's."""

    def _inserted(self, space: str, key: str, value: str, expires_at: int, owner: str) -> bool:
        now = clock.now()
        arguments = {
            "space": space,
            "key": key,
            "value": value,
            "owner": owner,
            "version": now,
            "expires_at": expires_at,
        }
        return self._database.write_one(self._put, now=now, **arguments) is not None

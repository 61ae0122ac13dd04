"""Rotation of refresh tokens: one successor for each token, however often and by however many it is asked for.

The row of a token holds the salt from which, with the token itself as the key, its successor is made again: a repeated
request in the window gets the same answer, and the database alone opens nothing. A token that comes back outside of its
window revokes its grant (RFC 9700 4.14.2).
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    bindparam,
    case,
    exists,
    insert,
    literal,
    null,
    select,
    update,
)

from authserver import clock
from authserver.records import AccessTokenRow, Event, Rotation
from authserver.store.database import Database, Transaction
from authserver.store.liveness import grant_lives
from authserver.store.revoking import Announcements, revoke_grants
from authserver.store.statement import NOW, number, octets, text
from authserver.store.tables import access_tokens, grants, refresh_tokens

_SUCCESSOR = ("digest", "grant_id", "generation", "issued_at", "expires_at")
_ONE = literal(1, BigInteger)


def sliding_end(grant_expires_at: Any) -> ColumnElement[int]:
    """Return the end of a refresh token that is used now: it slides, but never past its grant."""
    sliding = NOW + number("sliding")
    return case((sliding < grant_expires_at, sliding), else_=grant_expires_at)


def of_live_grant(*more: ColumnElement[bool]) -> ColumnElement[bool]:
    """Say, in a statement on refresh tokens, that the token's grant is in force."""
    owner = select(grants.c.grant_id).where(grants.c.grant_id == refresh_tokens.c.grant_id, grant_lives(), *more)
    return exists(owner.correlate(refresh_tokens))


def access_values() -> list[Any]:
    """Return one named argument (``access_digest``, ...) per column of an access token's row."""
    kinds = {name: access_tokens.c[name].type for name in AccessTokenRow._fields}
    return [bindparam(f"access_{name}", type_=kind) for name, kind in kinds.items()]


def access_arguments(access: AccessTokenRow) -> dict[str, Any]:
    """Return the values of those arguments."""
    return {f"access_{name}": value for name, value in access._asdict().items()}


class Rotations:
    """The statements of a rotation, on PostgreSQL one, on SQLite the steps of one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._announcements = Announcements(database)
        taken = refresh_tokens.c.digest == octets("presented")
        predecessor = refresh_tokens.c.successor_digest == octets("presented")
        take = (
            update(refresh_tokens)
            .where(
                taken,
                refresh_tokens.c.rotated_at.is_(None),
                refresh_tokens.c.expires_at > NOW,
                of_live_grant(grants.c.client_id == text("of_client")),
            )
            .values(rotated_at=NOW, successor_salt=octets("salt"), successor_digest=octets("successor"))
            .returning(refresh_tokens.c.grant_id, refresh_tokens.c.generation)
        )
        erase = update(refresh_tokens).where(predecessor).values(successor_salt=null())
        self._insert_access = database.prepare(insert(access_tokens), keys=AccessTokenRow._fields)
        if database.dialect_name == "postgresql":
            self._at_once = {
                with_access: database.prepare(_at_once(take, erase, with_access=with_access))
                for with_access in (False, True)
            }
        else:
            self._take = database.prepare(take)
            self._erase = database.prepare(erase)
            successor = select(
                octets("successor"), grants.c.grant_id, number("generation"), NOW, sliding_end(grants.c.expires_at)
            )
            self._insert_successor = database.prepare(
                insert(refresh_tokens).from_select(_SUCCESSOR, successor.where(grants.c.grant_id == text("of_grant")))
            )
        self._state = database.prepare(
            select(
                refresh_tokens.c.rotated_at,
                refresh_tokens.c.successor_salt,
                refresh_tokens.c.successor_digest,
                refresh_tokens.c.generation,
                grants.c.grant_id,
                grants.c.sub,
            )
            .join(grants, grants.c.grant_id == refresh_tokens.c.grant_id)
            .where(taken, grants.c.client_id == text("of_client"), grant_lives())
        )
        self._revoke = revoke_grants(database, grants.c.grant_id == text("of_grant"))

    def rotate(
        self, presented: bytes, client_id: str, arguments: dict[str, Any], grace_us: int, access: AccessTokenRow | None
    ) -> Rotation:
        """Rotate the token, or judge one that cannot be rotated."""
        arguments = {"presented": presented, "of_client": client_id, **arguments}
        if self._database.dialect_name == "postgresql":
            more = {} if access is None else access_arguments(access)
            rotated = self._database.write_one(self._at_once[access is not None], now=clock.now(), **arguments, **more)
            done = rotated is not None
        else:
            done = self._database.transaction(lambda transaction: self._in_steps(transaction, arguments, access))
        return Rotation("rotated") if done else self._judge(presented, client_id, grace_us, access)

    def _in_steps(self, transaction: Transaction, arguments: dict[str, Any], access: AccessTokenRow | None) -> bool:
        sliding = arguments["sliding"]
        now = transaction.now
        taking = {name: value for name, value in arguments.items() if name != "sliding"}
        taken = transaction.one(self._take, now=now, **taking)
        if taken is None:
            return False
        grant_id, generation = taken
        successor = {"successor": arguments["successor"], "generation": generation + 1, "sliding": sliding}
        transaction.run(self._insert_successor, of_grant=grant_id, now=now, **successor)
        # Using a token ends its predecessor's window and the way back.
        transaction.run(self._erase, presented=arguments["presented"])
        if access is not None:
            transaction.run(self._insert_access, **access._asdict())
        return True

    def _judge(self, presented: bytes, client_id: str, grace_us: int, access: AccessTokenRow | None) -> Rotation:
        """Tell a repeated request from a reused token; revoke the grant of a reused one."""
        now = clock.now()
        row = self._database.one(self._state, presented=presented, of_client=client_id, now=now)
        if row is None or row[0] is None:
            return Rotation("refused")
        rotated_at, salt, successor_digest, generation, grant_id, sub = row
        facts = {"grant_id": grant_id, "generation": generation}
        if grace_us > 0 and now < rotated_at + grace_us:
            if salt is None:
                return Rotation("refused")
            self._repeat(Event("refresh.repeated", client_id, client_id, sub, facts), access)
            return Rotation("repeated", salt, successor_digest)
        self._reused(grant_id, Event("refresh.reused", client_id, client_id, sub, facts))
        return Rotation("reused")

    def _repeat(self, event: Event, access: AccessTokenRow | None) -> None:
        def work(transaction: Transaction) -> None:
            if access is not None:
                transaction.run(self._insert_access, **access._asdict())
            transaction.audit(event)

        self._database.transaction(work)

    def _reused(self, grant_id: str, event: Event) -> None:
        def work(transaction: Transaction) -> None:
            revoked = transaction.run(self._revoke, of_grant=grant_id, reason=event.name, now=transaction.now)
            if revoked:
                self._announcements.tell(transaction, grant_id=grant_id)
            transaction.noted(revoked, event)

        self._database.transaction(work, lasting=True)


def _at_once(take: Any, erase: Any, *, with_access: bool) -> Any:
    """Return the rotation as one statement of data-modifying CTEs."""
    taken = take.cte("taken")
    any_taken = exists(select(taken.c.grant_id))
    successor = select(
        octets("successor"), taken.c.grant_id, taken.c.generation + _ONE, NOW, sliding_end(grants.c.expires_at)
    ).join_from(taken, grants, grants.c.grant_id == taken.c.grant_id)
    parts = [
        insert(refresh_tokens).from_select(_SUCCESSOR, successor).cte("inserted"),
        # Using a token ends its predecessor's window and the way back.
        erase.where(any_taken).cte("erased"),
    ]
    if with_access:
        values = select(*access_values()).where(any_taken)
        parts.append(insert(access_tokens).from_select(AccessTokenRow._fields, values).cte("issued"))
    return select(taken.c.grant_id, taken.c.generation).add_cte(*parts)

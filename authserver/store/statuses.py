"""Entries of JWT access tokens in status lists: 65,536 numbers to a list, in the order in which tokens were issued.

An entry does not say in which state its token is. That is asked as introspection asks it (``liveness.jwt_in_force``).
"""

from sqlalchemy import BigInteger, ColumnElement, and_, case, exists, insert, literal, literal_column, select

from authserver import clock
from authserver.records import StatusEntry
from authserver.store.database import Database
from authserver.store.liveness import jwt_in_force
from authserver.store.statement import NOW, Statement, number, text
from authserver.store.tables import grants, token_statuses

SIZE = 1 << 16
_VALUES = {
    "jti": text("jti"),
    "grant_id": text("grant_id"),
    "client_id": text("client_id"),
    "sub": text("sub"),
    "issued_at": number("issued_at"),
    "expires_at": number("expires_at"),
}


class Statuses:
    """Verbs on the entries of status lists."""

    def __init__(self, database: Database) -> None:
        self._database = database
        entry, named = token_statuses.c, text("named")
        self._add = database.prepare(insert(token_statuses).values(_VALUES).returning(entry.number))
        self._next = database.prepare(
            select(entry.number)
            .where(entry.number >= number("first"), entry.expires_at > NOW)
            .order_by(entry.number)
            .limit(literal_column("1"))
        )
        one: ColumnElement[int] = literal_column("1")
        of_list = (entry.number >= number("first"), entry.number < number("first") + literal(SIZE, BigInteger))
        self._has = database.prepare(select(one).where(*of_list, entry.expires_at > NOW).limit(one))
        grants_of_user = select(grants.c.grant_id).where(grants.c.sub == named)
        self._dead = _dead(database)
        self._dead_of = {
            "jti": _dead(database, entry.jti == named),
            "grant_id": _dead(database, entry.grant_id == named),
            "sub": _dead(database, entry.grant_id.in_(grants_of_user)),
        }

    def add(
        self, *, jti: str, grant_id: str | None, client_id: str, sub: str, issued_at: int, expires_at: int
    ) -> tuple[int, int]:
        """Enter a JWT by its claims, times in microseconds; return a list and a number there that no other has had."""
        claims = {"jti": jti, "grant_id": grant_id, "client_id": client_id, "sub": sub}
        row = self._database.write_one(self._add, issued_at=issued_at, expires_at=expires_at, **claims)
        assert row is not None  # noqa: S101 - an INSERT answers its row, or raises
        return divmod(int(row[0]), SIZE)

    def lists(self) -> tuple[int, ...]:
        """Return the lists that have an entry whose token is not expired."""
        found: list[int] = []
        while (following := self._list_from(found[-1] + 1 if found else 0)) is not None:
            found.append(following)
        return tuple(found)

    def has(self, of_list: int) -> bool:
        """Say whether a list has an entry whose token is not expired."""
        # Whoever asks for a list that is over must not make this read what is behind it and not cleaned away yet.
        return self._database.one(self._has, first=of_list * SIZE, now=clock.now()) is not None

    def dead(self, of_list: int) -> tuple[StatusEntry, ...]:
        """Return the entries of a list whose tokens are dead; of expired ones none."""
        return tuple(self._database.all(self._dead, first=of_list * SIZE, now=clock.now()))

    def dead_of(self, of_list: int, member: str, named: str) -> tuple[StatusEntry, ...]:
        """Return those of the token with this ``jti``, of this grant (``grant_id``) or of a user's grants (``sub``)."""
        statement = self._dead_of[member]
        return tuple(self._database.all(statement, named=named, first=of_list * SIZE, now=clock.now()))

    def _list_from(self, of_list: int) -> int | None:
        row = self._database.one(self._next, first=of_list * SIZE, now=clock.now())
        return None if row is None else int(row[0]) // SIZE


def _dead(database: Database, *which: ColumnElement[bool]) -> Statement[StatusEntry]:
    entry, first = token_statuses.c, number("first")
    claims = (entry.jti, entry.grant_id, entry.client_id, entry.sub, entry.issued_at)
    lacks_grant = and_(entry.grant_id.is_not(None), grants.c.grant_id.is_(None))
    columns = (
        (entry.number - first).label("number"),
        entry.issued_at,
        case((lacks_grant, literal_column("1")), else_=literal_column("0")).label("lacks_grant"),
    )
    return database.prepare(
        select(*columns)
        .select_from(token_statuses.outerjoin(grants, grants.c.grant_id == entry.grant_id))
        .where(
            entry.number >= first,
            entry.number < first + literal(SIZE, BigInteger),
            entry.expires_at > NOW,
            ~exists(jwt_in_force(*claims).correlate(token_statuses)),
            *which,
        ),
        StatusEntry._make,
    )

"""Access tokens, refresh tokens, revoked JWTs."""

from typing import Any

from sqlalchemy import and_, case, exists, insert, literal_column, not_, or_, select, update

from authserver import clock
from authserver.records import AccessTokenRow, Grant, LiveToken, RefreshState, RefreshTokenRow, Rotation
from authserver.store.database import Database, Transaction
from authserver.store.grants import COLUMNS as GRANT_COLUMNS
from authserver.store.liveness import grant_lives, in_force, owners, owners_allow
from authserver.store.rotation import Rotations, access_arguments, access_values, of_live_grant, sliding_end
from authserver.store.statement import NOW, Row, number, octets, text
from authserver.store.tables import access_tokens, clients, grants, refresh_tokens, revoked_jtis

_LAST_OF_SECOND = clock.SECOND - 1


def _refresh_state(row: Row) -> RefreshState:
    return RefreshState._make((*row[:5], Grant._make(row[5:])))


class Tokens:
    """Verbs on tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rotations = Rotations(database)
        access, refresh = access_tokens.c, refresh_tokens.c
        self._add_access = database.prepare(insert(access_tokens), keys=AccessTokenRow._fields)
        self._add_refresh = database.prepare(insert(refresh_tokens), keys=RefreshTokenRow._fields)
        if database.dialect_name == "postgresql":
            issued = insert(access_tokens).from_select(AccessTokenRow._fields, select(*access_values())).cte("issued")
            self._add_both = database.prepare(insert(refresh_tokens).add_cte(issued), keys=RefreshTokenRow._fields)
        self._find = database.prepare(
            select(*(access[name] for name in LiveToken._fields))
            .select_from(access_tokens.outerjoin(grants, grants.c.grant_id == access.grant_id))
            .where(
                access.digest == octets("digest"),
                access.expires_at > NOW,
                access.revoked_at.is_(None),
                or_(access.grant_id.is_(None), and_(grants.c.revoked_at.is_(None), grants.c.expires_at > NOW)),
                in_force(access.client_id, access.sub, access.issued_at),
            ),
            LiveToken._make,
        )
        alive = case((grant_lives(), literal_column("1")), else_=literal_column("0")).label("alive")
        self._find_refresh = database.prepare(
            select(refresh.generation, refresh.issued_at, refresh.expires_at, refresh.rotated_at, alive, *GRANT_COLUMNS)
            .join_from(refresh_tokens, grants, grants.c.grant_id == refresh.grant_id)
            .where(refresh.digest == octets("digest")),
            _refresh_state,
        )
        end = select(sliding_end(grants.c.expires_at)).where(grants.c.grant_id == refresh.grant_id)
        self._extend = database.prepare(
            update(refresh_tokens)
            .where(
                refresh.digest == octets("of_digest"),
                refresh.rotated_at.is_(None),
                refresh.expires_at > NOW,
                of_live_grant(),
            )
            .values(expires_at=end.correlate(refresh_tokens).scalar_subquery())
        )
        self._revoke = database.prepare(
            update(access_tokens)
            .where(access.digest == octets("of_digest"), access.client_id == text("of_client"))
            .values(revoked_at=case((access.revoked_at.is_(None), NOW), else_=access.revoked_at))
        )
        self._revoke_jti = database.prepare(database.insert(revoked_jtis).on_conflict_do_nothing())
        self._jwt_lives = database.prepare(_jwt_query())

    def add(self, access: AccessTokenRow | None, refresh: RefreshTokenRow | None = None) -> None:
        """Store the tokens of one answer; raises Conflict when a digest is there."""
        if access is None or refresh is None:
            if access is not None:
                self._database.write(self._add_access, **access._asdict())
            if refresh is not None:
                self._database.write(self._add_refresh, **refresh._asdict())
        elif self._database.dialect_name == "postgresql":
            self._database.write(self._add_both, **refresh._asdict(), **access_arguments(access))
        else:

            def work(transaction: Transaction) -> None:
                transaction.run(self._add_access, **access._asdict())
                transaction.run(self._add_refresh, **refresh._asdict())

            self._database.transaction(work)

    def find(self, digest: bytes) -> LiveToken | None:
        """Return an access token that is alive now: itself, its grant, session, client and user in force."""
        return self._database.one(self._find, digest=digest, now=clock.now())

    def find_refresh(self, digest: bytes) -> RefreshState | None:
        """Return a refresh token in whatever state it is, with its grant; ``alive`` speaks of the grant."""
        return self._database.one(self._find_refresh, digest=digest, now=clock.now())

    def rotate(
        self,
        digest: bytes,
        client_id: str,
        *,
        salt: bytes,
        successor_digest: bytes,
        sliding_us: int,
        grace_us: int,
        access: AccessTokenRow | None,
    ) -> Rotation:
        """Rotate a refresh token of this client, in one transaction with the access token of the answer.

        ``rotated``: the successor that the caller made is stored. ``repeated``: another request was first, less than
        ``grace_us`` ago; its salt and successor digest come back, and the caller makes the same successor of them.
        ``reused``: the token was rotated before its window; its grant is revoked now. ``refused``: anything else,
        nothing changed.
        """
        arguments = {"salt": salt, "successor": successor_digest, "sliding": sliding_us}
        return self._rotations.rotate(digest, client_id, arguments, grace_us, access)

    def extend(self, digest: bytes, sliding_us: int, access: AccessTokenRow | None) -> bool:
        """Use a refresh token that is not rotated: its end slides; say whether it was alive, else nothing is stored."""

        def work(transaction: Transaction) -> bool:
            if not transaction.run(self._extend, of_digest=digest, sliding=sliding_us, now=transaction.now):
                return False
            if access is not None:
                transaction.run(self._add_access, **access._asdict())
            return True

        return self._database.transaction(work)

    def revoke(self, digest: bytes, client_id: str) -> bool:
        """Revoke one access token; say whether this client has such a token."""
        arguments = {"of_digest": digest, "of_client": client_id}
        return self._database.transaction(
            lambda transaction: transaction.run(self._revoke, now=transaction.now, **arguments) > 0, lasting=True
        )

    def revoke_jti(self, jti: str, expires_at: int) -> None:
        """Revoke one JWT access token, which has no row, until it expires."""
        self._database.transaction(
            lambda transaction: transaction.run(self._revoke_jti, jti=jti, expires_at=expires_at), lasting=True
        )

    def jwt_lives(self, *, jti: str, grant_id: str | None, client_id: str, sub: str, issued_at: int) -> bool:
        """Say whether a JWT with good signature and times is in force: not revoked, its grant, client and user live.

        ``issued_at`` is its ``iat`` in microseconds. That claim counts whole seconds, so the JWT may have been issued
        at any moment of that second: it is not held against a user or client who changed in the same one.
        """
        arguments = {"jti": jti, "grant_id": grant_id, "client_id": client_id, "sub": sub}
        issued_by = issued_at + _LAST_OF_SECOND
        return self._database.one(self._jwt_lives, issued_by=issued_by, now=clock.now(), **arguments) is not None


def _jwt_query() -> Any:
    grant_id = text("grant_id")
    granted = clients.outerjoin(grants, grants.c.grant_id == grant_id)
    return (
        select(literal_column("1"))
        .select_from(owners(granted, text("sub"), grants))
        .where(
            clients.c.client_id == text("client_id"),
            or_(grant_id.is_(None), and_(grants.c.revoked_at.is_(None), grants.c.expires_at > NOW)),
            owners_allow(number("issued_by")),
            not_(exists(select(revoked_jtis.c.jti).where(revoked_jtis.c.jti == text("jti")))),
        )
    )

"""Access tokens, refresh tokens, revoked JWTs."""

from sqlalchemy import ColumnElement, and_, case, insert, literal_column, or_, select, update

from authserver import clock
from authserver.records import AccessTokenRow, Grant, LiveJWT, LiveToken, RefreshState, RefreshTokenRow, Rotation
from authserver.store.database import Database, Transaction
from authserver.store.grants import COLUMNS as GRANT_COLUMNS
from authserver.store.json_text import from_text
from authserver.store.liveness import grant_lives, in_force, jwt_in_force
from authserver.store.revoking import Announcements
from authserver.store.rotation import Rotations, access_arguments, access_values, of_live_grant, sliding_end
from authserver.store.statement import NOW, Row, number, octets, text
from authserver.store.tables import access_tokens, clients, grants, refresh_tokens, revoked_jtis


def _refresh_state(row: Row) -> RefreshState:
    return RefreshState._make((*row[:5], Grant._make(row[5:])))


def _requested_claims(client_id: ColumnElement[str]) -> ColumnElement[str | None]:
    """Return what was asked for at a token's grant, unless another client has the token, by exchange (RFC 8693)."""
    return case((grants.c.client_id == client_id, grants.c.claims), else_=None).label("requested_claims")


class Tokens:
    """Verbs on tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._announcements = Announcements(database)
        self._rotations = Rotations(database)
        access, refresh = access_tokens.c, refresh_tokens.c
        self._add_access = database.prepare(insert(access_tokens), keys=AccessTokenRow._fields)
        self._add_refresh = database.prepare(insert(refresh_tokens), keys=RefreshTokenRow._fields)
        if database.dialect_name == "postgresql":
            issued = insert(access_tokens).from_select(AccessTokenRow._fields, select(*access_values())).cte("issued")
            self._add_both = database.prepare(insert(refresh_tokens).add_cte(issued), keys=RefreshTokenRow._fields)
        self._find = database.prepare(
            select(*(access[name] for name in LiveToken._fields[:-1]), _requested_claims(access.client_id))
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
            .returning(access.revoked_at, access.claims, access.expires_at)
        )
        self._revoke_jti = database.prepare(database.insert(revoked_jtis).on_conflict_do_nothing())
        jwt = jwt_in_force(text("jti"), text("grant_id"), text("client_id"), text("sub"), number("iat"))
        self._find_jwt = database.prepare(jwt.with_only_columns(_requested_claims(clients.c.client_id)), LiveJWT._make)

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

        def work(transaction: Transaction) -> bool:
            row = transaction.one(self._revoke, of_digest=digest, of_client=client_id, now=transaction.now)
            if row is None:
                return False
            revoked_at, claims, expires_at = row
            if revoked_at == transaction.now:
                self._announcements.tell_token(transaction, from_text(claims)["jti"], expires_at)
            return True

        return self._database.transaction(work, lasting=True)

    def revoke_jti(self, jti: str, expires_at: int) -> None:
        """Revoke one JWT access token, which has no row, until it expires."""

        def work(transaction: Transaction) -> None:
            if transaction.run(self._revoke_jti, jti=jti, expires_at=expires_at):
                self._announcements.tell_token(transaction, jti, expires_at)

        self._database.transaction(work, lasting=True)

    def find_jwt(self, *, jti: str, grant_id: str | None, client_id: str, sub: str, issued_at: int) -> LiveJWT | None:
        """Return a JWT with good signature and times if it is in force: not revoked, its grant, client and user live.

        ``issued_at`` is its ``iat`` in microseconds.
        """
        arguments = {"jti": jti, "grant_id": grant_id, "client_id": client_id, "sub": sub, "iat": issued_at}
        return self._database.one(self._find_jwt, now=clock.now(), **arguments)

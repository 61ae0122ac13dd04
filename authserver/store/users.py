"""Accounts: unique in one canonical form of name and e-mail address, under a random ``sub`` that never changes.

An address that nobody has confirmed has no canonical form in its row: it is written there, and it is nobody's.
"""

import unicodedata
from collections.abc import Callable
from typing import Any

from sqlalchemy import func, literal_column, or_, select, update

from authserver.records import Event, User
from authserver.store.database import Database, T, Transaction
from authserver.store.errors import Conflict
from authserver.store.json_text import from_text, to_text
from authserver.store.revoking import UserRevocation
from authserver.store.statement import NOW, Row, number, text
from authserver.store.tables import clients, credentials, users

_COLUMNS = (
    users.c.sub,
    users.c.username,
    users.c.email,
    users.c.email_canonical,
    users.c.email_verified,
    users.c.claims,
    users.c.disabled_at,
    users.c.not_before,
    users.c.created_at,
    users.c.updated_at,
    users.c.demonstration,
)


def canonical(name: str) -> str:
    """Return the one form in which user names and e-mail addresses are compared (NFKC, case folded, trimmed)."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    # Folding can undo the normal form ("ΐ" decomposes), so it is made again (Unicode 3.13, D146).
    return unicodedata.normalize("NFKC", folded).strip()


def from_row(row: Row) -> User:
    """Read a user from its row."""
    sub, username, email, held, verified, claims, disabled_at, not_before, created_at, updated_at, demonstration = row
    return User(
        sub=sub,
        username=username,
        email=None if held is None else email,
        unconfirmed_email=email if held is None else None,
        email_verified=bool(verified),
        claims=from_text(claims),
        disabled_at=disabled_at,
        not_before=not_before,
        created_at=created_at,
        updated_at=updated_at,
        demonstration=bool(demonstration),
    )


def to_row(user: User) -> dict[str, Any]:
    """Write what the user or an administrator may change; times and state are the verbs' business."""
    return {
        "username": user.username,
        "username_canonical": canonical(user.username),
        "email": user.unconfirmed_email if user.email is None else user.email,
        "email_canonical": None if user.email is None else canonical(user.email),
        "email_verified": int(user.email_verified),
        "claims": to_text(user.claims),
        "demonstration": int(user.demonstration),
    }


class Users:
    """Verbs on users."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._everything = UserRevocation(database)
        of_sub = users.c.sub == text("of_sub")
        self._get = database.prepare(select(*_COLUMNS).where(of_sub), from_row)
        login = text("login")
        self._by_login = database.prepare(
            select(*_COLUMNS).where(or_(users.c.username_canonical == login, users.c.email_canonical == login)),
            from_row,
        )
        page = select(*_COLUMNS).order_by(users.c.sub).limit(number("most"))
        self._page = database.prepare(page.where(users.c.sub > text("after")), from_row)
        self._count = database.prepare(select(func.count()).select_from(users))
        self._client = database.prepare(select(literal_column("1")).where(clients.c.client_id == text("sub")))
        name, email = text("username_canonical"), text("email_canonical")
        shadows = or_(users.c.email_canonical == name, users.c.username_canonical == email)
        self._shadowed = database.prepare(select(users.c.email_canonical).where(users.c.sub != text("of_sub"), shadows))
        self._insert = database.prepare(users.insert())
        self._insert_credential = database.prepare(credentials.insert())
        self._update = database.prepare(
            update(users)
            .where(of_sub)
            .values(
                username=text("username"),
                username_canonical=text("username_canonical"),
                email=text("email"),
                email_canonical=text("email_canonical"),
                email_verified=number("email_verified"),
                claims=text("claims"),
                demonstration=number("demonstration"),
                updated_at=NOW,
            )
        )
        self._disable = database.prepare(
            update(users).where(of_sub, users.c.disabled_at.is_(None)).values(disabled_at=NOW, not_before=NOW)
        )
        self._enable = database.prepare(
            update(users).where(of_sub, users.c.disabled_at.is_not(None)).values(disabled_at=None)
        )

    def get(self, sub: str) -> User | None:
        """Return a user, disabled ones too."""
        return self._database.one(self._get, of_sub=sub)

    def by_login(self, login: str) -> User | None:
        """Return the user whose name or e-mail address this is, whatever its spelling."""
        return self._database.one(self._by_login, login=canonical(login))

    def all(self, after: str | None, limit: int) -> tuple[User, ...]:
        """Return a page of users in the order of ``sub``: the ``limit`` first ones after one of them."""
        return tuple(self._database.all(self._page, after=after or "", most=limit))

    def count(self) -> int:
        """Return how many users there are."""
        row = self._database.one(self._count)
        return int(row[0]) if row else 0

    def add(self, user: User, password_hash: str | None, event: Event) -> None:
        """Add a user, with a password where there is one; raises Conflict naming 'username', 'email' or 'sub'."""
        row = to_row(user)

        def work(transaction: Transaction) -> None:
            transaction.lock(users)
            # RFC 9700 4.15: a client's id must never be taken for a user's.
            if transaction.one(self._client, sub=user.sub):
                raise Conflict("sub")
            self._refuse_shadow(transaction, user.sub, row)
            now = transaction.now
            times = {
                "disabled_at": user.disabled_at,
                "not_before": user.not_before,
                "created_at": now,
                "updated_at": now,
            }
            transaction.run(self._insert, sub=user.sub, **row, **times)
            if password_hash is not None:
                transaction.run(
                    self._insert_credential,
                    credential_id=f"{user.sub}.password",
                    sub=user.sub,
                    kind="password",
                    secret=password_hash,
                    created_at=now,
                    updated_at=now,
                )
            transaction.audit(event)

        self._named(work)

    def update(self, user: User, event: Event) -> bool:
        """Replace name, e-mail address and claims; say whether the user exists; raises Conflict like ``add``."""
        row = to_row(user)

        def work(transaction: Transaction) -> bool:
            transaction.lock(users)
            self._refuse_shadow(transaction, user.sub, row)
            return transaction.noted(transaction.run(self._update, of_sub=user.sub, now=transaction.now, **row), event)

        return self._named(work)

    def set_disabled(self, sub: str, disabled: bool, event: Event) -> bool:  # noqa: FBT001 - a state, named by the verb
        """Disable a user, which ends all sessions and revokes all grants, or enable it; say whether that is new."""

        def work(transaction: Transaction) -> bool:
            if not disabled:
                return transaction.noted(transaction.run(self._enable, of_sub=sub), event)
            changed = transaction.run(self._disable, of_sub=sub, now=transaction.now)
            self._everything.run(transaction, sub, "user.disabled")
            return transaction.noted(changed, event)

        return self._database.transaction(work, lasting=True)

    def _refuse_shadow(self, transaction: Transaction, sub: str, row: dict[str, Any]) -> None:
        """Raise Conflict when the name is another user's e-mail address, or the other way round: both sign in."""
        names = {"username_canonical": row["username_canonical"], "email_canonical": row["email_canonical"]}
        found = transaction.one(self._shadowed, of_sub=sub, **names)
        if found is not None:
            raise Conflict("username_canonical" if found[0] == row["username_canonical"] else "email_canonical")

    def _named(self, work: Callable[[Transaction], T]) -> T:
        """Run a transaction; tell the caller which of the user's names is taken."""
        try:
            return self._database.transaction(work)
        except Conflict as conflict:
            for name in ("username", "email"):
                if f"{name}_canonical" in conflict.name:
                    raise Conflict(name) from None
            raise Conflict("sub") from None

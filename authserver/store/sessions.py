"""Sessions: one per signed-in account, hanging on a browser whose cookie's digest they name."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import ColumnElement, Select, and_, or_, select, update

from authserver import clock
from authserver.records import Event, Session
from authserver.store.database import Database, Transaction
from authserver.store.jobs import notices
from authserver.store.revoking import end_sessions, revoke_grants, tell_grants
from authserver.store.statement import NOW, number, octets, text
from authserver.store.tables import grants, sessions, users

NEVER: Final = 2**62  # later than any clock shows


def _live(which: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    """Select the live sessions of a browser or a user, the newest sign-in first."""
    return (
        select(*(sessions.c[name] for name in Session._fields[:-1]), users.c.username)
        .join(users, users.c.sub == sessions.c.sub)
        .where(
            which,
            sessions.c.ended_at.is_(None),
            sessions.c.expires_at > NOW,
            or_(
                and_(sessions.c.seen_at >= number("idle_after"), sessions.c.created_at >= number("begun_after")),
                and_(
                    sessions.c.remembered_at > number("remembered_after"),
                    sessions.c.seen_at >= number("remembered_idle_after"),
                ),
            ),
            users.c.disabled_at.is_(None),
            sessions.c.created_at >= users.c.not_before,
        )
        .order_by(sessions.c.auth_time.desc(), sessions.c.sid)
    )


class Sessions:
    """Verbs on sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        one = sessions.c.sid == text("of_sid")
        kept = sessions.c.sid != text("keep_sid")
        unbound = grants.c.offline == 0
        self._insert = database.prepare(
            sessions.insert(),
            keys=[column.key for column in sessions.c if column.key not in {"ended_at", "ended_reason"}],
        )
        self._of_browser = database.prepare(_live(sessions.c.browser == octets("browser")), Session._make)
        self._of_user = database.prepare(_live(sessions.c.sub == text("of_sub")), Session._make)
        self._get = database.prepare(_live(one), Session._make)
        self._touch = database.prepare(
            update(sessions).where(one, sessions.c.seen_at < number("seen")).values(seen_at=number("seen"))
        )
        live = update(sessions).where(one, sessions.c.ended_at.is_(None), sessions.c.expires_at > NOW)
        proof = {"acr": text("new_acr"), "amr": text("new_amr")}
        self._renew = database.prepare(live.values(auth_time=number("new_auth_time"), **proof))
        self._upgrade = database.prepare(live.values(**proof))
        self._remember = database.prepare(
            update(sessions)
            .where(one, sessions.c.ended_at.is_(None))
            .values(remembered_at=number("new_remembered_at"), expires_at=number("new_expires_at"))
        )
        self._move = database.prepare(
            update(sessions)
            .where(sessions.c.browser == octets("old_browser"), sessions.c.remembered_at >= number("remembered_since"))
            .values(browser=octets("new_browser"))
        )
        self._end = end_sessions(database, one)
        self._end_all = end_sessions(database, sessions.c.sub == text("of_sub"), kept)
        of_one = (grants.c.sid == text("of_sid"), unbound)
        of_all = (
            grants.c.sub == text("of_sub"),
            grants.c.sid.is_not(None),
            grants.c.sid != text("keep_sid"),
            unbound,
        )
        self._revoke = revoke_grants(database, *of_one)
        self._revoke_all = revoke_grants(database, *of_all)
        self._notify = notices(database, one)
        self._notify_all = notices(database, sessions.c.sub == text("of_sub"))
        self._tell = tell_grants(database, *of_one)
        self._tell_all = tell_grants(database, *of_all)

    def start(  # noqa: PLR0913 - what a session is
        self,
        *,
        sid: str,
        browser: bytes,
        sub: str,
        acr: str,
        amr: str,
        user_agent: str,
        address: str,
        expires_at: int,
        event: Event,
        remembered_at: int = 0,
    ) -> None:
        """Start a session of a user who has just signed in; raises Conflict when there is no such user."""

        def work(transaction: Transaction) -> None:
            now = transaction.now
            transaction.run(
                self._insert,
                sid=sid,
                browser=browser,
                sub=sub,
                auth_time=now,
                acr=acr,
                amr=amr,
                created_at=now,
                seen_at=now,
                expires_at=expires_at,
                user_agent=user_agent,
                address=address,
                remembered_at=remembered_at,
            )
            transaction.audit(event)

        self._database.transaction(work)

    def of_browser(
        self,
        browser: bytes,
        idle_after: int,
        begun_after: int = 0,
        remembered_after: int = NEVER,
        remembered_idle_after: int = NEVER,
    ) -> tuple[Session, ...]:
        """Return the live sessions of a browser, the newest sign-in first.

        Live is what was begun and seen at these times or later; or, where the person has asked to be remembered after
        ``remembered_after``, what was seen at ``remembered_idle_after`` or later.
        """
        since = _since(idle_after, begun_after, remembered_after, remembered_idle_after)
        return tuple(self._database.all(self._of_browser, browser=browser, **since))

    def of_user(
        self,
        sub: str,
        idle_after: int,
        begun_after: int = 0,
        remembered_after: int = NEVER,
        remembered_idle_after: int = NEVER,
    ) -> tuple[Session, ...]:
        """Return the live sessions of a user (``of_browser``), the newest sign-in first."""
        since = _since(idle_after, begun_after, remembered_after, remembered_idle_after)
        return tuple(self._database.all(self._of_user, of_sub=sub, **since))

    def get(self, sid: str) -> Session | None:
        """Return a session if it is live, whenever it was seen."""
        return self._database.one(self._get, of_sid=sid, **_since(0, 0, NEVER, NEVER))

    def touch(self, sid: str, seen_at: int) -> None:
        """Note that a session was used; an earlier time than the stored one changes nothing."""
        self._database.write(self._touch, of_sid=sid, seen=seen_at)

    def renew(self, sid: str, auth_time: int, acr: str, amr: str) -> bool:
        """Note that the same user has signed in again; say whether the session is live."""
        proof = {"new_auth_time": auth_time, "new_acr": acr, "new_amr": amr}
        return self._database.write(self._renew, of_sid=sid, now=clock.now(), **proof) > 0

    def upgrade(self, sid: str, acr: str, amr: str) -> bool:
        """Note a further proof of somebody who is signed in (step-up); say whether the session is live."""
        return self._database.write(self._upgrade, of_sid=sid, now=clock.now(), new_acr=acr, new_amr=amr) > 0

    def remember(self, sid: str, remembered_at: int, expires_at: int) -> bool:
        """Note since when a person wants to be kept signed in (0: not), and the last end; say whether it is live."""
        written = {"new_remembered_at": remembered_at, "new_expires_at": expires_at}
        return self._database.write(self._remember, of_sid=sid, **written) > 0

    def move(self, old_browser: bytes, new_browser: bytes, remembered_since: int = 0) -> int:
        """Hang the sessions of a browser on its new cookie, or those remembered since then; return how many."""
        browsers = {"old_browser": old_browser, "new_browser": new_browser}
        return self._database.write(self._move, **browsers, remembered_since=remembered_since)

    def end(self, sids: Iterable[str], reason: str, event: Event) -> int:
        """End sessions and revoke their grants, but for offline ones; return how many were not ended before."""
        # One order for everybody, so that two who end the same sessions do not wait for each other in a circle.
        ordered = sorted(set(sids))

        def work(transaction: Transaction) -> int:
            now = transaction.now
            ended = sum(transaction.run(self._end, of_sid=sid, now=now, reason=reason) for sid in ordered)
            revoked = sum(transaction.run(self._revoke, of_sid=sid, now=now, reason=reason) for sid in ordered)
            if ended:
                for sid in ordered:
                    transaction.run(self._notify, of_sid=sid, now=now)
            if revoked:
                transaction.take_turn()
                for sid in ordered:
                    transaction.run(self._tell, of_sid=sid, now=now)
            transaction.noted(ended, event)
            return ended

        return self._database.transaction(work, lasting=True)

    def end_all(self, sub: str, reason: str, event: Event, keep_sid: str | None = None) -> int:
        """End a user's sessions but ``keep_sid``, and revoke their grants, but for offline ones; return how many."""

        def work(transaction: Transaction) -> int:
            arguments = {"of_sub": sub, "keep_sid": keep_sid or "", "now": transaction.now}
            ended = transaction.run(self._end_all, **arguments, reason=reason)
            if ended:
                transaction.run(self._notify_all, of_sub=sub, now=transaction.now)
            if transaction.run(self._revoke_all, **arguments, reason=reason):
                transaction.take_turn()
                transaction.run(self._tell_all, **arguments)
            transaction.noted(ended, event)
            return ended

        return self._database.transaction(work, lasting=True)


def _since(idle_after: int, begun_after: int, remembered_after: int, remembered_idle_after: int) -> dict[str, int]:
    return {
        "idle_after": idle_after,
        "begun_after": begun_after,
        "remembered_after": remembered_after,
        "remembered_idle_after": remembered_idle_after,
        "now": clock.now(),
    }

"""What people do with their own account: change the password, take back what an application was allowed."""

from dataclasses import dataclass
from typing import Final

from authserver.clock import HOUR
from authserver.identity import passwords, second_factor
from authserver.identity.login import ACR_PASSWORD, Door, counter_of, is_password
from authserver.identity.sessions import Browser
from authserver.limits import Exceeded
from authserver.records import Event, Session

WRONG_PASSWORD: Final = "The current password is not right."
BOTH_STEPS: Final = "Sign out and sign in again, with a code of your authenticator app, to change the password."
TRY_LATER: Final = "There were too many tries. Wait a little and try again."
SAME_PASSWORD: Final = "The new password is the current one. Choose another."
NOT_REPEATED: Final = "The two new passwords are not the same."
_CHANGES: Final = "password.changes"
_MOST_CHANGES: Final = 20  # an hour: judging a password's strength takes longer than hashing it


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a password was not changed, and at which field: ``current``, ``new`` or ``repeat``."""

    field: str
    sentence: str
    wait: int = 0


def change_password(
    server: Door, session: Session, browser: Browser, *, current: str, new: str, repeat: str
) -> Refused | None:
    """Change a user's password; other sessions end and grants are revoked. Raises TooBusy and StoreError.

    Returns None when it is done. The current password is asked for, so that an unlocked screen is not enough.
    """
    if session.acr == ACR_PASSWORD and second_factor.is_enrolled(server, session.sub):
        # A session from before the factor was set up may be that of whoever the factor was set up against.
        return Refused("current", BOTH_STEPS)
    user = server.store.users.get(session.sub)
    account = counter_of(session.sub, browser)
    try:
        server.limits.count(_CHANGES, session.sub, HOUR, _MOST_CHANGES)
        server.limits.reserve_try(account)
    except Exceeded as limit:
        return Refused("current", TRY_LATER, limit.retry_after)
    if user is None or not is_password(server, user, current, account):
        return Refused("current", WRONG_PASSWORD)
    server.limits.forget_tries(account)
    if new != repeat:
        return Refused("repeat", NOT_REPEATED)
    if new == current:
        return Refused("new", SAME_PASSWORD)
    problem = passwords.problem(new, (user.username, user.email))
    if problem is not None:
        return Refused("new", problem)
    event = Event("password.changed", user.sub, sub=user.sub)
    server.store.credentials.replace(user.sub, passwords.KIND, server.passwords.hash(new), event, keep_sid=session.sid)
    server.deliveries.nudge()
    return None


def withdraw(server: Door, sub: str, client_id: str) -> bool:
    """Take back everything that a user allowed a client, with immediate effect; say whether there was anything."""
    event = Event("consent.withdrawn", sub, client_id=client_id, sub=sub)
    return server.store.consents.withdraw(sub, client_id, event)

"""Browser sessions: where an account is signed in, and how that ends."""

from typing import Final

from authserver.api.fields import PAGE, identifier
from authserver.api.operation import Call, Operation, done
from authserver.api.paging import among, page
from authserver.api.users import existing
from authserver.manage import sessions
from authserver.oauth.request import Answer, json_answer

_OF_USER: Final = {"sub": identifier}


def list_(call: Call) -> Answer:
    """List the live sessions of an account, by sid."""
    found = sessions.of_user(call.store, call.settings, existing(call).sub)
    return page(
        call,
        "sessions",
        among(found, lambda session: session.sid),
        lambda session: session.sid,
        sessions.describe,
    )


def end(call: Call) -> Answer:
    """End one session; grants that do not outlive it are revoked."""
    sessions.end(call.store, call.given["sid"], actor=call.actor)
    return done()


def end_all(call: Call) -> Answer:
    """End every session of an account; grants that do not outlive them are revoked."""
    return json_answer(200, {"ended": sessions.end_all(call.store, existing(call).sub, actor=call.actor)})


OPERATIONS: Final = (
    Operation("GET", "/sessions", "sessions", list_, needs=_OF_USER, takes=PAGE),
    Operation("POST", "/session/end", "sessions", end, needs={"sid": identifier}),
    Operation("POST", "/sessions/end", "sessions", end_all, needs=_OF_USER),
)

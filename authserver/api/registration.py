"""Initial access tokens, with which clients register themselves (RFC 7591 3): list, make, withdraw."""

from typing import Final

from authserver.api.fields import PAGE, identifier
from authserver.api.operation import Call, Operation, done
from authserver.api.paging import page
from authserver.manage import registration_tokens as tokens
from authserver.manage.client_metadata import number
from authserver.oauth.request import Answer, json_answer

_USES: Final = number(1, 100_000)
_DAYS: Final = number(1, 366)


def list_(call: Call) -> Answer:
    """List the tokens that can still be used, by id; what they are is not known here."""
    return page(
        call,
        "initial_access_tokens",
        lambda after, most: tokens.list_initial(call.store, after, most),
        lambda token: str(token["id"]),
        dict,
    )


def make(call: Call) -> Answer:
    """Make a token that registers so many clients within so many days; it is shown only now."""
    uses, days = call.given.get("uses", 1), call.given.get("days", 7)
    made = tokens.make_initial(call.store, uses=uses, days=days, actor=call.actor)
    return json_answer(201, {"id": tokens.initial_id(made), "initial_access_token": made, "uses": uses, "days": days})


def withdraw(call: Call) -> Answer:
    """Make a token useless, by its id; the clients that it has registered stay."""
    tokens.withdraw_initial(call.store, call.given["id"], actor=call.actor)
    return done()


OPERATIONS: Final = (
    Operation("GET", "/initial-access-tokens", "registration", list_, takes=PAGE),
    Operation("POST", "/initial-access-tokens", "registration", make, takes={"uses": _USES, "days": _DAYS}),
    Operation("DELETE", "/initial-access-token", "registration", withdraw, needs={"id": identifier}),
)

"""Grants, which people have given to clients, and tokens: list, and revoke."""

from typing import Final

from authserver.api.errors import ONE_OF_TWO, TOKEN_UNKNOWN, NotFound
from authserver.api.fields import PAGE, identifier, token
from authserver.api.operation import Call, Operation, done
from authserver.api.paging import among, page
from authserver.api.users import existing
from authserver.crypto import Kind, digest_of
from authserver.manage import clients, grants
from authserver.oauth import access_token
from authserver.oauth.errors import InvalidRequest
from authserver.oauth.request import Answer, json_answer

_OF_USER: Final = {"sub": identifier}
_OF_EITHER: Final = {"sub": identifier, "client_id": identifier}


def list_(call: Call) -> Answer:
    """List the grants of an account that are in force, by grant_id."""
    found = grants.of_user(call.store, existing(call).sub)
    return page(
        call, "grants", among(found, lambda grant: grant.grant_id), lambda grant: grant.grant_id, grants.describe
    )


def revoke(call: Call) -> Answer:
    """Revoke one grant with its code and tokens."""
    grants.revoke(call.store, call.given["grant_id"], actor=call.actor)
    return done()


def revoke_all(call: Call) -> Answer:
    """Revoke every grant of an account, of a client, or of the two together."""
    sub, client_id = call.given.get("sub"), call.given.get("client_id")
    return json_answer(200, {"revoked": grants.revoke_all(call.store, sub=sub, client_id=client_id, actor=call.actor)})


def revoke_token(call: Call) -> Answer:
    """Revoke a token: a refresh token with its grant, an access token alone."""
    text = call.given["token"]
    # A JWT of somebody else, or one that counts no more, is not entered.
    if digest_of(Kind.REFRESH, text) is None and access_token.find(call.server, text) is None:
        raise NotFound(TOKEN_UNKNOWN)
    return json_answer(200, {"revoked": grants.revoke_token(call.store, text, actor=call.actor)})


def revoke_tokens(call: Call) -> Answer:
    """Revoke every token and grant of an account, or of a client; neither of them is switched off."""
    sub, client_id = call.given.get("sub"), call.given.get("client_id")
    if (sub is None) == (client_id is None):
        raise InvalidRequest(ONE_OF_TWO)
    if client_id is None:
        count = grants.revoke_all_of_user(call.store, existing(call).sub, actor=call.actor)
    else:
        client = clients.existing(call.store, client_id)
        count = grants.revoke_all_of_client(call.store, client.client_id, actor=call.actor)
    return json_answer(200, {"revoked": count})


OPERATIONS: Final = (
    Operation("GET", "/grants", "grants", list_, needs=_OF_USER, takes=PAGE),
    Operation("POST", "/grant/revoke", "grants", revoke, needs={"grant_id": identifier}),
    Operation("POST", "/grants/revoke", "grants", revoke_all, takes=_OF_EITHER),
    Operation("POST", "/token/revoke", "tokens", revoke_token, needs={"token": token}),
    Operation("POST", "/tokens/revoke", "tokens", revoke_tokens, takes=_OF_EITHER),
)

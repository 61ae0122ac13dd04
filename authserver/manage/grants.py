"""Grants and tokens: what is in force for a user or client, and how it is taken away."""

from typing import Any, Final

import orjson

from authserver import crypto, jwt
from authserver.clock import SECOND, now
from authserver.manage.errors import ManageError, NotThere
from authserver.records import Event, Grant
from authserver.store import Store

_LONGEST_JTI: Final = 256  # characters; ours have fewer, and everybody who follows revocations is told of it


def of_user(store: Store, sub: str) -> tuple[Grant, ...]:
    """Return the grants of a user that are in force."""
    return store.grants.of_user(sub)


def revoke(store: Store, grant_id: str, *, actor: str) -> None:
    """Revoke one grant with its code and tokens; raises ManageError when none in force has this id."""
    if not store.grants.revoke(grant_id, "administrator", Event("grant.revoked", actor, facts={"grant_id": grant_id})):
        raise NotThere("there is no grant in force with this id")


def revoke_all(store: Store, *, sub: str | None = None, client_id: str | None = None, actor: str) -> int:
    """Revoke every grant of a user, of a client, or of the pair; return how many."""
    if sub is None and client_id is None:
        raise ManageError("name a user, a client, or both")
    event = Event("grant.revoked_all", actor, client_id=client_id, sub=sub)
    return store.grants.revoke_all(sub=sub, client_id=client_id, reason="administrator", event=event)


def revoke_all_of_user(store: Store, sub: str, *, actor: str) -> int:
    """Revoke every token of a user, with its grants and codes; return how many grants. Sessions and account stay."""
    event = Event("token.revoked_all", actor, sub=sub)
    return store.grants.revoke_all(sub=sub, reason="administrator", event=event)


def revoke_all_of_client(store: Store, client_id: str, *, actor: str) -> int:
    """Revoke every token of a client, those without a grant too; return how many grants went. The client stays.

    What it is given in the rest of this second is dead, too. Raises ManageError when there is no such client.
    """
    event = Event("token.revoked_all", actor, client_id=client_id)
    revoked = store.clients.revoke_tokens(client_id, event)
    if revoked is None:
        raise NotThere("there is no client with this client_id")
    return revoked


def revoke_token(store: Store, token: str, *, actor: str) -> str:
    """Revoke a token whatever its kind; return what was revoked. The token itself is written nowhere.

    A refresh token ends its grant, an access token itself only (DECISIONS, Introspection and revocation). A JWT is
    entered by its ``jti`` until its ``exp``; its signature is not looked at: entering a stranger's changes nothing.
    """
    digest = crypto.digest_of(crypto.Kind.REFRESH, token)
    if digest is not None:
        state = store.tokens.find_refresh(digest)
        if state is None:
            raise NotThere("there is no refresh token like this")
        grant_id = state.grant.grant_id
        store.grants.revoke(grant_id, "administrator", Event("token.revoked", actor, facts={"grant_id": grant_id}))
        return "refresh token and its grant"
    digest = crypto.digest_of(crypto.Kind.ACCESS, token)
    if digest is not None:
        found = store.tokens.find(digest)
        if found is None or not store.tokens.revoke(digest, found.client_id):
            raise NotThere("there is no access token in force like this")
        store.audit.append(Event("token.revoked", actor, client_id=found.client_id))
        return "access token"
    return _revoke_jwt(store, token, actor)


def describe(grant: Grant) -> dict[str, Any]:
    """Return what may be shown of a grant."""
    return {
        "grant_id": grant.grant_id,
        "client_id": grant.client_id,
        "sub": grant.sub,
        "scope": grant.scope,
        "resources": grant.resources.split(),
        "offline": bool(grant.offline),
        "created_at": grant.created_at // SECOND,
        "expires_at": grant.expires_at // SECOND,
    }


def _revoke_jwt(store: Store, token: str, actor: str) -> str:
    try:
        claims = _claims(store, token)
        jti, expires_at = jwt.text(claims, "jti"), jwt.seconds(claims, "exp")
    except jwt.InvalidJWT:
        raise ManageError("this is not a token of this server") from None
    if len(jti) > _LONGEST_JTI:
        raise ManageError("this is not a token of this server")
    if expires_at is None or expires_at * SECOND <= now():
        raise ManageError("this token has expired")
    store.tokens.revoke_jti(jti, expires_at * SECOND)
    store.audit.append(Event("token.revoked", actor, facts={"jti": jti}))
    return "JWT access token"


def _claims(store: Store, token: str) -> dict[str, Any]:
    if token.count(".") != 4:  # RFC 7516 9
        return jwt.parse(token).claims
    found = store.tokens.find(crypto.encrypted_token_digest(token))
    if found is None:
        raise NotThere("there is no access token in force like this")
    claims: dict[str, Any] = orjson.loads(found.claims)
    return claims

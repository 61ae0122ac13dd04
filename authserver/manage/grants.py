"""Grants and tokens: what is in force for a user or client, and how it is taken away."""

from typing import Any

from authserver import crypto, jwt
from authserver.clock import SECOND, now
from authserver.manage.errors import ManageError
from authserver.records import Event, Grant
from authserver.store import Store


def of_user(store: Store, sub: str) -> tuple[Grant, ...]:
    """Return the grants of a user that are in force."""
    return store.grants.of_user(sub)


def revoke(store: Store, grant_id: str, *, actor: str) -> None:
    """Revoke one grant with its code and tokens; raises ManageError when none in force has this id."""
    if not store.grants.revoke(grant_id, "administrator", Event("grant.revoked", actor, facts={"grant_id": grant_id})):
        raise ManageError("there is no grant in force with this id")


def revoke_all(store: Store, *, sub: str | None = None, client_id: str | None = None, actor: str) -> int:
    """Revoke every grant of a user, of a client, or of the pair; return how many."""
    if sub is None and client_id is None:
        raise ManageError("name a user, a client, or both")
    event = Event("grant.revoked_all", actor, client_id=client_id, sub=sub)
    return store.grants.revoke_all(sub=sub, client_id=client_id, reason="administrator", event=event)


def revoke_token(store: Store, token: str, *, actor: str) -> str:
    """Revoke a token whatever its kind; return what was revoked. The token itself is written nowhere.

    A refresh token ends its grant, an access token itself only (DECISIONS, Introspection and revocation). A JWT is
    entered by its ``jti`` until its ``exp``; its signature is not looked at: entering a stranger's changes nothing.
    """
    digest = crypto.digest_of(crypto.Kind.REFRESH, token)
    if digest is not None:
        state = store.tokens.find_refresh(digest)
        if state is None:
            raise ManageError("there is no refresh token like this")
        grant_id = state.grant.grant_id
        store.grants.revoke(grant_id, "administrator", Event("token.revoked", actor, facts={"grant_id": grant_id}))
        return "refresh token and its grant"
    digest = crypto.digest_of(crypto.Kind.ACCESS, token)
    if digest is not None:
        found = store.tokens.find(digest)
        if found is None or not store.tokens.revoke(digest, found.client_id):
            raise ManageError("there is no access token in force like this")
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
        claims = jwt.parse(token).claims
        jti, expires_at = jwt.text(claims, "jti"), jwt.seconds(claims, "exp")
    except jwt.InvalidJWT:
        raise ManageError("this is not a token of this server") from None
    if expires_at is None or expires_at * SECOND <= now():
        raise ManageError("this token has expired")
    store.tokens.revoke_jti(jti, expires_at * SECOND)
    store.audit.append(Event("token.revoked", actor, facts={"jti": jti}))
    return "JWT access token"

"""Clients: register, change, give secrets, switch off (RFC 7591, RFC 7592, and the contract of ``client add``).

The command line, the administrator's pages and dynamic registration call these functions, so a client is the same
whichever way it came. Secrets are shown once, in the answer that makes them.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from authserver import crypto, keys, tagged
from authserver.clock import SECOND, now
from authserver.manage.changes import alone, require_version
from authserver.manage.client_metadata import (
    ADMINISTRATOR_MEMBERS,
    CODE,
    DEFAULT_SCOPE,
    DEVICE,
    MEMBERS,
    SHARED_SECRET,
    Check,
)
from authserver.manage.client_rules import check_together
from authserver.manage.errors import ChangedMeanwhile, InvalidMetadata, ManageError, NotThere, Taken
from authserver.manage.profiles import DEFAULT, PROFILES
from authserver.manage.sectors import sector_of
from authserver.records import Client, ClientSecret, Event
from authserver.store import Store
from authserver.store.clients import UNUSED, make_client
from authserver.store.errors import Conflict

NO_MEMBERS: Final[Mapping[str, Check]] = MappingProxyType({})
KEEP_SECONDS: Final = 24 * 3600
"""How long the secrets before a rotation stay valid, unless the administrator says otherwise."""
SERVES: Final = "resource_server_for"
_MAX_SECRETS: Final = 5
_CLIENT_ID: Final = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)  # RFC 6749 Appendix A.1, without the space
_SECRET: Final = re.compile(r"[\x20-\x7e]{32,1024}", re.ASCII)  # Appendix A.2; 32 characters or more by the contract


def register(
    store: Store,
    sealer: crypto.Sealer,
    metadata: Mapping[str, Any],
    *,
    profile: str = DEFAULT,
    actor: str,
    members: Mapping[str, Check] = NO_MEMBERS,
    origin: str = "administrator",
    demonstration: bool = False,
) -> dict[str, Any]:
    """Add a client and return its registration response (RFC 7591 3.2.1) with the secret, which is shown only now.

    ``members`` are the members that extensions bring, name to check. For another ``origin`` than the administrator what
    only an administrator decides, and what is unknown, is dropped (RFC 7591 2, 5); for an administrator the unknown is
    refused, because it is a typing error. Raises InvalidMetadata or ManageError.
    """
    given = {name: value for name, value in metadata.items() if value is not None}
    administrator = origin == "administrator"
    wanted_id, secret = given.pop("client_id", None), given.pop("client_secret", None)
    if not administrator:
        wanted_id = secret = None
    client_id = _client_id(wanted_id)
    chosen, checked = _checked(given, profile, members, administrator=administrator)
    client = make_client(
        client_id,
        checked,
        profile=chosen,
        origin=origin,
        demonstration=demonstration,
        created_at=now(),
        updated_at=now(),
    )
    text, kept = _first_secret(client, sealer, secret)
    _make_keys(store, sealer, client, actor)
    try:
        store.clients.add(replace(client, secrets=kept), _event("client.added", actor, client))
    except Conflict:
        raise Taken("a client with this client_id is registered already") from None
    return _response(client, text)


def described(
    client_id: str, metadata: Mapping[str, Any], *, profile: str, members: Mapping[str, Check], moment: int
) -> Client:
    """Return the client that a document of its own describes; nothing is stored. Raises InvalidMetadata."""
    given = {name: value for name, value in metadata.items() if value is not None}
    chosen, checked = _checked(given, profile, members, administrator=False)
    return make_client(client_id, checked, profile=chosen, origin="document", updated_at=moment)


def update(
    store: Store,
    sealer: crypto.Sealer,
    client_id: str,
    metadata: Mapping[str, Any],
    *,
    actor: str,
    members: Mapping[str, Check] = NO_MEMBERS,
    version: str | None = None,
) -> dict[str, Any]:
    """Replace a client's metadata (RFC 7592 2.2); return the registration response.

    With ``version`` only if the client is as the administrator has seen it (``changes.version_of`` its description).

    A new secret comes with it only where the new method needs one that the client has not: its digest cannot become the
    key of an HMAC, and the other way round a sealed one is not kept longer than needed.
    """
    with alone(store, "client-change", client_id):
        old = existing(store, client_id)
        require_version(describe(old), version)
        administrator = old.origin == "administrator"
        if old.origin == "document":
            raise ManageError("this client is described by the document at its client_id, and changed only there")
        if actor != client_id:
            # Whom an administrator has attended to is not deleted for want of use.
            store.single_use.forget(UNUSED, client_id)
        given = {name: value for name, value in metadata.items() if value is not None}
        if given.pop("client_id", client_id) != client_id or "client_secret" in given:
            raise InvalidMetadata("client_id", "and client_secret cannot be changed by an update")
        profile, checked = _checked(given, old.profile, members, administrator=administrator)
        if not administrator:
            checked |= {name: old.metadata[name] for name in ADMINISTRATOR_MEMBERS if name in old.metadata}
            checked["require_pkce"] |= checked["token_endpoint_auth_method"] == "none"
            check_together(checked, profile)
        client = make_client(
            client_id,
            checked,
            profile=profile,
            secrets=old.secrets,
            origin=old.origin,
            demonstration=old.demonstration,
            disabled_at=old.disabled_at,
            created_at=old.created_at,
            updated_at=now(),
        )
        text = None
        if _storage(client) != _storage(old):
            text, kept = _first_secret(client, sealer, None)
            client = replace(client, secrets=kept)
        _make_keys(store, sealer, client, actor)
        _must(store.clients.update(client, _event("client.updated", actor, client, **_renaming(old, client))))
        return _response(client, text)


def rotate_secret(
    store: Store, sealer: crypto.Sealer, client_id: str, *, actor: str, keep_seconds: int = KEEP_SECONDS
) -> dict[str, Any]:
    """Give the client another secret, shown only now; the ones before end after ``keep_seconds`` (0: at once)."""
    with alone(store, "client-change", client_id):
        client = existing(store, client_id)
        if client.token_endpoint_auth_method not in SHARED_SECRET:
            raise ManageError("this client has no secret: its token_endpoint_auth_method needs none")
        moment = now()
        end = moment + keep_seconds * SECOND
        before = tuple(
            replace(known, expires_at=end if known.expires_at is None else min(end, known.expires_at))
            for known in client.secrets
            if (known.expires_at is None or known.expires_at > moment) and keep_seconds > 0
        )
        text, fresh = _first_secret(client, sealer, None)
        changed = replace(client, secrets=(*fresh, *before)[:_MAX_SECRETS])
        event = _event("client.secret_rotated", actor, client, kept_seconds=keep_seconds)
        _must(store.clients.update(changed, event))
        return {"client_id": client_id, "client_secret": text, "client_secret_expires_at": 0}


def set_disabled(store: Store, client_id: str, *, disabled: bool, actor: str) -> None:
    """Switch a client off, which revokes everything it was given, or on again."""
    client = existing(store, client_id)
    name = "client.disabled" if disabled else "client.enabled"
    store.clients.set_disabled(client_id, disabled, _event(name, actor, client))


def serve(store: Store, client_id: str, resource: str, *, serves: bool = True, actor: str) -> None:
    """Let a client introspect the tokens of a resource, or no longer; what else it may do stays as it is."""
    with alone(store, "client-change", client_id):
        client = existing(store, client_id)
        before = list(client.metadata.get(SERVES, ()))
        after = served_with(client, resource) if serves else [one for one in before if one != resource]
        if serves:
            store.single_use.forget(UNUSED, client_id)
        if set(after) == set(before):
            return
        changed = replace(client, metadata={**client.metadata, SERVES: after}, updated_at=now())
        facts = {"resource": resource, "serves": serves}
        _must(store.clients.update(changed, _event("client.updated", actor, client, **facts)))


def served_with(client: Client, resource: str) -> list[str]:
    """Return the resources that a client serves, this one among them; raises ManageError when it cannot serve it.

    A resource server is registered here, with credentials (RFC 7662 4), and serves a bounded number of resources.
    """
    if client.origin == "document":
        raise ManageError("a client that its own document describes cannot introspect for a resource")
    if client.public:
        raise ManageError("a client without credentials cannot introspect for a resource")
    whole = [*(one for one in client.metadata.get(SERVES, ()) if one != resource), resource]
    ADMINISTRATOR_MEMBERS[SERVES](SERVES, whole)
    return whole


def remove(store: Store, client_id: str, *, actor: str, version: str | None = None) -> None:
    """Delete a client with its consents, and revoke everything it was given; with ``version`` as ``update`` does."""
    with alone(store, "client-change", client_id):
        client = existing(store, client_id)
        require_version(describe(client), version)
        _must(store.clients.delete(client_id, _event("client.removed", actor, client)))


def reseal_secrets(store: Store, sealer: crypto.Sealer, *, actor: str) -> int:
    """Encrypt the secrets that a former secret key sealed with the current one; return how many."""
    count = 0
    for listed in store.clients.all():
        if all(known.sealed is None or sealer.is_current(known.sealed) for known in listed.secrets):
            continue
        with alone(store, "client-change", listed.client_id):
            client = existing(store, listed.client_id)
            fresh = tuple(_resealed(client.client_id, known, sealer) for known in client.secrets)
            changed = sum(new != known for new, known in zip(fresh, client.secrets, strict=True))
            _must(store.clients.update(replace(client, secrets=fresh), _event("client.resealed", actor, client)))
            count += changed
    return count


def describe(client: Client) -> dict[str, Any]:
    """Return what may be shown of a client: everything but its secrets, of which only the times are told."""
    return {
        "client_id": client.client_id,
        "profile": client.profile,
        "origin": client.origin,
        "disabled": client.disabled_at is not None,
        "demonstration": client.demonstration,
        "client_id_issued_at": client.created_at // SECOND,
        "secrets": [
            {
                "created_at": known.created_at // SECOND,
                "expires_at": 0 if known.expires_at is None else known.expires_at // SECOND,
                "sealed": known.sealed is not None,
            }
            for known in client.secrets
        ],
        **client.metadata,
    }


def registered(client: Client) -> dict[str, Any]:
    """Return the registration of a client as its answer said it (RFC 7592 3), without a secret."""
    return _response(client, None)


def _checked(
    given: dict[str, Any], profile: str, members: Mapping[str, Check], *, administrator: bool
) -> tuple[str, dict[str, Any]]:
    """Return the profile and the metadata to store: each member checked, defaults and profile written out."""
    table = {**MEMBERS, **members, **(ADMINISTRATOR_MEMBERS if administrator else {})}
    unknown = sorted(name for name in given if _plain(name) not in table)
    if unknown and administrator:
        raise InvalidMetadata("", "unknown member: " + ", ".join(repr(name)[1:-1] for name in unknown[:5]))
    wanted = given.get("profile", profile) if administrator else profile
    if not isinstance(wanted, str) or wanted not in PROFILES:
        raise InvalidMetadata("profile", "must be one of " + ", ".join(PROFILES))
    policy = PROFILES[wanted]
    if not table.keys() >= policy.fixed - ADMINISTRATOR_MEMBERS.keys():
        raise InvalidMetadata("profile", "needs an extension that this server does not have")
    checked = {name: table[_plain(name)](name, value) for name, value in given.items() if _plain(name) in table}
    checked.pop("profile", None)
    crowded = tagged.crowded(checked)
    if crowded is not None:
        raise InvalidMetadata(crowded, f"must be there once in a language, and in {tagged.MOST} languages at the most")
    for name in policy.fixed & checked.keys():
        if checked[name] != policy.defaults[name]:
            raise InvalidMetadata(name, "is fixed by the profile")
    known = table.keys() | ADMINISTRATOR_MEMBERS.keys()
    whole = {name: value for name, value in policy.defaults.items() if name in known} | checked
    if "dpop_bound_access_tokens" not in checked and checked.get("tls_client_certificate_bound_access_tokens"):
        whole.pop("dpop_bound_access_tokens", None)  # FAPI 2.0 5.3.2.1: one of the two is enough
    _write_defaults(whole)
    if whole["token_endpoint_auth_method"] == "none" and "require_pkce" not in checked:
        whole["require_pkce"] = True
    check_together(whole, wanted)
    return wanted, whole


def _write_defaults(metadata: dict[str, Any]) -> None:
    """Write out what RFC 7591 2 says of an omitted member; an omitted one of a pair follows the other (2.1)."""
    metadata.setdefault("token_endpoint_auth_method", "client_secret_basic")
    if "grant_types" not in metadata:
        metadata["grant_types"] = [CODE]
    if "response_types" not in metadata:
        metadata["response_types"] = ["code"] if CODE in metadata["grant_types"] else []
    metadata.setdefault("application_type", "web")
    if "scope" not in metadata and not {CODE, DEVICE}.isdisjoint(metadata["grant_types"]):
        metadata["scope"] = DEFAULT_SCOPE


def _plain(name: str) -> str:
    """Return a member's name without its language tag (RFC 7591 2.2): client_name#de is a client_name."""
    bare = tagged.untagged(name)
    return bare if bare in tagged.OF_CLIENTS else name


def _client_id(given: Any) -> str:
    if given is None:
        return crypto.new_id()
    if not isinstance(given, str) or not _CLIENT_ID.fullmatch(given):
        raise InvalidMetadata("client_id", "must be 1 to 255 printable ASCII characters without a space")
    return given


def _storage(client: Client) -> str:
    """Say how a client's secret is kept: sealed where HMAC needs it, as a digest, or not at all."""
    method = client.token_endpoint_auth_method
    if method == "client_secret_jwt":
        return "sealed"
    return "digest" if method in SHARED_SECRET else "none"


def _first_secret(client: Client, sealer: crypto.Sealer, given: Any) -> tuple[str | None, tuple[ClientSecret, ...]]:
    """Return the text of a new secret, given or drawn, and what is stored of it."""
    storage = _storage(client)
    if storage == "none":
        if given is not None:
            raise InvalidMetadata("client_secret", "has no use with this token_endpoint_auth_method")
        return None, ()
    if given is not None and (not isinstance(given, str) or not _SECRET.fullmatch(given)):
        raise InvalidMetadata("client_secret", "must be 32 to 1024 printable ASCII characters")
    text = given if given is not None else crypto.new_handle(crypto.Kind.SECRET)[0]
    if storage == "sealed":
        return text, (ClientSecret(None, crypto.seal_client_secret(sealer, client.client_id, text), now()),)
    return text, (ClientSecret(crypto.client_secret_digest(text), None, now()),)


def _make_keys(store: Store, sealer: crypto.Sealer, client: Client, actor: str) -> None:
    """Publish the keys that not every deployment has, before the first answer to the client is signed with them."""
    asked = {value for name, value in client.metadata.items() if name.endswith("_signed_response_alg")}
    wanted = asked.intersection(keys.AT_NEED)
    if wanted:
        keys.make_missing(store, sealer, sorted(wanted), actor=actor)


def _resealed(client_id: str, known: ClientSecret, sealer: crypto.Sealer) -> ClientSecret:
    if known.sealed is None or sealer.is_current(known.sealed):
        return known
    text = crypto.open_client_secret(sealer, client_id, known.sealed).decode()
    return replace(known, sealed=crypto.seal_client_secret(sealer, client_id, text))


def _response(client: Client, secret: str | None) -> dict[str, Any]:
    answer = {
        "client_id": client.client_id,
        "client_id_issued_at": client.created_at // SECOND,
        "profile": client.profile,
        **client.metadata,
    }
    if secret is not None:
        answer |= {"client_secret": secret, "client_secret_expires_at": 0}
    return answer


def existing(store: Store, client_id: str) -> Client:
    """Return a client, disabled ones too; raises ManageError when there is none."""
    client = store.clients.get(client_id)
    if client is None:
        raise NotThere("there is no client with this client_id")
    return client


def _renaming(old: Client, new: Client) -> dict[str, str]:
    """Return the sector by which the client calls users from now on, where a change of it changes that (Core 8)."""
    before, after = (sector_of(client.metadata) if client.pairwise else "" for client in (old, new))
    return {} if before == after else {"sector": after}


def _must(done: bool) -> None:  # noqa: FBT001 - what a verb answered
    if not done:
        raise ChangedMeanwhile("the client was changed or removed by somebody else in the meantime")


def _event(name: str, actor: str, client: Client, **facts: Any) -> Event:
    return Event(name, actor, client_id=client.client_id, facts={"profile": client.profile, **facts})

"""Protected resources and their scopes: add, change, remove, show (RFC 8707)."""

import re
from collections.abc import Mapping
from typing import Any, Final

from authserver.manage import uris
from authserver.manage.errors import ManageError
from authserver.records import Event, Resource, Scope
from authserver.store import Store
from authserver.store.errors import Conflict

_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}", re.ASCII)  # one scope-token, RFC 6749 3.3
_PERSONAL: Final = frozenset({"openid", "profile", "email", "address", "phone", "offline_access"})
_MEMBERS: Final = frozenset({"identifier", "name", "scopes", "token_format", "access_token_seconds", "signing_alg"})
_MAX_SCOPES: Final = 200
_MAX_TEXT: Final = 512
_MAX_SECONDS: Final = 30 * 86400


def make_resource(given: Mapping[str, Any], *, demonstration: bool = False) -> Resource:
    """Return the resource that these members describe.

    ``scopes`` is a mapping of name to sentence, or a list of {name, description}. Raises ManageError.
    """
    if not _MEMBERS.issuperset(given):
        raise ManageError("a resource has the members " + ", ".join(sorted(_MEMBERS)))
    problem = uris.identifier(given.get("identifier"))
    if problem:
        raise ManageError(f"identifier {problem}")
    token_format, seconds = given.get("token_format", "opaque"), given.get("access_token_seconds")
    if token_format not in ("opaque", "jwt"):
        raise ManageError("token_format must be opaque or jwt")
    if seconds is not None and (type(seconds) is not int or not 0 < seconds <= _MAX_SECONDS):
        raise ManageError(f"access_token_seconds must be a whole number from 1 to {_MAX_SECONDS}")
    if given.get("signing_alg") not in (None, "ES256", "RS256"):
        raise ManageError("signing_alg must be ES256 or RS256")
    return Resource(
        identifier=given["identifier"],
        name=_sentence("name", given.get("name", given["identifier"])),
        scopes=_scopes(given.get("scopes", {})),
        token_format=token_format,
        access_token_seconds=seconds,
        signing_alg=given.get("signing_alg"),
        demonstration=demonstration,
    )


def add(store: Store, given: Mapping[str, Any], *, actor: str, demonstration: bool = False) -> Resource:
    """Add a resource; raises ManageError when it is not valid or there already."""
    resource = make_resource(given, demonstration=demonstration)
    try:
        store.resources.add(resource, _event("resource.added", actor, resource.identifier))
    except Conflict:
        raise ManageError("a resource with this identifier is registered already") from None
    return resource


def update(store: Store, given: Mapping[str, Any], *, actor: str) -> Resource:
    """Replace all but the identifier of a resource; raises ManageError when it is not valid or not there."""
    before = existing(store, str(given.get("identifier")))
    resource = make_resource(given, demonstration=before.demonstration)
    if not store.resources.update(resource, _event("resource.updated", actor, resource.identifier)):
        raise ManageError("there is no resource with this identifier")
    return resource


def remove(store: Store, identifier: str, *, actor: str) -> None:
    """Delete a resource; its tokens are refused for want of an audience from now on."""
    if not store.resources.delete(identifier, _event("resource.removed", actor, identifier)):
        raise ManageError("there is no resource with this identifier")


def existing(store: Store, identifier: str) -> Resource:
    """Return a resource; raises ManageError when it is not there."""
    resource = store.resources.get(identifier)
    if resource is None:
        raise ManageError("there is no resource with this identifier")
    return resource


def describe(resource: Resource) -> dict[str, Any]:
    """Return what a program reads about a resource."""
    return {
        "identifier": resource.identifier,
        "name": resource.name,
        "scopes": {scope.name: scope.description for scope in resource.scopes},
        "token_format": resource.token_format,
        "access_token_seconds": resource.access_token_seconds,
        "signing_alg": resource.signing_alg,
        "demonstration": resource.demonstration,
    }


def _scopes(given: Any) -> tuple[Scope, ...]:
    if isinstance(given, list) and all(
        isinstance(entry, dict) and set(entry) <= {"name", "description"} for entry in given
    ):
        pairs = [(entry.get("name"), entry.get("description", entry.get("name"))) for entry in given]
    elif isinstance(given, dict):
        pairs = list(given.items())
    else:
        raise ManageError("scopes must be a mapping of name to sentence, or a list of {name, description}")
    names = [name for name, _ in pairs]
    if len(pairs) > _MAX_SCOPES or not all(isinstance(name, str) and _SCOPE.fullmatch(name) for name in names):
        raise ManageError("scopes must be named by one scope value each (RFC 6749 section 3.3)")
    if len(set(names)) != len(names) or not _PERSONAL.isdisjoint(names):
        raise ManageError("scopes must differ from each other and from those of OpenID Connect")
    return tuple(Scope(str(name), _sentence("scopes", text)) for name, text in pairs)


def _sentence(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_TEXT or not value.isprintable():
        raise ManageError(f"{name} must be printable text of 1 to {_MAX_TEXT} characters")
    return value


def _event(name: str, actor: str, identifier: str) -> Event:
    return Event(name, actor, facts={"resource": identifier})

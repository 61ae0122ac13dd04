"""Protected resources and their scopes: add, change, remove, show (RFC 8707).

Which clients may introspect the tokens of a resource is written with the client (``resource_server_for``) and nowhere
else. Here the same is said from the resource's side, as its ``introspection_clients``. The right is given after the
resource is there and taken before it goes, so that what is interrupted half-way leaves less right, never more.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from authserver import jwt, tagged
from authserver.extension_sections import PERSONAL_SCOPES
from authserver.manage import clients, uris
from authserver.manage.changes import alone, require_version
from authserver.manage.client_metadata import is_readable
from authserver.manage.errors import ManageError, NotThere, Taken
from authserver.manage.jwks import check_jwks
from authserver.records import Event, Resource, Scope
from authserver.store import Store
from authserver.store.errors import Conflict

_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}", re.ASCII)  # one scope-token, RFC 6749 3.3
_MEMBERS: Final = frozenset(
    {"identifier", "name", "scopes", "token_format", "access_token_seconds", "signing_alg"}
    | {"encryption", "status_list", "introspection_clients"}
)
DEFAULT_METHOD: Final = "A256GCM"
_CHANGE: Final = "resource-change"  # one at a time: nobody gets a right to what is being removed
_MAX_CLIENTS: Final = 50
_MAX_SCOPES: Final = 200
_MAX_TEXT: Final = 512
_TEXTS: Final = ("title", "description")  # of a scope, each perhaps in several languages: title#de
_MAX_SECONDS: Final = 30 * 86400


def make_resource(given: Mapping[str, Any], *, demonstration: bool = False) -> Resource:
    """Return the resource that these members describe.

    ``scopes`` is a mapping of name to sentence, or to an object of title, description and both in other languages
    (``description#de``); or a list of such objects with a name. Raises ManageError.
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
    if type(given.get("status_list", False)) is not bool:
        raise ManageError("status_list must be true or false")
    return Resource(
        identifier=given["identifier"],
        name=_sentence("name", given.get("name", given["identifier"])),
        scopes=_scopes(given.get("scopes", {})),
        token_format=token_format,
        access_token_seconds=seconds,
        signing_alg=given.get("signing_alg"),
        demonstration=demonstration,
        encryption=_encryption(given.get("encryption"), token_format),
        status_list=given.get("status_list", False),
    )


def add(store: Store, given: Mapping[str, Any], *, actor: str, demonstration: bool = False) -> Resource:
    """Add a resource; raises ManageError when it is not valid or there already."""
    resource = make_resource(given, demonstration=demonstration)
    serving = _clients(store, resource.identifier, given.get("introspection_clients", ()))
    with alone(store, _CHANGE, resource.identifier):
        try:
            store.resources.add(resource, _event("resource.added", actor, resource.identifier))
        except Conflict:
            raise Taken("a resource with this identifier is registered already") from None
        for client_id in serving:
            clients.serve(store, client_id, resource.identifier, actor=actor)
    return resource


def update(store: Store, given: Mapping[str, Any], *, actor: str, version: str | None = None) -> Resource:
    """Replace all but the identifier of a resource; raises ManageError when it is not valid or not there.

    Who may introspect for it stays as it is, unless that is said, too. With ``version`` only if the resource is as the
    administrator has seen it (``changes.version_of`` what ``described`` returns).
    """
    identifier = existing(store, str(given.get("identifier"))).identifier
    serving = _clients(store, identifier, given["introspection_clients"]) if "introspection_clients" in given else None
    with alone(store, _CHANGE, identifier):
        before = existing(store, identifier)
        require_version(described(store, before), version)
        resource = make_resource(given, demonstration=before.demonstration)
        if not store.resources.update(resource, _event("resource.updated", actor, resource.identifier)):
            raise NotThere("there is no resource with this identifier")
        if serving is not None:
            _set_clients(store, resource.identifier, serving, actor)
    return resource


def remove(store: Store, identifier: str, *, actor: str, version: str | None = None) -> None:
    """Delete a resource; its tokens are refused for want of an audience from now on, and nobody introspects for it.

    With ``version`` only if it is as the administrator has seen it.
    """
    existing(store, identifier)
    with alone(store, _CHANGE, identifier):
        require_version(described(store, existing(store, identifier)), version)
        _set_clients(store, identifier, (), actor)
        if not store.resources.delete(identifier, _event("resource.removed", actor, identifier)):
            raise NotThere("there is no resource with this identifier")


def existing(store: Store, identifier: str) -> Resource:
    """Return a resource; raises ManageError when it is not there."""
    resource = store.resources.get(identifier)
    if resource is None:
        raise NotThere("there is no resource with this identifier")
    return resource


def introspection_clients(store: Store, identifier: str) -> tuple[str, ...]:
    """Return the clients that may introspect the tokens of a resource."""
    return tuple(client.client_id for client in store.clients.all() if identifier in client.resource_server_for)


def described(store: Store, resource: Resource) -> dict[str, Any]:
    """Return what a program reads about a resource, and who may introspect for it."""
    return describe(resource) | {"introspection_clients": list(introspection_clients(store, resource.identifier))}


def describe(resource: Resource) -> dict[str, Any]:
    """Return what a program reads about a resource itself, and sends back to replace it."""
    return {
        "identifier": resource.identifier,
        "name": resource.name,
        "scopes": {
            scope.name: {**scope.texts, "description": scope.description} if scope.texts else scope.description
            for scope in resource.scopes
        },
        "token_format": resource.token_format,
        "access_token_seconds": resource.access_token_seconds,
        "signing_alg": resource.signing_alg,
        "encryption": resource.encryption,
        "status_list": resource.status_list,
    }


def _encryption(given: Any, token_format: str) -> dict[str, Any] | None:
    """Check how the access tokens are encrypted (RFC 9068 4); a key that does not encrypt is told now, not at issue."""
    if given is None:
        return None
    if not isinstance(given, dict) or not {"alg", "jwks"} <= given.keys() <= {"alg", "enc", "jwks"}:
        raise ManageError("encryption must be an object of alg, jwks and perhaps enc")
    alg, enc, keys = given["alg"], given.get("enc", DEFAULT_METHOD), check_jwks("encryption", given["jwks"])
    if alg not in jwt.ENCRYPTION_ALGORITHMS or enc not in jwt.ENCRYPTION_METHODS:
        raise ManageError(
            f"encryption must have an alg of {', '.join(jwt.ENCRYPTION_ALGORITHMS)}"
            f" and an enc of {', '.join(jwt.ENCRYPTION_METHODS)}"
        )
    if token_format != "jwt":
        raise ManageError("encryption needs the token_format jwt: an opaque token tells nothing")
    try:
        jwt.encrypt("", jwt.Recipient(jwt.encryption_key(keys["keys"], alg), alg, enc))
    except jwt.InvalidJWT:
        raise ManageError("encryption has no key that can be encrypted to with this alg") from None
    return {"alg": alg, "enc": enc, "jwks": keys}


def _set_clients(store: Store, identifier: str, wanted: Iterable[str], actor: str) -> None:
    wanted, known = set(wanted), set(introspection_clients(store, identifier))
    for client_id in sorted(known - wanted):
        clients.serve(store, client_id, identifier, serves=False, actor=actor)
    for client_id in sorted(wanted - known):
        clients.serve(store, client_id, identifier, actor=actor)


def _clients(store: Store, identifier: str, given: Any) -> tuple[str, ...]:
    """Check that these clients can serve the resource; raises ManageError before anything is written."""
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise ManageError("introspection_clients must be a list of client identifiers")
    if len(given) > _MAX_CLIENTS:
        raise ManageError(f"introspection_clients must be at most {_MAX_CLIENTS}")
    for client_id in given:
        clients.served_with(clients.existing(store, client_id), identifier)
    return tuple(dict.fromkeys(given))


def _scopes(given: Any) -> tuple[Scope, ...]:
    if isinstance(given, list) and all(isinstance(entry, dict) for entry in given):
        pairs = [(entry.get("name"), {part: text for part, text in entry.items() if part != "name"}) for entry in given]
    elif isinstance(given, dict):
        pairs = [(name, said if isinstance(said, dict) else {"description": said}) for name, said in given.items()]
    else:
        raise ManageError("scopes must be a mapping of name to sentence, or a list of {name, description}")
    names = [name for name, _ in pairs]
    if len(pairs) > _MAX_SCOPES or not all(isinstance(name, str) and _SCOPE.fullmatch(name) for name in names):
        raise ManageError("scopes must be named by one scope value each (RFC 6749 section 3.3)")
    if len(set(names)) != len(names) or not set(PERSONAL_SCOPES).isdisjoint(names):
        raise ManageError("scopes must differ from each other and from those of OpenID Connect")
    return tuple(_scope(str(name), said) for name, said in pairs)


def _scope(name: str, said: Mapping[str, Any]) -> Scope:
    """Return a scope with what is said about it; what is not said in any language is said by its name."""
    if not all(tagged.untagged(part) in _TEXTS for part in said) or tagged.crowded(said):
        raise ManageError(
            "scopes must have a title and a description at the most, each once in a language (title#de),"
            f" in {tagged.MOST} languages"
        )
    texts = {part: _sentence("scopes", text) for part, text in said.items()}
    return Scope(name, texts.pop("description", name), texts)


def _sentence(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_TEXT or not is_readable(value):
        raise ManageError(f"{name} must be printable text of 1 to {_MAX_TEXT} characters")
    return value


def _event(name: str, actor: str, identifier: str) -> Event:
    return Event(name, actor, facts={"resource": identifier})

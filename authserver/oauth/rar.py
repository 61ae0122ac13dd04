"""OAuth 2.0 Rich Authorization Requests (RFC 9396).

https://www.rfc-editor.org/rfc/rfc9396

A scope is a word. Here a client says in JSON what exactly it wants to do: pay so much, to this account. Each object has
a type, which the administrator has registered (setting ``authorization_details_types``) with a JSON Schema, a sentence
for people and the resources that understand it; what does not conform in every member is refused. The grant keeps what
the person has allowed. A token carries the part that its resource understands, and a token request may ask for less,
which does not change the grant.

Plugs into: AUTHORIZE_CHECK, DEVICE_CHECK, TOKEN_PREPARE, TOKEN_CHECK, TOKEN_CLAIMS, TOKEN_RESPOND, METADATA,
CLIENT_METADATA; ``oidc/consent.py``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from authserver.json_schema import conforms
from authserver.jwt import parse_json
from authserver.manage.client_metadata import is_readable, lines
from authserver.oauth import errors, resource
from authserver.oauth.request import Request
from authserver.records import Client
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

Detail = dict[str, Any]

FEATURE: Final = "rar"
PARAMETERS: Final = frozenset({"authorization_details"})
CLIENT_METADATA: Final = {"authorization_details_types": lines}  # 10
MAX_DETAILS: Final = 20
# Readers of tokens take 16 KiB (base64 adds a third), a depth of 32, and 256 objects and arrays, with what is around.
MAX_SIZE: Final = 8 * 1024
MAX_DEPTH: Final = 28
MAX_NESTED: Final = 200
_LARGEST: Final = 2**53  # RFC 7493 2.2: beyond it readers disagree about a whole number
_LISTS: Final = frozenset({"locations", "actions", "datatypes", "privileges"})  # 2.2: lists of strings
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_\s-]+")


class Piece(NamedTuple):
    """A part of a sentence: the administrator's words, or what the client has filled in."""

    text: str
    filled_in: bool


class Words(NamedTuple):
    """An object as people read it: a sentence, and every member that the sentence does not name."""

    sentence: tuple[Piece, ...]
    facts: tuple[tuple[str, str], ...]


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the types (10); RFC 8414 3.2: what has no elements is left out."""
    del server
    types = sorted(settings.authorization_details_types)
    return {"authorization_details_types_supported": types} if types else {}


def check(server: "Server", request: Request) -> None:
    """Read and check what a request asks for (2, 5), before anything is spent."""
    text = request.parameters.get("authorization_details")
    if text is None:
        return
    details = _read(text)
    for detail in details:
        problem = _problem(server, request.client, detail)
        if problem is not None:
            raise errors.InvalidAuthorizationDetails(problem)
    request.asked_details = details


def add_resources(server: "Server", request: Request) -> None:
    """Let the grant cover the resources that the objects are about, whatever the resource parameter names (3.2)."""
    about = [place for detail in request.asked_details for place in concerned(server, request.client, detail)]
    if about:
        request.resources = tuple(dict.fromkeys((*request.resources, *about)))


# 4: what the person is shown.


def concerned(server: "Server", client: Client, detail: Detail) -> tuple[str, ...]:
    """Return the resources that an object is about: its locations, else all that understand its type (2.2).

    Empty when it names any other one, or one that the client may not ask for.
    """
    kind = server.settings.authorization_details_types.get(detail["type"])
    known = [place for place in kind.resources if resource.is_allowed(server, client, place)] if kind else []
    named = detail.get("locations", known)
    return tuple(named) if set(named).issubset(known) else ()


def in_words(server: "Server", detail: Detail) -> Words:
    """Return an object as people read it; nothing of it is left out."""
    kind = server.settings.authorization_details_types.get(detail["type"])
    pieces = kind.pieces if kind else ("", "type", "")
    named = {tuple(name.split(".")) for name in pieces[1::2]}
    sentence = [Piece(text, False) for text in pieces]
    sentence[1::2] = [Piece(_text(_member(detail, name)), True) for name in pieces[1::2]]
    facts = [
        (_label(path), _text(value))
        for path, value in _leaves(detail, ())
        if path != ("type",) and not any(path[:end] in named for end in range(1, len(path) + 1))
    ]
    return Words(tuple(piece for piece in sentence if piece.text), tuple(facts))


# 6: the token request.


def narrow(server: "Server", request: Request) -> None:
    """Take what was granted, or the part of it that is asked for (6, 6.1)."""
    asked, grant = request.asked_details, request.grant
    if grant is None:
        types = server.settings.authorization_details_types
        # 6: without a grant it is the client's policy that allows.
        if not all(types[detail["type"]].without_user for detail in asked):
            raise errors.InvalidAuthorizationDetails(errors.DETAILS_WITHOUT_USER)
        request.details = asked
        return
    kept = () if grant.authorization_details is None else orjson.loads(grant.authorization_details)
    # The administrator may have changed the type, or taken it from the client, since.
    granted = [detail for detail in kept if _problem(server, request.client, detail) is None]
    if not all(_is_covered(detail, asked, granted) for detail in asked):
        raise errors.InvalidAuthorizationDetails(errors.DETAILS_NOT_GRANTED)
    request.details = asked or tuple(granted)


def limit(server: "Server", request: Request) -> None:
    """Keep what is meant for the resource of the token (9.1); nobody else needs to know (13)."""
    if not request.details:
        return
    here = [detail for detail in request.details if request.audience in concerned(server, request.client, detail)]
    if "authorization_details" in request.parameters and len(here) != len(request.details):
        raise errors.InvalidAuthorizationDetails(errors.DETAILS_ELSEWHERE)
    if not here and not request.token_scope and request.target is not None and request.target.scopes:
        raise errors.InvalidScope(errors.SCOPE_USELESS)
    request.details = tuple(here)


def claim(server: "Server", request: Request) -> None:
    """Let the resource see them, in the token or by introspection (9.1, 9.2)."""
    del server
    if request.details:
        request.claims["authorization_details"] = request.details


def echo(server: "Server", request: Request) -> None:
    """Answer what the token is good for (7)."""
    del server
    if request.details:
        request.response["authorization_details"] = request.details


def _read(text: str) -> tuple[Detail, ...]:
    readable = len(text) <= MAX_SIZE and text.count("{") + text.count("[") <= MAX_NESTED
    value: Any = parse_json(text.encode(errors="replace")) if readable else None
    good = (
        isinstance(value, list)
        and 0 < len(value) <= MAX_DETAILS
        and all(isinstance(detail, dict) for detail in value)
        and _is_plain(value, MAX_DEPTH)
        and len(orjson.dumps(value)) <= MAX_SIZE
    )
    if not good:
        raise errors.InvalidAuthorizationDetails(errors.DETAILS_MALFORMED)
    return tuple(value)


def _is_plain(value: Any, depth: int) -> bool:
    """Say whether a value means the same to every reader: the one who signs it, and the person who reads it (12)."""
    if isinstance(value, str):
        return is_readable(value)
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, dict):
        return depth > 0 and all(map(is_readable, value)) and _is_plain(list(value.values()), depth)
    if isinstance(value, list):
        return depth > 0 and all(_is_plain(part, depth - 1) for part in value)
    return value is None or abs(value) <= _LARGEST


def _problem(server: "Server", client: Client, detail: Detail) -> str | None:
    """Return what is wrong with an object (5), or None."""
    name = detail.get("type")
    kind = server.settings.authorization_details_types.get(name) if isinstance(name, str) else None
    if kind is None or name not in client.metadata.get("authorization_details_types", ()):
        return errors.DETAILS_TYPE
    members = {member: value for member, value in detail.items() if member != "type"}
    if not conforms(kind.schema_text, members) or not all(map(_is_common, members.items())):
        return errors.DETAILS_UNFIT
    return None if concerned(server, client, detail) else errors.DETAILS_LOCATION


def _is_common(member: tuple[str, Any]) -> bool:
    """Say whether a member has the form that all types share (2.2), if it is one of those."""
    name, value = member
    if name in _LISTS:
        return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    return name != "identifier" or isinstance(value, str)


def _is_covered(detail: Detail, asked: Iterable[Detail], granted: Iterable[Detail]) -> bool:
    """Say whether an object was granted, and as often as it is asked for: one payment allowed is not two (6.1)."""
    often = sum(_same(detail, other) for other in asked)
    return sum(_is_within(detail, whole) for whole in granted) >= often


def _is_within(part: Detail, whole: Detail) -> bool:
    """Say whether an object asks for no more than another one: equal, but for fewer entries in the common lists (6.1).

    Of a type's own members nobody knows here which value is less.
    """
    return part.keys() == whole.keys() and all(
        _same(part[name], whole[name])
        or (name in _LISTS and bool(part[name]) and set(part[name]).issubset(whole[name]))
        for name in part
    )


def _same(one: Any, other: Any) -> bool:
    # As text, because Python takes 1, 1.0 and True for the same.
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)


def _member(detail: Detail, name: str) -> Any:
    value: Any = detail
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _leaves(value: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, member in value.items():
        if isinstance(member, dict) and member:
            yield from _leaves(member, (*path, name))
        else:
            yield (*path, name), member


def _label(path: tuple[str, ...]) -> str:
    words = ", ".join(_WORD.sub(" ", name).strip().lower() for name in path)
    return words[:1].upper() + words[1:]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{_label(path)}: {_text(member)}" for path, member in _leaves(value, ())) or "none"
    return "none" if value is None else orjson.dumps(value).decode()

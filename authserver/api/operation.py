"""What an operation is: a method at a path, the scope that it takes, what it is given, the function behind it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from authserver.api.errors import UNKNOWN_MEMBER, UNKNOWN_PARAMETER, VERSION_NEEDED, PreconditionRequired, sentence
from authserver.api.guard import Caller
from authserver.manage.changes import version_of
from authserver.manage.client_metadata import Check
from authserver.manage.errors import InvalidMetadata
from authserver.oauth.errors import JSON_TYPE, REPEATED, InvalidRequest
from authserver.oauth.request import NO_STORE, Answer, Request, json_answer

if TYPE_CHECKING:
    from authserver.crypto import Sealer
    from authserver.oauth.server import Server
    from authserver.settings import Settings
    from authserver.store import Store

NOTHING: Final[Mapping[str, Check]] = MappingProxyType({})


class Operation(NamedTuple):
    """A method at a path below ``/manage``.

    ``needs`` and ``takes`` are what it must and may be given, name to check: in the body of a POST, else in the query.
    One that takes a ``document`` hands the whole object of the body on to be checked elsewhere.
    """

    method: str
    path: str
    area: str
    run: "Callable[[Call], Answer]"
    needs: Mapping[str, Check] = NOTHING
    takes: Mapping[str, Check] = NOTHING
    document: bool = False

    @property
    def scope(self) -> str:
        """The scope that it takes; one that changes covers the reading."""
        return f"manage:{self.area}:read" if self.method == "GET" else f"manage:{self.area}"

    @property
    def summary(self) -> str:
        """What it does, in a sentence."""
        return (self.run.__doc__ or "").partition("\n")[0]


class Call(NamedTuple):
    """One request for an operation, let in and read."""

    server: "Server"
    request: Request
    operation: Operation
    caller: Caller
    given: Mapping[str, Any]
    document: Mapping[str, Any]

    @property
    def store(self) -> "Store":
        """The store."""
        return self.server.store

    @property
    def sealer(self) -> "Sealer":
        """Encryption at rest."""
        return self.server.sealer

    @property
    def settings(self) -> "Settings":
        """The settings."""
        return self.server.settings

    @property
    def actor(self) -> str:
        """Who the audit trail names."""
        return self.caller.actor

    @property
    def version(self) -> str | None:
        """The version that the change is for (RFC 9110 13.1.1), None where the request names none, or any (``*``)."""
        tag = str(self.request.headers.get("If-Match", "*")).strip()
        return None if tag == "*" else tag.removeprefix('"').removesuffix('"')

    def required_version(self) -> str:
        """Return that version; raises PreconditionRequired (RFC 6585 3)."""
        version = self.version
        if version is None:
            raise PreconditionRequired(VERSION_NEEDED)
        return version


def read(server: "Server", request: Request, operation: Operation, caller: Caller) -> Call:
    """Read what the operation is given, strictly: nothing twice, nothing unknown; raises InvalidRequest."""
    posts = operation.method == "POST"
    if request.payload.repeated:
        raise InvalidRequest(REPEATED)
    if request.payload.lists:
        raise InvalidRequest(UNKNOWN_PARAMETER)
    body = _body(request) if posts or operation.document else {}
    document, fields = (body, {}) if operation.document else ({}, body)
    given = _checked(operation, fields if posts else request.parameters)
    return Call(server, request, operation, caller, given, document)


def shown(body: Mapping[str, Any], state: Mapping[str, Any]) -> Answer:
    """Answer one thing, with the version of its state that a change of it has to name (RFC 9110 8.8.3)."""
    return json_answer(200, body, ("ETag", f'"{version_of(state)}"'))


def done() -> Answer:
    """Answer that there is nothing left to say."""
    return Answer(204, b"", [NO_STORE, ("Pragma", "no-cache")])


def _body(request: Request) -> dict[str, Any]:
    try:
        return request.read_document()
    except InvalidRequest as problem:
        wrong_type = problem.get_error_description() == JSON_TYPE
        raise InvalidRequest(problem.get_error_description(), 415 if wrong_type else 400) from None


def _checked(operation: Operation, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    known = {**operation.needs, **operation.takes}
    if not known.keys() >= sent.keys():
        raise InvalidRequest(UNKNOWN_MEMBER if operation.method == "POST" else UNKNOWN_PARAMETER)
    missing = [name for name in operation.needs if sent.get(name) is None]
    if missing:
        raise InvalidRequest(f"{missing[0]} is missing")
    try:
        return {name: known[name](name, value) for name, value in sent.items() if value is not None}
    except InvalidMetadata as problem:
        raise InvalidRequest(sentence(problem)) from None

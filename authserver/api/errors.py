"""What the management API refuses, and the only place where that is put into words.

A refusal of a function in ``manage`` keeps its sentence, which is fixed and names no more than a member.
"""

from typing import Final

from authserver.manage.errors import ChangedMeanwhile, InvalidMetadata, ManageError, NotThere, OutOfDate, Taken
from authserver.oauth.errors import InvalidRequest, Refusal

ANOTHER_AUDIENCE: Final = "The access token is not meant for the management API."
NOT_A_CLIENTS: Final = "Only a client that acts for itself can use the management API."
SCOPE_NEEDED: Final = "The access token has not the scope that this needs, or the client has lost it."
CLIENT_UNFIT: Final = "The client is not allowed to use the management API."
TOKEN_NEEDED: Final = "An access token for the management API is needed."
UNKNOWN_PARAMETER: Final = "A parameter of the query is not known here."
UNKNOWN_MEMBER: Final = "The object has a member that is not known."
ONE_OF_TWO: Final = "Exactly one of the two members, or parameters, is needed."
CURSOR: Final = "The cursor is not one that this list has given."
VERSION_NEEDED: Final = "If-Match has to name the version that was read, as its ETag did."
MORE_THAN_OWN: Final = "The client has, or would get, scopes of the management API that the caller has not."
SERVERS: Final = "Saying which clients may introspect needs the scope manage:clients, too."
OWN_RESOURCE: Final = "The management API is there already, and is not changed."
TOKEN_UNKNOWN: Final = "There is no token in force like this."
TOO_BUSY: Final = "Too many passwords are being hashed; try again soon."
_WRITABLE: Final = frozenset(map(chr, (0x20, 0x21, *range(0x23, 0x5C), *range(0x5D, 0x7F))))  # RFC 6750 3


class NotFound(Refusal):
    """There is no such thing."""

    error = "not_found"
    status_code = 404


class Conflict(Refusal):
    """It is there already, or somebody else is changing it."""

    error = "conflict"
    status_code = 409


class PreconditionFailed(Refusal):
    """RFC 9110 13.1.1: it is no longer what was read."""

    error = "precondition_failed"
    status_code = 412


class PreconditionRequired(Refusal):
    """RFC 6585 3: a change has to say what it is a change of."""

    error = "precondition_required"
    status_code = 428


class AccessDenied(Refusal):
    """The scope suffices for this, and not for this client."""

    error = "access_denied"
    status_code = 403


class InvalidDocument(Refusal):
    """A member of what was sent is refused, with the code that RFC 7591 3.2.2 has for it."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


class Busy(Refusal):
    """Try again soon."""

    error = "temporarily_unavailable"
    status_code = 503

    def __init__(self, retry_after: int) -> None:
        super().__init__(TOO_BUSY)
        self.headers = (("Retry-After", str(retry_after)),)


_KINDS: Final[tuple[tuple[type[ManageError], type[Refusal]], ...]] = (
    (NotThere, NotFound),
    (Taken, Conflict),
    (ChangedMeanwhile, Conflict),
    (OutOfDate, PreconditionFailed),
)


def refused(problem: ManageError) -> Refusal:
    """Return the answer to a refusal of ``manage``."""
    if isinstance(problem, InvalidMetadata):
        # The sentence for an unknown member repeats its name, and names no member of ours.
        return InvalidDocument(problem.error, sentence(problem) if problem.member else UNKNOWN_MEMBER)
    kind = next((ours for theirs, ours in _KINDS if isinstance(problem, theirs)), InvalidRequest)
    return kind(sentence(problem))


def sentence(problem: ManageError) -> str:
    """Return the words of a refusal, of the characters that a description may have."""
    return "".join(character for character in str(problem) if character in _WRITABLE)

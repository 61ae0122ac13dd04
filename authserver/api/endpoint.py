"""The table of the management API, and how each of its paths answers.

Identifiers are in the query or the body, never in the path: they are URIs of others, which proxies and servers take
apart and put together in ways of their own. So every path is one of a fixed list, and matched as a whole.

Plugs into: MANAGEMENT.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Final

from authserver.api import audit, clients, grants, jobs, keys, registration, resources, sessions, users
from authserver.api.errors import refused
from authserver.api.guard import admit, challenge
from authserver.api.operation import Operation, read
from authserver.manage.errors import ManageError
from authserver.oauth.errors import OAuth2Error
from authserver.oauth.request import Answer, Request
from authserver.oauth.server import error_answer

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "management_api"
PATH: Final = "/manage"
OPERATIONS: Final[tuple[Operation, ...]] = (
    *clients.OPERATIONS,
    *resources.OPERATIONS,
    *users.OPERATIONS,
    *sessions.OPERATIONS,
    *grants.OPERATIONS,
    *keys.OPERATIONS,
    *registration.OPERATIONS,
    *audit.OPERATIONS,
    *jobs.OPERATIONS,
)


class Endpoint:
    """The operations at one path, by method."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._operations = {operation.method: operation for operation in operations}
        self.methods = tuple(self._operations)
        self.parameters = frozenset().union(
            *({*operation.needs, *operation.takes} for operation in self._operations.values())
        )

    def __call__(self, server: "Server", request: Request) -> Answer:
        """Let the caller in first, then read what it sends, then do it."""
        operation = self._operations[request.method]
        try:
            caller = admit(server, request, operation.scope)
        except OAuth2Error as error:
            return challenge(server, request, error, operation.scope)
        try:
            answer = operation.run(read(server, request, operation, caller))
            if request.method == "POST":
                server.deliveries.nudge()  # what has ended a session has put down whom to tell
        except OAuth2Error as error:
            answer = error_answer(error)
        except ManageError as problem:
            answer = error_answer(refused(problem))
        return answer._replace(headers=[*answer.headers, *request.answer_headers])


def _endpoints() -> Iterator[tuple[str, str, tuple[str, ...], Endpoint]]:
    for path, operations in groupby(OPERATIONS, key=lambda operation: operation.path):
        endpoint = Endpoint(operations)
        yield "manage" + path.replace("/", "."), PATH + path, endpoint.methods, endpoint


ENDPOINTS: Final = tuple(_endpoints())
"""name, path, methods, function (server, request) -> Answer; the operations of a path stand together in the table."""

"""OAuth 2.0 Pushed Authorization Requests (RFC 9126).

https://www.rfc-editor.org/rfc/rfc9126

The client sends its authorization request here first, authenticated and unseen by the browser, and gets a reference
with which the browser goes on. The request is checked twice: when it is pushed, so that the client learns of an error,
and when the browser brings it, because client and policy may have changed since (7.4).

Plugs into: ENDPOINTS, AUTHORIZE_RESOLVE, AUTHORIZE_CHECK, AUTHORIZE_FINISH, METADATA, CLIENT_METADATA.
"""

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson

from authserver.clock import MINUTE, SECOND, now
from authserver.crypto import new_id
from authserver.limits import Exceeded, sender_of
from authserver.manage.client_metadata import flag
from authserver.oauth import client_auth, errors
from authserver.oauth.request import Answer, AuthorizationRequest, Parameters, Request, json_answer
from authserver.settings import Settings
from authserver.store.errors import Conflict

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "par"
PATH: Final = "/par"
METHODS: Final = ("POST",)
PARAMETERS: Final = frozenset({"request_uri"})
CLIENT_METADATA: Final = {"require_pushed_authorization_requests": flag}
PREFIX: Final = "urn:ietf:params:oauth:request_uri:"  # 2.2
_SPACE: Final = "pushed-request"
_DONE: Final = "pushed-request.done"
_CREDENTIALS: Final = client_auth.PARAMETERS - {"client_id"}


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the endpoint, and whether there is another way (5)."""
    del server
    return {
        "pushed_authorization_request_endpoint": settings.issuer + PATH,
        "require_pushed_authorization_requests": settings.require_pushed_authorization_requests,
    }


def respond(server: "Server", request: Request) -> Answer:
    """Check a request as the authorization endpoint would, keep it, and answer a reference to it (2.1, 2.2)."""
    client_auth.authenticate(server, request)
    client = request.client
    # 2.1: "The request_uri authorization request parameter [...] MUST NOT be provided".
    if "request_uri" in request.parameters:
        raise errors.InvalidRequest(errors.PUSH_NESTED)
    _count(server, request)
    request.pushed = ""
    for step in server.registry.PUSH_PREPARE:
        step(server, request)
    request.parameters["client_id"] = client.client_id
    try:
        server.begin_authorization(request)
    except errors.NotRedirectable as error:
        # 2.3: here every error is an answer to the client; nothing is shown to a person.
        if error.code == errors.InvalidRequestObject.error:
            raise errors.InvalidRequestObject(error.sentence) from None
        raise errors.InvalidRequest(errors.REDIRECT_URI_REFUSED) from None
    lifetime = server.settings.tokens.request_uri_seconds
    kept = {"request_uri": PREFIX + _keep(server, request, lifetime), "expires_in": lifetime}
    return json_answer(201, kept, *request.answer_headers)


def load(server: "Server", request: Request) -> None:
    """Replace the parameters by those that were pushed (4); what else is in the URL does not count."""
    reference = request.parameters.get("request_uri", "")
    if not reference.startswith(PREFIX):
        return
    # RFC 6749 3.1: of two references neither counts.
    if "request_uri" in request.payload.repeated:
        raise _gone()
    digest = _digest(reference)
    item = server.store.ephemeral.get(_SPACE, digest)
    # 2.2: "The request URI MUST be bound to the client that posted the authorization request."
    if item is None or item.owner != request.parameters.get("client_id"):
        raise _gone()
    if server.store.ephemeral.get(_DONE, digest) is not None:
        raise _gone()
    kept = orjson.loads(item.value)
    parameters = Parameters(kept["parameters"])
    parameters.lists = {name: tuple(values) for name, values in kept["lists"].items()}
    request.take(parameters)
    request.pushed, request.signed = digest, kept["signed"]


def require(server: "Server", request: Request) -> None:
    """Refuse a request that was not pushed where that is required, by the server or for the client (5, 6)."""
    required = server.settings.require_pushed_authorization_requests
    if request.pushed is None and (required or request.client.metadata.get("require_pushed_authorization_requests")):
        raise errors.InvalidRequest(errors.PUSH_FIRST)


def complete(server: "Server", request: AuthorizationRequest, interaction_id: str) -> None:
    """Let a reference be answered once (7.3): by whichever of its interactions comes first, as often as that repeats.

    Opening the page twice before is no use of it, so a reload or a second tab does not hurt the person.
    """
    if request.pushed is None:
        return
    memory, settings = server.store.ephemeral, server.settings
    mark = sha256(interaction_id.encode()).hexdigest() if interaction_id else new_id()
    until = now() + (settings.tokens.request_uri_seconds + settings.sessions.interaction_seconds) * SECOND + MINUTE
    try:
        memory.put(_DONE, request.pushed, mark, until)
    except Conflict:
        done = memory.get(_DONE, request.pushed)
        if done is None or done.value != mark:
            raise _gone() from None


def _keep(server: "Server", request: Request, lifetime: int) -> str:
    """Keep the parameters, without the client's credentials; return what stands behind the prefix of the reference."""
    parameters = {name: value for name, value in request.parameters.items() if name not in _CREDENTIALS}
    if request.dpop_jkt is not None:
        # RFC 9449 10.1: a proof here binds the code as dpop_jkt would.
        parameters["dpop_jkt"] = request.dpop_jkt
    kept = {"parameters": parameters, "lists": request.payload.lists, "signed": request.signed}
    reference = new_id(32)
    value, until = orjson.dumps(kept).decode(), now() + lifetime * SECOND
    server.store.ephemeral.put(_SPACE, _digest(PREFIX + reference), value, until, request.client.client_id)
    return reference


def _count(server: "Server", request: Request) -> None:
    sender, most = sender_of(request.client, request.address), server.settings.limits.pushed_requests
    try:
        server.limits.count("pushed-requests", sender, MINUTE, most)
    except Exceeded as limit:
        raise errors.TooManyRequests(errors.PUSHED_TOO_OFTEN, limit.retry_after) from None


def _digest(reference: str) -> str:
    return sha256(reference.encode()).hexdigest()


def _gone() -> errors.NotRedirectable:
    return errors.NotRedirectable("invalid_request_uri", errors.PUSH_GONE, errors.ASK_DEVELOPER)

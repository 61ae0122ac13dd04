"""OAuth 2.0 Dynamic Client Registration Management Protocol (RFC 7592).

https://www.rfc-editor.org/rfc/rfc7592

A client that registered itself reads, replaces and deletes its registration, with the token that it got for that and at
the URL that came with it. The token is good for this one client and nothing else; nobody is told whether another client
exists. What the policy or an administrator has decided stays decided.

Plugs into: ENDPOINTS, TAKE_JSON.
"""

from typing import TYPE_CHECKING, Any, Final

from authserver.clock import MINUTE, now
from authserver.crypto import client_secret_digest, open_client_secret, same
from authserver.limits import Exceeded
from authserver.manage import clients, registration_tokens
from authserver.manage.errors import ManageError
from authserver.oauth import errors, registration
from authserver.oauth.parameters import is_vschar
from authserver.oauth.request import NO_STORE, Answer, Request, json_answer
from authserver.records import Client

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "registration"
PATH: Final = registration.CONFIGURATION_PATH
METHODS: Final = ("GET", "PUT", "DELETE")
_CHANGES: Final = 30  # a minute, of one client
# 2.2: "The client MUST NOT include" these in an update.
_OURS: Final = frozenset(
    {"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"}
)


def respond(server: "Server", request: Request) -> Answer:
    """Let the client in by its registration access token (2), and do what the method says."""
    if request.payload.repeated:
        raise errors.InvalidRequest(errors.REPEATED)
    client, token = _authenticated(server, request)
    if request.method == "GET":
        return _information(server, client.client_id, clients.registered(client), token)
    try:
        server.limits.count("client-configuration", client.client_id, MINUTE, _CHANGES)
    except Exceeded as limit:
        raise errors.TooManyRequests(errors.CHANGED_TOO_OFTEN, limit.retry_after) from None
    try:
        return _update(server, request, client, token) if request.method == "PUT" else _delete(server, client)
    except ManageError as problem:
        raise registration.refused(problem) from None


def _authenticated(server: "Server", request: Request) -> tuple[Client, str]:
    """Return the client and its token; whoever has not this token learns nothing else (2.1 to 2.3: 401)."""
    token, client_id = registration.bearer(request), request.parameters.get("client_id", "")
    if token is None:
        raise errors.TokenWanted(errors.REGISTRATION_TOKEN)
    if not is_vschar(client_id) or not registration_tokens.is_access(server.store, client_id, token):
        raise errors.InvalidToken(errors.REGISTRATION_TOKEN)
    client = server.store.clients.get(client_id)
    if client is None or client.disabled_at is not None or client.origin != "registration":
        raise errors.InvalidToken(errors.REGISTRATION_TOKEN)
    return client, token


def _update(server: "Server", request: Request, client: Client, token: str) -> Answer:
    """Replace the metadata (2.2): what is left out is gone, what may not be is left out as at registration."""
    sent = {name: value for name, value in request.document.items() if value is not None}
    if not _OURS.isdisjoint(sent):
        raise errors.InvalidRequest(errors.OURS_ALONE)
    if sent.get("client_id") != client.client_id:
        raise errors.InvalidClientMetadata(errors.CLIENT_ID_DIFFERS)
    secret = sent.pop("client_secret", None)
    # 2.2: "the value of this field MUST match the currently issued client secret".
    if secret is not None and not (isinstance(secret, str) and _is_secret(server, client, secret)):
        raise errors.InvalidClientMetadata(errors.SECRET_DIFFERS)
    given, known = registration.narrowed(server, registration.stated(server, sent)), registration.members(server)
    wanted = clients.described(client.client_id, given, profile=client.profile, members=known, moment=now())
    registration.approve(server, wanted)
    answer = clients.update(server.store, server.sealer, client.client_id, given, actor=client.client_id, members=known)
    if secret is not None and client.token_endpoint_auth_method == answer["token_endpoint_auth_method"]:
        answer = {"client_secret": secret, "client_secret_expires_at": 0, **answer}
    if server.settings.registration.rotate_access_token:
        token = registration_tokens.make_access(server.store, client.client_id)
    return _information(server, client.client_id, answer, token)


def _delete(server: "Server", client: Client) -> Answer:
    """Delete the client with its tokens and this door to it (2.3)."""
    clients.remove(server.store, client.client_id, actor=client.client_id)
    return Answer(204, b"", [NO_STORE, ("Pragma", "no-cache")])


def _information(server: "Server", client_id: str, registered: dict[str, Any], token: str) -> Answer:
    """Write the client information response (3); a secret that is stored as a digest is not in it."""
    return json_answer(200, {**registered, **registration.door(server, client_id, token)})


def _is_secret(server: "Server", client: Client, secret: str) -> bool:
    """Say whether this is a secret of the client, of which each is compared."""
    presented, moment = client_secret_digest(secret), now()
    found = [
        same(presented, known.digest)
        if known.digest is not None
        else same(secret, open_client_secret(server.sealer, client.client_id, known.sealed or b""))
        for known in client.secrets
        if known.expires_at is None or moment < known.expires_at
    ]
    return any(found)

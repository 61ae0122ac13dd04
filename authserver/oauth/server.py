"""The seam over Authlib: the one file that knows how Authlib runs (RFC 6749 with ordered steps).

Authlib brings the grants; this server brings one request class, one place for client authentication, ordered lists of
steps instead of unordered hooks, one function that issues, and one way out for successes and errors. The tests of this
module are the alarm for Authlib upgrades.
"""

import logging
from functools import partial
from types import ModuleType
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import orjson
from authlib.oauth2 import rfc6749
from joserfc.jwk import Key

from authserver import jwt
from authserver.clock import SECOND, now
from authserver.courier import Courier
from authserver.crypto import Sealer
from authserver.deliveries import Deliveries
from authserver.extension_sections import PERSONAL_SCOPES
from authserver.feed import Feed
from authserver.identity.passwords import Passwords
from authserver.keys import KeyRing
from authserver.limits import Limits
from authserver.oauth import client_auth, errors, metadata
from authserver.oauth.client_logo import Logos
from authserver.oauth.encryption import ResourceKeys
from authserver.oauth.features import Selection
from authserver.oauth.request import Answer, AuthorizationRequest, FormPost, Request, json_answer
from authserver.oauth.status_list import StatusLists
from authserver.outbound import Outbound
from authserver.records import Client, Resource
from authserver.settings import Settings
from authserver.store import Store
from authserver.store.errors import StoreError

# Authlib logs whole tokens at debug level.
logging.getLogger("authlib").setLevel(logging.INFO)

CLIENT_CACHE: Final = SECOND  # a disabled client or withdrawn secret counts on every node within this time
_CACHED_CLIENTS: Final = 10_000


class Subjects(Protocol):
    """What clients call users and their sessions: OpenID Connect's to say (``registry.SUBJECTS``)."""

    def of(self, client: Client, sub: str) -> str:
        """Return what the client calls a user."""

    def session_of(self, client: Client, sub: str, sid: str) -> str:
        """Return what the client calls a session of this user."""

    def find(self, client: Client, named: str) -> str:
        """Return the ``sub`` of the user whom the client calls so, or what is nobody's."""


class Server(rfc6749.AuthorizationServer):
    """Everything that the protocol needs, made once per process by ``app.py``."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        keys: KeyRing,
        sealer: Sealer,
        limits: Limits,
        outbound: Outbound,
        registry: ModuleType,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.store = store
        self.keys = keys
        self.sealer = sealer
        self.limits = limits
        self.passwords = Passwords(settings.passwords)
        self.resource_keys = ResourceKeys()
        self.status_lists = StatusLists(settings, store, keys)
        self.feed = Feed(store.revocations, settings.threads // 4)
        self.outbound = outbound
        self.courier = Courier(outbound)
        self.logos = Logos(outbound, limits, settings.threads)
        features = settings.in_force
        self.registry: Any = Selection(registry, features)
        self.takes_certificates = features.mtls
        self.base_path = urlsplit(settings.issuer).path
        # The scopes that speak of a person: no resource owns them.
        self.personal_scopes = (*PERSONAL_SCOPES, *settings.claim_scopes)
        self.token_endpoint = settings.issuer + registry.TOKEN_PATH
        self.response_modes = dict(self.registry.RESPONSE_MODES)
        self.response_types = dict(self.registry.RESPONSE_TYPES)
        self.parameters: frozenset[str] = self.registry.PARAMETERS
        self._grants = {grant.GRANT_TYPE: grant for grant in self.registry.GRANTS}
        self._clients: dict[str, tuple[int, Client]] = {}
        self._resources: tuple[int, dict[str, Resource], frozenset[str]] = (0, {}, frozenset())
        self._document: tuple[frozenset[str], tuple[bytes, str]] | None = None
        self._document_at = 0
        # Resources that are there by themselves, whatever the store says; a client needs to be given them by name.
        self.own_resources: dict[str, Resource] = {
            own.identifier: own for own in (make(settings) for make in self.registry.RESOURCES)
        }
        self.subjects: Subjects = self.registry.SUBJECTS(self)
        writers = {kind: partial(write, self) for kind, write in self.registry.JOBS.items()}
        self.deliveries = Deliveries(store, outbound, writers)
        self._client_finders = tuple(finder(self) for finder in self.registry.CLIENT_FINDERS)

    # What is read often and changes seldom is kept for a second (DECISIONS, Client authentication).

    def query_client(self, client_id: str) -> Client | None:  # type: ignore[override] # ours has Authlib's methods
        """Return a client, at most a second old."""
        moment = now()
        kept = self._clients.get(client_id)
        if kept is not None and 0 <= moment - kept[0] < CLIENT_CACHE:
            return kept[1]
        client = self.store.clients.get(client_id)
        if client is None or client.origin == "document":
            client = self._described(client_id, client)
        # What has no row (created_at) is kept by whoever has found it, in a smaller place.
        if client is not None and client.created_at:
            if len(self._clients) >= _CACHED_CLIENTS:
                self._clients = {}
            self._clients[client_id] = (moment, client)
        return client

    def _described(self, client_id: str, row: Client | None) -> Client | None:
        """Return the client that an extension finds by its identifier; without the extension there is none."""
        for finder in self._client_finders:
            client: Client | None = finder.find(client_id, row)
            return client
        return None

    def resource(self, identifier: str) -> Resource | None:
        """Return a resource by its identifier, at most a second old."""
        return self._read_resources()[1].get(identifier)

    def resource_scopes(self) -> frozenset[str]:
        """Return the names of the scopes of all resources."""
        return self._read_resources()[2]

    def resources(self) -> tuple[Resource, ...]:
        """Return all resources."""
        return tuple(self._read_resources()[1].values())

    def forget(self) -> None:
        """Drop what is kept for a second: whoever has just changed a client or a resource here sees the change."""
        self._clients, self._resources, self._document_at = {}, (0, {}, frozenset()), 0

    def _read_resources(self) -> tuple[int, dict[str, Resource], frozenset[str]]:
        moment = now()
        if not 0 <= moment - self._resources[0] < CLIENT_CACHE:
            rows = {row.identifier: row for row in self.store.resources.all()} | self.own_resources
            names = frozenset(name for row in rows.values() for name in row.scope_names)
            self._resources = (moment, rows, names)
        return self._resources

    def metadata_document(self) -> tuple[bytes, str]:
        """Return the metadata as bytes, with its entity tag; made again only when the set of scopes has changed."""
        moment = now()
        if self._document is not None and 0 <= moment - self._document_at < CLIENT_CACHE:
            return self._document[1]
        # The time is set first: while the store is away, one request a second waits for it, and the others do not.
        self._document_at = moment
        try:
            scopes = self.resource_scopes()
        except StoreError:
            # DECISIONS, Faults: discovery keeps answering from memory while the store is away.
            if self._document is None:
                raise
            return self._document[1]
        if self._document is None or self._document[0] != scopes:
            self._document = (scopes, metadata.dump(metadata.document(self)))
        return self._document[1]

    def client_key(self, client: Client, parsed: jwt.Parsed) -> Key:
        """Return the client's key for a JWT that it signed; raises jwt.InvalidJWT."""
        members = client.jwks if client.jwks is not None else self.outbound.client_keys(client, parsed)
        return client_auth.choose_key(members, parsed)

    # Authlib's side.

    def authenticate_client(  # type: ignore[override] # requests here are ours
        self, request: Request, methods: Any, endpoint: str = "token"
    ) -> Client:
        """Give Authlib the client that ``client_auth`` has proven already."""
        del methods, endpoint
        return request.client

    def get_token_grant(self, request: Request) -> Any:  # type: ignore[override] # requests here are ours
        """Return the grant (``Issuing`` and Authlib's) for the grant type; raises UnsupportedGrantType."""
        grant = self._grants.get(request.parameters["grant_type"])
        if grant is None:
            raise errors.UnsupportedGrantType(errors.GRANT_TYPE_UNKNOWN)
        return grant(request, self)

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Do nothing: there are no signals here."""

    # Ours.

    def begin_authorization(self, request: Request) -> AuthorizationRequest:
        """Resolve and validate an authorization request, once (RFC 6749 4.1.1).

        Raises NotRedirectable before client and redirect URI are proven, OAuth2Error after.
        """
        for step in self.registry.AUTHORIZE_RESOLVE:
            step(self, request)
        for step in self.registry.AUTHORIZE_CHECK:
            step(self, request)
        return AuthorizationRequest.of(request)

    def respond_authorization(self, request: AuthorizationRequest, parameters: dict[str, str]) -> Answer | FormPost:
        """Write an authorization response, success or error, in the response mode that was asked for."""
        write = self.response_modes.get(request.response_mode)
        if write is None:
            # The extension was switched off since the request was kept; another mode would protect less.
            raise errors.NotRedirectable("unsupported_response_mode", errors.UNKNOWN_MODE, errors.ASK_DEVELOPER)
        if request.state is not None:
            parameters["state"] = request.state
        for step in self.registry.AUTHORIZE_RESPOND:
            step(self, request, parameters)
        answer: Answer | FormPost = write(request.redirect_uri, parameters)
        return answer

    def refuse_authorization(self, request: AuthorizationRequest, error: errors.OAuth2Error) -> Answer | FormPost:
        """Write an error response to the proven redirect URI (RFC 6749 4.1.2.1)."""
        return self.respond_authorization(request, error_parameters(error))


class Issuing:
    """What every grant here has in common: the steps, and issuing through one module."""

    GRANT_TYPE: str
    TOKEN_RESPONSE_HEADER: tuple[tuple[str, str], ...] = ()
    request: Request
    server: Server

    def check_grant_type(self) -> None:
        """Refuse a client that is not registered for the grant type (RFC 6749 5.2)."""
        if not self.request.client.check_grant_type(self.GRANT_TYPE):
            raise errors.UnauthorizedClient(errors.GRANT_TYPE_REFUSED)

    def run_checks(self) -> None:
        """Run the steps that narrow and bind what will be issued."""
        for step in self.server.registry.TOKEN_CHECK:
            step(self.server, self.request)

    def binding(self) -> str | None:
        """Return what the refresh tokens of a public client will need to be used with (RFC 9449 5, RFC 8705 4)."""
        proven = self.request.confirmation if self.request.client.public else {}
        return orjson.dumps(proven).decode() if proven else None

    def store_tokens(self) -> None:
        """Store the tokens of this answer that have a row, in one transaction."""
        request = self.request
        if request.access_row is not None or request.refresh_row is not None:
            self.server.store.tokens.add(request.access_row, request.refresh_row)


def error_parameters(error: errors.OAuth2Error) -> dict[str, str]:
    """Return the parameters of an authorization response that is an error (RFC 6749 4.1.2.1)."""
    return {"error": str(error.error), "error_description": error.get_error_description()}


def error_answer(error: errors.OAuth2Error) -> Answer:
    """Write an error as JSON (RFC 6749 5.2)."""
    body = {"error": error.error, "error_description": error.get_error_description()}
    headers = error.headers if isinstance(error, errors.Refusal) else ()
    if error.status_code == 401:
        return json_answer(401, body, ("WWW-Authenticate", _challenge(error)), *headers)
    if isinstance(error, errors.SlowDown):
        return json_answer(429, body, ("Retry-After", str(error.retry_after)))
    return json_answer(error.status_code or 400, body, *headers)


def _challenge(error: errors.OAuth2Error) -> str:
    """Return the challenge of a 401: for client credentials, or for an access token (RFC 6750 3)."""
    if not isinstance(error, errors.InvalidToken):
        return 'Basic realm="authserver", charset="UTF-8"'
    if isinstance(error, errors.TokenWanted):
        return 'Bearer realm="authserver"'
    return f'Bearer realm="authserver", error="{error.error}", error_description="{error.get_error_description()}"'

"""The real server in this process, over a database of its own; reached without sockets, or live in a thread."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx2

from authserver.app import create_app
from authserver.crypto import Sealer
from authserver.manage import clients, resources, users
from authserver.records import Resource, Scope, User
from authserver.settings import Settings, load_settings
from authserver.store import Store, open_store
from pytest_authserver import signing_keys
from pytest_authserver.browser import Browser

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

ISSUER = "http://localhost:9000"
PASSWORD = "correct horse battery staple"  # noqa: S105 - the fixture's own account
# Hashes as cheap as argon2id allows: the tests are not about their cost.
CHEAP = {"memory_kib": 8, "time_cost": 1, "parallelism": 1}


@dataclass(frozen=True)
class RegisteredClient:
    """A client as its developer knows it."""

    client_id: str
    client_secret: str
    redirect_uri: str
    registration: dict[str, Any] = field(repr=False)

    @property
    def basic(self) -> tuple[str, str]:
        """Return the credentials for HTTP Basic."""
        return self.client_id, self.client_secret


@dataclass(frozen=True)
class Pkce:
    """A code verifier and its S256 challenge (RFC 7636)."""

    verifier: str
    challenge: str


class AuthServer:
    """An authorization server for a test."""

    def __init__(self, folder: Path, *, issuer: str = ISSUER, **overrides: Any) -> None:
        self.issuer = issuer
        self.settings: Settings = load_settings(
            **{
                "issuer": issuer,
                "development": True,
                "database_url": f"sqlite:///{folder}/authserver.db",
                "secret_key": "a secret key for tests and nothing else",
                "passwords": CHEAP,
                **overrides,
            }
        )
        self.sealer = Sealer(self.settings.secret(), self.settings.previous_secrets())
        self.store: Store = open_store(self.settings)
        self.store.upgrade()
        self.store.keys.add_first(signing_keys.sealed(self.sealer))
        self.app = create_app(self.settings, self.store)
        self.server = self.app.extensions["authserver"]

    def http(self, **options: Any) -> httpx2.Client:
        """Return an HTTP client that calls the server in this process, without a socket."""
        transport = httpx2.WSGITransport(app=self.app, remote_addr="127.0.0.1")
        return httpx2.Client(transport=transport, base_url=self.issuer, **options)

    def browser(self) -> Browser:
        """Return a new browser: no cookies, nobody signed in."""
        return Browser(self.http(), self.issuer)

    def client(self, *, profile: str = "oauth21", **metadata: Any) -> RegisteredClient:
        """Register a client; without more it may use the code, refresh and client credentials grants."""
        members = {
            "client_name": "Test client",
            "redirect_uris": ["https://client.test/callback"],
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
            "scope": "openid profile email address phone offline_access api:read api:write",
            **metadata,
        }
        members = {name: value for name, value in members.items() if value is not None}
        answer = clients.register(self.store, self.sealer, members, profile=profile, actor="test")
        uris = answer.get("redirect_uris") or [""]
        return RegisteredClient(answer["client_id"], answer.get("client_secret", ""), uris[0], answer)

    def user(self, username: str = "alice", password: str = PASSWORD, email: str | None = None, **claims: Any) -> User:
        """Add an account."""
        email = email or f"{username}@example.test"
        return users.add(self.store, self.settings, username, email=email, password=password, claims=claims, actor="test")

    def resource(self, identifier: str, *scopes: str, **members: Any) -> Resource:
        """Add a protected resource with these scopes."""
        known = tuple(Scope(name, f"Use {name}") for name in scopes)
        resource = Resource(identifier, members.pop("name", identifier), known, **members)
        resources.add(self.store, resource, actor="test")
        return resource

    def pkce(self) -> Pkce:
        """Return a fresh verifier with its challenge."""
        verifier = secrets.token_urlsafe(32)
        challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        return Pkce(verifier, challenge)

    def token(self, client: RegisteredClient, **parameters: Any) -> httpx2.Response:
        """Make a token request with the client's secret by HTTP Basic."""
        return self.post("/token", client, **parameters)

    def post(self, path: str, client: RegisteredClient | None, **parameters: Any) -> httpx2.Response:
        """Post a form to a protocol endpoint, authenticated as the client."""
        with self.http() as http:
            auth = client.basic if client is not None and client.client_secret else None
            if client is not None and not client.client_secret:
                parameters.setdefault("client_id", client.client_id)
            return http.post(path, data=parameters, auth=auth)

    def sign_in(self, client: RegisteredClient, username: str = "alice", **parameters: Any) -> dict[str, Any]:
        """Walk the whole code flow with a new browser; return the token response."""
        pkce = self.pkce()
        request = self.request(client, pkce, **parameters)
        page = self.browser().authorize(request, username=username, password=PASSWORD)
        code = page.callback["code"]
        answer = self.token(
            client,
            grant_type="authorization_code",
            code=code,
            redirect_uri=request["redirect_uri"],
            code_verifier=pkce.verifier,
        )
        answer.raise_for_status()
        tokens: dict[str, Any] = answer.json()
        return tokens

    def request(self, client: RegisteredClient, pkce: Pkce | None = None, **parameters: Any) -> dict[str, Any]:
        """Return the parameters of an authorization request; None takes one away."""
        request = {
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uri,
            "response_type": "code",
            "scope": "openid profile",
            "state": secrets.token_urlsafe(8),
            **({"code_challenge": pkce.challenge, "code_challenge_method": "S256"} if pkce else {}),
            **parameters,
        }
        return {name: value for name, value in request.items() if value is not None}

    def introspect(self, client: RegisteredClient, token: str) -> dict[str, Any]:
        """Return what introspection says of a token to this client."""
        answer: dict[str, Any] = self.post("/introspect", client, token=token).json()
        return answer

    def close(self) -> None:
        """Close the database."""
        self.store.close()

    @contextmanager
    def live(self) -> Iterator[str]:
        """Serve on 127.0.0.1 in a thread; yields the base URL (the issuer stays what it is)."""
        from werkzeug.serving import make_server  # noqa: PLC0415 - only who asks for a socket pays for it

        listener: BaseWSGIServer = make_server("127.0.0.1", 0, self.app, threaded=True)
        thread = Thread(target=listener.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.server_port}"
        finally:
            listener.shutdown()
            thread.join()
            listener.server_close()

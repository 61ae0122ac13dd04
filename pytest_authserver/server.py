"""The real server in this process, over a database of its own; reached without sockets, or by a port (``live.py``)."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2

from authserver import clock
from authserver.app import create_app
from authserver.clock import SECOND
from authserver.crypto import Sealer
from authserver.identity import sessions
from authserver.identity.passwords import Passwords
from authserver.manage import clients, resources, users
from authserver.oauth.authorization_code import open_grant
from authserver.oauth.parameters import read_query
from authserver.oauth.request import Request
from authserver.records import Resource, Session, User
from authserver.settings import Settings, load_settings
from authserver.store import Store, open_store
from pytest_authserver import database
from pytest_authserver.browser import Browser
from pytest_authserver.records import Allowed, Pkce, RegisteredClient, new_pkce

ISSUER = "http://localhost:9000"
PASSWORD = "correct horse battery staple"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# Hashes as cheap as argon2id allows: the tests are not about their cost.
CHEAP = {"memory_kib": 8, "time_cost": 1, "parallelism": 1}
# All browsers and clients of a test have the same address.
ONE_ADDRESS = {
    "sign_in_per_address": 1_000_000,
    "sign_ups_per_address": 1_000_000,
    "strangers_per_address": 1_000_000,
    "client_failures": 1_000_000,
    "registrations": 1_000_000,
    "user_codes_per_address": 1_000_000,
}


class AuthServer:
    """An authorization server for a test.

    ``folder`` holds its database, unless ``database_url`` names another one. Further arguments are settings of the
    server by their names (``tokens={"access_token_seconds": 5}``). The signing keys are public knowledge, so the issuer
    is on loopback; another one needs ``development=False`` and is for tests without a socket only.
    """

    def __init__(self, folder: Path, *, issuer: str = ISSUER, **settings: Any) -> None:
        self.issuer = issuer
        self.settings: Settings = load_settings(
            **{
                "issuer": issuer,
                "development": True,
                "database_url": f"sqlite:///{folder}/authserver.db",
                "secret_key": "a secret key for tests and nothing else",
                "passwords": CHEAP,
                "limits": ONE_ADDRESS,
                "log_level": "warning",
                **settings,
            }
        )
        self.sealer = Sealer(self.settings.secret(), self.settings.previous_secrets())
        self.passwords = Passwords(self.settings.passwords)
        database.prepare(self.settings)
        self.store: Store = open_store(self.settings)
        self.app = create_app(self.settings, self.store)
        self.server = self.app.extensions["authserver"]
        self._http = self.http()

    def close(self) -> None:
        """Close the database."""
        self._http.close()
        self.server.feed.close()
        self.server.deliveries.close()
        self.store.close()

    # The world around the server.

    def client(self, *, profile: str = "oauth21", **metadata: Any) -> RegisteredClient:
        """Register a client; without more it may use the code, refresh and client credentials grants.

        ``metadata`` are the members of RFC 7591 and of ``authserver client add``; None takes a default away. Raises
        ``authserver.manage.errors.ManageError`` when the server would not register it.
        """
        members = {
            "client_name": "Test client",
            "redirect_uris": ["https://client.test/callback"],
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
            "scope": "openid profile email address phone offline_access api:read api:write",
            **metadata,
        }
        members = {name: value for name, value in members.items() if value is not None}
        extensions = self.server.registry.CLIENT_METADATA
        answer = clients.register(self.store, self.sealer, members, profile=profile, actor="test", members=extensions)
        uris = answer.get("redirect_uris") or [""]
        return RegisteredClient(answer["client_id"], answer.get("client_secret", ""), uris[0], answer)

    def public_client(self, **metadata: Any) -> RegisteredClient:
        """Register a client without credentials: an application in a browser or on a telephone."""
        members = {
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
            **metadata,
        }
        return self.client(**members)

    def user(self, username: str = "alice", password: str = PASSWORD, email: str | None = None, **claims: Any) -> User:
        """Add an account; ``claims`` are those of OpenID Connect Core 5.1."""
        user = users.make_user(username, email=email or f"{username}@example.test", claims=claims)
        users.add(self.store, user, self.passwords.hash(password), actor="test")
        return user

    def resource(self, identifier: str, *scopes: str, **members: Any) -> Resource:
        """Add a protected resource (RFC 8707) with these scopes."""
        given = {"identifier": identifier, "scopes": {name: f"Use {name}" for name in scopes}, **members}
        added = resources.add(self.store, given, actor="test")
        self.server.forget()
        return added

    @contextmanager
    def later(self, seconds: float) -> Iterator[None]:
        """Inside, the server's clock is ahead by ``seconds`` (behind, when negative): codes and tokens run out.

        It is the clock of the process, so it moves for every server in it.
        """
        clock.shift(seconds)
        try:
            yield
        finally:
            clock.shift(0)

    # Ways to reach it.

    def http(self, *, address: str = "127.0.0.1", **options: Any) -> httpx2.Client:
        """Return an HTTP client that calls the server in this process, without a socket, as if from this address."""
        transport = httpx2.WSGITransport(app=self.app, remote_addr=address)
        return httpx2.Client(transport=transport, base_url=self.issuer, trust_env=False, **options)

    def browser(self, user: User | None = None) -> Browser:
        """Return a new browser, in which nobody is signed in, or this user, without having seen a page."""
        browser = Browser(self.http(), self.issuer)
        if user is not None:
            cookie, _ = self._session(user)
            # As the standard library's jar files it, so that the server's own Set-Cookie replaces it.
            host = urlsplit(self.issuer).hostname or ""
            domain = host if "." in host else f"{host}.local"
            browser.http.cookies.set(sessions.cookie_name(self.settings), cookie, domain=domain)
        return browser

    def post(
        self,
        path: str,
        client: RegisteredClient | None = None,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        **parameters: Any,
    ) -> httpx2.Response:
        """Post a form to a protocol endpoint, authenticated as the client; a list repeats, None takes away.

        ``headers`` come beside the usual ones, here and in everything below that posts: a DPoP proof, say.
        """
        sent = {name: value for name, value in parameters.items() if value is not None}
        auth = client.basic if client is not None and client.client_secret else httpx2.USE_CLIENT_DEFAULT
        if client is not None and not client.client_secret and "client_id" not in parameters:
            sent["client_id"] = client.client_id
        return self._http.post(path, content=urlencode(sent, doseq=True), headers={**_FORM, **headers}, auth=auth)

    def get(self, path: str, token: str | None = None, **headers: str) -> httpx2.Response:
        """Get a page or document, with a bearer token where one is given."""
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self._http.get(path, headers=headers)

    def token(self, client: RegisteredClient, **parameters: Any) -> httpx2.Response:
        """Make a token request with the client's secret by HTTP Basic."""
        return self.post("/token", client, **parameters)

    def introspect(self, client: RegisteredClient, token: str) -> dict[str, Any]:
        """Return what introspection says of a token to this client."""
        answer: dict[str, Any] = self.post("/introspect", client, token=token).json()
        return answer

    # Authorization, with all pages and without any.

    def pkce(self) -> Pkce:
        """Return a fresh verifier with its challenge."""
        return new_pkce()

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

    def push(self, client: RegisteredClient, pkce: Pkce | None = None, **parameters: Any) -> httpx2.Response:
        """Push an authorization request (RFC 9126 2.1); None takes a parameter away."""
        return self.post("/par", client, **self.request(client, pkce, **parameters))

    def sign_in(self, client: RegisteredClient, username: str = "alice", **parameters: Any) -> dict[str, Any]:
        """Walk the whole code flow with a new browser, page by page; return the token response."""
        pkce = self.pkce()
        request = self.request(client, pkce, **parameters)
        page = self.browser().authorize(request, username=username, password=PASSWORD)
        answer = self.token(
            client,
            grant_type="authorization_code",
            code=page.callback["code"],
            redirect_uri=request["redirect_uri"],
            code_verifier=pkce.verifier,
        )
        answer.raise_for_status()
        tokens: dict[str, Any] = answer.json()
        return tokens

    def allow(
        self, client: RegisteredClient, user: User, *, session: Session | None = None, **parameters: Any
    ) -> Allowed:
        """Return the code of an authorization request that the user has allowed, without any page.

        The request is checked as always; raises ``authserver.oauth.errors.OAuth2Error`` when it would be refused.
        """
        pkce = None if "code_challenge" in parameters else self.pkce()
        request = self.request(client, pkce, **parameters)
        sent = read_query(urlencode(request, doseq=True), self.server.parameters)
        asked = self.server.begin_authorization(Request(sent, {}, endpoint=f"{self.issuer}/authorize"))
        session = session or self._session(user)[1]
        return Allowed(open_grant(self.server, asked, session, seed=None), asked.redirect_uri, pkce, session)

    def redeem(self, client: RegisteredClient, allowed: Allowed, **changes: Any) -> httpx2.Response:
        """Make the token request for a code; ``changes`` replace parameters, None takes one away."""
        parameters = {
            "grant_type": "authorization_code",
            "code": allowed.code,
            "redirect_uri": allowed.redirect_uri,
            "code_verifier": allowed.pkce.verifier if allowed.pkce else None,
            **changes,
        }
        return self.token(client, **parameters)

    def tokens(self, client: RegisteredClient, user: User, **parameters: Any) -> dict[str, Any]:
        """Return the token response for an authorization request that the user has allowed, without any page."""
        answer = self.redeem(client, self.allow(client, user, **parameters))
        answer.raise_for_status()
        tokens: dict[str, Any] = answer.json()
        return tokens

    def refresh(self, client: RegisteredClient, refresh_token: str, **parameters: Any) -> httpx2.Response:
        """Make a refresh request."""
        return self.token(client, grant_type="refresh_token", refresh_token=refresh_token, **parameters)

    def _session(self, user: User) -> tuple[str, Session]:
        visit = sessions.Visit(sessions.new_browser(), "pytest", "127.0.0.1")
        sid, browser = sessions.sign_in(self.server, visit, user.sub, acr="urn:authserver:pwd", amr="pwd")
        found = self.store.sessions.of_browser(browser.digest, clock.now() - SECOND)
        return browser.cookie, next(session for session in found if session.sid == sid)

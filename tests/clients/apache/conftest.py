"""One Apache with four sites, the application behind them, and the server behind nginx under its https name."""

import json
import secrets
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import pytest

from pytest_authserver import AuthServer, RegisteredClient
from pytest_authserver.live import answering
from tests import documented
from tests.clients.conftest import JWT, OPAQUE, public_key
from tests.clients.visitor import Visitor
from tests.servers.apache import running_apache, shipped
from tests.servers.fixtures import or_give_up
from tests.servers.nginx import on_loopback, running_nginx
from tests.servers.process import free_port
from tests.signing import key, pem
from tests.tls.conftest import ALIAS, HEADER, SITE, SITE_CA

ALBUMS = ("secret", "key")
OTHER = "https://other.test/"
SITES = (*ALBUMS, "introspection", "jwt")


class Application(BaseHTTPRequestHandler):
    """Says what it is told, under the names that CGI and WSGI have for it."""

    def do_GET(self) -> None:
        told: dict[str, list[str]] = {}
        for name, value in self.headers.items():
            told.setdefault(name.upper().replace("-", "_"), []).append(value)
        body = json.dumps({name: ",".join(values) for name, values in told.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@dataclass(frozen=True)
class Sites:
    """Where the sites are, who they are for the server, and the server."""

    at: dict[str, str]
    clients: dict[str, RegisteredClient]
    world: AuthServer
    folder: Path

    def http(self) -> httpx2.Client:
        """Return a client that trusts the authority of the sites."""
        return httpx2.Client(verify=ssl.create_default_context(cadata=SITE_CA.pem), trust_env=False, timeout=60)

    @contextmanager
    def visitor(self, **claims: str) -> Iterator[Visitor]:
        """Open a browser for somebody new."""
        user = self.world.user(f"user-{secrets.token_hex(6)}", **claims)
        with self.http() as http:
            yield Visitor(http, self.world.issuer, user)


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """All of it."""
    folder = tmp_path_factory.mktemp("apache")
    (folder / "site-ca.pem").write_text(SITE_CA.pem)
    ports = dict(zip(SITES, (free_port() for _ in SITES), strict=True))
    at = {name: f"https://127.0.0.1:{port}" for name, port in ports.items()}
    files = {
        "site.pem": SITE.pem,
        "site-key.pem": SITE.key_pem,
        "site-ca.pem": SITE_CA.pem,
        "private.pem": pem("rsa"),
        "public.pem": key("rsa").as_pem(private=False).decode(),
    }
    with or_give_up() as stack:
        world = stack.enter_context(_behind_nginx(folder, list(ports.values())))
        clients = _register(world, at)
        texts = _configure(world, at, clients, stack.enter_context(_application()))
        stack.enter_context(running_apache({ports[name]: texts[name] for name in SITES}, files))
        yield Sites(at, clients, world, folder)


@contextmanager
def _behind_nginx(folder: Path, allowed: list[int]) -> Iterator[AuthServer]:
    """Serve in this process. Tokens live for a minute, so a site that renews them does with each request."""
    ports = [free_port() for _ in range(3)]
    world = AuthServer(
        folder,
        issuer=f"https://localhost:{ports[0]}",
        development=False,
        trusted_proxies=("127.0.0.1",),
        outbound_allow=tuple(f"127.0.0.1:{port}" for port in allowed),
        outbound_ca_file=folder / "site-ca.pem",
        mtls={"certificate_header": HEADER, "base_url": f"https://localhost:{ports[2]}"},
        tokens={"access_token_seconds": 60},
    )
    files = {"site.pem": SITE.pem, "site-key.pem": SITE.key_pem}
    with socket.create_server(("127.0.0.1", 0)) as listener, closing(world), answering(world.app, listener):
        changes = on_loopback(listener.getsockname()[1], ports, ALIAS)
        with running_nginx(changes, files, ports[0]):
            yield world


@contextmanager
def _application() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Application) as served:
        thread = Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def _register(world: AuthServer, at: dict[str, str]) -> dict[str, RegisteredClient]:
    world.resource(OPAQUE, "notes:read", "notes:write")
    world.resource(JWT, "notes:read", "notes:write", token_format="jwt")
    world.resource(OTHER, "notes:read", token_format="jwt")
    (registration,) = documented.blocks("apache.md", "json")

    def album(name: str, **more: Any) -> RegisteredClient:
        members = json.loads(registration.replace("https://album.example.com", at[name]))
        return world.client(**{**members, **more})

    signed = {"jwks": {"keys": [public_key("rsa")]}, "userinfo_signed_response_alg": "RS256"}
    return {
        "secret": album("secret"),
        "key": album("key", token_endpoint_auth_method="private_key_jwt", **signed),
        "introspection": world.client(resource_server_for=[OPAQUE], grant_types=[], redirect_uris=None, scope=None),
    }


def _configure(
    world: AuthServer, at: dict[str, str], clients: dict[str, RegisteredClient], application: str
) -> dict[str, str]:
    def text(name: str, file: str, **changes: str) -> str:
        everywhere = {
            "*:443": at[name].removeprefix("https://"),
            "/etc/apache2/tls/fullchain.pem": "site.pem",
            "/etc/apache2/tls/privkey.pem": "site-key.pem",
            "/etc/ssl/certs/ca-certificates.crt": "site-ca.pem",
            "https://login.example.com": world.issuer,
            "32-OR-MORE-RANDOM-CHARACTERS": "0123456789abcdef0123456789abcdef",
            "127.0.0.1:8000": application,
        }
        return shipped(file, {**everywhere, **changes})

    def client(name: str, called: str) -> dict[str, str]:
        known = clients[name]
        return {f"ClientID {called}": f"ClientID {known.client_id}", "SECRET-OF-THE-CLIENT": known.client_secret or "-"}

    # The commented lines in place of those that they are for, and tokens that nobody renews.
    with_key = {
        "    OIDCClientSecret": "    # OIDCClientSecret",
        "    OIDCProviderTokenEndpointAuth": "    # OIDCProviderTokenEndpointAuth",
        "    OIDCRefresh": "    # OIDCRefresh",
        "    #OIDC": "    OIDC",
        "album#/etc/apache2/album-": "rsa#",
    }
    album, api = "https://album.example.com", "https://api.example.com/"
    return {
        "secret": text("secret", "login.conf", **{album: at["secret"], **client("secret", "album")}),
        "key": text("key", "login.conf", **{album: at["key"], **client("key", "album"), **with_key}),
        "introspection": text(
            "introspection", "introspection.conf", **{api: OPAQUE, **client("introspection", "notes-api")}
        ),
        "jwt": text("jwt", "jwt.conf", **{api: JWT}),
    }

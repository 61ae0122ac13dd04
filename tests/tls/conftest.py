"""An authorization server under its https name: real processes, a real proxy, real handshakes."""

import json
import ssl
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from cryptography import x509

from authserver.records import User
from pytest_authserver import AuthServer, Browser, RegisteredClient
from pytest_authserver.server import CHEAP
from tests.certificates import SERVER_AUTH, Certificate, authority, issue, key
from tests.run.conftest import SECRET_KEY, Group
from tests.servers.fixtures import or_give_up
from tests.servers.nginx import on_loopback, running_nginx
from tests.servers.process import free_port
from tests.world import API

SITE_CA = authority("CN=Authority of the site", 11)
CLIENT_CA = authority("CN=Authority of the clients", 12)
ALIAS = "mtls.localhost"
SITE = issue(
    "CN=localhost",
    key(13),
    SITE_CA,
    names=[x509.DNSName("localhost"), x509.DNSName(ALIAS), x509.IPAddress(ip_address("127.0.0.1"))],
    purposes=(SERVER_AUTH,),
)
SUBJECT = "CN=client,O=Example"
LEAF = issue(SUBJECT, key(14), CLIENT_CA)
OTHER = issue(SUBJECT, key(15), CLIENT_CA)
SELF = issue("CN=itself", key(16))
STRANGER = issue(SUBJECT, key(14), authority("CN=Authority of the clients", 17))
EXPIRED = issue(SUBJECT, key(14), CLIENT_CA, days=(-9, -2))
HEADER = "SSLClientCert"
ITSELF = {"grant_type": "client_credentials", "scope": "api:read"}
_CHEAP = {f"AUTHSERVER_PASSWORDS__{name.upper()}": str(value) for name, value in CHEAP.items()}


def tls_of_clients(folder: Path, certificate: Certificate | None = None) -> ssl.SSLContext:
    """Return how a client of the site speaks TLS; the pair of its certificate is put into the folder."""
    context = ssl.create_default_context(cadata=SITE_CA.pem)
    if certificate is not None:
        pair = folder / f"{certificate.x5t}.pem"
        pair.write_text(certificate.pem + certificate.key_pem)
        context.load_cert_chain(pair)
    return context


@dataclass(frozen=True)
class Ports:
    """Where everything listens."""

    plain: int  # authserver, behind nginx
    own: int  # its own listener for certificates
    https: int  # nginx: both host names
    alias: int  # nginx: the host name for certificates, on a port of its own
    http: int  # nginx: redirects


class Site:
    """A deployment, an administrator in this process, and ways to reach it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs: Path | None = None  # of nginx
        self.ports = Ports(*(free_port() for _ in range(5)))
        self.alias = f"https://localhost:{self.ports.alias}"
        self.own = f"https://localhost:{self.ports.own}"
        for name, certificate in (("site", SITE), ("site-ca", SITE_CA), ("clients", CLIENT_CA)):
            (folder / f"{name}.pem").write_text(certificate.pem)
        (folder / "site-key.pem").write_text(SITE.key_pem)
        self.mtls = {
            "certificate_header": HEADER,
            "ca_file": str(folder / "clients.pem"),
            "base_url": self.alias,
            "port": self.ports.own,
            "certificate_file": str(folder / "site.pem"),
            "key_file": str(folder / "site-key.pem"),
        }
        self.world = AuthServer(
            folder,
            issuer=f"https://localhost:{self.ports.https}",
            development=False,
            secret_key=SECRET_KEY,
            trusted_proxies=("127.0.0.1",),
            mtls=self.mtls,
            features={"management_api": True},
        )
        self.world.resource(API, "api:read")
        self.issuer = self.world.issuer
        self.environ = {
            "AUTHSERVER_ISSUER": self.issuer,
            "AUTHSERVER_PORT": str(self.ports.plain),
            "AUTHSERVER_DATABASE_URL": self.world.settings.database_url,
            "AUTHSERVER_SECRET_KEY": SECRET_KEY,
            "AUTHSERVER_TRUSTED_PROXIES": "127.0.0.1",
            "AUTHSERVER_WORKERS": "1",
            "AUTHSERVER_FEATURES__MANAGEMENT_API": "true",
            **{f"AUTHSERVER_MTLS__{name.upper()}": str(value) for name, value in self.mtls.items()},
            **_CHEAP,
        }

    def serve(self, **environ: str) -> Group:
        """Start the processes and wait until they listen."""
        group = Group([sys.executable, "-m", "authserver", "serve"], self.folder, {**self.environ, **environ})
        group.says("asking for client certificates on")
        return group

    def context(self, certificate: Certificate | None = None) -> ssl.SSLContext:
        """Return how a client of the site speaks TLS."""
        return tls_of_clients(self.folder, certificate)

    def http(self, certificate: Certificate | None = None, **options: Any) -> httpx2.Client:
        """Return a client that shows this certificate."""
        return httpx2.Client(verify=self.context(certificate), trust_env=False, timeout=60, **options)

    def post(
        self, url: str, certificate: Certificate | None, headers: dict[str, str] | None = None, **parameters: str
    ) -> httpx2.Response:
        """Post a form over a connection with this certificate."""
        form = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        with self.http(certificate) as http:
            return http.post(url, content=urlencode(parameters), headers=form)

    def by_subject(self, **metadata: Any) -> RegisteredClient:
        """Register a client for tls_client_auth with bound tokens."""
        return self.world.client(
            token_endpoint_auth_method="tls_client_auth",
            tls_client_auth_subject_dn=SUBJECT,
            tls_client_certificate_bound_access_tokens=True,
            trusted=True,
            **metadata,
        )

    def manages(self, at: str) -> list[int]:
        """Return the statuses of the management API at this place for a bound token: its certificate, another, none."""
        resource = f"{self.issuer}/manage"
        metadata = {"grant_types": ["client_credentials"], "redirect_uris": None, "resources": [resource]}
        client = self.by_subject(scope="manage:clients:read", **metadata)
        asked = {"grant_type": "client_credentials", "client_id": client.client_id, "resource": resource}
        bearer = {"Authorization": f"Bearer {self.post(f'{at}/token', LEAF, **asked).json()['access_token']}"}
        statuses = []
        for certificate in (LEAF, OTHER, None):
            with self.http(certificate, headers=bearer) as http:
                statuses.append(http.get(f"{at}/manage/clients").status_code)
        return statuses

    def by_key_set(self, certificate: Certificate) -> RegisteredClient:
        """Register a client for self_signed_tls_client_auth with bound tokens."""
        from tests.assertions import jwk

        return self.world.client(
            token_endpoint_auth_method="self_signed_tls_client_auth",
            jwks={"keys": [jwk(certificate.key, x5c=[certificate.x5c])]},
            tls_client_certificate_bound_access_tokens=True,
        )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The deployment, served."""
    made = Site(tmp_path_factory.mktemp("site"))
    group = made.serve()
    yield made
    group.close()
    made.world.close()
    assert "Traceback" not in group.output, group.output


@pytest.fixture(scope="session")
def proxied(site: Site) -> Iterator[Site]:
    """The deployment behind nginx."""
    ports = site.ports
    changes = on_loopback(ports.plain, (ports.https, ports.http, ports.alias), ALIAS)
    files = {"site.pem": SITE.pem, "site-key.pem": SITE.key_pem}
    with or_give_up() as stack:
        site.logs = stack.enter_context(running_nginx(changes, files, ports.https))
        yield site


@pytest.fixture(scope="session")
def known(site: Site) -> RegisteredClient:
    """A client that is known by the subject of its certificate."""
    return site.by_subject()


@pytest.fixture(scope="session")
def carla(site: Site) -> User:
    """An account."""
    return site.world.user("carla")


@pytest.fixture
def browser(proxied: Site) -> Iterator[Browser]:
    """A browser that trusts the authority of the site."""
    with ExitStack() as stack:
        yield Browser(stack.enter_context(proxied.http(follow_redirects=False)), proxied.issuer)


def cnf(answer: httpx2.Response) -> dict[str, Any]:
    """Return what an introspection answer says the token is bound to."""
    found: dict[str, Any] = json.loads(answer.text)["cnf"]
    return found

"""The provider as it is deployed: over https, behind the nginx whose configuration is shipped.

nginx is a process, the server behind it a thread of this one, so that a test moves its clock and looks into its store
as always. Every request tells the lies about host, scheme, address and path that proxies have believed before, and
every answer is looked at: whatever a module tries on the way, nothing may be seen of them, or of what is behind nginx.
"""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

import httpx2

from pytest_authserver import AuthServer
from pytest_authserver.live import answering
from tests.certificates import Certificate
from tests.servers.nginx import on_loopback, running_nginx
from tests.servers.process import free_port
from tests.tls.conftest import ALIAS, HEADER, SITE, tls_of_clients

EVIL = "evil.test"
LIES = MappingProxyType(
    {
        "Forwarded": f"for=203.0.113.9;host={EVIL};proto=http",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Host": EVIL,
        "X-Forwarded-Port": "80",
        "X-Forwarded-Prefix": f"/{EVIL}",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Ssl": "off",
        "X-Forwarded-Server": EVIL,
        "X-Forwarded-Scheme": "http",
        "X-Host": EVIL,
        "X-HTTP-Method-Override": "DELETE",
        "X-Original-Host": EVIL,
        "X-Original-URL": f"/metrics?{EVIL}",
        "X-Real-IP": "203.0.113.9",
        "X-Rewrite-URL": f"/metrics?{EVIL}",
        "X-Script-Name": f"/{EVIL}",
        "X-URL-Scheme": "http",
    }
)
"""What a client may say of itself, and nobody may believe."""
_OURS = re.compile(rf"https?://(?:localhost|{re.escape(ALIAS)})(?::\d+)?")


class Watched(httpx2.HTTPTransport):
    """The way in, shared by all clients of a provider and open until it ends: handshakes are not what is tested."""

    def __init__(self, provider: "Deployed") -> None:
        super().__init__(verify=provider.context())
        self.provider = provider

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers.update(LIES)
        answer = super().handle_request(request)
        answer.read()
        assert_outside(self.provider, answer)
        return answer

    def __exit__(self, *_error: object) -> None:
        """Stay open: the client that is done here is not the last."""

    def close(self) -> None:
        """Stay open, too."""

    def end(self) -> None:
        super().close()


class Deployed(AuthServer):
    """A provider that is reached through nginx alone; ``alias`` is where client certificates are asked for."""

    def __init__(self, folder: Path, inner: int, **settings: Any) -> None:
        self.inner = inner
        self.ports = [free_port() for _ in range(3)]  # https, http, the alias
        self.alias = f"https://localhost:{self.ports[2]}"
        self.neighbours: set[str] = set()  # origins of others on the same host
        self.folder = folder
        self.way = Watched(self)
        mtls = {"certificate_header": HEADER, "base_url": self.alias}
        super().__init__(
            folder,
            **{**settings, "issuer": f"https://localhost:{self.ports[0]}"},
            trusted_proxies=("127.0.0.1",),
            mtls=mtls,
        )

    def http(self, *, address: str = "127.0.0.1", **options: Any) -> httpx2.Client:
        """Return an HTTP client; nginx sees its address, which is 127.0.0.1 always."""
        assert address == "127.0.0.1"
        return httpx2.Client(transport=self.way, base_url=self.issuer, trust_env=False, timeout=60, **options)

    def straight(self) -> httpx2.Client:
        """Return an HTTP client that passes nginx by."""
        return httpx2.Client(base_url=f"http://127.0.0.1:{self.inner}", trust_env=False, timeout=60)

    def showing(self, certificate: Certificate) -> httpx2.Client:
        """Return an HTTP client that shows this certificate where it is asked."""
        return httpx2.Client(verify=self.context(certificate), trust_env=False, timeout=60)

    def context(self, certificate: Certificate | None = None) -> ssl.SSLContext:
        return tls_of_clients(self.folder, certificate)


@contextmanager
def behind_nginx(folder: Path, **settings: Any) -> Iterator[Deployed]:
    """Run a provider behind nginx; raises ServerUnavailableError where there is none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        inner: int = listener.getsockname()[1]
        server = Deployed(folder, inner, **settings)
        files = {"site.pem": SITE.pem, "site-key.pem": SITE.key_pem}
        try:
            with (
                answering(server.app, listener),
                running_nginx(on_loopback(inner, server.ports, ALIAS), files, server.ports[0]),
            ):
                yield server
        finally:
            server.way.end()
            server.close()


def assert_outside(provider: Deployed, answer: httpx2.Response) -> None:
    """Check an answer for what is behind nginx, for what the client said of itself, and for what https is owed."""
    said = "\n".join([*(f"{name}: {value}" for name, value in answer.headers.items()), unquote(answer.text)])
    assert EVIL not in said
    assert "203.0.113.9" not in said
    assert f":{provider.inner}" not in said
    assert {*_OURS.findall(said)} <= {provider.issuer, provider.alias, *provider.neighbours}
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    for cookie in answer.headers.get_list("set-cookie"):
        name, *members = (part.strip() for part in cookie.split(";"))
        assert name.startswith("__Host-")
        assert {"Secure", "Path=/"} <= {*members}
        assert not any(member.lower().startswith("domain") for member in members)

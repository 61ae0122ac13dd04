"""The server over real HTTP, a person in front of it, and Node for the clients that need it."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pytest_authserver import AuthServer, Browser, RegisteredClient
from pytest_authserver.live import serving
from pytest_authserver.server import PASSWORD
from tests.signing import key

CALLBACK = "http://127.0.0.1:1/callback"
OPAQUE, JWT = "https://notes.test/", "https://almanac.test/"
_PATIENCE = 60  # seconds

Answer = Callable[[str], str]
Visit = Callable[[AuthServer], Answer]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("clients")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine says about proxies does not concern clients of a server on loopback."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """One server for all clients: what they do to each other is part of the test."""
    with serving(tmp_path_factory.mktemp("clients"), limits={"sign_in_per_address": 1000}) as running:
        running.user("alice", name="Alice Liddell")
        running.resource(OPAQUE, "notes:read")
        running.resource(JWT, "almanac:read", token_format="jwt")
        yield running


@pytest.fixture
def endpoints(server: AuthServer) -> dict[str, Any]:
    """The metadata, as a client reads it."""
    answer = httpx2.get(f"{server.issuer}/.well-known/openid-configuration", trust_env=False)
    metadata: dict[str, Any] = answer.raise_for_status().json()
    return metadata


@pytest.fixture
def register(server: AuthServer) -> Callable[..., RegisteredClient]:
    """A function that registers a client for one way to authenticate."""

    def one(method: str, **more: Any) -> RegisteredClient:
        members = {
            "redirect_uris": [CALLBACK],
            "post_logout_redirect_uris": ["http://127.0.0.1:1/bye"],
            "token_endpoint_auth_method": method,
            "resources": [OPAQUE, JWT],
            "scope": "openid profile email offline_access notes:read almanac:read",
            **more,
        }
        if method == "none":
            members["grant_types"] = ["authorization_code", "refresh_token"]
        if method == "private_key_jwt":
            members["jwks"] = {"keys": [public_key("p256"), public_key("rsa")]}
        return server.client(**members)

    return one


def public_key(name: str) -> dict[str, Any]:
    """Return the public half of a key of the tests, under its name."""
    return key(name, kid=name, use="sig").as_dict(private=False)


@pytest.fixture
def answer(server: AuthServer) -> Iterator[Answer]:
    """A function that opens an authorization request in a new browser, signs in, allows it, and gives the callback."""
    with _visitor(server, "allow") as visit:
        yield visit


@pytest.fixture
def visit_at() -> Iterator[Visit]:
    """A function that gives the same for another server."""
    with ExitStack() as open_visitors:
        yield lambda at: open_visitors.enter_context(_visitor(at, "allow"))


@pytest.fixture
def denial(server: AuthServer) -> Iterator[Answer]:
    """The same by somebody who does not allow it."""
    with _visitor(server, "deny") as visit:
        yield visit


@contextmanager
def _visitor(server: AuthServer, decision: str) -> Iterator[Answer]:
    clients: list[httpx2.Client] = []

    def visit(url: str) -> str:
        clients.append(httpx2.Client(trust_env=False))
        browser = Browser(clients[-1], server.issuer)
        page = browser.visit(url)
        if page.location is None:
            page = browser.log_in(page, "alice", PASSWORD)
        if page.location is None:
            page = browser.submit(page, f"consent-{decision}")
        assert page.location is not None, page.text
        return page.location

    yield visit
    for client in clients:
        client.close()


@pytest.fixture
def run_node(node_modules: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A function that runs a script of ``npm/``: it is told what to do, asks for the callback, and reports."""

    def run(script: str, asked: dict[str, Any], answer: Answer) -> dict[str, Any]:
        # Node looks for packages beside the script.
        (tmp_path / "node_modules").symlink_to(node_modules)
        for name in (script, "tls.mjs"):
            shutil.copy(Path(__file__).parent / "npm" / name, tmp_path)
        command = [shutil.which("node") or "node", script]
        with subprocess.Popen(
            command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            url = process.stdout.readline().strip()
            out, err = process.communicate(answer(url) + "\n" if url else None, timeout=_PATIENCE)
        assert process.returncode == 0, err or out
        report: dict[str, Any] = json.loads(out)
        return report

    return run

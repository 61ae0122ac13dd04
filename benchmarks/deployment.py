"""A server to measure: a database, what the command line registers in it, people who sign in, ``authserver serve``."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Final

import httpx2

from benchmarks import cpu
from benchmarks.authorize import authorization, redemption
from benchmarks.connection import WrongAnswer
from benchmarks.driver import CONNECTIONS
from benchmarks.script import Target
from benchmarks.token import SCOPE
from pytest_authserver.browser import Browser
from tests.servers.postgres import Postgres
from tests.servers.process import free_port

RESOURCE: Final = "https://notes.example"
REDIRECT_URI: Final = "https://app.example/callback"
_USER: Final = "bench"
_PASSWORD: Final = "a long sentence that nobody guesses"
_START_SECONDS: Final = 30
_MACHINE: Final = {"grant_types": ["client_credentials"], "response_types": [], "scope": SCOPE}
_CLIENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "machine": _MACHINE,
    "machine-es256": {**_MACHINE, "access_token_format": "jwt"},
    "machine-rs256": {**_MACHINE, "access_token_format": "jwt", "access_token_signed_response_alg": "RS256"},
    "resource-server": {**_MACHINE, "resource_server_for": [RESOURCE]},
    "app": {
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [REDIRECT_URI],
        "scope": "openid profile",
    },
}


class Deployment:
    """One running server; ``key`` names it in the table, ``database`` is ``sqlite`` or ``postgresql``."""

    def __init__(self, database: str, variant: str, folder: Path, log: IO[bytes], postgres: Postgres | None) -> None:
        """Register everything by the command line; ``variant`` holds settings, ``THREADS=1,LOG_LEVEL=error``."""
        self.database = database
        self.variant = variant
        self.key = f"{database} {variant}".rstrip()
        self._log = log
        self._postgres = postgres
        self._port = free_port()
        self.issuer = f"http://127.0.0.1:{self._port}"
        url = f"sqlite:///{folder}/authserver.db" if postgres is None else postgres.create()
        self.environment = {
            "PATH": os.environ["PATH"],
            "AUTHSERVER_ISSUER": self.issuer,
            "AUTHSERVER_DATABASE_URL": url,
            "AUTHSERVER_SECRET_KEY": secrets.token_urlsafe(32),
            # The tokens of a run live as long as the run, and nobody is answered 503 because a shared disk is slow.
            "AUTHSERVER_TOKENS__ACCESS_TOKEN_SECONDS": "7200",
            "AUTHSERVER_DATABASE__BUSY_MS": "10000",
            **{f"AUTHSERVER_{name}": value for name, value in _settings(variant)},
        }
        self.clients: dict[str, dict[str, str]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self.start_seconds = 0.0
        self._register()

    def _register(self) -> None:
        self._command("db", "upgrade")
        self._command("user", "add", _USER, "--password-stdin", given=_PASSWORD)
        self._command("resource", "add", RESOURCE, "--scope", f"{SCOPE}=Read notes")
        for name, metadata in _CLIENTS.items():
            answer = self._command("client", "add", "--json", "-", given=json.dumps({"client_name": name, **metadata}))
            registered = json.loads(answer)
            self.clients[name] = {member: registered[member] for member in ("client_id", "client_secret")}

    def _command(self, *words: str, given: str = "") -> str:
        program = [sys.executable, "-m", "authserver", *words]
        done = subprocess.run(program, env=self.environment, input=given, text=True, capture_output=True, check=False)
        if done.returncode:
            raise WrongAnswer(f"authserver {' '.join(words[:2])}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def start(self) -> None:
        """Start the server with one worker process; ``start_seconds`` is the time to its first good answer."""
        program = [sys.executable, "-m", "authserver", "serve", "--development", "--no-worker"]
        listening = ["--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"]
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [*program, *listening], env=self.environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        while time.perf_counter() - began < _START_SECONDS and self._process.poll() is None:
            try:
                if httpx2.get(self.issuer + "/.well-known/openid-configuration").status_code == 200:
                    self.start_seconds = time.perf_counter() - began
                    return
            except httpx2.TransportError:
                time.sleep(0.005)
        raise WrongAnswer(f"authserver serve does not answer; see {self._log.name}")

    def stop(self) -> None:
        """End the server as a service manager does."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def processes(self) -> list[int]:
        """Return the processes of the server, those of its database included."""
        server = cpu.family(self._process.pid) if self._process else []
        return server + (cpu.family(postmaster(self._postgres)) if self._postgres else [])

    def workers(self) -> list[int]:
        """Return the worker processes alone: their memory is what a deployment multiplies."""
        return cpu.family(self._process.pid)[1:] if self._process else []

    def target(self) -> Target:
        """Let one person per connection sign in and consent; return what the driver needs."""
        at = Target("127.0.0.1", self._port, self.issuer, RESOURCE, REDIRECT_URI, self.clients)
        at.browsers.extend(self._sign_in(at) for _ in range(CONNECTIONS))
        return at

    def _sign_in(self, at: Target) -> dict[str, str]:
        verifier = secrets.token_urlsafe(32)
        with httpx2.Client() as http:
            page = Browser(http, self.issuer).authorize(authorization(at, verifier), username=_USER, password=_PASSWORD)
            code = page.callback.get("code")
            if code is None:
                raise WrongAnswer(
                    f"the sign-in ended at {page.location or page.url} ({page.status}): {page.error_code}"
                )
            client = at.clients["app"]
            answer = http.post(
                f"{self.issuer}/token",
                data=redemption(at, code, verifier),
                auth=(client["client_id"], client["client_secret"]),
            ).json()
            cookie = "; ".join(f"{one.name}={one.value}" for one in http.cookies.jar)
        return {"cookie": cookie, "refresh_token": answer["refresh_token"]}


@contextmanager
def deployed(
    databases: list[str], variants: list[str], folder: Path, postgres: Postgres | None
) -> Iterator[list[Deployment]]:
    """Run one server for each database and variant."""
    with ExitStack() as stack:
        running = []
        for database in databases:
            for number, variant in enumerate(variants):
                own = folder / f"{database}-{number}"
                own.mkdir()
                log = stack.enter_context((own / "log").open("wb"))
                made = Deployment(database, variant, own, log, postgres if database == "postgresql" else None)
                stack.callback(made.stop)
                # The first start makes the signing keys; the second is the one that is looked at.
                made.start()
                made.stop()
                made.start()
                running.append(made)
        yield running


def postmaster(postgres: Postgres) -> int:
    """Return the process that all processes of a PostgreSQL server descend from."""
    if postgres.process is None:
        raise WrongAnswer("this PostgreSQL server is not ours to measure")
    return int((postgres.process.folder / "data" / "postmaster.pid").read_text().split()[0])


def _settings(variant: str) -> list[tuple[str, str]]:
    pairs = [part.partition("=") for part in variant.split(",") if part]
    return [(name.strip().upper(), value.strip()) for name, _, value in pairs]

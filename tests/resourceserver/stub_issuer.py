"""A small real issuer on a free loopback port: metadata, keys, introspection, and the faults that tests ask for."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

from tests.resourceserver.signing import public_jwk

METADATA = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
KEYS = "/jwks"
INTROSPECTION = "/introspect"

Fault = Callable[[BaseHTTPRequestHandler], None]


class StubIssuer:
    """What it publishes can be changed at any time; `hits` counts requests by path, `seen` keeps introspections."""

    def __init__(self) -> None:
        self.keys: list[dict[str, object]] = [public_jwk(name) for name in ("rsa", "p256", "ed25519")]
        self.keys_headers: dict[str, str] = {}
        self.metadata: dict[str, object] = {}
        self.answers: dict[str, object] = {}
        self.faults: dict[str, Fault] = {}
        self.delay = 0.0
        self.hits: Counter[str] = Counter()
        self.seen: list[tuple[dict[str, str], dict[str, list[str]]]] = []
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def active(self, audience: object, **members: object) -> dict[str, object]:
        """A good introspection answer; a member given as None is left out."""
        usual: dict[str, object] = {
            "active": True,
            "iss": self.url,
            "sub": "user-1",
            "aud": audience,
            "exp": int(time.time()) + 600,
            "iat": int(time.time()),
            "client_id": "client-1",
            "scope": "read write",
            "token_type": "Bearer",
        }
        return {key: value for key, value in {**usual, **members}.items() if value is not None}

    def document(self) -> dict[str, object]:
        usual: dict[str, object] = {
            "issuer": self.url,
            "jwks_uri": self.url + KEYS,
            "introspection_endpoint": self.url + INTROSPECTION,
        }
        return usual | self.metadata


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


def _handler(issuer: StubIssuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body leave in two writes: without this, the second waits for an acknowledgement.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *_args: object) -> None:
            pass

        def _answer(self, body: bytes) -> None:
            issuer.hits[self.path] += 1
            if self.path == INTROSPECTION:
                issuer.seen.append((dict(self.headers), parse_qs(body.decode())))
            time.sleep(issuer.delay)
            if self.path in issuer.faults:
                issuer.faults[self.path](self)
            else:
                _answer_well(issuer, self, body)

    return Handler


def _answer_well(issuer: StubIssuer, to: BaseHTTPRequestHandler, body: bytes) -> None:
    if to.path == KEYS:
        reply(to, {"keys": issuer.keys}, headers=issuer.keys_headers)
    elif to.path == INTROSPECTION:
        reply(to, issuer.answers.get(parse_qs(body.decode())["token"][0], {"active": False}))
    elif to.path == METADATA:
        reply(to, issuer.document())
    else:
        reply(to, {"error": "not_found"}, status=404)


def reply(
    to: BaseHTTPRequestHandler,
    body: object,
    *,
    status: int = 200,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    to.send_response(status)
    for name, value in ({"Content-Type": content_type, "Content-Length": str(len(data))} | (headers or {})).items():
        to.send_header(name, value)
    to.end_headers()
    to.wfile.write(data)


def replying(body: object, **how: Any) -> Fault:
    """A fault that answers so, whatever is asked."""
    return lambda to: reply(to, body, **how)

"""The guard in front of an ASGI application (ASGI 3.0; RFC 6750, RFC 9728 3 and 5.1)."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from resourceserver import DPoP, Guard, MemoryReplays, Nonces, ProxyCertificates, Verifier
from resourceserver.asgi import Message, Receive, Scope, Send
from tests import event_loop
from tests.proofs import Prover
from tests.resourceserver.conftest import AUDIENCE, Mint
from tests.resourceserver.stub_issuer import INTROSPECTION, StubIssuer, replying
from tests.resourceserver.test_mtls import LEAF, OTHER

DOCUMENT = "https://api.example/.well-known/oauth-protected-resource/things"
PATH = "/.well-known/oauth-protected-resource/things"
Call = Callable[..., "Response"]


class Response:
    """What an application has sent."""

    def __init__(self, sent: list[Message]) -> None:
        self.sent = sent
        start, *body = sent
        self.status: int = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        self.body = b"".join(message["body"] for message in body)
        assert len(self.headers) == len(start["headers"]), "a header is there twice"


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Say who calls, in two pieces."""
    token = scope["state"]["access_token"]
    heading = [(b"content-type", b"text/plain"), (b"DPoP-Nonce", b"of the application")]
    await send({"type": "http.response.start", "status": 200, "headers": heading})
    await send({"type": "http.response.body", "body": scope["path"].encode(), "more_body": True})
    await send({"type": "http.response.body", "body": f" {token.subject}".encode()})


def scope_of(path: str = "/things", method: str = "POST", **more: Any) -> dict[str, Any]:
    path, _, query = path.partition("?")
    headers = [(name.lower().encode(), value.encode()) for name, value in more.pop("headers", [])]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
        "client": ("127.0.0.1", 40000),
        "state": {},
        **more,
    }


def run(guard: Guard, scope: dict[str, Any]) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the guard reads no body")

    async def send(message: Message) -> None:
        sent.append(message)

    event_loop.run(guard(scope, receive, send))
    return sent


def call(guard: Guard, path: str = "/things", token: str | None = "opaque", *headers: tuple[str, str], **more: Any):
    credentials = [] if token is None else [("Authorization", f"Bearer {token}")]
    return Response(run(guard, scope_of(path, headers=[*credentials, *headers], **more)))


@pytest.fixture
def verifier(issuer: StubIssuer, by_asking: Verifier) -> Verifier:
    """Knows one token, which may read and write."""
    issuer.answers["opaque"] = issuer.active(AUDIENCE)
    by_asking.resource_metadata = DOCUMENT
    return by_asking


@pytest.fixture
def guard(verifier: Verifier) -> Guard:
    more = {"resource_documentation": "https://api.example/docs"}
    return Guard(hello, verifier, scopes=("read",), name="Things", metadata=more)


def test_the_application_gets_the_token_in_the_state_of_the_request(guard: Guard) -> None:
    answer = call(guard, "/any/path")
    assert (answer.status, answer.body) == (200, b"/any/path user-1")


def test_a_state_that_requests_share_is_not_where_the_token_goes(guard: Guard) -> None:
    shared = {"pool": "of the lifespan"}
    scope = scope_of(headers=[("Authorization", "Bearer opaque")], state=shared)
    assert Response(run(guard, scope)).status == 200
    assert shared == {"pool": "of the lifespan"}
    assert scope["state"]["pool"] == "of the lifespan"


def test_a_request_without_state_gets_one(guard: Guard) -> None:
    scope = scope_of(headers=[("Authorization", "Bearer opaque")])
    del scope["state"]
    assert Response(run(guard, scope)).status == 200


def test_without_token_the_challenge_names_scope_and_metadata(issuer: StubIssuer, guard: Guard) -> None:
    # RFC 6750 3, RFC 9728 5.1
    scope = scope_of()
    answer = Response(run(guard, scope))
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == f'Bearer scope="read", resource_metadata="{DOCUMENT}"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert scope["state"]["refusal"].reason == "no access token"
    assert not issuer.hits


@pytest.mark.parametrize(
    ("token", "scopes", "status", "error"),
    [
        ("unknown", ("read",), 401, "invalid_token"),
        ("other", ("read",), 401, "invalid_token"),
        ("opaque", ("read", "admin"), 403, "insufficient_scope"),
    ],
)
def test_refusals_are_written_as_their_specification_says(
    issuer: StubIssuer, verifier: Verifier, token: str, scopes: tuple[str, ...], status: int, error: str
) -> None:
    # A slash at the end is another audience.
    issuer.answers["other"] = issuer.active(AUDIENCE + "/")
    answer = call(Guard(hello, verifier, scopes=scopes), token=token)
    assert (answer.status, json.loads(answer.body)["error"]) == (status, error)
    challenge = answer.headers["www-authenticate"]
    assert f'error="{error}"' in challenge
    assert f'resource_metadata="{DOCUMENT}"' in challenge
    assert ('scope="read admin"' in challenge) == (status == 403)


def test_two_headers_and_a_token_in_two_places_are_refused(guard: Guard) -> None:
    assert call(guard, "/things", "opaque", ("Authorization", "Bearer opaque")).status == 400
    assert call(guard, "/things?access_token=opaque").status == 400
    assert call(guard, "/things?access%5Ftoken=").status == 400
    assert call(guard, "/things?access_token=opaque", None).status == 401
    assert call(guard, "/things?token=%ff&x").status == 200


def test_an_issuer_that_is_away_is_503_and_never_401(issuer: StubIssuer, guard: Guard) -> None:
    issuer.faults = {INTROSPECTION: replying(b"<html>", content_type="text/html")}
    answer = call(guard)
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "www-authenticate" not in answer.headers


def test_fresh_asks_each_time(issuer: StubIssuer, verifier: Verifier) -> None:
    guard = Guard(hello, verifier, fresh=True)
    assert [call(guard).status for _ in range(3)] == [200] * 3
    assert issuer.hits[INTROSPECTION] == 3


# RFC 9728 3: the metadata.


@pytest.mark.parametrize(("method", "length"), [("GET", True), ("HEAD", False)])
def test_the_metadata_is_there_for_everybody(issuer: StubIssuer, guard: Guard, method: str, *, length: bool) -> None:
    answer = call(guard, PATH, None, method=method)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert bool(answer.body) is length
    assert int(answer.headers["content-length"]) > 0
    if length:
        assert json.loads(answer.body) == {
            "resource": AUDIENCE,
            "authorization_servers": [issuer.url],
            "scopes_supported": ["read"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Things",
            "resource_documentation": "https://api.example/docs",
        }


@pytest.mark.parametrize(
    ("path", "method"), [(PATH, "POST"), (PATH, "OPTIONS"), (PATH + "/", "GET"), (PATH + "/../x", "GET")]
)
def test_only_the_metadata_itself_is_open(guard: Guard, path: str, method: str) -> None:
    assert call(guard, path, None, method=method).status == 401


def test_without_a_name_there_is_no_metadata(verifier: Verifier) -> None:
    assert call(Guard(hello, verifier), PATH, None, method="GET").status == 401


# What is no HTTP request.


def test_a_websocket_is_closed_before_the_handshake(guard: Guard) -> None:
    scope = scope_of(headers=[("Authorization", "Bearer opaque")]) | {"type": "websocket"}
    assert run(guard, scope) == [{"type": "websocket.close", "code": 1008}]


def test_the_lifespan_is_that_of_the_application(verifier: Verifier) -> None:
    seen: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    assert run(Guard(application, verifier), {"type": "lifespan"}) == []
    assert seen == ["lifespan"]


def test_the_loop_goes_on_while_the_issuer_is_asked(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    answered, check = Event(), guard._check

    async def both() -> None:
        asked, loop, sent = asyncio.Event(), asyncio.get_running_loop(), []

        def slow(scope: Scope) -> Any:
            loop.call_soon_threadsafe(asked.set)
            assert answered.wait(20)
            return check(scope)

        async def send(message: Message) -> None:
            sent.append(message)

        monkeypatch.setattr(guard, "_check", slow)
        scope = scope_of(headers=[("Authorization", "Bearer opaque")])
        waiting = asyncio.ensure_future(guard(scope, send, send))  # type: ignore[arg-type] # nothing is received
        await asked.wait()
        answered.set()
        await waiting
        assert Response(sent).status == 200

    event_loop.run(both())


# Tokens that are bound to a key (RFC 9449 7, RFC 8705 3).


def test_a_token_bound_by_dpop_needs_a_proof_for_this_path(issuer: StubIssuer, verifier: Verifier) -> None:
    prover = Prover()
    issuer.answers["bound"] = issuer.active(AUDIENCE, token_type="DPoP", cnf={"jkt": prover.jkt})
    verifier.dpop = DPoP("https://api.example", replays=MemoryReplays(clock=lambda: 0), nonces=Nonces(b"n" * 32))
    guard = Guard(hello, verifier, name="Things")

    def ask(url: str, path: str = "/things/ä b", **claims: Any) -> Response:
        proof = prover.proof("POST", url, "bound", **claims)
        return call(guard, path, None, ("Authorization", "DPoP bound"), ("DPoP", proof))

    url = "https://api.example/things/%C3%A4%20b"
    first = ask(url)
    assert (first.status, json.loads(first.body)["error"]) == (401, "use_dpop_nonce")
    nonce = first.headers["dpop-nonce"]
    answer = ask(url, nonce=nonce)
    assert answer.status == 200
    # 8.2: the next one comes with the answer, instead of the application's own.
    assert answer.headers["dpop-nonce"] == nonce
    assert json.loads(ask(url, "/things", nonce=nonce).body)["error"] == "invalid_dpop_proof"
    assert ask("https://api.example/things/%ED%A0%80", "/things/\ud800", nonce=nonce).status == 401
    assert call(guard, "/things", "bound").status == 401
    document = json.loads(call(guard, PATH, None, method="GET").body)
    assert "ES256" in document["dpop_signing_alg_values_supported"]


def test_a_certificate_comes_from_the_proxy_alone(by_keys: Verifier, mint: Mint) -> None:
    by_keys.certificates = ProxyCertificates("Client-Cert", ["127.0.0.1"])
    guard, bound = Guard(hello, by_keys), mint(cnf={"x5t#S256": LEAF.x5t})
    mine = ("Client-Cert", LEAF.field)
    assert call(guard, "/things", bound, mine).status == 200
    refused = [
        call(guard, "/things", bound),
        call(guard, "/things", bound, ("Client-Cert", OTHER.field)),
        call(guard, "/things", bound, ("Client_Cert", LEAF.field)),
        call(guard, "/things", bound, mine, mine),
        call(guard, "/things", bound, mine, client=("192.0.2.1", 1)),
        call(guard, "/things", bound, mine, client=None),
    ]
    assert [answer.status for answer in refused] == [401] * 6


# What is said at the start.


def test_promises_that_cannot_be_kept_are_refused_at_once(by_keys: Verifier) -> None:
    for wrong in ({"fresh": True}, {"scopes": "read"}, {"acr": "phr"}, {"details": "payment"}, {"name": "Things"}):
        with pytest.raises(ValueError):
            Guard(hello, by_keys, **wrong)  # type: ignore[arg-type]


def test_a_forked_process_has_threads_of_its_own(verifier: Verifier):
    guard = Guard(hello, verifier)
    assert call(guard).status == 200
    child = os.fork()
    if not child:
        signal.alarm(20)
        failed = 1
        try:
            failed = int(call(guard).status != 200)
        finally:
            os._exit(failed)
    assert os.waitpid(child, 0)[1] == 0

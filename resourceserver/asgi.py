"""A guard in front of an ASGI application. Decides nothing itself: see `resourceserver.verifier`.

ASGI 3.0 (HTTP & WebSocket specification), https://asgi.readthedocs.io/en/stable/specs/www.html, RFC 9728 section 3
(OAuth 2.0 Protected Resource Metadata), https://www.rfc-editor.org/rfc/rfc9728#section-3

Needs no framework, and runs under any server whose loop is that of asyncio. Checking a token may wait for the issuer,
so it has threads of its own: neither the loop nor the application's threads wait with it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from resourceserver.access_token import AccessToken
from resourceserver.binding import PATH_CHARACTERS, Evidence
from resourceserver.errors import InvalidTokenError, ResourceError
from resourceserver.metadata import metadata_document
from resourceserver.mtls import CertificateError
from resourceserver.per_process import PerProcess
from resourceserver.verifier import Verifier

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[str, str]]

_NOTHING: Mapping[str, object] = MappingProxyType({})
_DOCUMENT_HEADERS = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "public, max-age=300"),
    # Public by nature, and a client in a browser needs it to find the issuer.
    ("Access-Control-Allow-Origin", "*"),
)


class Guard:
    """Lets only requests with a good access token reach `app`, whatever their path; WebSockets never.

    `scopes`, `acr`, `max_age`, `details` and `fresh` are those of `Verifier.verify` and count for every request. The
    AccessToken is in the request's state under "access_token" (`request.state.access_token` in Starlette and FastAPI);
    a refusal is there under "refusal", for the log.

    With a `name`, the one under which people know the resource, its metadata is served to everybody at the path of the
    verifier's `resource_metadata`; `metadata` holds more members of it, see `resourceserver.metadata`. `threads` is how
    many requests may wait for the issuer at one time.

    Raises ValueError for a promise that `verifier` cannot keep, or for one text where a collection is meant.
    """

    def __init__(  # noqa: PLR0913 two facts, and the rest has defaults
        self,
        app: Application,
        verifier: Verifier,
        *,
        scopes: Collection[str] = (),
        acr: Sequence[str] = (),
        max_age: int | None = None,
        details: Collection[str] = (),
        fresh: bool = False,
        name: str = "",
        metadata: Mapping[str, object] = _NOTHING,
        threads: int = 32,
    ) -> None:
        if isinstance(scopes, str) or isinstance(acr, str) or isinstance(details, str):
            raise ValueError("scopes, acr and details are collections of strings")  # noqa: TRY004
        if fresh and not verifier.can_introspect:
            raise ValueError("fresh answers need an introspection client")
        if name and not verifier.resource_metadata:
            raise ValueError("metadata is served where the verifier's resource_metadata says")
        self._app = app
        self._verifier = verifier
        self._verify = partial(verifier.verify, scopes=scopes, acr=acr, max_age=max_age, details=details, fresh=fresh)
        self._threads = PerProcess(lambda: ThreadPoolExecutor(threads, thread_name_prefix="access-token"))
        self._document, self._document_path = b"", ""
        if name:
            scopes = tuple(scopes)
            self._document = metadata_document(
                verifier.audience, verifier.issuer, scopes, name, verifier.binding(), metadata
            )
            self._document_path = urlsplit(verifier.resource_metadata).path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            # A server that is told so before the handshake answers 403.
            await send({"type": "websocket.close", "code": 1008})
        elif self._document and scope["path"] == self._document_path and scope["method"] in {"GET", "HEAD"}:
            body = b"" if scope["method"] == "HEAD" else self._document
            await _answer(send, 200, _DOCUMENT_HEADERS, body, len(self._document))
        else:
            await self._guarded(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A copy, in case a server hands the same one to several requests: each has the token of its own.
        state = scope["state"] = {**scope.get("state", {})}
        try:
            token = await asyncio.get_running_loop().run_in_executor(self._threads.get(), self._check, scope)
        except ResourceError as refusal:
            state["refusal"] = refusal
            answer = self._verifier.answer(refusal)
            await _answer(send, answer.status, answer.headers, answer.body, len(answer.body))
            return
        state["access_token"] = token
        headers = _encoded(self._verifier.headers(token))

        async def send_with_headers(message: Message) -> None:
            if headers and message["type"] == "http.response.start":
                own = {name for name, _ in headers}
                others = [pair for pair in message.get("headers", ()) if pair[0].lower() not in own]
                message = {**message, "headers": [*others, *headers]}
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _check(self, scope: Scope) -> AccessToken:
        authorization = _values(scope, b"authorization")
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        # A token in the query alone counts for nothing; beside the header it is a second method (RFC 6750 2).
        other_methods = bool(authorization) and "access_token" in query
        return self._verify(authorization, self._evidence(scope), other_methods=other_methods)

    def _evidence(self, scope: Scope) -> Evidence:
        certificate = self._certificate(scope)
        if self._verifier.dpop is None:
            return Evidence(certificate=certificate)
        # The path that the router sees, written as a URL has it: two ways to write it would be two targets (RFC 9449
        # 4.3).
        path = quote(scope["path"], safe=PATH_CHARACTERS, errors="replace")
        return Evidence(scope["method"], path, _values(scope, b"dpop"), certificate)

    def _certificate(self, scope: Scope) -> bytes | None:
        if self._verifier.certificates is None:
            return None
        environ = {"REMOTE_ADDR": (scope.get("client") or ("",))[0]}
        for name, value in scope["headers"]:
            # Nothing but the header itself counts, though names with underscores would look alike here.
            if b"_" not in name:
                key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
                written = value.decode("latin-1")
                environ[key] = f"{environ[key]},{written}" if key in environ else written
        try:
            return self._verifier.certificates.read(environ)
        except CertificateError:
            raise InvalidTokenError("certificate header unreadable") from None


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for each, value in scope["headers"] if each == name]


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def _answer(send: Send, status: int, headers: Headers, body: bytes, length: int) -> None:
    fields = _encoded([*headers, ("Content-Length", str(length))])
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})

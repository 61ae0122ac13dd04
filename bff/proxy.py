"""The proxy: `/api/<prefix>/...` becomes a request with a bearer token (RFC 6750) to one listed API.

Only listed headers pass, in both directions, so cookies, credentials, hop-by-hop and forwarding headers cannot.
A path may hold unreserved characters only: then what is checked here, what is sent and what the API's router reads
are the same text, and nothing encoded can mean a second thing further on. Redirects are not followed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bff.errors import (
    ApiRedirectedError,
    ApiRefusedTokenError,
    ApiUnavailableError,
    PathRefusedError,
    StepUpNeededError,
)
from bff.outbound import Answer, Outbound, OutboundError
from bff.records import Session
from bff.settings import Api, BffSettings
from bff.step_up import challenged
from bff.tokens import Tokens

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_SEGMENT = re.compile(r"[A-Za-z0-9._~=:,-]{1,255}")
_QUERY = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?%\[\]|-]{0,4096}")
_MAX_PATH = 2048
_REQUEST_HEADERS = (
    "accept",
    "accept-language",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "prefer",
    "range",
    "traceparent",
    "x-request-id",
)
_RESPONSE_HEADERS = frozenset(
    {
        "accept-ranges",
        "allow",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-range",
        "content-type",
        "etag",
        "last-modified",
        "retry-after",
        "x-request-id",
    }
)


@dataclass(frozen=True, slots=True)
class Call:
    """A request of a page for an API: method, path below `/api/`, raw query, headers, body."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Proxy:
    """Forwards calls with a token that the page never sees."""

    def __init__(self, settings: BffSettings, tokens: Tokens, outbound: Outbound) -> None:
        self._settings = settings
        self._apis = {api.prefix: api for api in settings.apis}
        self._tokens = tokens
        self._outbound = outbound

    def url(self, path: str, query: str) -> tuple[Api, str]:
        """Find the API and the URL for a path below `/api/`; raises PathRefusedError."""
        prefix, *rest = path.split("/")
        api = self._apis.get(prefix)
        # One slash at the end is an ordinary way to name a collection.
        segments = rest[:-1] if rest and rest[-1] == "" else rest
        strange = any(_SEGMENT.fullmatch(segment) is None or segment.strip(".") == "" for segment in segments)
        if api is None or strange or len(path) > _MAX_PATH or _QUERY.fullmatch(query) is None:
            raise PathRefusedError
        url = "/".join([api.target, *rest])
        return api, f"{url}?{query}" if query else url

    def forward(self, session: Session, call: Call) -> Answer:
        """Forward a call and give the API's answer, with listed headers only.

        An answer 401 means that the token is no longer good: it is replaced once and the call repeated, which is
        safe for every method because the API did not act on the first. Where it asks for another log-in, the page does.
        """
        api, url = self.url(call.path, call.query)
        token = self._tokens.access_token(session, api.resource)
        answer = self._send(url, call, token)
        self._check_demand(answer)
        if answer.status == 401:
            other = self._tokens.replace(session, api.resource, token)
            answer = answer if other is None else self._send(url, call, other)
        self._check_demand(answer)
        if answer.status == 401:
            raise ApiRefusedTokenError
        if 300 <= answer.status < 400 and answer.status != 304:
            raise ApiRedirectedError
        kept = [(name, value) for name, value in answer.headers if name in _RESPONSE_HEADERS]
        return Answer(answer.status, kept, answer.body)

    def _check_demand(self, answer: Answer) -> None:
        """RFC 9470 section 4: another token of the same log-in would be refused as well, so the person is asked."""
        wanted = challenged(answer.headers) if answer.status == 401 else None
        if wanted is not None:
            raise StepUpNeededError(wanted.login_url)

    def _send(self, url: str, call: Call, token: str) -> Answer:
        headers = {name: call.headers[name] for name in _REQUEST_HEADERS if call.headers.get(name)}
        try:
            return self._outbound.send(
                call.method,
                url,
                headers={**headers, "authorization": f"Bearer {token}"},
                content=call.body or (b"" if call.method in {"POST", "PUT", "PATCH"} else None),
                seconds=self._settings.api_timeout_seconds,
                max_bytes=self._settings.api_response_bytes,
            )
        except OutboundError:
            raise ApiUnavailableError from None

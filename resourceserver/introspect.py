"""Asking the issuer about a token.

RFC 7662 (OAuth 2.0 Token Introspection), https://www.rfc-editor.org/rfc/rfc7662, RFC 9701 (JWT Response for OAuth Token
Introspection), https://www.rfc-editor.org/rfc/rfc9701

Fails closed and says so: an answer that is not exactly an introspection answer means "cannot be checked" (503), and
never "token is bad" (401), because a client that hears 401 logs its user out.
"""

import base64
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, urlencode

from resourceserver.access_token import AccessToken, Format, read_access_token
from resourceserver.discovery import IssuerMetadata
from resourceserver.errors import InvalidTokenError, UnavailableError
from resourceserver.fetch import Fetcher, FetchError, Reply, check_url
from resourceserver.jwks import KeySource
from resourceserver.jwt import TOLERANCE, check_audience, check_times, numeric_date, verified_claims
from resourceserver.strict_json import parse_object

log = logging.getLogger("resourceserver")

FAILURES_BEFORE_PAUSE = 3
PAUSE = 1.0
LONGEST_WAIT = 6.0

PLAIN = "application/json"
SIGNED = "application/token-introspection+jwt"
# RFC 9701 5, and RFC 7515 4.1.9 on the part that may be left out.
_SIGNED_TYPES = frozenset({SIGNED, "token-introspection+jwt"})


@dataclass(frozen=True, slots=True)
class Introspection:
    """An introspection answer, and when it was asked for: it says nothing about what happened since.

    `asked_at` is POSIX seconds of the client's clock, `moment` the same on the monotonic one, which is never set back.
    """

    answer: Mapping[str, object]
    asked_at: float
    moment: float


class IntrospectionClient:
    """Asks one issuer's introspection endpoint, authenticated with client_secret_basic. Safe for many threads.

    Callers that ask about the same token at the same time share one request. After three failures in a row further
    questions are refused for a second, so that a dead issuer does not hold every thread for the length of a timeout.
    `issuer` is the issuer's identifier, or its IssuerMetadata to share; `endpoint` spares the discovery. With `keys`,
    the issuer's, answers have to be signed JWTs (RFC 9701), and an unsigned one counts for nothing.
    """

    def __init__(
        self,
        issuer: str | IssuerMetadata,
        fetcher: Fetcher | None = None,
        *,
        client_id: str,
        client_secret: str,
        endpoint: str = "",
        keys: KeySource | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fetcher = fetcher or Fetcher()
        self._metadata = issuer if isinstance(issuer, IssuerMetadata) else IssuerMetadata(issuer, self._fetcher)
        self._endpoint = check_url(endpoint) if endpoint else ""
        self._authorization = basic_credentials(client_id, client_secret)
        self._client_id = client_id
        self._keys = keys
        self._accept = SIGNED if keys else PLAIN
        self._clock = clock
        self._lock = threading.Lock()
        self._asking: dict[bytes, Future[Introspection]] = {}
        self._failures = 0
        self._paused_until = float("-inf")

    def ask(self, token: str, *, fresh: bool = False) -> Introspection:
        """Return the introspection answer about `token`, with `active` as a true boolean.

        `fresh` demands a question that was asked after this call began, so it shares no other caller's request.
        Raises UnavailableError.
        """
        if fresh:
            return self._ask_now(token)
        digest = sha256(token.encode()).digest()
        mine = Future[Introspection]()
        with self._lock:
            shared = self._asking.setdefault(digest, mine)
        if shared is not mine:
            return _wait(shared)
        try:
            found = self._ask_now(token)
        except BaseException as failure:
            reason = failure.reason if isinstance(failure, UnavailableError) else "introspection: interrupted"
            mine.set_exception(UnavailableError(reason))
            raise
        else:
            mine.set_result(found)
            return found
        finally:
            with self._lock:
                del self._asking[digest]

    def _ask_now(self, token: str) -> Introspection:
        now = self._clock()
        # A clock that was set back must not lengthen the pause.
        if now < self._paused_until <= now + PAUSE:
            raise UnavailableError("introspection: endpoint is left alone for a moment", retry_after=1)
        moment = time.monotonic()
        form = urlencode({"token": token, "token_type_hint": "access_token"}).encode("ascii")
        try:
            endpoint = self._endpoint or self._metadata.url("introspection_endpoint")
            headers = [("Authorization", self._authorization)]
            reply = self._fetcher.post(endpoint, headers, form, accept=self._accept)
        except FetchError as failure:
            self._count_failure()
            raise UnavailableError(f"introspection: {failure}") from None
        except UnavailableError:
            self._count_failure()
            raise
        try:
            answer = self._read(reply)
        except UnavailableError:
            # A 400 may be about this one token: whoever sends such tokens must not shut the door for the others.
            if reply.status != 400:
                self._count_failure()
            raise
        self._failures = 0
        return Introspection(answer, now, moment)

    def _read(self, reply: Reply) -> Mapping[str, object]:
        if reply.status == 401:
            log.error("the issuer refuses this resource server's own credentials")
            raise UnavailableError("introspection: own credentials refused")
        if reply.status != 200 or reply.media_type != self._accept:
            raise UnavailableError("introspection: unexpected status or media type")
        try:
            answer = self._verified(reply.body, self._keys) if self._keys else parse_object(reply.body)
        except ValueError:
            raise UnavailableError("introspection: not a JSON object") from None
        if not isinstance(answer.get("active"), bool):
            raise UnavailableError("introspection: active is not a boolean")
        return answer

    def _verified(self, body: bytes, keys: KeySource) -> Mapping[str, object]:
        """Return the answer inside a JWT that the issuer has made for this client, and just now (RFC 9701 5)."""
        try:
            claims = verified_claims(body.decode("ascii"), keys.find, types=_SIGNED_TYPES)
            _check_signed(claims, self._metadata.issuer, self._client_id, self._clock())
        except InvalidTokenError as refusal:
            log.warning("signed introspection answer refused: %s", refusal.reason)
            raise UnavailableError("introspection: signed answer refused") from None
        answer = claims.get("token_introspection")
        if not isinstance(answer, dict):
            raise UnavailableError("introspection: no answer in the JWT")
        return answer

    def _count_failure(self) -> None:
        with self._lock:
            self._failures += 1
            if self._failures >= FAILURES_BEFORE_PAUSE:
                self._paused_until = self._clock() + PAUSE


def _wait(shared: Future[Introspection]) -> Introspection:
    try:
        return shared.result(LONGEST_WAIT)
    except FutureTimeoutError:
        raise UnavailableError("introspection: no answer in time") from None


def basic_credentials(client_id: str, client_secret: str) -> str:
    """Return the value of the Authorization header of client_secret_basic."""
    # RFC 6749 2.3.1: both halves are form-encoded before they are joined.
    pair = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
    return "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")


def _check_signed(claims: Mapping[str, object], issuer: str, client_id: str, now: float) -> None:
    if claims.get("iss") != issuer:
        raise InvalidTokenError("other issuer")
    check_audience(claims.get("aud"), client_id)
    check_times(claims, now, TOLERANCE)
    # The JWT does not name the question that it answers: an old one may be about another token, or one that died since.
    if numeric_date(claims.get("iat")) + TOLERANCE < now:
        raise InvalidTokenError("old answer")


def read_answer(
    answer: Mapping[str, object], issuer: str, audience: str, now: float, tolerance: int, token_format: Format
) -> AccessToken:
    """Return the live access token of `issuer` for `audience` that an introspection answer speaks of.

    Raises InvalidTokenError when the token is dead or for another purpose, UnavailableError when the answer is
    nonsense.
    """
    if answer.get("active") is not True:
        raise InvalidTokenError("not active")
    try:
        token = read_access_token(answer, issuer, checked_by="introspection", token_format=token_format)
        numeric_date(answer.get("nbf", 0))
    except InvalidTokenError as malformed:
        log.warning("malformed introspection answer: %s", malformed.reason)
        raise UnavailableError("introspection: malformed member") from None
    if answer.get("iss", issuer) != issuer:
        raise InvalidTokenError("other issuer")
    check_audience(answer.get("aud"), audience)
    # An active refresh token is no access token; some issuers say so in one of these two members.
    kind = str(answer.get("token_type", "Bearer")).lower()
    # RFC 9449 6.2: a token of that type says which key it is bound to.
    if kind not in {"bearer", "dpop"} or (kind == "dpop" and "jkt" not in (token.cnf or ())):
        raise InvalidTokenError("other token type")
    if answer.get("token_use", "access_token") != "access_token":
        raise InvalidTokenError("not an access token")
    check_times(answer, now, tolerance)
    return token

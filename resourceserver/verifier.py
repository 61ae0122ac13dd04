"""One call: the request's credentials in, a checked AccessToken out.

RFC 6750 section 2.1 (Bearer tokens in the Authorization header), https://www.rfc-editor.org/rfc/rfc6750#section-2.1,
RFC 9068 section 4 (JWT access tokens), RFC 7662 (introspection), RFC 9449 section 7 and RFC 8705 section 3 (tokens
bound to a key), RFC 9470 (step-up).

Knows no web framework: Flask has `resourceserver.protect`, everything else calls `Verifier.verify`.
"""

import re
import time
from collections.abc import Callable, Collection, Sequence
from hashlib import sha256

from resourceserver.access_token import AccessToken, Format, read_access_token
from resourceserver.binding import DPoP, Evidence
from resourceserver.cache import RecentCache
from resourceserver.decryption import Decryption
from resourceserver.errors import (
    Answer,
    InsufficientDetailsError,
    InsufficientScopeError,
    InsufficientUserAuthenticationError,
    InvalidRequestError,
    InvalidTokenError,
    MissingTokenError,
    ResourceError,
)
from resourceserver.introspect import IntrospectionClient, read_answer
from resourceserver.jwks import ALGORITHMS, KeySource
from resourceserver.jwt import (
    ACCESS_TOKEN_TYPES,
    MAX_TOKEN,
    TOLERANCE,
    check_access_token,
    looks_like_jwt,
    verified_claims,
)
from resourceserver.liveness import Liveness
from resourceserver.mtls import X5T, ProxyCertificates, is_bound_to
from resourceserver.revocations import Revocations
from resourceserver.status_list import StatusLists

NEGATIVE_SECONDS = 5

# RFC 6750 2.1
_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_QUOTABLE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
_SCHEMES = {"bearer": "Bearer", "dpop": "DPoP"}
_NO_EVIDENCE = Evidence()


class Verifier:
    """Checks the access tokens that `issuer` gives out for `audience`. Make one per protected resource, at start.

    - `issuer`, `audience`: the issuer's identifier and this resource's; both are compared as strings.
    - `introspection`: a client for the issuer's introspection endpoint; None when only JWTs are taken.
    - `jwt`: whether a JWT may be checked with the issuer's published keys; otherwise every token is introspected.
    - `keys`: the issuer's keys; made from `issuer` when left out.
    - `cache_seconds`: for how long an answer about a token may be used again (0: never). It is the bound between a
      revocation and its effect here, unless `revocations` are followed. No answer outlives the token.
    - `cache_size`: how many tokens are remembered; as many refused ones are remembered for up to 5 s.
    - `algorithms`: accepted JWS algorithms. `tolerance`: seconds granted to the issuer's clock.
    - `revocations`: the issuer's revocation feed; with it a revoked token is refused within a second. While the feed is
      not heard, tokens are introspected one by one, and JWTs are answered 503 where there is no introspection.
    - `statuses`: the issuer's status lists, for the JWTs that name one; `require_status` refuses JWTs that name none.
    - `dpop`: how proofs are checked; without it tokens that are bound to a key are refused.
    - `decryption`: the keys to which JWT access tokens are encrypted; without it none that is encrypted can be read.
    - `certificates`: where `protect` reads the client's certificate; in `Evidence` it always counts.
    - `realm`, `resource_metadata`: what challenges name; the latter is the URL of the RFC 9728 document.

    Nothing is fetched before the first token arrives. Safe for many threads. Raises ValueError for unusable arguments.
    """

    def __init__(  # noqa: PLR0913 two facts, and the rest has defaults
        self,
        issuer: str,
        audience: str,
        *,
        introspection: IntrospectionClient | None = None,
        jwt: bool = True,
        keys: KeySource | None = None,
        cache_seconds: int = 30,
        cache_size: int = 10_000,
        algorithms: Collection[str] = ALGORITHMS,
        tolerance: int = TOLERANCE,
        revocations: Revocations | None = None,
        statuses: StatusLists | None = None,
        require_status: bool = False,
        dpop: DPoP | None = None,
        decryption: Decryption | None = None,
        certificates: ProxyCertificates | None = None,
        realm: str = "",
        resource_metadata: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not jwt and introspection is None:
            raise ValueError("without JWTs and without introspection no token can be checked")
        if not set(algorithms) <= set(ALGORITHMS):
            raise ValueError("unknown algorithm")
        if not audience or cache_seconds < 0 or not 0 <= tolerance <= 300:
            raise ValueError("audience is empty, or cache_seconds or tolerance out of range")
        if not _QUOTABLE.fullmatch(realm) or not _QUOTABLE.fullmatch(resource_metadata):
            raise ValueError("realm and resource_metadata are printable ASCII without quotes")
        if require_status and statuses is None:
            raise ValueError("a status is required and cannot be read")
        # What another issuer takes back says nothing about the tokens of this one.
        if any(each is not None and each.issuer != issuer for each in (revocations, statuses)):
            raise ValueError("revocations or statuses are those of another issuer")
        if jwt and keys is None:
            keys = KeySource(issuer, clock=clock)
        self.issuer = issuer
        self.audience = audience
        self.realm = realm
        self.resource_metadata = resource_metadata
        self.can_introspect = introspection is not None
        self.dpop = dpop
        self.decryption = decryption
        self.certificates = certificates
        self._introspection = introspection
        self._keys = keys if jwt else None
        self._cache_seconds = cache_seconds
        self._algorithms = frozenset(algorithms)
        self._tolerance = tolerance
        self._clock = clock
        self._liveness = (
            Liveness(revocations, statuses, require_status=require_status, can_ask=self.can_introspect)
            if revocations is not None or statuses is not None
            else None
        )
        # With each token the moment at which its issuer was asked; None for a JWT that was checked with keys.
        self._good: RecentCache[tuple[AccessToken, float | None]] = RecentCache(cache_size)
        self._bad: RecentCache[str] = RecentCache(cache_size)

    def verify(
        self,
        authorization: str | Sequence[str] | None,
        evidence: Evidence = _NO_EVIDENCE,
        *,
        scopes: Collection[str] = (),
        acr: Sequence[str] = (),
        max_age: int | None = None,
        details: Collection[str] = (),
        fresh: bool = False,
        other_methods: bool = False,
    ) -> AccessToken:
        """Check the credentials of one request.

        `authorization` is the value of the Authorization header, a list with the value of each such header, or None.
        `evidence` is what the request shows beside it, for tokens that are bound to a key. The token must carry all of
        `scopes`; the user's authentication must be one of `acr` and at most `max_age` seconds old, where given (RFC
        9470). It must carry authorization details of each type in `details` (RFC 9396); what they say is the caller's.
        `fresh` asks the issuer now and uses no earlier answer (ValueError where this verifier has no introspection).
        `other_methods` says that the request brings a token in its query or body as well.

        Raises a ResourceError: InvalidRequestError, MissingTokenError, InvalidTokenError, InvalidProofError,
        NonceNeededError, InsufficientScopeError, InsufficientUserAuthenticationError or UnavailableError.
        """
        scheme, text = self._credentials(authorization, scopes, other_methods=other_methods)
        try:
            token = self._find(text, fresh=fresh)
            self._check_binding(token, text, scheme, evidence)
            self._check_needs(token, scopes, acr, max_age)
            if not {detail["type"] for detail in token.authorization_details}.issuperset(details):
                raise InsufficientDetailsError
        except ResourceError as refusal:
            refusal.scheme = scheme
            raise
        return token

    def check(self, token: str, *, fresh: bool = False) -> AccessToken:
        """Check an access token that is bound to no key; see `verify`. Raises InvalidTokenError or UnavailableError."""
        found = self._find(token, fresh=fresh)
        self._check_binding(found, token, "Bearer", _NO_EVIDENCE)
        return found

    def answer(self, error: ResourceError) -> Answer:
        """Write a refusal with this resource's realm and metadata URL in the challenge."""
        if self.dpop is None:
            return error.answer(self.realm, self.resource_metadata)
        if self.dpop.required:
            error.scheme = "DPoP"
        return error.answer(self.realm, self.resource_metadata, self.dpop.algorithms)

    def headers(self, token: AccessToken) -> tuple[tuple[str, str], ...]:
        """Return the header fields that belong on the answer to a good request with `token` (RFC 9449 section 8.2)."""
        if self.dpop is None or token.cnf is None or not (nonce := self.dpop.next_nonce()):
            return ()
        return ("DPoP-Nonce", nonce), ("Cache-Control", "no-store")

    def binding(self) -> dict[str, object]:
        """Return what the resource's metadata says about tokens that are bound to keys (RFC 9728 section 2)."""
        members: dict[str, object] = {}
        if self.certificates is not None:
            members["tls_client_certificate_bound_access_tokens"] = True
        if self.dpop is None:
            return members
        members["dpop_signing_alg_values_supported"] = list(self.dpop.algorithms)
        return members | ({"dpop_bound_access_tokens_required": True} if self.dpop.required else {})

    def _check_needs(
        self, token: AccessToken, scopes: Collection[str], acr: Sequence[str], max_age: int | None
    ) -> None:
        if scopes and not token.scope.issuperset(scopes):
            raise InsufficientScopeError(tuple(scopes))
        if acr and token.acr not in acr:
            raise InsufficientUserAuthenticationError("acr too weak", acr, max_age)
        if max_age is not None and not self._recent(token, max_age):
            raise InsufficientUserAuthenticationError("authentication too old", acr, max_age)

    def _check_binding(self, token: AccessToken, text: str, scheme: str, evidence: Evidence) -> None:
        bound, proven = token.cnf, set[str]()
        if scheme == "DPoP" and self.dpop is not None:
            # RFC 9449 7.1: nor does a bearer token pass for one that is bound.
            if bound is None or "jkt" not in bound:
                raise InvalidTokenError("token is bound to no key")
            self.dpop.check(evidence, text, bound["jkt"])
            proven.add("jkt")
        elif self.dpop is not None and self.dpop.required:
            raise InvalidTokenError("token was not sent with a proof")
        if bound is not None and X5T in bound:
            if not is_bound_to(bound[X5T], evidence.certificate):
                raise InvalidTokenError("token is bound to another certificate")
            proven.add(X5T)
        # RFC 9449 7.2, RFC 8705 3: a token bound to a key is worth nothing without proof of that key, and of a binding
        # that is not known here there is none. Taking it as a plain bearer token would undo the binding.
        if bound is not None and (not bound or bound.keys() != proven):
            raise InvalidTokenError("token is bound to a key")

    def _find(self, token: str, *, fresh: bool) -> AccessToken:
        if len(token) > MAX_TOKEN:
            raise InvalidTokenError("token too long")
        if fresh and not self.can_introspect:
            raise ValueError("fresh answers need an introspection client")
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        now = self._clock()
        if not fresh:
            known = self._good.get(digest, now)
            if known is not None and (self._liveness is None or self._liveness.still_good(*known)):
                return known[0]
            reason = self._bad.get(digest, now)
            if reason is not None:
                raise InvalidTokenError(reason)
        try:
            found, known_at, asked = self._look_at(token, now, fresh=fresh)
        except InvalidTokenError as refusal:
            self._good.forget(digest)
            if refusal.reason == "not active":
                self._bad.put(digest, refusal.reason, now, now + min(NEGATIVE_SECONDS, self._cache_seconds))
            raise
        self._good.put(digest, (found, asked), now, min(known_at + self._cache_seconds, found.expires_at))
        return found

    def _look_at(self, token: str, now: float, *, fresh: bool) -> tuple[AccessToken, float, float | None]:
        """Return what is known of the token, since when, and the moment at which its issuer was asked."""
        if self._liveness is not None:
            self._liveness.begin()
        signed = token if self.decryption is None else self.decryption.inner(token)
        is_jwt = looks_like_jwt(signed)
        if is_jwt and self._keys is not None and not fresh:
            claims = verified_claims(signed, self._keys.find, types=ACCESS_TOKEN_TYPES, algorithms=self._algorithms)
            check_access_token(claims, self.issuer, self.audience, now, self._tolerance)
            found = read_access_token(claims, self.issuer, checked_by="keys", token_format="jwt")
            if self._liveness is None or self._liveness.check_jwt(found):
                return found, now, None
        if self._introspection is None:
            raise InvalidTokenError("opaque token where only JWTs are taken")
        return self._ask(self._introspection, token, now, "jwt" if is_jwt else "opaque", fresh=fresh)

    def _ask(
        self, introspection: IntrospectionClient, token: str, now: float, token_format: Format, *, fresh: bool
    ) -> tuple[AccessToken, float, float]:
        began = time.monotonic()
        said = introspection.ask(token, fresh=fresh)
        found = read_answer(said.answer, self.issuer, self.audience, now, self._tolerance, token_format)
        if self._liveness is not None and not self._liveness.is_answer_enough(found, said, began):
            said = introspection.ask(token, fresh=True)
            found = read_answer(said.answer, self.issuer, self.audience, now, self._tolerance, token_format)
        return found, said.asked_at, said.moment

    def _credentials(
        self, authorization: str | Sequence[str] | None, scopes: Collection[str], *, other_methods: bool
    ) -> tuple[str, str]:
        """Return the scheme, as its specification writes it, and the token."""
        if authorization is not None and not isinstance(authorization, str):
            if len(authorization) > 1:
                raise InvalidRequestError("several Authorization headers")
            authorization = authorization[0] if authorization else None
        if authorization is None:
            raise MissingTokenError(tuple(scopes))
        if other_methods:
            raise InvalidRequestError("token sent in two ways")
        word, space, credentials = authorization.partition(" ")
        word = word.lower()
        if word == "dpop" and self.dpop is None:
            raise InvalidTokenError("scheme DPoP is not taken here")
        if word in _SCHEMES and space and _B64TOKEN.fullmatch(token := credentials.lstrip(" ")):
            return _SCHEMES[word], token
        if word.startswith(tuple(_SCHEMES)):
            # WSGI servers join repeated header fields with a comma, which no token contains.
            raise InvalidRequestError("malformed credentials")
        raise MissingTokenError(tuple(scopes))

    def _recent(self, token: AccessToken, max_age: int) -> bool:
        if token.auth_time is None:
            return False
        return -self._tolerance <= self._clock() - token.auth_time <= max_age

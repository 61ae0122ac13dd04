"""Tokens that are bound to a key: what a request shows beside its token, and whether that proves the key.

RFC 9449 section 7 (DPoP), https://www.rfc-editor.org/rfc/rfc9449#section-7; certificates are in `resourceserver.mtls`.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from resourceserver import dpop
from resourceserver.errors import InvalidProofError, InvalidTokenError, NonceNeededError, UnavailableError
from resourceserver.fetch import check_url
from resourceserver.replays import MemoryReplays, Replays, ReplaysUnavailableError

KNOWN_ALGORITHMS = frozenset({*dpop.ALGORITHMS, "ES384", "RS256"})
PATH_CHARACTERS = "/:@!$&'()*+,;=~"  # RFC 3986 3.3: what stands in a path as it is, beside letters, digits and "-._"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a request shows beside its access token.

    `method` is the HTTP method. `path` is the path as it stands in the URL, percent-encoded, below the resource's
    `base_url`. `dpop` is the value of the DPoP header, a list with the value of each such header, or None.
    `certificate` is the client's certificate (DER), whose key the TLS handshake has proven, or None.
    """

    method: str = ""
    path: str = ""
    dpop: str | Sequence[str] | None = None
    certificate: bytes | None = None


class DPoP:
    """How a resource server checks proofs (RFC 9449). Make one per server and share it between its verifiers.

    - `base_url`: the URL under which clients reach the root of the application, without a slash at the end. It comes
      from configuration, because a proof that names another host proves nothing, whatever the Host header says.
    - `replays`: the memory of used proofs; by default that of this process alone. Several processes share one.
    - `nonces`: what makes the nonces that every proof has to carry; None demands none.
    - `required`: whether tokens without a proof are refused.
    - `algorithms`: accepted JWS algorithms; ES384 and RS256 may be added.

    Raises ValueError for unusable arguments.
    """

    def __init__(
        self,
        base_url: str,
        *,
        replays: Replays | None = None,
        nonces: dpop.Nonces | None = None,
        required: bool = False,
        algorithms: Collection[str] = dpop.ALGORITHMS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if base_url.endswith("/") or "?" in base_url:
            raise ValueError("a base URL ends without a slash and has no query")
        if not algorithms or not KNOWN_ALGORITHMS.issuperset(algorithms):
            raise ValueError("unknown algorithm")
        self.base_url = check_url(base_url)
        self.required = required
        self.algorithms = tuple(algorithms)
        self._replays = replays if replays is not None else MemoryReplays(clock=clock)
        self._nonces = nonces
        self._clock = clock

    def check(self, evidence: Evidence, access_token: str, jkt: object) -> None:
        """Check that the sender of `access_token` holds the key with the thumbprint `jkt` (section 7.1).

        Raises InvalidProofError, InvalidTokenError (another key), NonceNeededError, UnavailableError.
        """
        now = self._clock()
        proof = dpop.check(
            evidence.dpop if evidence.dpop is not None else (),
            method=evidence.method,
            url=self.base_url + evidence.path,
            now=now,
            access_token=access_token,
            algorithms=self.algorithms,
        )
        # Before anything is remembered: with a stolen token and a key of one's own nobody fills the memory.
        if proof.jkt != jkt:
            raise InvalidTokenError("token is bound to another key")
        if self._nonces is not None and not self._nonces.accepts(proof.nonce, now):
            raise NonceNeededError(self._nonces.current(now))
        try:
            first_time = self._replays.first_time(proof.digest, proof.expires_at)
        except ReplaysUnavailableError:
            raise UnavailableError("used proofs cannot be remembered", retry_after=1) from None
        if not first_time:
            raise InvalidProofError("proof was used before")

    def next_nonce(self) -> str:
        """Return the nonce for the client's next proof (section 8.2), or "" where none is demanded."""
        return "" if self._nonces is None else self._nonces.current(self._clock())

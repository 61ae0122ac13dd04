"""Whether a token that was good a moment ago still is: the revocation feed and the status lists, together.

What one of them calls dead is dead. A token that names a status list is good only if that list says so; of all others
the feed speaks alone.
"""

from resourceserver.access_token import AccessToken
from resourceserver.descriptions import Verdict
from resourceserver.errors import InvalidTokenError, UnavailableError
from resourceserver.introspect import Introspection
from resourceserver.revocations import Revocations
from resourceserver.status_list import CLAIM, StatusLists

# How long ago a question may have been asked whose answer is shared: no longer than anything else may be unknown.
SHARED_SECONDS = 1.0


class Liveness:
    """What a Verifier asks before it uses what it knows. Safe for many threads."""

    def __init__(
        self, revocations: Revocations | None, statuses: StatusLists | None, *, require_status: bool, can_ask: bool
    ) -> None:
        self._revocations = revocations
        self._statuses = statuses
        self._require_status = require_status
        self._can_ask = can_ask

    def begin(self) -> None:
        """Begin to follow: what is learned of a token now shall be worth something at its next use."""
        if self._revocations is not None:
            self._revocations.follow()

    def still_good(self, token: AccessToken, asked: float | None) -> bool:
        """Say whether what was learned of `token` earlier may be used now, without asking anybody.

        `asked` is the moment at which the issuer was asked, None for a JWT that was checked with keys.
        """
        said = self._said(token, asked)
        if said is Verdict.DEAD:
            return False
        if self._statuses is not None and CLAIM in token.claims:
            return self._statuses.is_valid(token)
        return said is Verdict.GOOD

    def check_jwt(self, token: AccessToken) -> bool:
        """Say whether a JWT that was checked with keys is good without asking the issuer about it.

        Raises InvalidTokenError, and UnavailableError where the issuer would have to be asked and cannot be.
        """
        said = self._said(token, None)
        if said is Verdict.DEAD:
            raise InvalidTokenError("revoked")
        if self._statuses is not None and CLAIM in token.claims:
            self._statuses.check(token)
            return True
        if self._require_status:
            raise InvalidTokenError("status missing")
        if said is Verdict.UNSURE and not self._can_ask:
            said = self._wait_and_judge(token)
        return said is Verdict.GOOD

    def is_answer_enough(self, token: AccessToken, said: Introspection, began: float) -> bool:
        """Say whether an answer, perhaps to somebody else's question, is enough for the request that began then."""
        # An answer may have been on its way for long, and what has died meanwhile be known already.
        return said.moment >= began - SHARED_SECONDS and self._said(token, said.moment) is not Verdict.DEAD

    def _said(self, token: AccessToken, asked: float | None) -> Verdict:
        return Verdict.GOOD if self._revocations is None else self._revocations.judge(token, asked)

    def _wait_and_judge(self, token: AccessToken) -> Verdict:
        revocations = self._revocations
        if revocations is None:
            return Verdict.GOOD
        revocations.wait()
        said = revocations.judge(token, None)
        if said is Verdict.DEAD:
            raise InvalidTokenError("revoked")
        if said is Verdict.UNSURE:
            if not revocations.is_current():
                raise UnavailableError("revocations unknown", retry_after=1)
            raise InvalidTokenError("may be revoked")
        return said

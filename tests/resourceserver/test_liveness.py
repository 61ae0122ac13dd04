"""What the feed and the status lists make of tokens that a verifier already knows."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from resourceserver import Fetcher, IntrospectionClient, IssuerMetadata, KeySource, Revocations, StatusLists, Verifier
from resourceserver.descriptions import AFTERWARDS
from resourceserver.errors import InvalidTokenError, ResourceError, UnavailableError
from tests.resourceserver.conftest import AUDIENCE, Clock, Mint
from tests.resourceserver.scripted_feed import FEED, ScriptedFeed, event, until
from tests.resourceserver.stub_issuer import INTROSPECTION, StubIssuer, replying
from tests.resourceserver.test_status_list import Published

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def revocations(feed: ScriptedFeed, metadata: IssuerMetadata, fetcher: Fetcher) -> Iterator[Revocations]:
    opened = Revocations(metadata, fetcher, client_id="rs", client_secret="secret")
    yield opened
    feed.over.set()
    opened.close()


@pytest.fixture
def statuses(metadata: IssuerMetadata, fetcher: Fetcher, keys: KeySource) -> Iterator[StatusLists]:
    opened = StatusLists(metadata, fetcher, keys=keys)
    yield opened
    opened.close()


@pytest.fixture
def opaque(issuer: StubIssuer) -> str:
    issuer.answers["opaque"] = issuer.active(AUDIENCE, jti="grant.1", iat=int(time.time()) - 5)
    return "opaque"


@pytest.fixture
def asking(
    issuer: StubIssuer, revocations: Revocations, introspection: IntrospectionClient, keys: KeySource
) -> Verifier:
    """Checks JWTs with keys, asks about the rest, and follows the feed."""
    return Verifier(
        issuer.url, AUDIENCE, introspection=introspection, keys=keys, revocations=revocations, cache_seconds=300
    )


@pytest.fixture
def by_feed(issuer: StubIssuer, revocations: Revocations, keys: KeySource) -> Verifier:
    """Checks JWTs with keys and can ask nobody about them."""
    return Verifier(issuer.url, AUDIENCE, keys=keys, revocations=revocations, cache_seconds=300)


def refused(verifier: Verifier, token: str) -> type[ResourceError] | None:
    try:
        verifier.check(token)
    except ResourceError as refusal:
        return type(refusal)
    return None


def test_an_answer_is_kept_while_the_feed_is_heard_and_says_nothing(
    issuer: StubIssuer, asking: Verifier, revocations: Revocations, feed: ScriptedFeed, opaque: str
) -> None:
    until(revocations.is_current)
    asking.check(opaque)
    feed.last.say(event(1, grant_id="other"), event(2, sub="user-1", issued_before=time.time() - 100))
    for _ in range(10):
        asking.check(opaque)
        time.sleep(0.02)
    assert issuer.hits[INTROSPECTION] == 1


def test_a_revoked_token_is_asked_about_again_and_then_refused(
    issuer: StubIssuer, asking: Verifier, revocations: Revocations, feed: ScriptedFeed, opaque: str
) -> None:
    until(revocations.is_current)
    asking.check(opaque)
    issuer.answers[opaque] = {"active": False}
    asking.check(opaque)
    feed.last.say(event(1, grant_id="grant"))
    until(lambda: refused(asking, opaque) is InvalidTokenError)
    assert issuer.hits[INTROSPECTION] == 2


def test_a_token_that_only_might_be_meant_is_asked_about_once(
    issuer: StubIssuer, asking: Verifier, revocations: Revocations, feed: ScriptedFeed, opaque: str
) -> None:
    until(revocations.is_current)
    asking.check(opaque)
    feed.last.say(event(1, what="is this?"))
    until(lambda: asking.check(opaque) and issuer.hits[INTROSPECTION] == 2)
    for _ in range(5):
        asking.check(opaque)
    assert issuer.hits[INTROSPECTION] == 2


def test_while_the_feed_is_away_every_opaque_token_is_asked_about(
    issuer: StubIssuer, asking: Verifier, feed: ScriptedFeed, opaque: str
) -> None:
    issuer.faults[FEED] = replying({}, status=500)
    for asked in range(1, 4):
        asking.check(opaque)
        assert issuer.hits[INTROSPECTION] == asked
    issuer.answers[opaque] = {"active": False}
    assert refused(asking, opaque) is InvalidTokenError


def test_a_known_jwt_is_judged_at_each_use(
    issuer: StubIssuer, by_feed: Verifier, revocations: Revocations, feed: ScriptedFeed, mint: Mint
) -> None:
    token, other = mint(jti="grant.1"), mint(jti="other.1")
    assert by_feed.check(token) is by_feed.check(token)
    by_feed.check(other)
    feed.last.say(event(1, grant_id="grant"))
    until(lambda: refused(by_feed, token) is InvalidTokenError)
    by_feed.check(other)
    assert issuer.hits[INTROSPECTION] == 0


def test_a_revoked_jwt_is_refused_without_a_question(
    issuer: StubIssuer, asking: Verifier, revocations: Revocations, feed: ScriptedFeed, mint: Mint
) -> None:
    token = mint(jti="grant.1")
    issuer.answers[token] = issuer.active(AUDIENCE)
    until(revocations.is_current)
    feed.last.say(event(1, jti="grant.1"))
    until(lambda: refused(asking, token) is InvalidTokenError)
    assert issuer.hits[INTROSPECTION] == 0


@pytest.mark.usefixtures("impatient")
def test_while_the_feed_is_away_a_jwt_is_asked_about_or_cannot_be_checked(
    issuer: StubIssuer, asking: Verifier, by_feed: Verifier, revocations: Revocations, feed: ScriptedFeed, mint: Mint
) -> None:
    token = mint(jti="grant.1")
    by_feed.check(token)
    asking.check(token)
    issuer.answers[token] = issuer.active(AUDIENCE, jti="grant.1")
    issuer.faults[FEED] = replying({}, status=500)
    feed.last.end()
    until(lambda: refused(by_feed, token) is UnavailableError)
    assert asking.check(token).checked_by == "introspection"
    issuer.faults[FEED] = feed
    until(lambda: refused(by_feed, token) is None)


def test_in_the_second_of_the_revocation_a_jwt_is_asked_about_or_refused(
    issuer: StubIssuer, asking: Verifier, by_feed: Verifier, revocations: Revocations, feed: ScriptedFeed, mint: Mint
) -> None:
    second = int(time.time())
    later = second + AFTERWARDS + 1
    tokens = {at: mint(jti=f"grant.{at}", iat=at) for at in (second - 1, second, later)}
    for at, token in tokens.items():
        issuer.answers[token] = issuer.active(AUDIENCE, jti=f"grant.{at}", iat=at)
    until(revocations.is_current)
    feed.last.say(event(1, sub="user-1", granted=True, issued_before=second + 0.5))
    until(lambda: refused(by_feed, tokens[second - 1]) is InvalidTokenError)
    assert [refused(by_feed, token) for token in tokens.values()] == [InvalidTokenError, InvalidTokenError, None]
    assert refused(asking, tokens[second - 1]) is InvalidTokenError
    assert [asking.check(tokens[at]).checked_by for at in (second, later)] == ["introspection", "keys"]
    issuer.answers.clear()
    assert [refused(asking, token) for token in tokens.values()] == [InvalidTokenError, None, None]
    assert len(issuer.seen) == 1


def test_the_first_jwt_waits_for_the_feed_a_moment(by_feed: Verifier, mint: Mint) -> None:
    assert by_feed.check(mint())


def test_an_answer_to_a_question_from_before_the_revocation_is_not_used(
    issuer: StubIssuer, asking: Verifier, revocations: Revocations, feed: ScriptedFeed, opaque: str
) -> None:
    until(revocations.is_current)
    asked, go_on = threading.Event(), threading.Event()
    alive = issuer.answers[opaque]

    def slow(to: BaseHTTPRequestHandler) -> None:
        if asked.is_set():
            replying({"active": False})(to)
        else:
            asked.set()
            go_on.wait(5)
            replying(alive)(to)

    issuer.faults[INTROSPECTION] = slow
    outcomes: list[object] = []
    threads = [threading.Thread(target=lambda: outcomes.append(refused(asking, opaque))) for _ in range(2)]
    threads[0].start()
    assert asked.wait(5)
    threads[1].start()
    shared = next(iter(asking._introspection._asking.values()))
    until(lambda: shared._condition._waiters)
    feed.last.say(event(1, grant_id="grant"))
    probe = revocations._state.get().descriptions
    until(lambda: len(probe) == 1)
    go_on.set()
    for thread in threads:
        thread.join()
    # Nor does it do for the request that has asked: it was on its way for too long.
    assert outcomes == [InvalidTokenError] * 2
    assert refused(asking, opaque) is InvalidTokenError


def test_a_question_that_was_asked_too_long_ago_is_not_shared(
    issuer: StubIssuer, asking: Verifier, feed: ScriptedFeed, opaque: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resourceserver.liveness.SHARED_SECONDS", 0.0)
    issuer.faults[FEED] = replying({}, status=500)
    issuer.delay = 0.2
    first = threading.Thread(target=asking.check, args=(opaque,))
    first.start()
    until(lambda: issuer.hits[INTROSPECTION])
    asking.check(opaque)
    first.join()
    assert issuer.hits[INTROSPECTION] == 2


def test_a_fresh_check_asks_whatever_the_feed_says(
    issuer: StubIssuer, asking: Verifier, revocations: Revocations, opaque: str
) -> None:
    until(revocations.is_current)
    for _ in range(3):
        asking.check(opaque, fresh=True)
    assert issuer.hits[INTROSPECTION] == 3


def test_an_issuer_without_a_feed_is_as_it_was_where_that_is_allowed(
    issuer: StubIssuer, metadata: IssuerMetadata, fetcher: Fetcher, keys: KeySource, mint: Mint, clock: Clock
) -> None:
    optional = Revocations(metadata, fetcher, client_id="rs", client_secret="secret", required=False)
    verifier = Verifier(issuer.url, AUDIENCE, keys=keys, revocations=optional, clock=clock)
    token = mint()
    assert verifier.check(token) is verifier.check(token)
    optional.close()


# Status lists.


@pytest.fixture
def published(issuer: StubIssuer) -> Published:
    return Published(issuer)


def listed(mint: Mint, published: Published, place: int = 3, **members: object) -> str:
    return mint(status={"status_list": {"idx": place, "uri": published.uri}}, **members)


def test_a_known_jwt_is_looked_up_in_its_list_at_each_use(
    issuer: StubIssuer, keys: KeySource, statuses: StatusLists, published: Published, mint: Mint
) -> None:
    verifier = Verifier(issuer.url, AUDIENCE, keys=keys, statuses=statuses)
    token, other = listed(mint, published), listed(mint, published, 4)
    for each in (token, token, other):
        verifier.check(each)
    published.set(3)
    until(lambda: refused(verifier, token) is InvalidTokenError)
    verifier.check(other)
    issuer.faults[published.uri.removeprefix(issuer.url)] = replying({}, status=500)
    until(lambda: refused(verifier, other) is UnavailableError)


def test_a_jwt_without_a_status_passes_unless_one_is_required(
    issuer: StubIssuer, keys: KeySource, statuses: StatusLists, published: Published, mint: Mint
) -> None:
    assert Verifier(issuer.url, AUDIENCE, keys=keys, statuses=statuses).check(mint())
    strict = Verifier(issuer.url, AUDIENCE, keys=keys, statuses=statuses, require_status=True)
    strict.check(listed(mint, published))
    with pytest.raises(InvalidTokenError):
        strict.check(mint())


def test_an_unknown_status_mechanism_is_refused(
    issuer: StubIssuer, keys: KeySource, statuses: StatusLists, mint: Mint
) -> None:
    verifier = Verifier(issuer.url, AUDIENCE, keys=keys, statuses=statuses)
    for status in ({"oracle": "https://as.example"}, {}, "valid", None):
        token = mint(status=status)
        if status is None:
            verifier.check(token)
        else:
            assert refused(verifier, token) is InvalidTokenError


@pytest.mark.usefixtures("impatient")
def test_with_both_a_listed_token_needs_its_list_and_dies_by_the_feed_too(
    issuer: StubIssuer, keys: KeySource, statuses: StatusLists, revocations: Revocations, feed: ScriptedFeed,
    published: Published, mint: Mint,
) -> None:  # fmt: skip
    verifier = Verifier(issuer.url, AUDIENCE, keys=keys, statuses=statuses, revocations=revocations)
    token, other = listed(mint, published, jti="grant.1"), listed(mint, published, 4, jti="other.1")
    verifier.check(token)
    until(revocations.is_current)
    feed.last.say(event(1, grant_id="grant"))
    until(lambda: refused(verifier, token) is InvalidTokenError)
    issuer.faults[FEED] = replying({}, status=500)
    feed.last.end()
    until(lambda: not revocations.is_current())
    verifier.check(other)
    assert refused(verifier, mint()) is UnavailableError


def test_what_another_issuer_takes_back_is_not_followed(
    issuer: StubIssuer, revocations: Revocations, statuses: StatusLists, keys: KeySource
) -> None:
    for other in ({"revocations": revocations}, {"statuses": statuses}):
        with pytest.raises(ValueError, match="another issuer"):
            Verifier(issuer.url + "/", AUDIENCE, keys=keys, **other)


def test_a_status_that_is_required_has_to_be_readable(issuer: StubIssuer) -> None:
    with pytest.raises(ValueError):
        Verifier(issuer.url, AUDIENCE, require_status=True)

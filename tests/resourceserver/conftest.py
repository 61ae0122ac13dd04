import time
from collections.abc import Callable, Iterator

import pytest

from resourceserver import Fetcher, IntrospectionClient, IssuerMetadata, KeySource, Verifier
from resourceserver.revocations import SILENCE
from tests.resourceserver.scripted_feed import ScriptedFeed, become_patient, scripted_feed
from tests.resourceserver.signing import claims, header, signed
from tests.resourceserver.stub_issuer import StubIssuer

AUDIENCE = "https://api.example/things"

Mint = Callable[..., str]


class Clock:
    """A clock that tests set."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[StubIssuer]:
    with StubIssuer() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time())


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence of a feed counts after a minute."""
    become_patient(monkeypatch)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, patient: None) -> None:
    """Silence of a feed counts after the usual time, also in a module whose tests are patient."""
    become_patient(monkeypatch, SILENCE)


@pytest.fixture
def feed(issuer: StubIssuer) -> Iterator[ScriptedFeed]:
    """The issuer has a feed."""
    with scripted_feed(issuer) as feed:
        yield feed


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    opened = Fetcher(seconds=2)
    yield opened
    opened.close()


@pytest.fixture
def metadata(issuer: StubIssuer, fetcher: Fetcher, clock: Clock) -> IssuerMetadata:
    return IssuerMetadata(issuer.url, fetcher, clock=clock)


@pytest.fixture
def keys(metadata: IssuerMetadata, fetcher: Fetcher, clock: Clock) -> KeySource:
    return KeySource(metadata, fetcher, clock=clock)


@pytest.fixture
def introspection(metadata: IssuerMetadata, fetcher: Fetcher, clock: Clock) -> IntrospectionClient:
    return IntrospectionClient(metadata, fetcher, client_id="rs", client_secret="secret", clock=clock)


@pytest.fixture
def by_keys(issuer: StubIssuer, keys: KeySource, clock: Clock) -> Verifier:
    """Takes JWTs, checked with the published keys."""
    return Verifier(issuer.url, AUDIENCE, keys=keys, clock=clock)


@pytest.fixture
def by_asking(issuer: StubIssuer, introspection: IntrospectionClient, clock: Clock) -> Verifier:
    """Asks the issuer about every token."""
    return Verifier(issuer.url, AUDIENCE, introspection=introspection, jwt=False, clock=clock)


@pytest.fixture
def mint(issuer: StubIssuer) -> Mint:
    """Makes JWT access tokens: `head` changes the header, other arguments change claims; None leaves a member out."""

    def make(key: str = "rsa", head: dict[str, object] | None = None, **members: object) -> str:
        return signed(header(key, **(head or {})), claims(issuer.url, AUDIENCE, **members), key)

    return make

import pytest

from resourceserver import Fetcher, IssuerMetadata
from resourceserver.errors import UnavailableError
from tests.resourceserver.conftest import Clock
from tests.resourceserver.stub_issuer import METADATA, OPENID, StubIssuer, replying


def test_the_oauth_document_is_asked_for_first_and_kept(issuer: StubIssuer, metadata: IssuerMetadata) -> None:
    for _ in range(3):
        assert metadata.url("jwks_uri") == f"{issuer.url}/jwks"
    assert issuer.hits == {METADATA: 1}


def test_the_openid_document_is_the_second_try(issuer: StubIssuer, metadata: IssuerMetadata) -> None:
    issuer.faults = {METADATA: replying({}, status=404), OPENID: replying(issuer.document())}
    assert metadata.url("introspection_endpoint") == f"{issuer.url}/introspect"


def test_an_issuer_with_a_path_is_found_at_both_places(issuer: StubIssuer, fetcher: Fetcher) -> None:
    for name in (f"{METADATA}/tenant/a", f"/tenant/a{OPENID}"):
        url = f"{issuer.url}/tenant/a"
        issuer.faults = {name: replying({"issuer": url, "jwks_uri": url + "/jwks"})}
        assert IssuerMetadata(url, fetcher).url("jwks_uri") == f"{url}/jwks"


@pytest.mark.parametrize("change", ["slash", "upper", "other", "missing", "list"])
def test_a_document_of_another_issuer_is_not_used(issuer: StubIssuer, metadata: IssuerMetadata, change: str) -> None:
    named: object = {
        "slash": issuer.url + "/",
        "upper": issuer.url.upper(),
        "other": "https://evil.example",
        "missing": None,
        "list": [issuer.url],
    }[change]
    issuer.metadata = {"issuer": named}
    with pytest.raises(UnavailableError):
        metadata.url("jwks_uri")


@pytest.mark.parametrize(
    "url",
    [
        "http://as.example/jwks",
        "ftp://127.0.0.1/jwks",
        "file:///etc/passwd",
        "//127.0.0.1/jwks",
        "/jwks",
        "https://user:pw@as.example/jwks",
        "https://as.example/jwks#part",
        "https:///jwks",
        "https://as.example/ jwks",
        "https://as.example/\njwks",
        "https://äs.example/",
        "",
        None,
        7,
        ["https://as.example/jwks"],
    ],
)
def test_an_unusable_address_in_the_document_is_not_fetched(
    issuer: StubIssuer, metadata: IssuerMetadata, url: object
) -> None:
    issuer.metadata = {"jwks_uri": url}
    with pytest.raises(UnavailableError):
        metadata.url("jwks_uri")


@pytest.mark.parametrize(
    "url", ["http://as.example", "https://as.example?x=1", "as.example", "", "https://as.example/#x", "https://a:0"]
)
def test_an_issuer_that_is_no_issuer_url_is_refused_at_once(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(ValueError):
        IssuerMetadata(url, fetcher)


def test_an_https_issuer_cannot_point_to_plain_http_on_loopback(fetcher: Fetcher) -> None:
    metadata = IssuerMetadata("https://as.example", fetcher)
    metadata._document = {"issuer": "https://as.example", "jwks_uri": "http://127.0.0.1:1/jwks"}
    metadata._fetched_at = metadata._clock()
    with pytest.raises(UnavailableError):
        metadata.url("jwks_uri")


def test_after_a_failure_it_waits_a_moment_and_then_recovers(
    issuer: StubIssuer, metadata: IssuerMetadata, clock: Clock
) -> None:
    issuer.faults = {METADATA: replying(b"nonsense")}
    for _ in range(5):
        with pytest.raises(UnavailableError):
            metadata.url("jwks_uri")
    assert issuer.hits[METADATA] == 1
    issuer.faults = {}
    clock.now += 2.5
    assert metadata.url("jwks_uri")


def test_the_last_document_serves_while_the_issuer_is_away(
    issuer: StubIssuer, metadata: IssuerMetadata, clock: Clock
) -> None:
    metadata.url("jwks_uri")
    issuer.faults = {METADATA: replying(b"", status=503)}
    clock.now += 4000
    assert metadata.url("jwks_uri")
    assert issuer.hits[METADATA] == 2

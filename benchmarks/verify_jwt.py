"""The resource server's library: a token seen before, and JWTs seen for the first time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2

from benchmarks.calls import Call
from benchmarks.deployment import RESOURCE, Deployment
from benchmarks.token import SCOPE
from resourceserver import Fetcher, IntrospectionClient, IssuerMetadata, KeySource, Verifier

_TOKENS = 200  # different ones, each seen once a round


@contextmanager
def verifying(server: Deployment) -> Iterator[list[Call]]:
    """Yield the calls of a resource server of this issuer."""
    fetcher = Fetcher()
    metadata = IssuerMetadata(server.issuer, fetcher)
    keys = KeySource(metadata, fetcher)
    own = server.clients["resource-server"]
    introspection = IntrospectionClient(
        metadata, fetcher, client_id=own["client_id"], client_secret=own["client_secret"]
    )
    try:
        yield [
            _cached(server, "cached_opaque", "machine", Verifier(server.issuer, RESOURCE, introspection=introspection)),
            _cached(server, "cached_jwt", "machine-es256", Verifier(server.issuer, RESOURCE, keys=keys)),
            _first(server, "first_rs256", "machine-rs256", keys),
            _first(server, "first_es256", "machine-es256", keys),
        ]
    finally:
        fetcher.close()


def _cached(server: Deployment, name: str, client: str, verifier: Verifier) -> Call:
    token = _tokens(server, client, 1)[0]
    authorization = f"Bearer {token}"

    def again() -> Callable[[], object]:
        verifier.verify(authorization)
        return lambda: verifier.verify(authorization, scopes=(SCOPE,))

    return Call(name, f"resource server: {name.replace('_', ' ')}", again)


def _first(server: Deployment, name: str, client: str, keys: KeySource) -> Call:
    tokens = [f"Bearer {token}" for token in _tokens(server, client, _TOKENS)]

    def again() -> Callable[[], object]:
        verifier, unseen = Verifier(server.issuer, RESOURCE, keys=keys), iter(tokens)
        return lambda: verifier.verify(next(unseen), scopes=(SCOPE,))

    return Call(name, f"resource server: {name.replace('_', ' sight ')}", again, most=_TOKENS)


def _tokens(server: Deployment, client: str, count: int) -> list[str]:
    credentials = server.clients[client]
    form = {"grant_type": "client_credentials", "scope": SCOPE, "resource": RESOURCE}
    with httpx2.Client(auth=(credentials["client_id"], credentials["client_secret"])) as http:
        answers = [http.post(f"{server.issuer}/token", data=form).raise_for_status().json() for _ in range(count)]
    return [answer["access_token"] for answer in answers]

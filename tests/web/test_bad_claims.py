"""JWTs that are well signed and say something odd: every claim, and every member of the header, with every bad value.

A stranger's token is stopped by its signature. These come from clients and issuers that are known, so they are read to
the end: the answer is an error of the protocol, never a failure.
"""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests import assertions, request_objects, vouching
from tests.proofs import Prover
from tests.signing import claims_of, pem, raw
from tests.web.bad_values import BAD_JSON, WORST_JSON
from tests.web.good_requests import API, Sender

Make = Callable[[], tuple[dict[str, Any], dict[str, Any]]]  # header and claims, fresh each time
Send = Callable[[bytes, bytes], httpx2.Response]

HEADER = ("kid", "typ", "crit", "jwk", "jku", "x5c", "x5u", "zip", "b64", "cty", "enc", "epk")
CLAIMS = ("sub", "nbf", "exp", "jti", "cnf", "act", "scope", "client_id", "authorization_details", "email", "tenant")
PARAMETERS = ("request", "request_uri", "resource", "claims", "acr_values", "max_age", "prompt", "ui_locales", "nonce")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def sender(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    settings: dict[str, Any] = {}
    if request.param == "postgresql":
        settings["database_url"] = request.getfixturevalue("postgres").create()
    made = Sender(tmp_path_factory.mktemp("bad-claims"), **settings)
    yield made
    made.close()


def by_assertion(sender: Sender) -> tuple[Make, Send]:
    """A client proves itself (RFC 7523 2.2)."""
    private = assertions.KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    at, asked = sender.server, {"grant_type": "client_credentials", "scope": "api:read"}

    def send(head: bytes, body: bytes) -> httpx2.Response:
        proof = {"client_assertion_type": assertions.TYPE, "client_assertion": raw(head, body, "ES256", private)}
        return at.post("/token", **asked, **proof)

    return lambda: ({"alg": "ES256"}, assertions.claims(at, sender.key_holder)), send


def by_issuer(sender: Sender) -> tuple[Make, Send]:
    """An issuer vouches for somebody (RFC 7523 2.1)."""
    at, asked = sender.server, {"grant_type": vouching.GRANT, "scope": "api:read", "resource": API}

    def send(head: bytes, body: bytes) -> httpx2.Response:
        return at.post("/token", sender.client, **asked, assertion=raw(head, body, "ES256", pem("p256")))

    return lambda: ({"alg": "ES256", "kid": "ec"}, vouching.claims(at, sender.user)), send


def by_request(sender: Sender) -> tuple[Make, Send]:
    """A client signs what it asks for (RFC 9101)."""
    at = sender.server
    client = request_objects.signing_client(at, authorization_details_types=["payment"])

    def send(head: bytes, body: bytes) -> httpx2.Response:
        return at.post("/par", client, request=raw(head, body, "ES256", pem("p256")))

    claims = {**request_objects.claims(at, client), **dict.fromkeys(PARAMETERS)}
    return lambda: ({"alg": "ES256", "kid": "p256"}, claims), send


def by_proof(sender: Sender) -> tuple[Make, Send]:
    """A client proves its key (RFC 9449)."""
    at, prover = sender.server, Prover()

    def send(head: bytes, body: bytes) -> httpx2.Response:
        proof = {"DPoP": prover.sign(head, body)}
        return at.post("/token", sender.client, headers=proof, grant_type="client_credentials", scope="api:read")

    def make() -> tuple[dict[str, Any], dict[str, Any]]:
        claims = claims_of(prover.proof("POST", f"{at.issuer}/token"))
        return {"alg": "ES256", "typ": "dpop+jwt", "jwk": prover.jwk}, {**claims, "ath": None, "nonce": None}

    return make, send


def with_member(made: dict[str, Any], name: str, value: str) -> bytes:
    """Write an object with this JSON text as one of its members."""
    others = {member: known for member, known in made.items() if member != name and known is not None}
    return f"{json.dumps(others)[:-1]}{', ' if others else ''}{json.dumps(name)}: {value}}}".encode()


def without(made: dict[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in made.items() if value is not None}).encode()


@pytest.mark.parametrize("kind", [by_assertion, by_issuer, by_request, by_proof])
def test_every_claim_and_every_member_of_the_header_takes_every_bad_value(
    sender: Sender, kind: Callable[[Sender], tuple[Make, Send]], caplog: pytest.LogCaptureFixture
) -> None:
    make, send = kind(sender)
    head, claims = make()
    assert send(without(head), without(claims)).status_code < 300
    for how in BAD_JSON if sender.server.settings.database_url.startswith("sqlite") else WORST_JSON:
        for name in dict.fromkeys((*claims, *CLAIMS)):
            head, claims = make()
            check(send(without(head), with_member(claims, name, BAD_JSON[how])), f"{name}: {how}")
        for name in dict.fromkeys((*head, *HEADER)):
            head, claims = make()
            check(send(with_member(head, name, BAD_JSON[how]), without(claims)), f"header {name}: {how}")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def check(answer: httpx2.Response, about: str) -> None:
    assert answer.status_code in {200, 201, 400, 401}, f"{about}: {answer.status_code} {answer.text[:200]}"
    if answer.status_code >= 400:
        assert set(answer.json()) == {"error", "error_description"}, about
        assert answer.headers["cache-control"] == "no-store", about

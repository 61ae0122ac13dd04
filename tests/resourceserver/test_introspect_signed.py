"""Introspection answers as signed JWTs (RFC 9701)."""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from resourceserver import Fetcher, IntrospectionClient, IssuerMetadata, KeySource, Verifier
from resourceserver.errors import InvalidTokenError, UnavailableError
from tests.resourceserver.conftest import AUDIENCE, Clock
from tests.resourceserver.signing import header, signed
from tests.resourceserver.stub_issuer import INTROSPECTION, KEYS, StubIssuer, reply, replying

MEDIA_TYPE = "application/token-introspection+jwt"


@pytest.fixture
def asking(metadata: IssuerMetadata, fetcher: Fetcher, keys: KeySource, clock: Clock) -> IntrospectionClient:
    """Asks for signed answers only."""
    return IntrospectionClient(metadata, fetcher, client_id="rs", client_secret="secret", keys=keys, clock=clock)


@pytest.fixture
def verifier(issuer: StubIssuer, asking: IntrospectionClient, clock: Clock) -> Verifier:
    return Verifier(issuer.url, AUDIENCE, introspection=asking, jwt=False, clock=clock)


def answer(issuer: StubIssuer, key: str = "rsa", head: dict[str, object] | None = None, **members: object) -> str:
    """A good signed answer; `head` and other arguments change it, None leaves a member out."""
    usual = {
        "iss": issuer.url,
        "aud": "rs",
        "iat": int(time.time()),
        "token_introspection": issuer.active(AUDIENCE),
        **members,
    }
    claims = {name: value for name, value in usual.items() if value is not None}
    return signed(header(key, **{"typ": "token-introspection+jwt", **(head or {})}), claims, key)


def says(issuer: StubIssuer, body: str, content_type: str = MEDIA_TYPE) -> None:
    issuer.faults[INTROSPECTION] = replying(body.encode(), content_type=content_type)


def test_the_signed_answer_is_asked_for_and_nothing_else_4(issuer: StubIssuer, verifier: Verifier) -> None:
    says(issuer, answer(issuer))
    assert verifier.check("opaque").subject == "user-1"
    assert issuer.seen[0][0]["Accept"] == MEDIA_TYPE


@pytest.mark.parametrize("key", ["rsa", "p256", "ed25519"])
@pytest.mark.parametrize("typ", ["token-introspection+jwt", MEDIA_TYPE, "Token-Introspection+JWT"])
def test_a_good_answer_is_taken(issuer: StubIssuer, verifier: Verifier, key: str, typ: str) -> None:
    says(issuer, answer(issuer, key, {"typ": typ}, aud=["rs"], jti="1", exp=int(time.time()) + 60))
    token = verifier.check("opaque")
    assert (token.checked_by, token.scope) == ("introspection", {"read", "write"})


def test_a_signed_no_is_a_no(issuer: StubIssuer, verifier: Verifier) -> None:
    says(issuer, answer(issuer, token_introspection={"active": False}))
    with pytest.raises(InvalidTokenError):
        verifier.check("opaque")


def test_the_claims_of_the_token_are_those_inside(issuer: StubIssuer, verifier: Verifier) -> None:
    says(issuer, answer(issuer, sub="admin", scope="everything", client_id="admin"))
    token = verifier.check("opaque")
    assert (token.subject, token.client_id, "everything" in token.scope) == ("user-1", "client-1", False)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": None},
        {"iss": "https://other.example"},
        {"iss": ["http://127.0.0.1"]},
        {"aud": None},
        {"aud": "other"},
        {"aud": AUDIENCE},
        {"aud": []},
        {"aud": {"rs": 1}},
        {"iat": None},
        {"iat": "1"},
        {"iat": True},
        {"iat": int(time.time()) - 3600},
        {"iat": int(time.time()) + 3600},
        {"exp": 1},
        {"nbf": 2**40},
        {"token_introspection": None},
        {"token_introspection": {}},
        {"token_introspection": [{"active": True}]},
        {"token_introspection": '{"active":true}'},
        {"token_introspection": {"active": "true"}},
        {"token_introspection": None, "active": True},
    ],
)
def test_an_answer_that_is_not_exactly_one_is_no_answer_5(
    issuer: StubIssuer, verifier: Verifier, change: dict[str, object]
) -> None:
    says(issuer, answer(issuer, **change))
    with pytest.raises(UnavailableError):
        verifier.check("opaque")


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "application/at+jwt", "logout+jwt", "", None])
def test_another_type_of_jwt_is_no_answer_8_1(issuer: StubIssuer, verifier: Verifier, typ: str | None) -> None:
    says(issuer, answer(issuer, head={"typ": typ}))
    with pytest.raises(UnavailableError):
        verifier.check("opaque")


def _with_another_body(issuer: StubIssuer) -> str:
    head, _, signature = answer(issuer).split(".")
    body = answer(issuer, sub="admin").split(".")[1]
    return f"{head}.{body}.{signature}"


FORGED: dict[str, Callable[[StubIssuer], str]] = {
    "another body": _with_another_body,
    "no signature": lambda issuer: answer(issuer).rpartition(".")[0] + ".",
    "another key": lambda issuer: answer(issuer, "rsa_other", {"kid": "rsa"}),
    "alg none": lambda issuer: answer(issuer, head={"alg": "none"}),
    "HS256": lambda issuer: answer(issuer, head={"alg": "HS256"}),
    "an unknown key": lambda issuer: answer(issuer, head={"kid": "unknown"}),
    "no key": lambda issuer: answer(issuer, head={"kid": None}),
    "critical": lambda issuer: answer(issuer, head={"crit": ["x"], "x": 1}),
    "plain JSON": lambda _issuer: '{"active":true}',
    "nothing": lambda _issuer: "",
    "no ASCII": lambda _issuer: "\N{SNOWMAN}",
    "encrypted": lambda _issuer: "a.b.c.d.e",
    "too long": lambda issuer: answer(issuer) + "A" * 20_000,
    "a line end": lambda issuer: answer(issuer) + "\n",
}


@pytest.mark.parametrize("make", FORGED.values(), ids=FORGED)
def test_a_forged_or_malformed_answer_is_no_answer(
    issuer: StubIssuer, verifier: Verifier, make: Callable[[StubIssuer], str]
) -> None:
    says(issuer, make(issuer))
    with pytest.raises(UnavailableError):
        verifier.check("opaque")


@pytest.mark.parametrize("content_type", ["application/json", "application/jwt", "text/html"])
def test_another_media_type_is_no_answer(issuer: StubIssuer, verifier: Verifier, content_type: str) -> None:
    says(issuer, answer(issuer), content_type)
    with pytest.raises(UnavailableError):
        verifier.check("opaque")


def test_an_issuer_that_answers_unsigned_is_not_believed(issuer: StubIssuer, verifier: Verifier) -> None:
    issuer.answers["opaque"] = issuer.active(AUDIENCE)
    with pytest.raises(UnavailableError):
        verifier.check("opaque")


def test_who_asks_for_json_does_not_take_a_jwt(issuer: StubIssuer, by_asking: Verifier) -> None:
    says(issuer, answer(issuer))
    with pytest.raises(UnavailableError):
        by_asking.check("opaque")


def test_keys_that_are_away_are_no_refusal(issuer: StubIssuer, verifier: Verifier) -> None:
    issuer.faults[KEYS] = replying({}, status=500)
    says(issuer, answer(issuer))
    with pytest.raises(UnavailableError):
        verifier.check("opaque")


def test_a_bad_answer_is_not_remembered(issuer: StubIssuer, verifier: Verifier) -> None:
    says(issuer, answer(issuer, aud="other"))
    with pytest.raises(UnavailableError):
        verifier.check("opaque")
    says(issuer, answer(issuer))
    assert verifier.check("opaque").subject == "user-1"


def test_an_answer_of_a_minute_ago_is_not_replayed(issuer: StubIssuer, verifier: Verifier, clock: Clock) -> None:
    old = answer(issuer)

    def replay(to: BaseHTTPRequestHandler) -> None:
        reply(to, old.encode(), content_type=MEDIA_TYPE)

    issuer.faults[INTROSPECTION] = replay
    assert verifier.check("opaque", fresh=True).subject == "user-1"
    clock.now += 61
    with pytest.raises(UnavailableError):
        verifier.check("opaque", fresh=True)


def test_an_answer_is_no_access_token_8_1(issuer: StubIssuer, by_keys: Verifier) -> None:
    members: dict[str, Any] = {"aud": AUDIENCE, **issuer.active(AUDIENCE), "jti": "1"}
    for typ in ("token-introspection+jwt", MEDIA_TYPE):
        with pytest.raises(InvalidTokenError, match="typ"):
            by_keys.check(answer(issuer, head={"typ": typ}, **members))

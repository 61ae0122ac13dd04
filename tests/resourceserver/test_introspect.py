import base64
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest

from resourceserver import Fetcher, IntrospectionClient, IssuerMetadata, Verifier
from resourceserver.errors import InvalidTokenError, UnavailableError
from tests.resourceserver.conftest import AUDIENCE, Clock
from tests.resourceserver.stub_issuer import INTROSPECTION, METADATA, StubIssuer, replying


def test_the_question_is_a_form_with_encoded_basic_credentials(
    issuer: StubIssuer, metadata: IssuerMetadata, fetcher: Fetcher
) -> None:
    client = IntrospectionClient(metadata, fetcher, client_id="my rs:1", client_secret="a+b %ü")
    client.ask("tok.en~1+/=")
    headers, form = issuer.seen[0]
    assert form == {"token": ["tok.en~1+/="], "token_type_hint": ["access_token"]}
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["Accept"] == "application/json"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"my%20rs%3A1:a%2Bb%20%25%C3%BC"


def test_an_active_token_becomes_an_access_token(issuer: StubIssuer, by_asking: Verifier) -> None:
    issuer.answers["opaque"] = issuer.active(AUDIENCE, auth_time=1, acr="phr", sid="s", roles=["a", {"b": [1]}])
    token = by_asking.check("opaque")
    assert (token.subject, token.client_id, token.scope) == ("user-1", "client-1", {"read", "write"})
    assert (token.checked_by, token.format, token.acr, token.sid, token.auth_time) == (
        "introspection",
        "opaque",
        "phr",
        "s",
        1,
    )
    assert token.claims["roles"] == ("a", {"b": (1,)})


def test_what_is_known_of_a_token_cannot_be_changed_or_printed(issuer: StubIssuer, by_asking: Verifier) -> None:
    issuer.answers["opaque"] = issuer.active(AUDIENCE, email="private@example.test")
    token = by_asking.check("opaque")
    with pytest.raises(AttributeError):
        token.subject = "admin"
    with pytest.raises(TypeError):
        token.claims["sub"] = "admin"
    assert "private@" not in repr(token)


def test_an_inactive_token_is_invalid(issuer: StubIssuer, by_asking: Verifier) -> None:
    with pytest.raises(InvalidTokenError):
        by_asking.check("unknown")


@pytest.mark.parametrize(
    "change",
    [
        {"aud": None},
        {"aud": "https://api.example/other"},
        {"aud": []},
        {"iss": "https://other.example"},
        {"exp": 1},
        {"nbf": 2**40},
        {"iat": 2**40},
        {"token_type": "DPoP"},
        {"token_type": "refresh_token"},
        {"token_use": "refresh_token"},
        {"cnf": {"jkt": "abc"}},
        {"cnf": {"x5t#S256": "abc"}},
    ],
)
def test_an_active_token_for_another_purpose_is_invalid(
    issuer: StubIssuer, by_asking: Verifier, change: dict[str, object]
) -> None:
    issuer.answers["opaque"] = issuer.active(AUDIENCE, **change)
    with pytest.raises(InvalidTokenError):
        by_asking.check("opaque")


def test_our_audience_among_others_and_a_missing_issuer_are_taken(issuer: StubIssuer, by_asking: Verifier) -> None:
    issuer.answers["opaque"] = issuer.active(["https://other.example", AUDIENCE], iss=None, token_type="bearer")
    assert by_asking.check("opaque")


def test_a_client_for_itself_is_known_as_such(issuer: StubIssuer, by_asking: Verifier) -> None:
    issuer.answers |= {"a": issuer.active(AUDIENCE, sub=None), "b": issuer.active(AUDIENCE, sub="client-1")}
    for token in ("a", "b"):
        assert by_asking.check(token).is_client_itself
    issuer.answers["c"] = issuer.active(AUDIENCE)
    assert not by_asking.check("c").is_client_itself


def _hang_up(to: BaseHTTPRequestHandler) -> None:
    to.close_connection = True


ODD = {
    "500": replying({"active": True}, status=500),
    "503": replying({}, status=503),
    "404": replying({}, status=404),
    "400": replying({"error": "invalid_request"}, status=400),
    "401": replying({"error": "invalid_client"}, status=401),
    "403": replying({}, status=403),
    "429": replying({}, status=429),
    "html": replying(b"<html>Sign in</html>", content_type="text/html"),
    "html with the right type": replying(b"<html>"),
    "json with the wrong type": replying({"active": False}, content_type="text/plain"),
    "redirect": replying(b"", status=302, headers={"Location": "/elsewhere"}),
    "no json": replying(b"{"),
    "array": replying([True]),
    "true": replying(b"true"),
    "nothing": replying(b""),
    "active missing": replying({}),
    "active as text": replying({"active": "true"}),
    "active as number": replying({"active": 1}),
    "inactive as text": replying({"active": "false"}),
    "active null": replying({"active": None}),
    "active twice": replying(b'{"active":false,"active":true}'),
    "hang up": _hang_up,
    "too large": replying(b" " * 70_000 + b'{"active":false}'),
    "deep": replying(b'{"active":true,"x":' + b"[" * 60_000 + b"}"),
    "zipped": replying(b"\x1f\x8b", headers={"Content-Encoding": "gzip"}),
    "signed": replying(b"e30.e30.AA", content_type="application/token-introspection+jwt"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_is_no_verdict_and_is_not_kept(issuer: StubIssuer, by_asking: Verifier, name: str) -> None:
    issuer.answers["opaque"] = issuer.active(AUDIENCE)
    issuer.faults = {INTROSPECTION: ODD[name]}
    with pytest.raises(UnavailableError):
        by_asking.check("opaque")
    issuer.faults = {}
    assert by_asking.check("opaque")
    assert issuer.hits["/elsewhere"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": -1},
        {"nbf": "x"},
        {"iat": []},
        {"client_id": None},
        {"client_id": 1},
        {"sub": 1},
        {"sub": ""},
        {"scope": ["read"]},
        {"aud": [AUDIENCE, 1]},
        {"aud": {"x": AUDIENCE}},
        {"cnf": "x"},
        {"acr": 1},
        {"auth_time": "1"},
    ],
)
def test_an_active_answer_with_a_malformed_member_is_no_verdict(
    issuer: StubIssuer, by_asking: Verifier, change: dict[str, object]
) -> None:
    issuer.answers["opaque"] = issuer.active(AUDIENCE, **change)
    with pytest.raises(UnavailableError):
        by_asking.check("opaque")


def test_a_slow_issuer_is_waited_for_a_bounded_time(issuer: StubIssuer, metadata: IssuerMetadata) -> None:
    client = IntrospectionClient(metadata, Fetcher(seconds=0.2), client_id="rs", client_secret="s")
    issuer.faults = {INTROSPECTION: lambda to: time.sleep(1.5)}
    with pytest.raises(UnavailableError):
        client.ask("opaque")


def test_after_three_failures_the_issuer_is_left_alone_for_a_second(
    issuer: StubIssuer, by_asking: Verifier, clock: Clock
) -> None:
    issuer.faults = {INTROSPECTION: replying({}, status=500)}
    issuer.answers["opaque"] = issuer.active(AUDIENCE)
    for _ in range(20):
        with pytest.raises(UnavailableError):
            by_asking.check("opaque")
    assert issuer.hits[INTROSPECTION] == 3
    issuer.faults = {}
    clock.now += 1.1
    assert by_asking.check("opaque")
    assert by_asking.check("opaque", fresh=True)


def test_questions_that_the_issuer_finds_malformed_do_not_stop_the_others(
    issuer: StubIssuer, by_asking: Verifier
) -> None:
    issuer.answers["opaque"] = issuer.active(AUDIENCE)
    issuer.faults = {INTROSPECTION: replying({"error": "invalid_request"}, status=400)}
    for number in range(10):
        with pytest.raises(UnavailableError):
            by_asking.check(f"strange-{number}")
    issuer.faults = {}
    assert by_asking.check("opaque")


def test_one_failure_does_not_stop_other_questions(issuer: StubIssuer, by_asking: Verifier) -> None:
    issuer.answers["opaque"] = issuer.active(AUDIENCE)
    for _ in range(5):
        issuer.faults = {INTROSPECTION: replying({}, status=500)}
        with pytest.raises(UnavailableError):
            by_asking.check("opaque", fresh=True)
        issuer.faults = {}
        assert by_asking.check("opaque", fresh=True)


def test_simultaneous_questions_about_one_token_are_one_question(issuer: StubIssuer, by_asking: Verifier) -> None:
    issuer.answers |= {"a": issuer.active(AUDIENCE), "b": issuer.active(AUDIENCE, sub="user-2")}
    by_asking.check("a", fresh=True)
    issuer.hits.clear()
    issuer.delay = 0.3
    subjects: list[str] = []
    threads = [
        threading.Thread(target=lambda token=token: subjects.append(by_asking._introspection.ask(token).answer["sub"]))
        for token in ["a", "b"] * 10
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(subjects) == ["user-1"] * 10 + ["user-2"] * 10
    assert issuer.hits[INTROSPECTION] == 2


def test_a_shared_answer_is_as_old_as_its_question(issuer: StubIssuer, by_asking: Verifier, clock: Clock) -> None:
    issuer.answers["a"] = issuer.active(AUDIENCE, exp=int(clock.now) + 9999)
    asked, go_on = threading.Event(), threading.Event()

    def slow(to: BaseHTTPRequestHandler) -> None:
        asked.set()
        go_on.wait(5)
        replying(issuer.answers["a"])(to)

    issuer.faults = {INTROSPECTION: slow}
    threads = [threading.Thread(target=by_asking.check, args=("a",)) for _ in range(2)]
    threads[0].start()
    assert asked.wait(5)
    clock.now += 20
    threads[1].start()
    shared = next(iter(by_asking._introspection._asking.values()))
    while not shared._condition._waiters:
        time.sleep(0.01)
    go_on.set()
    for thread in threads:
        thread.join()
    issuer.faults = {}
    issuer.answers["a"] = {"active": False}
    clock.now += 11
    with pytest.raises(InvalidTokenError):
        by_asking.check("a")


def test_simultaneous_questions_share_a_failure_too(issuer: StubIssuer, by_asking: Verifier) -> None:
    issuer.answers["a"] = issuer.active(AUDIENCE)
    by_asking.check("a", fresh=True)
    issuer.hits.clear()

    def slow_failure(to: BaseHTTPRequestHandler) -> None:
        time.sleep(0.3)
        replying({}, status=500)(to)

    issuer.faults = {INTROSPECTION: slow_failure}
    refused: list[str] = []

    def ask() -> None:
        try:
            by_asking.check("b")
        except UnavailableError as error:
            refused.append(error.reason)

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 10
    assert issuer.hits[INTROSPECTION] == 1


def test_the_issuer_may_be_away_at_the_start(issuer: StubIssuer, by_asking: Verifier, clock: Clock) -> None:
    issuer.answers["opaque"] = issuer.active(AUDIENCE)
    issuer.faults = {METADATA: replying({}, status=500)}
    with pytest.raises(UnavailableError):
        by_asking.check("opaque")
    issuer.faults = {}
    clock.now += 3
    assert by_asking.check("opaque")


def test_a_fixed_endpoint_spares_the_discovery(issuer: StubIssuer, metadata: IssuerMetadata, fetcher: Fetcher) -> None:
    client = IntrospectionClient(
        metadata, fetcher, client_id="rs", client_secret="s", endpoint=issuer.url + INTROSPECTION
    )
    assert client.ask("x").answer == {"active": False}
    assert issuer.hits == {INTROSPECTION: 1}

"""Token Status List (revision 21), sections 4, 5.1, 6.2 and 8.3, as a reader."""

import base64
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from resourceserver import Fetcher, IssuerMetadata, KeySource
from resourceserver.access_token import AccessToken, read_access_token
from resourceserver.errors import InvalidTokenError, UnavailableError
from resourceserver.status_list import MAX_LIST, StatusList, StatusLists, read_status_list
from tests.resourceserver.conftest import Clock
from tests.resourceserver.scripted_feed import until
from tests.resourceserver.signing import base64url, signed
from tests.resourceserver.stub_issuer import StubIssuer, reply, replying

LIST = "/status-list?id=0"
TYPE = "application/statuslist+jwt"
ISSUER = "https://as.example"
URI = ISSUER + LIST
NOW = 1_000_000.0


def packed(values: bytes) -> str:
    return base64url(zlib.compress(values, 9))


def claims(uri: str = URI, **members: Any) -> dict[str, Any]:
    usual = {"sub": uri, "iat": int(NOW), "status_list": {"bits": 1, "lst": packed(b"\x00\x02")}}
    return {name: value for name, value in (usual | members).items() if value is not None}


def read(**members: Any) -> StatusList:
    return read_status_list(claims(**members), ISSUER, URI, NOW)


# 4.1, with the vectors of the specification.


def test_places_are_counted_from_the_least_significant_bit() -> None:
    one = read(status_list={"bits": 1, "lst": packed(bytes([0xB9, 0xA3]))})
    assert [one.value(place) for place in range(17)] == [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1, None]
    assert one.values == read(status_list={"bits": 1, "lst": "eNrbuRgAAhcBXQ"}).values
    two = read(status_list={"bits": 2, "lst": packed(bytes([0xC9, 0x44, 0xF9]))})
    assert [two.value(place) for place in range(13)] == [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3, None]
    four = read(status_list={"bits": 4, "lst": packed(bytes([0x21, 0xF3]))})
    assert [four.value(place) for place in range(5)] == [1, 2, 3, 15, None]
    eight = read(status_list={"bits": 8, "lst": packed(bytes([7, 255]))})
    assert [eight.value(place) for place in range(3)] == [7, 255, None]


# 5.1, 8.3


@pytest.mark.parametrize(
    "change",
    [
        {"sub": None},
        {"sub": URI + "0"},
        {"iss": "https://other.example"},
        {"iat": None},
        {"iat": "now"},
        {"iat": int(NOW) + 100},
        {"exp": int(NOW) - 100},
        {"exp": "never"},
        {"ttl": 0},
        {"ttl": -1},
        {"ttl": "1"},
        {"status_list": None},
        {"status_list": []},
        {"status_list": {"lst": packed(b"\0")}},
        {"status_list": {"bits": True, "lst": packed(b"\0")}},
        {"status_list": {"bits": 3, "lst": packed(b"\0")}},
        {"status_list": {"bits": 1.0, "lst": packed(b"\0")}},
        {"status_list": {"bits": 1}},
        {"status_list": {"bits": 1, "lst": None}},
        {"status_list": {"bits": 1, "lst": ""}},
        {"status_list": {"bits": 1, "lst": packed(b"\0") + "="}},
        {"status_list": {"bits": 1, "lst": packed(b"\0") + "\n"}},
        {"status_list": {"bits": 1, "lst": base64.b64encode(zlib.compress(bytes(range(256)))).decode()}},
        {"status_list": {"bits": 1, "lst": base64url(b"not zlib")}},
        {"status_list": {"bits": 1, "lst": base64url(zlib.compress(bytes(99))[:-2])}},
        {"status_list": {"bits": 1, "lst": base64url(zlib.compress(bytes(99)) + b"\0")}},
        {"status_list": {"bits": 1, "lst": packed(bytes(MAX_LIST + 1))}},
    ],
)
def test_a_list_that_breaks_a_rule_is_no_list(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, InvalidTokenError)):
        read(**change)


def test_what_is_optional_may_be_there() -> None:
    assert read(iss=ISSUER, exp=int(NOW) + 5, ttl=0.5, other=1).fresh_for == 0.5
    assert read(ttl=43200).fresh_for == read().fresh_for == 1.0
    assert (
        read(status_list={"bits": 1, "lst": packed(bytes(MAX_LIST)), "aggregation_uri": "x"}).value(8 * MAX_LIST - 1)
        == 0
    )


def test_a_list_may_not_grow_without_end() -> None:
    bomb = zlib.compress(bytes(20 * MAX_LIST), 9)
    assert len(bomb) < MAX_LIST / 20
    with pytest.raises(ValueError, match="too long"):
        read(status_list={"bits": 1, "lst": base64url(bomb)})


# Fetching.


class Published:
    """The issuer's list, with an ETag."""

    def __init__(self, issuer: StubIssuer) -> None:
        self.uri = issuer.url + LIST
        self.values = bytearray(10)
        self.version = 1
        self.mark = ""
        self.seen: list[dict[str, str]] = []
        self.members: dict[str, Any] = {"iss": issuer.url}
        self.typ = "statuslist+jwt"
        self.key, self.kid = "p256", "p256"
        self.headers: dict[str, str] = {}
        issuer.faults[LIST] = self

    def set(self, place: int, value: int = 1) -> None:
        self.values[place // 8] |= value << place % 8
        self.version += 1

    def __call__(self, to: BaseHTTPRequestHandler) -> None:
        self.seen.append(dict(to.headers))
        etag = f'"{self.mark}{self.version}"'
        if to.headers["If-None-Match"] == etag:
            to.send_response(304)
            to.send_header("ETag", etag)
            to.end_headers()
            return
        now = int(time.time())
        body = (
            claims(self.uri, iat=now, exp=now + 60, status_list={"bits": 1, "lst": packed(self.values)}) | self.members
        )
        token = signed({"typ": self.typ, "alg": "ES256", "kid": self.kid}, body, self.key)
        reply(to, token.encode(), content_type=TYPE, headers={"ETag": etag, **self.headers})


@pytest.fixture
def published(issuer: StubIssuer) -> Published:
    return Published(issuer)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is fresh for longer than a busy machine makes a test last."""
    monkeypatch.setattr("resourceserver.status_list.OLDEST", 60.0)


@pytest.fixture
def lists(metadata: IssuerMetadata, keys: KeySource, fetcher: Fetcher, clock: Clock) -> Iterator[StatusLists]:
    opened = StatusLists(metadata, fetcher, keys=keys, clock=clock)
    yield opened
    opened.close()


def token(uri: str, place: object = 3, **members: object) -> AccessToken:
    status = {"status_list": {"idx": place, "uri": uri}}
    named = {"sub": "u", "client_id": "c", "jti": "g.1", "exp": time.time() + 600, "status": status} | members
    return read_access_token(named, ISSUER, checked_by="keys", token_format="jwt")


def revoked(lists: StatusLists, checked: AccessToken) -> bool:
    try:
        lists.check(checked)
    except InvalidTokenError:
        return True
    return False


@pytest.mark.usefixtures("patient")
def test_a_token_whose_place_says_so_is_revoked(lists: StatusLists, published: Published, issuer: StubIssuer) -> None:
    published.set(5)
    lists.close()
    lists.check(token(published.uri, 3))
    assert lists.is_valid(token(published.uri, 3))
    assert revoked(lists, token(published.uri, 5))
    assert not lists.is_valid(token(published.uri, 5))
    assert issuer.hits[LIST] == 1


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_every_status_but_valid_is_a_refusal(lists: StatusLists, published: Published, bits: int) -> None:
    # 7.1: suspended is not valid either, nor is what only others know.
    published.members["status_list"] = {"bits": bits, "lst": packed(bytes([2, 0]))}
    assert revoked(lists, token(published.uri, 0))
    lists.check(token(published.uri, 1))


def test_a_place_beyond_the_end_is_a_refusal(lists: StatusLists, published: Published) -> None:
    lists.check(token(published.uri, 79))
    assert revoked(lists, token(published.uri, 80))
    assert revoked(lists, token(published.uri, 2**60))


def test_without_a_list_at_hand_a_token_is_not_known_to_be_valid(lists: StatusLists, published: Published) -> None:
    assert not lists.is_valid(token(published.uri))
    assert published.seen == []


def test_it_asks_past_all_caches_and_for_what_is_new_only(lists: StatusLists, published: Published) -> None:
    lists.check(token(published.uri))
    until(lambda: len(published.seen) >= 3)
    assert {each["Accept"] for each in published.seen} == {TYPE}
    assert {each["Cache-Control"] for each in published.seen} == {"no-cache"}
    assert [each.get("If-None-Match") for each in published.seen[:3]] == [None, '"1"', '"1"']
    until(lambda: lists.is_valid(token(published.uri)))


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(("age", "good"), [("0", True), ("59", True), ("60", False), ("-1", True), ("x", True)])
def test_what_lay_in_a_cache_for_too_long_is_not_used(
    lists: StatusLists, published: Published, *, age: str, good: bool
) -> None:
    published.headers["Age"] = age
    if good:
        lists.check(token(published.uri, 3))
    else:
        with pytest.raises(UnavailableError):
            lists.check(token(published.uri, 3))


def test_an_etag_that_no_header_can_hold_is_not_sent_back(lists: StatusLists, published: Published) -> None:
    published.mark = "\u00e9"
    lists.check(token(published.uri))
    until(lambda: len(published.seen) >= 2)
    assert published.seen[1].get("If-None-Match") is None


def test_a_revocation_is_seen_without_a_further_question(lists: StatusLists, published: Published) -> None:
    lists.check(token(published.uri))
    published.set(3)
    until(lambda: not lists.is_valid(token(published.uri)))
    until(lambda: lists.is_valid(token(published.uri, 4)))
    assert revoked(lists, token(published.uri))


def test_lists_that_nobody_names_any_more_are_not_fetched(
    lists: StatusLists, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resourceserver.status_list.IDLE", 0.5)
    lists.check(token(published.uri))
    refresher = lists._lists.get().refresher
    assert refresher is not None
    refresher.join(10)
    assert not refresher.is_alive()
    lists.check(token(published.uri))
    assert lists._lists.get().refresher is not refresher


def test_an_old_list_is_not_used_and_without_a_new_one_nobody_can_say(
    lists: StatusLists, published: Published, issuer: StubIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resourceserver.status_list.PAUSE", 60.0)
    lists.check(token(published.uri))
    lists.close()
    issuer.faults[LIST] = replying({}, status=500)
    until(lambda: not lists.is_valid(token(published.uri)))
    for _ in range(20):
        with pytest.raises(UnavailableError):
            lists.check(token(published.uri))
    assert issuer.hits[LIST] <= 3
    issuer.faults[LIST] = published
    monkeypatch.setattr("resourceserver.status_list.PAUSE", 0.0)
    lists.check(token(published.uri))


def test_a_list_is_not_used_beyond_its_end(
    lists: StatusLists, published: Published, clock: Clock, issuer: StubIssuer
) -> None:
    lists.close()
    lists.check(token(published.uri))
    clock.now += 121
    assert not lists.is_valid(token(published.uri))
    with pytest.raises(UnavailableError):
        lists.check(token(published.uri))
    assert published.seen[-1].get("If-None-Match") is None


ODD = {
    "404": replying({}, status=404),
    "html": replying(b"<html>", content_type="text/html"),
    "json": replying({"status_list": {"bits": 1, "lst": packed(b"\0")}}),
    "wrong type": replying(b"e30.e30.AA", content_type="application/jwt"),
    "no jwt": replying(b"\xff\xfe", content_type=TYPE),
    "unsigned": replying(b"eyJhbGciOiJub25lIn0.e30.", content_type=TYPE),
    "304 unasked": replying(b"", status=304),
    "redirect": replying(b"", status=302, headers={"Location": "/elsewhere"}),
    "too large": replying(b"x" * 5_000_000, content_type=TYPE),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_is_no_list(lists: StatusLists, published: Published, issuer: StubIssuer, name: str) -> None:
    issuer.faults[LIST] = ODD[name]
    with pytest.raises(UnavailableError):
        lists.check(token(published.uri))
    assert issuer.hits["/elsewhere"] == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("typ", "at+jwt"),
        ("typ", "JWT"),
        ("kid", "unknown"),
        ("kid", "rsa"),
        ("key", "p384"),
        ("members", {"sub": "https://as.example/other"}),
        ("members", {"iss": "https://other.example"}),
    ],
)
def test_a_list_must_be_signed_by_the_issuer_and_be_the_one_that_was_asked_for(
    lists: StatusLists, published: Published, name: str, value: object
) -> None:
    setattr(published, name, value)
    with pytest.raises(UnavailableError):
        lists.check(token(published.uri))


def test_a_list_elsewhere_is_never_fetched(lists: StatusLists, published: Published, issuer: StubIssuer) -> None:
    port = issuer.port
    for uri in (
        f"http://localhost:{port}{LIST}",
        f"https://127.0.0.1:{port}{LIST}",
        f"http://127.0.0.1:{port + 1}{LIST}",
        f"http://u@127.0.0.1:{port}{LIST}",
        "https://as.example/status-list",
        "file:///etc/passwd",
        "",
        "http://[",
    ):
        assert revoked(lists, token(uri))
    assert not issuer.hits


@pytest.mark.parametrize(
    "status",
    [
        None,
        "x",
        {},
        {"identifier_list": {}},
        {"status_list": {"idx": 1, "uri": URI}, "more": {}},
        {"status_list": []},
        {"status_list": {"idx": 1}},
        {"status_list": {"uri": URI}},
        {"status_list": {"idx": "1", "uri": URI}},
        {"status_list": {"idx": True, "uri": URI}},
        {"status_list": {"idx": -1, "uri": URI}},
        {"status_list": {"idx": 1.5, "uri": URI}},
        {"status_list": {"idx": 1, "uri": 1}},
    ],
)
def test_a_status_that_cannot_be_understood_is_a_refusal(lists: StatusLists, status: object) -> None:
    strange = token(URI, status=status)
    assert revoked(lists, strange)
    assert not lists.is_valid(strange)

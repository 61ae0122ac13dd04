"""Good requests of every kind, spoiled in one place: a refusal in the protocol's words, the same on both databases.

Every parameter of every endpoint and grant, taken from the registry, is left out, sent twice, written as an array or an
object, and filled with every value of ``bad_values``; every member of every JSON body likewise.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import urlencode

import httpx2
import pytest

from authserver import registry
from authserver.manage import client_metadata
from authserver.oauth import client_auth, errors
from tests.web.bad_values import BAD_BODIES, BAD_JSON, BAD_VALUES, NOT_UTF8, WORST, WORST_JSON
from tests.web.good_requests import CALLBACK, JSON_PATHS, Good, Sender

Outcome = tuple[int, str]

PATHS: Final = sorted({path for _, path, _, _ in registry.ENDPOINTS} | {"/authorize", "/logout"})
SHAPES: Final = ("left out", "twice", "a list", "an object")

SINGLE: Final = registry.PARAMETERS
NAMES: Final = sorted(SINGLE | {"resource", "audience", "unknown"})
EVERYWHERE: Final = sorted({*client_auth.PARAMETERS, "scope", "resource", "audience", "authorization_details"})
CODES: Final = {error.error for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "error")}
OWN: Final = ("client_id", "client_secret", "registration_access_token", "client_id_issued_at", "software_statement")
MEMBERS: Final = sorted({*client_metadata.MEMBERS, *registry.CLIENT_METADATA, *OWN, "unknown"})
DROPPED: Final = sorted(client_metadata.ADMINISTRATOR_MEMBERS)


@pytest.fixture(scope="module")
def senders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Sender]]:
    """The same world twice: over SQLite, and over PostgreSQL, which refuses other things."""
    url = request.getfixturevalue("postgres").create()
    both = [Sender(tmp_path_factory.mktemp("sqlite")), Sender(tmp_path_factory.mktemp("postgresql"), database_url=url)]
    yield both
    for sender in both:
        sender.close()


@pytest.fixture(autouse=True)
def nothing_failed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No input is worth a stack trace, in the answer or in the log."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def outcome(answer: httpx2.Response, about: str) -> Outcome:
    """Check what every answer owes; return its status and its error."""
    text = "" if answer.headers.get("content-type") == "text/event-stream" else answer.text
    assert answer.status_code < 500, f"{about}: {answer.status_code} {text[:200]}"
    assert "Traceback" not in text, about
    assert "<script>alert" not in text or not answer.headers["content-type"].startswith("text/html"), about
    location = answer.headers.get("location", "")
    assert location.isprintable(), about
    error = httpx2.URL(location).params.get("error", "") if location else ""
    if text and answer.headers.get("content-type") == "application/json" and answer.status_code >= 400:
        assert set(answer.json()) <= {"error", "error_description"}, about
        assert answer.headers["cache-control"] == "no-store", about
        error = answer.json().get("error", "")
    assert not error or error in CODES, about
    return answer.status_code, error


def spoil(good: Good, name: str, how: str) -> str:
    """Return the parameters of a good request with one of them spoiled."""
    others = urlencode({key: text for key, text in good.fields.items() if key != name})
    own = urlencode({name: good.fields.get(name, "x")})
    return {
        "left out": others,
        "twice": f"{others}&{own}&{own}",
        "a list": f"{others}&{own.replace('=', '[]=', 1)}",
        "an object": f"{others}&{own.replace('=', '[a]=', 1)}",
    }.get(how, f"{others}&{name}={BAD_VALUES.get(how, '')}")


def outcomes(sender: Sender, name: str, others: Iterable[str]) -> dict[str, Outcome]:
    """Spoil a good request in every way: its own parameters in each, some others in the worst.

    What is refused takes nothing, so the request that it was made of still works in the end.
    """
    good, found = sender.goods[name](), {}
    own = tuple(good.fields)
    for parameter in dict.fromkeys((*own, *others)):
        for how in (*SHAPES, *BAD_VALUES) if parameter in own else ("twice", *WORST):
            about = f"{name}: {parameter}, {how}"
            found[about] = status, error = outcome(sender.send(good, spoil(good, parameter, how)), about)
            # RFC 6749 3.1, 3.2 and Appendix B: nothing may be anything but UTF-8, and nothing of ours comes twice.
            if good.strict and (how in NOT_UTF8 or (how == "twice" and parameter in SINGLE)):
                assert status >= 400 or error, about
            if status < 400 or good.fragile:
                good = sender.goods[name]()
        assert sender.send(good).status_code == good.status or not good.status, f"{name}: {parameter} took something"
        good = sender.goods[name]()
    return found


def member_outcomes(sender: Sender, name: str) -> dict[str, Outcome]:
    """Give every member every bad value; what is taken all the same can be read, and asked for, without a failure."""
    make, found = sender.goods[name], {}
    for member in (*MEMBERS, *DROPPED):
        good = make()
        others = json.dumps({key: value for key, value in good.fields.items() if key != member})[1:-1]
        # An update is checked as a registration is.
        ways = WORST_JSON if good.method == "PUT" else BAD_JSON
        for how in ways if member in MEMBERS else ("a word",):
            value = BAD_JSON[how]
            about = f"{name}: {member}, {how}"
            body = f'{{{others}{", " if others else ""}"{member}": {value}}}'
            answer = sender.send(good, body)
            found[about] = outcome(answer, about)
            if answer.status_code < 400 and "client_id" in answer.json():
                assert sender.send(sender.reading(answer.json())).status_code == 200, about
                asked = {"client_id": answer.json()["client_id"], "response_type": "code", "scope": "openid"}
                outcome(sender.send(Good("GET", "/authorize", {**asked, "redirect_uri": CALLBACK})), about)
    return found


@pytest.mark.parametrize("path", PATHS)
def test_a_good_request_is_good(senders: list[Sender], path: str) -> None:
    for sender in senders:
        for name, make in sender.at(path).items():
            good = make()
            answer = sender.send(good)
            assert answer.status_code == good.status or not good.status, f"{name}: {answer.status_code}"
            assert "error" not in answer.headers.get("location", ""), name


@pytest.mark.parametrize("path", sorted(set(PATHS) - JSON_PATHS))
def test_every_parameter_takes_every_bad_value_and_both_databases_agree(senders: list[Sender], path: str) -> None:
    for number, name in enumerate(senders[0].at(path)):
        # What an endpoint does not look for, it does not look for in any request.
        others = EVERYWHERE if number else NAMES
        on_sqlite, on_postgresql = (outcomes(sender, name, others) for sender in senders)
        assert on_sqlite == on_postgresql


@pytest.mark.parametrize("path", sorted(JSON_PATHS))
def test_every_member_of_a_json_body_takes_every_bad_value_and_both_databases_agree(
    senders: list[Sender], path: str
) -> None:
    for name, make in senders[0].at(path).items():
        if make().method in {"POST", "PUT"}:
            on_sqlite, on_postgresql = (member_outcomes(sender, name) for sender in senders)
            assert on_sqlite == on_postgresql


@pytest.mark.parametrize("path", sorted(JSON_PATHS))
def test_a_json_body_that_is_none_is_refused(senders: list[Sender], path: str) -> None:
    for sender in senders:
        for name, make in sender.at(path).items():
            good = make()
            if good.method not in {"POST", "PUT"}:
                continue
            for about, body in BAD_BODIES.items():
                status, error = outcome(sender.send(good, body), f"{name}: {about}")
                assert (status in {400, 401, 413}) == bool(error), about
            for content_type in ("application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-16"):
                assert outcome(sender.send(good, None, content_type), name)[0] in {400, 401}
            assert sender.send(good).status_code == good.status or not good.status

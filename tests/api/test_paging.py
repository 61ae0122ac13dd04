"""Lists in pages, and cursors that were not given out here."""

from pathlib import Path
from typing import Any

import pytest

from authserver.crypto import b64
from pytest_authserver import AuthServer
from tests.api.conftest import Manager
from tests.web.bad_values import BAD_VALUES
from tests.world import assert_refused

LISTS = {
    "/clients": ("clients", "client_id"),
    "/resources": ("resources", "identifier"),
    "/users": ("users", "sub"),
    "/keys": ("keys", "kid"),
    "/initial-access-tokens": ("initial_access_tokens", "id"),
    "/audit": ("events", "number"),
}


@pytest.fixture(scope="module")
def peopled(authserver: AuthServer, manager: Manager) -> Manager:
    """A manager of a server on which there are some of everything."""
    for number in range(7):
        authserver.user(f"one-of-many-{number}")
        authserver.client(client_name=f"One of many {number}")
        authserver.resource(f"https://many.test/{number}", "many:read")
        manager.good("POST", "/initial-access-tokens")
    return manager


def _walk(manager: Manager, path: str, limit: int) -> list[Any]:
    name, key = LISTS[path]
    found, query = [], {"limit": limit}
    while True:
        answer = manager.good("GET", path, query)
        assert len(answer[name]) <= limit
        found += [entry[key] for entry in answer[name]]
        if "next_cursor" not in answer:
            return found
        query = {"limit": limit, "cursor": answer["next_cursor"]}


@pytest.mark.parametrize("path", LISTS)
def test_pages_of_any_size_make_the_whole_list_once(peopled: Manager, path: str):
    whole = _walk(peopled, path, 200)
    assert len(whole) == len(set(whole)) >= 3
    assert _walk(peopled, path, 3) == whole


def test_a_page_that_is_just_full_is_the_last_one(peopled: Manager):
    count = len(_walk(peopled, "/keys", 200))
    assert "next_cursor" not in peopled.good("GET", "/keys", {"limit": count})
    assert "next_cursor" in peopled.good("GET", "/keys", {"limit": count - 1})


@pytest.mark.parametrize("limit", ["0", "-1", "201", "9" * 5000, "1.0", "1e2", "0x10", "+5", "\u0661", " 5", "ten"])
@pytest.mark.parametrize("path", LISTS)
def test_a_limit_is_a_number_within_bounds(manager: Manager, path: str, limit: str):
    assert_refused(manager("GET", path, {"limit": limit}), "invalid_request")


def test_a_cursor_that_was_edited_is_refused(peopled: Manager):
    good: str = peopled.good("GET", "/clients", {"limit": 2})["next_cursor"]
    assert peopled("GET", "/clients", {"cursor": good}).status_code == 200
    forged = [good[:-1], good + "A", good + "=", "A" + good, good.swapcase(), good[::-1]]
    forged += [good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :] for place in range(len(good))]
    forged += ["-1", "0", "100", b64(b"\xff" * 40), b64(b"' OR 1=1 --"), "x" * 4000]
    for cursor in forged:
        assert_refused(peopled("GET", "/clients", {"cursor": cursor}), "invalid_request")


@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_a_cursor_of_bad_values_is_refused(manager: Manager, value: str):
    with manager.at.http(headers={"Authorization": f"Bearer {manager.token}"}) as http:
        answer = http.get(f"/manage/users?cursor={value}")
    # A parameter without a value counts as omitted (RFC 6749 3.1).
    if value:
        assert answer.status_code in {400, 414}
    else:
        assert answer.status_code == 200


def test_a_cursor_is_good_for_its_list_and_question_only(authserver: AuthServer, peopled: Manager, alice: Any):
    clients = peopled.good("GET", "/clients", {"limit": 1})["next_cursor"]
    added = peopled.good("GET", "/audit", {"limit": 1, "name": "user.added"})["next_cursor"]
    for path, query in (
        ("/users", {"cursor": clients}),
        ("/audit", {"cursor": clients}),
        ("/audit", {"cursor": added}),
        ("/audit", {"cursor": added, "name": "client.added"}),
        ("/clients", {"cursor": added}),
        ("/grants", {"cursor": clients, "sub": alice.sub}),
    ):
        assert_refused(peopled("GET", path, query), "invalid_request")
    for limit in (1, 5):
        assert peopled("GET", "/audit", {"cursor": added, "name": "user.added", "limit": limit}).status_code == 200


def test_a_cursor_of_another_deployment_is_refused(tmp_path: Path, peopled: Manager):
    other = AuthServer(tmp_path, features={"management_api": True}, secret_key="another secret key, of 32 letters")
    manager = Manager(other)
    other.client()
    cursor = manager.good("GET", "/clients", {"limit": 1})["next_cursor"]
    assert_refused(peopled("GET", "/clients", {"cursor": cursor}), "invalid_request")
    other.close()

"""The audit trail over the management API."""

from authserver.manage import users
from pytest_authserver import AuthServer
from tests.api.conftest import Manager
from tests.world import assert_refused


def test_the_trail_is_read_to_its_end_page_by_page(authserver: AuthServer, manager: Manager):
    read, query = [], {"limit": 7}
    while True:
        answer = manager.good("GET", "/audit", query)
        read += answer["events"]
        if "next_cursor" not in answer:
            break
        query = {"limit": 7, "cursor": answer["next_cursor"]}
    assert [line["number"] for line in read] == [line.number for line in authserver.store.audit.list(0, 100_000)]


def test_the_trail_is_read_by_the_name_of_an_event(authserver: AuthServer, manager: Manager):
    user = users.make_user("audited")
    users.add(authserver.store, user, None, actor="somebody")
    events = manager.good("GET", "/audit", {"name": "user.added", "limit": 200})["events"]
    assert {event["name"] for event in events} == {"user.added"}
    assert events[-1] | {"number": 0, "at": 0} == {
        "number": 0,
        "at": 0,
        "name": "user.added",
        "actor": "somebody",
        "client_id": None,
        "sub": user.sub,
        "facts": {},
    }
    assert_refused(manager("GET", "/audit", {"name": "user.flown"}), "invalid_request")


def test_nobody_writes_it_over_the_api(manager: Manager):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert manager(method, "/audit").status_code == 405

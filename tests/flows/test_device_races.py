"""One device code and many who want something of it at the same moment, at two server processes (RFC 8628 3.4, 3.5)."""

from functools import partial
from itertools import cycle, islice
from urllib.parse import urlsplit

import httpx2
import pytest

from authserver.records import Event
from pytest_authserver import Page, RegisteredClient
from tests.devices import GRANT_TYPE, begin, decide, device_client, enter
from tests.flows.conftest import Nodes
from tests.flows.racing import RACERS, ROUNDS, post, race

pytestmark = pytest.mark.slow


def _polls(nodes: Nodes, client: RegisteredClient, codes: dict[str, str], many: int = RACERS) -> list[httpx2.Response]:
    parameters = {"grant_type": GRANT_TYPE, "device_code": codes["device_code"]}
    acts = [post(http, "/token", client.basic, **parameters) for http in islice(cycle(nodes.clients), many)]
    return race(acts)


def _client(nodes: Nodes) -> RegisteredClient:
    return device_client(nodes.world, token_endpoint_auth_method="client_secret_basic")


def test_at_most_one_poll_gets_tokens_and_what_was_issued_is_revoked(nodes: Nodes) -> None:
    client, user = _client(nodes), nodes.world.user("device-once")
    for _ in range(ROUNDS):
        codes = begin(nodes.world, client)
        decide(nodes.world, user, codes)
        answers = _polls(nodes, client, codes)
        assert [answer.status_code for answer in answers].count(200) == 1
        assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
        (tokens,) = [answer.json() for answer in answers if answer.status_code == 200]
        for http in nodes.clients:
            asked = post(http, "/introspect", client.basic, token=tokens["access_token"])()
            assert asked.json()["active"] is False
    assert nodes.world.store.grants.of_user(user.sub) == ()


def test_of_polls_at_the_same_moment_one_was_in_time(nodes: Nodes) -> None:
    client = _client(nodes)
    for _ in range(ROUNDS):
        said = [answer.json()["error"] for answer in _polls(nodes, client, begin(nodes.world, client))]
        assert said.count("authorization_pending") == 1
        assert set(said) == {"authorization_pending", "slow_down"}


def _press(http: httpx2.Client, page: Page, cookie: str, decision: str) -> str:
    query = urlsplit(page.url).query
    fields = {**page.form("device-allow").fields, "decision": decision}
    answer = http.post(f"/device/confirm?{query}", data=fields, headers={"Cookie": cookie})
    return "refused" if answer.status_code == 400 else answer.headers["location"]


def test_allowing_and_denying_at_the_same_moment_while_the_device_polls_has_one_outcome(nodes: Nodes) -> None:
    client = _client(nodes)
    people = [nodes.world.user(f"device-press-{number}") for number in range(8)]
    for _ in range(ROUNDS):
        codes = begin(nodes.world, client, scope="openid")
        presses = []
        for number, (person, http) in enumerate(zip(people, cycle(nodes.clients), strict=False)):
            browser = nodes.world.browser(person)
            page = enter(browser, codes["user_code"])
            cookie = "; ".join(f"{name}={value}" for name, value in browser.http.cookies.items())
            presses += [partial(_press, http, page, cookie, "deny" if number % 2 else "allow")] * 2
        parameters = {"grant_type": GRANT_TYPE, "device_code": codes["device_code"]}
        polls = [post(http, "/token", client.basic, **parameters) for http in islice(cycle(nodes.clients), 4)]
        answers = race([*presses, *polls])
        told = {answer for answer in answers if isinstance(answer, str)} - {"refused"}
        assert len(told) == 1, told
        allowed = "decision=allow" in told.pop()
        grants = sum(len(nodes.world.store.grants.of_user(person.sub)) for person in people)
        served = [answer.status_code for answer in answers if not isinstance(answer, str)].count(200)
        (final,) = _polls(nodes, client, codes, 1)
        assert (grants <= allowed, served <= allowed) == (True, True)
        assert final.json().get("error") == ("invalid_grant" if served else None if allowed else "access_denied")
        for person in people:
            for grant in nodes.world.store.grants.of_user(person.sub):
                nodes.world.store.grants.revoke(grant.grant_id, "test", _over())


def _over() -> Event:
    return Event("grant.revoked", "test")

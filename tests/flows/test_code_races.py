"""One code, many who redeem it at the same moment at two server processes (RFC 6749 4.1.2, 10.5)."""

from functools import partial
from itertools import cycle, islice
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from pytest_authserver import Allowed, Page, RegisteredClient
from tests.flows.conftest import Nodes
from tests.flows.racing import RACERS, ROUNDS, post, race

pytestmark = pytest.mark.slow


def _redeem(allowed: Allowed) -> dict[str, str | None]:
    return {
        "grant_type": "authorization_code",
        "code": allowed.code,
        "redirect_uri": allowed.redirect_uri,
        "code_verifier": allowed.pkce.verifier if allowed.pkce else None,
    }


def _is_active(nodes: Nodes, client: RegisteredClient, token: str) -> list[bool]:
    return [post(http, "/introspect", client.basic, token=token)().json()["active"] for http in nodes.clients]


def test_at_most_one_gets_tokens_and_what_was_issued_is_revoked(nodes: Nodes) -> None:
    client, user = nodes.world.client(trusted=True), nodes.world.user("code-once")
    for _ in range(ROUNDS):
        parameters = _redeem(nodes.world.allow(client, user))
        acts = [post(http, "/token", client.basic, **parameters) for http in islice(cycle(nodes.clients), RACERS)]
        answers = race(acts)
        assert sorted({answer.status_code for answer in answers}) == [200, 400]
        assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
        (tokens,) = [answer.json() for answer in answers if answer.status_code == 200]
        for name in ("access_token", "refresh_token"):
            assert _is_active(nodes, client, tokens[name]) == [False, False]
    assert nodes.world.store.grants.of_user(user.sub) == ()


def test_strangers_who_try_at_the_same_moment_change_nothing(nodes: Nodes) -> None:
    owner, stranger = nodes.world.client(trusted=True), nodes.world.client(trusted=True)
    wrong = RegisteredClient(owner.client_id, "wrong", owner.redirect_uri, {})
    user = nodes.world.user("code-strangers")
    for number in range(ROUNDS):
        parameters = _redeem(nodes.world.allow(owner, user))
        callers = [stranger, wrong] * (RACERS // 2)
        callers.insert(number, owner)
        acts = [
            post(http, "/token", caller.basic, **parameters)
            for http, caller in zip(cycle(nodes.clients), callers, strict=False)
        ]
        answers = race(acts)
        tokens = answers[number].json()
        assert answers[number].status_code == 200, tokens
        assert {answer.status_code for answer in answers} == {200, 400, 401}
        assert [answer.status_code for answer in answers].count(200) == 1
        assert _is_active(nodes, owner, tokens["access_token"]) == [True, True]


def _click(http: httpx2.Client, page: Page, cookie: str) -> str:
    """Press the button that allows and go on; return the code."""
    query, headers = urlsplit(page.url).query, {"Cookie": cookie}
    fields = {**page.form("consent-allow").fields, "decision": "allow"}
    sent = http.post(f"/consent?{query}", data=fields, headers=headers)
    assert sent.status_code == 303, sent.text
    answer = http.get(f"/authorize/resume?{query}", headers=headers)
    assert answer.status_code == 303, answer.text
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def test_a_decision_that_is_sent_many_times_makes_one_grant_and_one_code(nodes: Nodes) -> None:
    client, user = nodes.world.client(), nodes.world.user("code-double-click")
    for _ in range(ROUNDS):
        browser = nodes.world.browser(user)
        page = browser.visit_request(nodes.world.request(client, nodes.world.pkce(), prompt="consent"))
        cookie = "; ".join(f"{name}={value}" for name, value in browser.http.cookies.items())
        codes = race([partial(_click, http, page, cookie) for http in islice(cycle(nodes.clients), RACERS)])
        assert len(set(codes)) == 1
    assert len(nodes.world.store.grants.of_user(user.sub)) == ROUNDS

"""How documents of clients are fetched and kept (OAuth Client ID Metadata Document, draft 02: 5, 8.4, 8.6)."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import sleep
from typing import Any

import pytest

from authserver.clock import SECOND, now
from authserver.oauth import client_id_metadata
from authserver.outbound import OutboundError, WrongAnswer
from pytest_authserver import AuthServer
from pytest_authserver.server import PASSWORD
from tests.described import CB, HOST, ID, Web, ask, at, client_at, document, is_taken, web
from tests.signing import key, token
from tests.world import assert_refused, assert_shown, code_of

__all__ = ["at", "web"]

HOUR = 3600


# 5.1, 5.2: fetching, errors and caching.


def test_an_error_is_not_kept_5_2(at: AuthServer, web: Web):
    for problem in (WrongAnswer("404"), OutboundError("timeout"), b"x", document(client_id="https://app.example/")):
        web.pages[ID] = problem
        assert not is_taken(ask(at))
    web.pages[ID] = document()
    assert is_taken(ask(at))


def test_the_page_says_what_is_wrong_5_1(at: AuthServer, web: Web):
    page = ask(at)
    assert_shown(page, "invalid_client")
    assert "describes itself in a document that cannot be used" in page.text
    assert HOST not in page.text


def test_the_token_endpoint_says_invalid_client_5_1(at: AuthServer, web: Web):
    web.pages[ID] = OutboundError("timeout")
    answer = at.token(client_at(), grant_type="authorization_code", code="x")
    assert_refused(answer, "invalid_client", 401)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 600),
        ({"cache-control": "no-store"}, 600),
        ({"cache-control": "max-age=0"}, 600),
        ({"cache-control": "max-age=3600, no-cache"}, 600),
        ({"cache-control": "public, MAX-AGE=3600"}, 3600),
        ({"cache-control": 'max-age="3600"'}, 3600),
        ({"cache-control": "max-age=3600", "age": "1800"}, 1800),
        ({"cache-control": "max-age=3600", "age": "-1800"}, 3600),
        ({"cache-control": "s-maxage=3600"}, 600),
        ({"cache-control": "max-age=99999999"}, 86400),
        ({"cache-control": "max-age=99999999999999999999"}, 600),
        ({"expires": "0"}, 600),
        ({"expires": "Wed, 21 Oct 1970 07:28:00 GMT"}, 600),
        ({"expires": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86400),
    ],
    ids=range(14),
)
def test_the_document_counts_as_long_as_http_says_within_bounds_5_2(headers: dict[str, str], seconds: int):
    assert client_id_metadata.lifetime(headers, now()) == seconds * SECOND


def test_the_document_is_fetched_again_when_its_time_is_over(at: AuthServer, web: Web):
    web.pages[ID] = document()
    for seconds, times in ((0, 1), (590, 1), (610, 2), (1190, 2)):
        with at.later(seconds):
            assert is_taken(ask(at))
            assert len(web.fetched) == times


def test_what_a_person_allowed_is_decided_by_what_was_shown_8_4(at: AuthServer, web: Web):
    web.pages[ID] = document()
    client, pkce = client_at(), at.pkce()
    page = at.browser().authorize(at.request(client, pkce), username="alice", password=PASSWORD)
    web.pages[ID] = document(redirect_uris=["http://127.0.0.1/cb"], token_endpoint_auth_method="private_key_jwt")
    # Another process knows only what was stored.
    other = client_id_metadata.Documents(at.server)
    at.server._client_finders, before = (other,), at.server._client_finders
    answer = at.token(client, grant_type="authorization_code", code=code_of(page), code_verifier=pkce.verifier)
    at.server._client_finders = before
    assert answer.status_code == 200
    assert web.fetched == [ID]


def test_a_change_counts_when_the_document_is_due_8_4(at: AuthServer, web: Web):
    web.pages[ID] = document()
    tokens = at.sign_in(client_at())
    web.pages[ID] = document(client_name="Better notes", redirect_uris=[f"{CB}/2"], grant_types=["authorization_code"])
    with at.later(610):
        refused = at.refresh(client_at(), tokens["refresh_token"])
        assert_refused(refused, "unauthorized_client")
        stored = at.store.clients.get(ID)
        assert stored is not None
        assert (stored.client_name, stored.redirect_uris) == ("Better notes", (f"{CB}/2",))
        assert_shown(ask(at), "invalid_redirect_uri")
        assert is_taken(ask(at, redirect_uri=f"{CB}/2"))
        assert len(web.fetched) == 2


def test_people_are_asked_again_once_the_document_says_something_else_8_5(at: AuthServer, web: Web):
    web.pages[ID] = document(client_name="Notes")
    browser, client = at.browser(at.user("reader")), client_at()
    code_of(browser.allow(browser.visit_request(at.request(client, at.pkce()))))
    with at.later(610):
        assert code_of(browser.visit_request(at.request(client, at.pkce())))
    web.pages[ID] = document(client_name="Your Bank")
    with at.later(1300):
        page = browser.visit_request(at.request(client, at.pkce()))
        assert "Your Bank" in page.text
        assert code_of(browser.allow(page))
        assert code_of(browser.visit_request(at.request(client, at.pkce())))
    assert web.fetched == [ID] * 3


def test_a_key_that_was_taken_from_the_document_counts_no_more_8_4_1(at: AuthServer, web: Web):
    def keys(name: str) -> dict[str, Any]:
        return {"keys": [key(name, kid="one").as_dict(private=False)]}

    web.pages[ID] = document(token_endpoint_auth_method="private_key_jwt", jwks=keys("p256"))
    page = at.browser().authorize(at.request(client_at(), at.pkce()), username="alice", password=PASSWORD)
    assert code_of(page)
    web.pages[ID] = document(token_endpoint_auth_method="private_key_jwt", jwks=keys("p256_other"))
    with at.later(610):
        answers = []
        for name in ("p256", "p256_other"):
            claims = {"iss": ID, "sub": ID, "aud": at.issuer, "jti": name, "exp": now() // SECOND + 60}
            kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            signed = {"client_assertion": token("ES256", claims, name, kid="one"), "client_assertion_type": kind}
            answers.append(at.post("/token", grant_type="refresh_token", refresh_token="x", **signed).json()["error"])
        assert answers == ["invalid_client", "invalid_grant"]


def test_a_good_document_serves_for_a_day_while_its_place_does_not_answer(at: AuthServer, web: Web):
    web.pages[ID] = document()
    refresh_token = at.sign_in(client_at())["refresh_token"]
    web.pages[ID] = OutboundError("timeout")
    for hours, status in ((1, 200), (23, 200), (25, 401)):
        with at.later(hours * HOUR):
            answer = at.refresh(client_at(), refresh_token)
            assert answer.status_code == status
            refresh_token = answer.json().get("refresh_token", refresh_token)
    # Many requests in a row do not each wait for it.
    with at.later(20 * HOUR):
        fetched = len(web.fetched)
        for number in range(5):
            at.server.forget()
            assert at.refresh(client_at(), f"x{number}").json()["error"] == "invalid_grant"
        assert len(web.fetched) == fetched + 1
    web.pages[ID] = document()
    with at.later(26 * HOUR):
        assert at.refresh(client_at(), refresh_token).status_code == 200


@pytest.mark.parametrize("gone", [WrongAnswer("404"), b"x", document(token_endpoint_auth_method="client_secret_post")])
def test_a_document_that_is_taken_away_or_broken_counts_at_once_when_it_is_due(at: AuthServer, web: Web, gone: Any):
    web.pages[ID] = document()
    tokens = at.sign_in(client_at())
    web.pages[ID] = gone
    with at.later(610):
        assert_refused(at.refresh(client_at(), tokens["refresh_token"]), "invalid_client", 401)
        assert not is_taken(ask(at))
        web.pages[ID] = document()
        assert at.refresh(client_at(), tokens["refresh_token"]).status_code == 200


def test_of_many_requests_at_once_one_fetches(at: AuthServer, web: Web):
    web.pages[ID], web.held = document(), Event()
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(lambda: is_taken(ask(at))) for _ in range(20)]
        while not web.fetched:
            sleep(0.01)
        web.held.set()
        assert all(one.result() for one in asked)
    assert web.fetched == [ID]


def test_slow_documents_of_strangers_are_in_nobodys_way(at: AuthServer, web: Web):
    mine = at.client(trusted=True)
    web.held = Event()
    with ThreadPoolExecutor(30) as pool:
        asked = [pool.submit(ask, at, f"https://slow{number}.example/c") for number in range(30)]
        while len(web.fetched) < 8:
            sleep(0.01)
        # There are places for eight; the others are told at once, and other clients are served.
        assert at.token(mine, grant_type="client_credentials", scope="api:read").status_code == 200
        web.held.set()
        assert not any(is_taken(one.result()) for one in asked)
    assert len(web.fetched) < 30


def test_strangers_do_not_decide_how_often_a_host_is_asked_8_6(
    at: AuthServer, web: Web, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.undo()
    monkeypatch.setattr(at.server.outbound, "fetch_document", web.fetch_document)
    with at.later(3 * 86400):
        for number in range(70):
            assert not is_taken(ask(at, f"https://victim.example/{number}"))
        assert len(web.fetched) == 60
        assert not is_taken(ask(at, "https://other.example/c"))
        assert len(web.fetched) == 61


def test_memory_for_strangers_is_bounded(at: AuthServer, web: Web, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client_id_metadata, "KEPT", 3)
    for number in range(6):
        client_id = f"https://app{number}.example/c"
        web.pages[client_id] = document(client_id, redirect_uris=[f"https://app{number}.example/cb"])
        assert is_taken(ask(at, client_id, redirect_uri=f"https://app{number}.example/cb"))
    assert len(at.server._client_finders[0]._kept) == 3
    assert not any(client_id.startswith("https://app") for client_id in at.server._clients)


def test_a_row_of_which_nothing_is_left_goes_with_the_cleaner_and_comes_back(at: AuthServer, web: Web):
    client_id, home = "https://once.example/c", "https://once.example/cb"
    web.pages[client_id] = document(client_id, redirect_uris=[home], grant_types=["authorization_code"])
    at.sign_in(client_at(client_id, home))
    with at.later(20 * HOUR):
        at.store.purge()
        assert at.store.clients.expire(0) == 0
    with at.later(40 * 24 * HOUR):
        at.store.purge()
        assert at.store.clients.expire(0) == 1
        assert at.store.clients.get(client_id) is None
        assert at.sign_in(client_at(client_id, home))["access_token"]

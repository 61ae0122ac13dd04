"""RFC 6749 section 6 with RFC 8707: one refresh for many waiting requests, whatever goes wrong on the way."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from flask import Response

from bff import BffSettings, create_app
from bff.errors import StoreBusyError
from tests.bff.browser import Browser
from tests.bff.database import execute, expire
from tests.bff.keys import STRANGER_KEY
from tests.bff.stub import Stub, public_jwk

NOTES = "https://notes.example/"
ALMANAC = "https://almanac.example/"


class _Forgetful(dict[str, Any]):
    """The memory of an API that knows no token, however new."""

    def __setitem__(self, key: str, value: Any) -> None:
        """Forget it."""


def at_once(count: int, work: Callable[[], Any]) -> list[Any]:
    results: list[Any] = []
    barrier = threading.Barrier(count)

    def run() -> None:
        barrier.wait()
        results.append(work())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_token_is_used_again_while_it_is_good(browser: Browser):
    browser.log_in()
    for _ in range(3):
        assert browser.api("/api/notes").status_code == 200
    assert browser.stub.refreshes == 0


def test_each_resource_has_a_token_of_its_own(browser: Browser):
    browser.log_in()
    for _ in range(2):
        assert browser.api("/api/notes").status_code == 200
        assert browser.api("/api/almanac").status_code == 200
    assert browser.stub.refreshes == 1
    tokens = {call["path"]: call["token"] for call in browser.stub.api_calls}
    assert tokens["/v1/notes"] != tokens["/v1/almanac"]
    assert browser.stub.token_requests[-1]["resources"] == [ALMANAC]


def test_a_token_is_replaced_shortly_before_it_ends(browser: Browser):
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False) as clock:
        browser.log_in()
        clock.shift(569)
        browser.api("/api/notes")
        assert browser.stub.refreshes == 0
        clock.shift(1)
        browser.api("/api/notes")
        assert browser.stub.refreshes == 1


def test_a_very_short_lived_token_is_not_refreshed_for_each_call(browser: Browser):
    browser.stub.lifetime = 20
    browser.log_in()
    for _ in range(5):
        assert browser.api("/api/notes").status_code == 200
    assert browser.stub.refreshes == 0


def test_thirty_requests_at_once_refresh_once(browser: Browser, app: Any, settings: BffSettings):
    browser.log_in()
    expire(settings)
    browser.stub.refresh_delay = 0.2
    cookie = browser.cookie() or ""

    def call() -> int:
        copy = Browser(app, browser.stub)
        copy.http.set_cookie("bff", cookie, domain="localhost")
        return copy.api("/api/notes").status_code

    assert at_once(30, call) == [200] * 30
    assert browser.stub.refreshes == 1


def test_requests_for_two_resources_at_once_refresh_once_each(browser: Browser, app: Any, settings: BffSettings):
    browser.log_in()
    expire(settings)
    cookie, paths = browser.cookie() or "", ["/api/notes", "/api/almanac"] * 10

    def call() -> int:
        copy = Browser(app, browser.stub)
        copy.http.set_cookie("bff", cookie, domain="localhost")
        return copy.api(paths.pop()).status_code

    assert at_once(20, call) == [200] * 20
    assert browser.stub.refreshes == 2


def start_workers(settings: BffSettings, cookie: str, count: int) -> list[subprocess.Popen[str]]:
    values = settings.model_dump(mode="json")
    values["client_secret"] = settings.client_secret and settings.client_secret.get_secret_value()
    values["secret_key"] = settings.secret_key and settings.secret_key.get_secret_value()
    command = [sys.executable, "-m", "tests.bff.worker", json.dumps(values), cookie, NOTES, "10"]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    for worker in workers:
        assert worker.stdout
        assert worker.stdout.readline() == "ready\n"
    return workers


def test_two_processes_with_ten_threads_each_refresh_once(browser: Browser, settings: BffSettings):
    browser.log_in()
    expire(settings)
    # Slower than a lease lasts without renewal: the holder must keep it, and the others must wait.
    browser.stub.refresh_delay = 3.0
    workers = start_workers(settings, browser.cookie() or "", 2)
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("\n")
        worker.stdin.flush()
    tokens = [token for worker in workers for token in json.loads(worker.communicate(timeout=60)[0])]
    assert len(tokens) == 20
    assert len(set(tokens)) == 1
    assert browser.stub.refreshes == 1


def test_a_lease_of_a_dead_process_ends_by_itself(browser: Browser, settings: BffSettings):
    with time_machine.travel("2030-01-01T00:00:00Z", tick=True) as clock:
        browser.log_in()
        expire(settings)
        execute(settings, "UPDATE bff_sessions SET lease_owner = 'dead', lease_until = 1893456008")
        clock.shift(9)
        assert browser.api("/api/notes").status_code == 200
    assert browser.stub.refreshes == 1


def test_a_lost_answer_is_asked_for_again_and_no_session_is_lost(browser: Browser, settings: BffSettings):
    browser.log_in()
    expire(settings)
    browser.stub.lose_refresh_answers = 1
    assert browser.api("/api/notes").status_code == 200
    assert (browser.stub.refreshes, browser.stub.rotations) == (2, 1)
    expire(settings)
    assert browser.api("/api/notes").status_code == 200


def test_two_lost_answers_are_a_pause_not_an_end(browser: Browser, settings: BffSettings):
    browser.log_in()
    expire(settings)
    browser.stub.lose_refresh_answers = 2
    answer = browser.api("/api/notes")
    assert (answer.status_code, answer.json["error"]) == (503, "provider_unavailable")
    assert answer.headers["Retry-After"]
    assert browser.api("/api/notes").status_code == 200
    assert browser.stub.rotations == 1


def test_a_crash_before_the_new_token_is_stored_is_healed_by_the_retry_window(
    browser: Browser, settings: BffSettings, app: Any, monkeypatch: pytest.MonkeyPatch
):
    browser.log_in()
    expire(settings)
    store = app.extensions["bff"].store

    def fail(*_: object) -> bool:
        raise StoreBusyError

    with monkeypatch.context() as patched:
        patched.setattr(store, "store_refresh", fail)
        answer = browser.api("/api/notes")
        assert (answer.status_code, answer.json["error"]) == (503, "temporarily_unavailable")
    # As after a restart: another application over the same database, with the old refresh token in it.
    restarted = create_app(settings)
    again = Browser(restarted, browser.stub)
    again.http.set_cookie("bff", browser.cookie() or "", domain="localhost")
    assert again.api("/api/notes").status_code == 200
    assert browser.stub.rotations == 1
    restarted.extensions["bff"].close()


def test_keys_that_cannot_be_fetched_cost_a_pause_and_no_session(browser: Browser, settings: BffSettings):
    browser.log_in()
    browser.stub.window = 0
    for keys, status in (([], 503), ([public_jwk(STRANGER_KEY, "other")], 503), (None, 200)):
        expire(settings)
        browser.stub.keys = keys
        restarted = create_app(settings)
        browser.http.application = restarted
        assert browser.api("/api/notes").status_code == status
        restarted.extensions["bff"].close()


def test_a_crash_found_too_late_asks_for_one_log_in(browser: Browser, settings: BffSettings):
    browser.log_in()
    expire(settings)
    browser.stub.window = 0
    (token,) = browser.stub.refresh_tokens
    row = browser.stub.refresh_tokens[token]
    row.successor = "rt_lost"
    browser.stub.refresh_tokens["rt_lost"] = type(row)(row.grant)
    answer = browser.api("/api/notes")
    assert (answer.status_code, answer.json["error"]) == (401, "not_logged_in")
    assert browser.cookie() is None
    assert browser.api("/api/notes").status_code == 401
    assert browser.stub.refreshes == 1
    browser.log_in()
    assert browser.api("/api/notes").status_code == 200


def test_a_refused_refresh_ends_the_session_for_every_question(browser: Browser, settings: BffSettings):
    browser.log_in()
    browser.stub.end_grants()
    expire(settings)
    answer = browser.api("/api/notes")
    assert answer.status_code == 401
    assert answer.json["login_url"] == "/bff/login"
    # Session state and token state stay in step: nobody is told "logged in" while every call fails.
    assert browser.get("/bff/user").status_code == 401
    assert execute(settings, "SELECT count(*) FROM bff_sessions")[0][0] == 0
    assert execute(settings, "SELECT count(*) FROM bff_access_tokens")[0][0] == 0


def test_a_token_revoked_early_ends_the_session_at_its_next_use(browser: Browser, settings: BffSettings):
    browser.log_in()
    browser.stub.end_grants()
    execute(settings, "UPDATE bff_access_tokens SET issued_at = issued_at - 60")
    assert browser.api("/api/notes").status_code == 401
    assert browser.get("/bff/user").status_code == 401


def test_a_token_revoked_alone_is_replaced_and_the_call_repeated(browser: Browser, settings: BffSettings):
    browser.log_in()
    browser.stub.access_tokens.clear()
    execute(settings, "UPDATE bff_access_tokens SET issued_at = issued_at - 60")
    answer = browser.api("/api/notes", "POST", json={"text": "once"})
    assert answer.status_code == 201
    assert [note["text"] for note in browser.stub.notes] == ["once"]
    assert browser.stub.refreshes == 1


def test_a_session_ended_a_moment_after_log_in_is_over_at_once(browser: Browser):
    browser.log_in()
    browser.stub.end_grants()
    assert browser.api("/api/notes").status_code == 401
    assert browser.get("/bff/user").status_code == 401


def test_an_api_that_refuses_every_token_causes_no_loop(browser: Browser):
    browser.stub.access_tokens = _Forgetful()
    browser.log_in()
    for _ in range(5):
        answer = browser.api("/api/notes")
        assert (answer.status_code, answer.json["error"]) == (502, "api_refused_token")
    # The first refusal may mean that the session is over, so the provider is asked; the second means something else.
    assert browser.stub.refreshes == 1
    assert browser.get("/bff/user").status_code == 200


def test_without_a_refresh_token_the_session_ends_with_its_access_token(browser: Browser, settings: BffSettings):
    browser.stub.with_refresh = False
    browser.log_in()
    assert browser.api("/api/notes").status_code == 200
    expire(settings)
    assert browser.api("/api/notes").status_code == 401
    assert browser.get("/bff/user").status_code == 401


def test_a_resource_that_was_not_granted_is_an_answer_not_an_end(browser: Browser):
    browser.start()
    asked = {name: values[0] for name, values in browser.asked.items()}
    browser.asked["resource"] = [NOTES]
    assert browser.get(browser.answered(asked)).status_code == 303
    answer = browser.api("/api/almanac")
    assert (answer.status_code, answer.json["error"]) == (403, "api_not_granted")
    assert browser.api("/api/notes").status_code == 200


@pytest.mark.parametrize("error", ["invalid_client", "invalid_request", "unauthorized_client", "<b>new</b>"])
def test_a_refusal_of_the_client_ends_no_session(browser: Browser, settings: BffSettings, error: str):
    browser.log_in()
    expire(settings)
    browser.stub.token_fault = lambda form: Response(f'{{"error": "{error}"}}', 400)
    assert browser.api("/api/notes").status_code == 503
    browser.stub.token_fault = None
    assert browser.api("/api/notes").status_code == 200


def test_a_token_in_its_last_seconds_serves_while_the_provider_is_away(browser: Browser, settings: BffSettings):
    browser.log_in()
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False):
        execute(settings, "UPDATE bff_sessions SET idle_expires_at = 2000000000, expires_at = 2000000000")
        execute(settings, "UPDATE bff_access_tokens SET expires_at = 1893456010")
        browser.stub.token_fault = lambda form: Response("down", 503)
        assert browser.api("/api/notes").status_code == 200
        execute(settings, "UPDATE bff_access_tokens SET expires_at = 1893456000")
        assert browser.api("/api/notes").status_code == 503


def test_an_id_token_of_another_person_at_refresh_ends_the_session(browser: Browser, settings: BffSettings):
    browser.log_in()
    expire(settings)
    browser.stub.id_token_claims = {"sub": "user-2"}
    assert browser.api("/api/notes").status_code == 401
    assert browser.get("/bff/user").status_code == 401
    assert browser.stub.revoked


def test_a_log_out_during_a_refresh_stays_a_log_out(browser: Browser, app: Any, settings: BffSettings):
    browser.log_in()
    expire(settings)
    cookie = browser.cookie() or ""
    reached, go_on = threading.Event(), threading.Event()

    def slow(form: dict[str, str]) -> None:
        reached.set()
        go_on.wait(10)

    browser.stub.token_fault = slow
    statuses: list[int] = []

    def call() -> None:
        copy = Browser(app, browser.stub)
        copy.http.set_cookie("bff", cookie, domain="localhost")
        statuses.append(copy.api("/api/notes").status_code)

    thread = threading.Thread(target=call)
    thread.start()
    assert reached.wait(10)
    answer = browser.post("/bff/backchannel-logout", data={"logout_token": browser.stub.logout_token()})
    assert answer.status_code == 200
    go_on.set()
    thread.join()
    assert statuses == [401]
    assert execute(settings, "SELECT count(*) FROM bff_sessions")[0][0] == 0
    # What the late refresh brought is given back.
    assert browser.stub.revoked


def test_a_lease_lost_to_another_process_costs_no_session(browser: Browser, app: Any, settings: BffSettings):
    browser.log_in()
    expire(settings)
    rival = create_app(settings)
    other = Browser(rival, browser.stub)
    other.http.set_cookie("bff", browser.cookie() or "", domain="localhost")
    statuses: list[int] = []

    def interfere(form: dict[str, str]) -> None:
        browser.stub.token_fault = None
        # As if the holder had slept beyond its lease: another process refreshes while its request is on the way.
        execute(settings, "UPDATE bff_sessions SET lease_owner = NULL, lease_until = 0")
        statuses.append(other.api("/api/notes").status_code)

    browser.stub.token_fault = interfere
    statuses.append(browser.api("/api/notes").status_code)
    assert statuses == [200, 200]
    assert (browser.stub.refreshes, browser.stub.rotations) == (2, 1)
    assert browser.stub.revoked == []
    expire(settings)
    assert browser.api("/api/notes").status_code == 200
    rival.extensions["bff"].close()


def test_a_slow_provider_is_given_up_in_time(stub: Stub, tmp_path: Any):
    settings = stub.settings(f"sqlite:///{tmp_path / 'bff.db'}", provider_timeout_seconds=0.3)
    app = create_app(settings)
    browser = Browser(app, stub)
    browser.log_in()
    expire(settings)
    stub.refresh_delay = 1.0
    assert browser.api("/api/notes").status_code == 503
    stub.refresh_delay = 0
    assert browser.api("/api/notes").status_code == 200
    app.extensions["bff"].close()


def test_tokens_are_unreadable_in_the_database(browser: Browser, settings: BffSettings):
    browser.log_in()
    browser.api("/api/almanac")
    tables = ("bff_users", "bff_logins", "bff_sessions", "bff_access_tokens")
    stored = "".join(str(row) for table in tables for row in execute(settings, f"SELECT * FROM {table}"))  # noqa: S608
    assert "user-1" in stored
    for secret in (*browser.stub.issued, browser.cookie() or ""):
        assert secret not in stored

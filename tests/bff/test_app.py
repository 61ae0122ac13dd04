"""The blueprint in an application of one's own, and the stand-alone server's pages."""

from pathlib import Path

import pytest
from flask import Flask, jsonify, request

from bff import Backend, create_bff
from bff.errors import NotLoggedInError
from tests.bff.browser import OWN, Browser
from tests.bff.stub import Stub


def test_an_application_of_ones_own_uses_the_blueprint(stub: Stub, tmp_path: Path):
    settings = stub.settings(f"sqlite:///{tmp_path / 'bff.db'}")
    backend = Backend(settings)
    app = Flask("own")
    app.register_blueprint(create_bff(settings, backend))

    @app.get("/hello")
    def hello():
        user = backend.user(request)
        if user is None:
            raise NotLoggedInError
        token = backend.access_token(request, "https://notes.example/")
        return jsonify(name=user.name, known=token in stub.access_tokens)

    @app.errorhandler(NotLoggedInError)
    def refuse(error: NotLoggedInError):
        return {"error": error.code}, error.status

    browser = Browser(app, stub)
    assert browser.get("/hello").status_code == 401
    browser.log_in()
    assert browser.get("/hello").json == {"name": "Alice Liddell", "known": True}
    assert browser.api("/api/notes").json["notes"] == []
    assert browser.get("/").status_code == 404
    assert browser.post("/bff/logout", headers=OWN).status_code == 303
    assert browser.get("/hello").status_code == 401
    backend.close()


def test_the_page_works_logged_out_without_script(browser: Browser):
    page = browser.get("/").text
    assert '<a id="login" class="button" href="/bff/login?return_to=/">' in page
    assert "<script" not in page
    assert "<main" in page


def test_the_page_has_its_hooks_and_says_how_tokens_are_checked(browser: Browser):
    browser.log_in()
    page = browser.get("/").text
    for hook in ('id="logout"', 'id="user-name"', 'id="notes"', 'name="text"', 'id="note-add"', 'id="almanac"'):
        assert hook in page
    assert 'data-checked-by="introspection">checked by introspection (opaque token)' in page
    assert 'data-checked-by="keys">checked by published keys (JWT)' in page
    assert "style=" not in page
    assert "onclick" not in page


@pytest.mark.parametrize("path", ["/nowhere", "/nowhere//x", "/bff", "/bff/"])
def test_an_unknown_page_says_so(browser: Browser, path: str):
    answer = browser.get(path)
    assert answer.status_code == 404
    assert 'id="error-code">not_found<' in answer.text


def test_health_is_told_without_a_session(browser: Browser):
    assert browser.get("/health/live").json == {"status": "live"}
    assert browser.get("/health/ready").json == {"status": "ready"}


def test_a_fault_of_our_own_shows_no_detail(browser: Browser, monkeypatch: pytest.MonkeyPatch):
    backend = browser.http.application.extensions["bff"]

    def fail(*_: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(backend.login, "start", fail)
    answer = browser.get("/bff/login")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert 'id="error-code">server_error<' in answer.text
    assert "Content-Security-Policy" in answer.headers


def test_a_database_that_is_away_is_a_pause(browser: Browser):
    browser.log_in()
    store = browser.http.application.extensions["bff"].store
    with store._engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE bff_sessions RENAME TO away")
    assert browser.get("/health/ready").status_code == 503
    assert browser.get("/health/live").status_code == 200
    for path in ("/", "/bff/user", "/api/notes"):
        answer = browser.api(path)
        assert answer.status_code == 503, path
        assert answer.headers["Retry-After"]
        assert "bff_sessions" not in answer.text

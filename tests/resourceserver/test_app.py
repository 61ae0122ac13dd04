import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from resourceserver.app import create_app
from resourceserver.notes import NoteStore
from resourceserver.revocations import Revocations
from resourceserver.settings import Settings, SettingsError, load_settings
from tests.resourceserver.conftest import Mint
from tests.resourceserver.scripted_feed import event, scripted_feed, until
from tests.resourceserver.stub_issuer import INTROSPECTION, KEYS, StubIssuer, replying

URL = "https://api.example"


@pytest.fixture
def settings(issuer: StubIssuer, tmp_path: Path) -> Settings:
    return load_settings(
        {
            "RESOURCESERVER_PUBLIC_URL": URL,
            "RESOURCESERVER_ISSUER": issuer.url,
            "RESOURCESERVER_DATABASE_URL": f"sqlite:///{tmp_path / 'notes.db'}",
            "RESOURCESERVER_CLIENT_ID": "notes-server",
            "RESOURCESERVER_CLIENT_SECRET": "notes-secret",
            "RESOURCESERVER_NOTES_PER_OWNER": "3",
        }
    )


@pytest.fixture
def app(settings: Settings) -> Flask:
    return create_app(settings)


@pytest.fixture
def client(issuer: StubIssuer, app: Flask) -> Iterator[FlaskClient]:
    for user in ("alice", "bob"):
        issuer.answers[user] = issuer.active(f"{URL}/notes", sub=user, scope="notes:read notes:write")
    issuer.answers["reader"] = issuer.active(f"{URL}/notes", sub="alice", scope="notes:read")
    return app.test_client()


def _as(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_note_is_written_listed_and_removed_by_its_owner(client: FlaskClient) -> None:
    written = client.post("/notes", json={"text": "buy milk"}, headers=_as("alice"))
    assert written.status_code == 201
    note = written.json["note"]
    assert note["text"] == "buy milk"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", note["created_at"])
    assert client.get("/notes", headers=_as("alice")).json["notes"] == [note]
    assert client.delete(f"/notes/{note['id']}", headers=_as("alice")).json["removed"] == note["id"]
    assert client.get("/notes", headers=_as("alice")).json["notes"] == []


def test_the_server_asks_for_signed_answers_where_it_is_told_to(issuer: StubIssuer, settings: Settings) -> None:
    for wanted, accept in ((False, "application/json"), (True, "application/token-introspection+jwt")):
        asked = create_app(settings.model_copy(update={"signed_introspection": wanted})).test_client()
        asked.get("/notes", headers=_as("alice"))
        assert issuer.seen[-1][0]["Accept"] == accept


@pytest.fixture
def followers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Revocations]]:
    """What follows the feeds of the applications made from now on; it ends with the test."""
    made: list[Revocations] = []

    def make(*arguments: Any, **more: Any) -> Revocations:
        made.append(Revocations(*arguments, **more))
        return made[-1]

    monkeypatch.setattr("resourceserver.app.Revocations", make)
    yield made
    for each in made:
        each.close()


def test_the_server_follows_revocations_unless_told_otherwise(
    issuer: StubIssuer, followers: list[Revocations], settings: Settings, client: FlaskClient, mint: Mint
) -> None:
    with scripted_feed(issuer) as feed:
        client.get("/notes", headers=_as("alice"))
        until(lambda: feed.connections)
        feed.last.say(event(1, sub="user-1"))
        token = mint(aud=f"{URL}/almanac", scope="almanac:read")
        until(lambda: client.get("/almanac", headers=_as(token)).status_code == 401)
        listed = mint(aud=f"{URL}/almanac", scope="almanac:read", sub="user-2", status={"oracle": 1})
        assert client.get("/almanac", headers=_as(listed)).status_code == 401
        alone = create_app(settings.model_copy(update={"follow_revocations": False})).test_client()
        for each in (token, listed):
            assert alone.get("/almanac", headers=_as(each)).status_code == 200
        assert len(feed.connections) == len(followers) == 1


def test_somebody_elses_note_is_not_found_and_stays(client: FlaskClient) -> None:
    note = client.post("/notes", json={"text": "mine"}, headers=_as("alice")).json["note"]
    assert client.get("/notes", headers=_as("bob")).json["notes"] == []
    theirs, none = (client.delete(f"/notes/{name}", headers=_as("bob")) for name in (note["id"], "A" * 22))
    assert theirs.status_code == none.status_code == 404
    assert theirs.data == none.data
    assert len(client.get("/notes", headers=_as("alice")).json["notes"]) == 1


def test_a_client_named_like_a_user_does_not_get_the_users_notes(issuer: StubIssuer, client: FlaskClient) -> None:
    # RFC 9700 4.15
    client.post("/notes", json={"text": "mine"}, headers=_as("alice"))
    for name, sub in (("with-sub", "alice"), ("without-sub", None)):
        issuer.answers[name] = issuer.active(f"{URL}/notes", sub=sub, client_id="alice", scope="notes:read")
        assert client.get("/notes", headers=_as(name)).json["notes"] == []


def test_each_answer_says_how_the_token_was_checked_and_never_the_token(
    issuer: StubIssuer, client: FlaskClient, mint: Mint
) -> None:
    opaque = client.get("/notes", headers=_as("alice")).json["token"]
    assert opaque == {
        "checked_by": "introspection",
        "format": "opaque",
        "issuer": issuer.url,
        "client_id": "client-1",
        "scope": "notes:read notes:write",
        "expires_at": issuer.answers["alice"]["exp"],
    }
    token = mint(aud=f"{URL}/almanac", scope="almanac:read")
    response = client.get("/almanac", headers=_as(token))
    assert (response.json["token"]["checked_by"], response.json["token"]["format"]) == ("published keys", "jwt")
    assert token not in response.text


def test_reading_is_not_writing(client: FlaskClient) -> None:
    assert client.get("/notes", headers=_as("reader")).status_code == 200
    for response in (
        client.post("/notes", json={"text": "x"}, headers=_as("reader")),
        client.delete("/notes/x", headers=_as("reader")),
    ):
        assert response.status_code == 403
        assert 'scope="notes:write"' in response.headers["WWW-Authenticate"]


def test_a_token_of_one_resource_is_no_good_at_the_other(issuer: StubIssuer, client: FlaskClient, mint: Mint) -> None:
    assert client.get("/almanac", headers=_as("alice")).status_code == 401
    almanac = mint(aud=f"{URL}/almanac", scope="almanac:read notes:read")
    assert client.get("/notes", headers=_as(almanac)).status_code == 401
    assert client.get("/almanac", headers=_as(mint(aud=f"{URL}/notes", scope="almanac:read"))).status_code == 401
    assert client.get("/almanac", headers=_as(mint(aud=f"{URL}/almanac"))).status_code == 403


def test_a_revoked_token_writes_nothing_at_once_and_reads_until_the_bound(
    issuer: StubIssuer, client: FlaskClient
) -> None:
    assert client.get("/notes", headers=_as("alice")).status_code == 200
    issuer.answers["alice"] = {"active": False}
    assert client.get("/notes", headers=_as("alice")).status_code == 200
    assert client.post("/notes", json={"text": "x"}, headers=_as("alice")).status_code == 401
    assert client.get("/notes", headers=_as("alice")).status_code == 401


def test_the_server_asks_with_its_own_credentials(issuer: StubIssuer, client: FlaskClient) -> None:
    client.get("/notes", headers=_as("alice"))
    assert issuer.seen[0][0]["Authorization"] == "Basic bm90ZXMtc2VydmVyOm5vdGVzLXNlY3JldA=="


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"text":"x"}', "text/plain", 415),
        (b"text=x", "application/x-www-form-urlencoded", 415),
        (b'{"text":"x"}', "", 415),
        (b'{"text":"x"}', "application/json; charset=utf-8", 201),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"text":"x","owner":"bob"}', "application/json", 400),
        (b'{"text":"x","text":"y"}', "application/json", 400),
        (b'{"text":1}', "application/json", 400),
        (b'{"text":null}', "application/json", 400),
        (b'{"text":["x"]}', "application/json", 400),
        (b'{"text":""}', "application/json", 400),
        (b'{"text":" \\n "}', "application/json", 400),
        (b'{"text":"a\\u0000b"}', "application/json", 400),
        (b'{"text":"\\ud800"}', "application/json", 400),
        (b'{"text":"\xff"}', "application/json", 400),
        (b'{"text":NaN}', "application/json", 400),
        (b'{"text":' + b"9" * 5000 + b"}", "application/json", 400),
        (b'{"text":' + b"[" * 30_000 + b"}", "application/json", 400),
        (json.dumps({"text": "x" * 2000}).encode(), "application/json", 201),
        (json.dumps({"text": "x" * 2001}).encode(), "application/json", 400),
        (json.dumps({"text": "x" * 70_000}).encode(), "application/json", 413),
    ],
)
def test_a_body_is_one_text_or_an_error(client: FlaskClient, body: bytes, content_type: str, status: int) -> None:
    response = client.post("/notes", data=body, content_type=content_type, headers=_as("alice"))
    assert response.status_code == status
    assert response.mimetype == "application/json"
    assert status == 201 or set(response.json) == {"error", "error_description"}


def test_an_owner_keeps_a_bounded_number_of_notes(client: FlaskClient) -> None:
    assert [client.post("/notes", json={"text": "x"}, headers=_as("alice")).status_code for _ in range(4)] == [
        201
    ] * 3 + [409]
    assert client.post("/notes", json={"text": "x"}, headers=_as("bob")).status_code == 201


def test_the_almanac_tells_today_and_other_days(client: FlaskClient, mint: Mint) -> None:
    token = _as(mint(aud=f"{URL}/almanac", scope="almanac:read"))
    today = client.get("/almanac", headers=token).json["almanac"]
    assert set(today) == {"date", "weekday", "iso_week", "day_of_year", "days_left", "leap_year", "julian_day", "moon"}
    day = client.get("/almanac?date=2024-04-08", headers=token).json["almanac"]
    assert (day["date"], day["iso_week"], day["day_of_year"], day["moon"]["phase"]) == (
        "2024-04-08",
        "2024-W15",
        99,
        "new moon",
    )


@pytest.mark.parametrize(
    "query",
    [
        "date=",
        "date=2024-02-30",
        "date=1899-12-31",
        "date=2101-01-01",
        "date=20240408",
        "date=2024-04-08&date=2024-04-09",
        "date=2024-04-08T00:00",
        "date=%D9%A2024-04-08",
        "date=2024-04-08%00",
        "date=9999999999-01-01",
        "date=%ff",
    ],
)
def test_a_day_that_is_none_is_refused(client: FlaskClient, mint: Mint, query: str) -> None:
    token = _as(mint(aud=f"{URL}/almanac", scope="almanac:read"))
    assert client.get(f"/almanac?{query}", headers=token).status_code == 400


def test_both_resources_describe_themselves(issuer: StubIssuer, client: FlaskClient) -> None:
    for name, scopes in (("notes", ["notes:read", "notes:write"]), ("almanac", ["almanac:read"])):
        challenge = client.get(f"/{name}").headers["WWW-Authenticate"]
        url = f"{URL}/.well-known/oauth-protected-resource/{name}"
        assert f'resource_metadata="{url}"' in challenge
        response = client.get(url.removeprefix(URL))
        assert response.json["resource"] == f"{URL}/{name}"
        assert response.json["authorization_servers"] == [issuer.url]
        assert response.json["scopes_supported"] == scopes
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "max-age" in response.headers["Cache-Control"]


def test_a_public_url_with_a_path_moves_the_resources_below_it(settings: Settings) -> None:
    client = create_app(settings.model_copy(update={"public_url": "https://site.example/api"})).test_client()
    assert client.get("/api/notes").status_code == 401
    assert client.get("/notes").status_code == 404
    metadata = client.get("/.well-known/oauth-protected-resource/api/notes")
    assert metadata.json["resource"] == "https://site.example/api/notes"


def test_it_starts_and_is_ready_without_the_issuer(issuer: StubIssuer, client: FlaskClient) -> None:
    assert client.get("/health/live").json == {"status": "live"}
    assert client.get("/health/ready").json == {"status": "ready"}
    assert client.get("/").json["resources"][0]["resource"] == f"{URL}/notes"
    assert not issuer.hits


def test_an_issuer_that_is_away_is_503_with_retry_after(issuer: StubIssuer, client: FlaskClient, mint: Mint) -> None:
    issuer.faults = {INTROSPECTION: replying({}, status=500), KEYS: replying({}, status=500)}
    token = mint(aud=f"{URL}/almanac", scope="almanac:read")
    for response in (client.get("/notes", headers=_as("alice")), client.get("/almanac", headers=_as(token))):
        assert response.status_code == 503
        assert response.headers["Retry-After"]


def test_notes_that_cannot_be_reached_are_503_and_not_ready(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client.get("/notes", headers=_as("alice"))
    for file in tmp_path.glob("notes.db*"):
        file.write_bytes(b"broken" * 1000)
    response = client.get("/notes", headers=_as("alice"))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "//notes", 401),
        ("GET", "/notes/", 404),
        ("GET", "/notes;x", 404),
        ("GET", "/NOTES", 404),
        ("GET", "/notes/%2e%2e/almanac", 404),
        ("PUT", "/notes", 405),
        ("GET", "/notes/abc", 405),
        ("TRACE", "/notes", 405),
        ("GET", "/notes?" + "x" * 9000, 414),
    ],
)
def test_errors_are_json_with_the_headers_of_every_answer(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    path, _, query = path.partition("?")
    raw = {"PATH_INFO": unquote(path), "QUERY_STRING": query}
    response = client.open("/", method=method, environ_overrides=raw)
    assert response.status_code == status
    assert set(response.json) == {"error", "error_description"}
    assert response.headers["Cache-Control"] == "no-store"
    assert status != 405 or "GET" in response.headers["Allow"] or "DELETE" in response.headers["Allow"]


def test_large_headers_are_refused(client: FlaskClient) -> None:
    assert client.get("/notes", headers={"X-Large": "x" * 17_000}).status_code == 431


def test_every_answer_carries_the_security_headers(client: FlaskClient) -> None:
    for path in ("/notes", "/nothing", "/health/live", "/.well-known/oauth-protected-resource/notes"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["Strict-Transport-Security"] == "max-age=31536000"


def test_an_unexpected_error_shows_nothing_of_itself(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> list[object]:
        raise RuntimeError("SELECT secret FROM table")

    monkeypatch.setattr(NoteStore, "of_owner", broken)
    response = client.get("/notes", headers=_as("alice"))
    assert response.status_code == 500
    assert response.json["error"] == "server_error"
    assert "SELECT" not in response.text


def test_one_line_is_logged_per_request_without_token_query_or_broken_lines(
    issuer: StubIssuer, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.answers["SECRET"] = issuer.active(f"{URL}/notes", client_id='a" refused=none\\', scope="notes:read")
    caplog.set_level(logging.INFO, logger="resourceserver.access")
    client.get("/notes?access_token=SECRET", headers=_as("SECRET"))
    client.get("/notes?x=SECRET", headers=_as("SECRET"))
    client.get("/SECRET%0d%0aGET /fake 200", headers={"User-Agent": "SECRET\x1b[31m"})
    client.open("/notes", method="GET\nFAKE")
    lines = [record.getMessage() for record in caplog.records if record.name == "resourceserver.access"]
    assert len(lines) == 4
    assert "SECRET" not in "".join(lines)
    assert not any("\n" in line or "\r" in line or "\x1b" in line for line in lines)
    assert 'refused=invalid_request reason="token sent in two ways"' in lines[0]
    assert 'client="a\\" refused=none\\\\" checked_by=introspection' in lines[1]


def test_without_a_secret_it_does_not_start(settings: Settings) -> None:
    with pytest.raises(SettingsError):
        create_app(settings.model_copy(update={"client_secret": None}))

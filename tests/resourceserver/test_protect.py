import logging
from collections.abc import Iterator
from urllib.parse import unquote

import pytest
from flask import Flask, g, jsonify
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers

from resourceserver import AccessToken, Verifier, protect
from tests.resourceserver.conftest import AUDIENCE
from tests.resourceserver.stub_issuer import INTROSPECTION, StubIssuer, replying

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def client(issuer: StubIssuer, by_asking: Verifier) -> Iterator[FlaskClient]:
    issuer.answers["opaque"] = issuer.active(AUDIENCE)
    app = Flask(__name__)
    app.url_map.merge_slashes = False

    @app.route("/things/<name>", methods=["GET", "POST"])
    @protect(by_asking, scopes=("read",))
    def things(token: AccessToken, name: str) -> object:
        assert g.access_token is token
        return jsonify(name=name, subject=token.subject)

    @app.get("/admin")
    @protect(by_asking, scopes=("admin",))
    def admin(token: AccessToken) -> object:
        return "admin"

    @app.get("/strong")
    @protect(by_asking, acr=("phr",), max_age=300)
    def strong(token: AccessToken) -> object:
        return "strong"

    @app.post("/fresh")
    @protect(by_asking, fresh=True)
    def fresh(token: AccessToken) -> object:
        return "fresh"

    @app.post("/payments/<amount>")
    @protect(by_asking, details=("payment",))
    def pay(token: AccessToken, amount: str) -> object:
        allowed = any(detail["amount"] == amount for detail in token.details("payment"))
        return ("paid", 200) if allowed else ("not that much", 403)

    return app.test_client()


def _bearer(token: str = "opaque") -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_the_view_gets_the_token_and_its_own_arguments(client: FlaskClient) -> None:
    assert client.get("/things/a", headers=_bearer()).json == {"name": "a", "subject": "user-1"}


def test_without_token_there_is_a_bare_challenge(client: FlaskClient) -> None:
    response = client.get("/things/a")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer scope="read"'
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "token", "status", "error"),
    [
        ("/things/a", "unknown", 401, "invalid_token"),
        ("/admin", "opaque", 403, "insufficient_scope"),
        ("/strong", "opaque", 401, "insufficient_user_authentication"),
    ],
)
def test_refusals_are_written_as_their_specification_says(
    client: FlaskClient, path: str, token: str, status: int, error: str
) -> None:
    response = client.get(path, headers=_bearer(token))
    assert response.status_code == status
    assert response.json["error"] == error
    assert f'error="{error}"' in response.headers["WWW-Authenticate"]
    assert token not in response.get_data(as_text=True) + str(response.headers)


def test_an_issuer_that_is_away_is_503_and_never_401(issuer: StubIssuer, client: FlaskClient) -> None:
    issuer.faults = {INTROSPECTION: replying(b"<html>", content_type="text/html")}
    response = client.get("/things/a", headers=_bearer())
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "WWW-Authenticate" not in response.headers


def test_two_authorization_headers_are_refused(client: FlaskClient) -> None:
    headers = Headers([("Authorization", "Bearer opaque"), ("Authorization", "Bearer opaque")])
    response = client.get("/things/a", headers=headers)
    assert response.status_code == 400
    assert response.json["error"] == "invalid_request"


def test_a_token_in_query_or_body_alone_counts_for_nothing(issuer: StubIssuer, client: FlaskClient) -> None:
    responses = [
        client.get("/things/a?access_token=opaque"),
        client.post("/things/a", data={"access_token": "opaque"}),
        client.post("/things/a", json={"access_token": "opaque"}),
        client.get("/things/a", headers={"Cookie": "access_token=opaque", "X-Access-Token": "opaque"}),
    ]
    assert [response.status_code for response in responses] == [401] * 4
    assert not issuer.hits


def test_a_token_in_the_header_and_elsewhere_is_refused(client: FlaskClient) -> None:
    assert client.get("/things/a?access_token=other", headers=_bearer()).status_code == 400
    assert client.get("/things/a?access_token=", headers=_bearer()).status_code == 400
    assert client.post("/things/a", data={"access_token": "x"}, headers=_bearer()).status_code == 400
    assert client.post("/things/a", data={"other": "x"}, headers=_bearer()).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "//admin",
        "/admin/",
        "/admin;x",
        "/things/../admin",
        "/things/%2e%2e/admin",
        "/./admin",
        "/admin.",
        "/Admin",
        "/admin%00",
    ],
)
def test_no_spelling_of_a_path_gets_around_the_guard(client: FlaskClient, path: str) -> None:
    raw = {"PATH_INFO": unquote(path)}
    assert client.get("/", headers=_bearer(), environ_overrides=raw).status_code in {403, 404}


def test_override_headers_do_not_get_around_the_guard(client: FlaskClient) -> None:
    for name in ("X-HTTP-Method-Override", "X-Forwarded-Uri", "X-Original-URL", "X-Rewrite-URL"):
        assert client.get("/admin", headers=_bearer() | {name: "/things/a"}).status_code == 403
    assert client.get("/fresh", headers={"X-HTTP-Method-Override": "POST"}).status_code == 405


def test_a_fresh_route_asks_each_time(issuer: StubIssuer, client: FlaskClient) -> None:
    for _ in range(3):
        assert client.post("/fresh", headers=_bearer()).status_code == 200
    assert issuer.hits[INTROSPECTION] == 3


def test_promises_that_cannot_be_kept_are_refused_at_once(by_keys: Verifier) -> None:
    with pytest.raises(ValueError):
        protect(by_keys, fresh=True)
    with pytest.raises(ValueError):
        protect(by_keys, scopes="read")
    with pytest.raises(ValueError):
        protect(by_keys, acr="phr")


def test_no_token_is_logged_at_any_level(
    issuer: StubIssuer, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    issuer.answers["opaque-SECRET"] = issuer.active(AUDIENCE)
    client.get("/things/a", headers=_bearer("opaque-SECRET"))
    client.get("/things/a", headers=_bearer("unknown-SECRET"))
    issuer.faults = {INTROSPECTION: replying({}, status=401)}
    client.post("/fresh", headers=_bearer("opaque-SECRET"))
    assert caplog.records
    assert "SECRET" not in caplog.text
    assert "cnM6c2VjcmV0" not in caplog.text


def test_what_the_token_allows_in_detail_is_the_views_to_compare(client: FlaskClient, issuer: StubIssuer) -> None:
    details = [{"type": "files", "actions": ["read"]}, {"type": "payment", "amount": "1.00"}]
    issuer.answers["detailed"] = issuer.active(AUDIENCE, authorization_details=details)
    assert client.post("/payments/1.00", headers=_bearer("detailed")).text == "paid"
    assert client.post("/payments/2.00", headers=_bearer("detailed")).status_code == 403


@pytest.mark.parametrize("members", [{}, {"authorization_details": []}, {"authorization_details": [{"type": "files"}]}])
def test_a_token_without_details_of_the_type_is_not_enough(
    client: FlaskClient, issuer: StubIssuer, members: dict[str, object]
) -> None:
    issuer.answers["plain"] = issuer.active(AUDIENCE, **members)
    response = client.post("/payments/1.00", headers=_bearer("plain"))
    assert response.status_code == 403
    assert response.headers["WWW-Authenticate"].startswith('Bearer error="insufficient_scope"')
    assert "authorization details" in response.text


@pytest.mark.parametrize(
    "value", ["payment", {"type": ["payment"]}, ["payment"], [{}], [{"type": 1}], [None], {"type": "a"}]
)
def test_details_of_another_form_are_no_answer(client: FlaskClient, issuer: StubIssuer, value: object) -> None:
    issuer.answers["odd"] = issuer.active(AUDIENCE, authorization_details=value)
    assert client.get("/things/a", headers=_bearer("odd")).status_code == 503

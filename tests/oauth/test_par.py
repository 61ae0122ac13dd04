"""OAuth 2.0 Pushed Authorization Requests (RFC 9126)."""

from pathlib import Path
from typing import Any

import pytest

from authserver.manage import clients
from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, Pkce, RegisteredClient
from tests.world import API, assert_refused, assert_sent_back, assert_shown, code_of

PREFIX = "urn:ietf:params:oauth:request_uri:"


@pytest.fixture(scope="module")
def pushing(authserver: AuthServer) -> RegisteredClient:
    """A confidential client that pushes its requests, and whose users are asked for consent."""
    return authserver.client(require_pushed_authorization_requests=True)


@pytest.fixture(scope="module")
def trusted(authserver: AuthServer) -> RegisteredClient:
    """A client like it of which nothing is asked."""
    return authserver.client(require_pushed_authorization_requests=True, trusted=True)


def _push(authserver: AuthServer, client: RegisteredClient, pkce: Pkce | None = None, **parameters: Any) -> str:
    answer = authserver.push(client, pkce or authserver.pkce(), **parameters)
    assert answer.status_code == 201, answer.text
    reference: str = answer.json()["request_uri"]
    return reference


def _open(browser: Browser, client: RegisteredClient, reference: str, **parameters: Any) -> Page:
    return browser.visit_request({"client_id": client.client_id, "request_uri": reference, **parameters})


# 2.1, 2.2: pushing.


def test_a_pushed_request_is_answered_by_a_reference_2_2(authserver: AuthServer, pushing: RegisteredClient):
    answer = authserver.push(pushing, authserver.pkce())
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"request_uri", "expires_in"}
    assert answer.json()["expires_in"] == 60
    # 256 bits behind the prefix, FAPI 2.0 asks for 128.
    assert len(answer.json()["request_uri"].removeprefix(PREFIX)) == 43


def test_every_push_has_a_reference_of_its_own(authserver: AuthServer, pushing: RegisteredClient):
    pkce = authserver.pkce()
    assert len({_push(authserver, pushing, pkce, state="s") for _ in range(5)}) == 5


def test_the_whole_flow_ends_in_tokens(authserver: AuthServer, trusted: RegisteredClient, alice: User):
    pkce = authserver.pkce()
    reference = _push(authserver, trusted, pkce, state="state-1", nonce="n" * 64, scope="openid api:read")
    page = _open(authserver.browser(alice), trusted, reference)
    assert page.callback["state"] == "state-1"
    assert page.callback["iss"] == authserver.issuer
    answer = authserver.token(
        trusted,
        grant_type="authorization_code",
        code=code_of(page),
        redirect_uri=trusted.redirect_uri,
        code_verifier=pkce.verifier,
    )
    assert answer.status_code == 200
    assert answer.json()["scope"] == "openid api:read"


def test_the_resources_that_were_pushed_count(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True, resources=[API])
    pkce = authserver.pkce()
    page = _open(authserver.browser(alice), client, _push(authserver, client, pkce, scope="api:read", resource=API))
    tokens = authserver.token(
        client, grant_type="authorization_code", code=code_of(page), code_verifier=pkce.verifier
    ).json()
    assert authserver.introspect(client, tokens["access_token"])["aud"] == API


def test_a_public_client_may_push_2(authserver: AuthServer, alice: User):
    public = authserver.public_client(trusted=True)
    code_of(_open(authserver.browser(alice), public, _push(authserver, public)))


def test_a_client_that_need_not_push_may_2(authserver: AuthServer, client: RegisteredClient, alice: User):
    code_of(_open(authserver.browser(alice), client, _push(authserver, client)))


def test_the_client_is_authenticated_first_2_1(authserver: AuthServer, pushing: RegisteredClient):
    wrong = RegisteredClient(pushing.client_id, "x" * 43, pushing.redirect_uri, {})
    assert_refused(authserver.push(wrong, authserver.pkce()), "invalid_client", 401)
    assert_refused(authserver.post("/par", **authserver.request(pushing, authserver.pkce())), "invalid_client", 401)


def test_another_client_id_in_the_body_is_refused(
    authserver: AuthServer, pushing: RegisteredClient, trusted: RegisteredClient
):
    answer = authserver.push(pushing, authserver.pkce(), client_id=trusted.client_id)
    assert_refused(answer, "invalid_client", 401)


def test_a_reference_cannot_be_pushed_2_1(authserver: AuthServer, pushing: RegisteredClient):
    reference = _push(authserver, pushing)
    assert_refused(authserver.push(pushing, authserver.pkce(), request_uri=reference), "invalid_request")
    assert_refused(authserver.post("/par", pushing, request_uri=reference), "invalid_request")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uri": "https://client.test/other"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "web_message"}, "invalid_request"),
        ({"scope": "other:read"}, "invalid_scope"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"resource": "https://unknown.test/"}, "invalid_target"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"state": ["a", "b"]}, "invalid_request"),
        ({"redirect_uri": ["https://client.test/callback"] * 2}, "invalid_request"),
    ],
)
def test_what_the_authorization_endpoint_would_refuse_is_refused_here_2_3(
    authserver: AuthServer, pushing: RegisteredClient, changes: dict[str, Any], error: str
):
    answer = authserver.push(pushing, authserver.pkce(), **changes)
    assert_refused(answer, error)
    assert "location" not in answer.headers


def test_too_large_a_request_is_413_2_3(authserver: AuthServer, pushing: RegisteredClient):
    assert authserver.push(pushing, authserver.pkce(), state="x" * 70_000).status_code == 413


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_other_methods_are_405_2_3(authserver: AuthServer, method: str):
    answer = authserver.http().request(method, "/par")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST, OPTIONS"


def test_a_client_that_pushes_too_often_is_told_to_wait_2_3(authserver: AuthServer):
    eager = authserver.client(require_pushed_authorization_requests=True)
    answers = [authserver.push(eager, authserver.pkce()) for _ in range(61)]
    assert [answer.status_code for answer in answers[:60]] == [201] * 60
    assert_refused(answers[60], "invalid_request", 429)
    assert int(answers[60].headers["retry-after"]) > 0


def test_strangers_cannot_use_up_the_pushes_of_a_public_client(authserver: AuthServer):
    # Anybody may name it: so its pushes are counted for each network apart.
    public = authserver.public_client()
    request = authserver.request(public, authserver.pkce())
    for _ in range(61):
        last = authserver.post("/par", **request)
    assert last.status_code == 429
    with authserver.http(address="192.0.2.7") as elsewhere:
        assert elsewhere.post("/par", data=request).status_code == 201


# 4: the authorization request.


def test_what_stands_beside_the_reference_does_not_count_4(
    authserver: AuthServer, trusted: RegisteredClient, alice: User
):
    reference = _push(authserver, trusted, state="pushed", nonce=None, scope="api:read")
    outside = {
        "state": "outside",
        "nonce": "outside",
        "scope": "openid",
        "redirect_uri": "https://evil.test/",
        "code_challenge": "x" * 43,
        "response_type": "token",
        "response_mode": "fragment",
    }
    page = _open(authserver.browser(alice), trusted, reference, **outside)
    assert page.location is not None
    assert page.location.startswith(trusted.redirect_uri + "?")
    assert page.callback["state"] == "pushed"


def test_state_only_outside_is_no_state_4(authserver: AuthServer, trusted: RegisteredClient, alice: User):
    page = _open(authserver.browser(alice), trusted, _push(authserver, trusted, state=None), state="outside")
    assert "state" not in page.callback
    code_of(page)


def test_the_reference_is_bound_to_the_client_that_pushed_2_2(
    authserver: AuthServer, pushing: RegisteredClient, trusted: RegisteredClient, alice: User
):
    reference = _push(authserver, pushing)
    assert_shown(_open(authserver.browser(alice), trusted, reference), "invalid_request_uri")
    assert_shown(authserver.browser(alice).visit_request({"request_uri": reference}), "invalid_request_uri")


def test_of_two_references_neither_counts_4(authserver: AuthServer, trusted: RegisteredClient, alice: User):
    good = _push(authserver, trusted)
    for both in ([good, _push(authserver, trusted)], [good, good], ["https://client.test/request", good]):
        page = authserver.browser(alice).visit_request({"client_id": trusted.client_id, "request_uri": both})
        assert_shown(page, "invalid_request_uri")
    code_of(_open(authserver.browser(alice), trusted, good))


@pytest.mark.parametrize("reference", [PREFIX, PREFIX + "x" * 43, PREFIX + "\N{SNOWMAN}", PREFIX + "../x" * 300])
def test_a_guessed_reference_is_shown_not_redirected_4(
    authserver: AuthServer, trusted: RegisteredClient, alice: User, reference: str
):
    assert_shown(_open(authserver.browser(alice), trusted, reference), "invalid_request_uri")


def test_a_reference_expires_unless_it_was_opened_4(authserver: AuthServer, pushing: RegisteredClient, alice: User):
    opened, closed = (_push(authserver, pushing, prompt="consent") for _ in range(2))
    browser = authserver.browser(alice)
    page = _open(browser, pushing, opened)
    with authserver.later(61):
        assert_shown(_open(authserver.browser(alice), pushing, closed), "invalid_request_uri")
        # DECISIONS: from the first opening on, the interaction carries the request.
        code_of(browser.allow(page))


def test_a_reload_before_the_end_is_harmless_4(authserver: AuthServer, pushing: RegisteredClient, alice: User):
    reference, browser = _push(authserver, pushing, prompt="consent"), authserver.browser(alice)
    first, second = _open(browser, pushing, reference), _open(browser, pushing, reference)
    assert "consent-allow" in first.text
    code_of(browser.allow(second))


def test_a_reference_is_answered_once_7_3(authserver: AuthServer, pushing: RegisteredClient, alice: User):
    reference, browser = _push(authserver, pushing, prompt="consent"), authserver.browser(alice)
    first, second = _open(browser, pushing, reference), _open(browser, pushing, reference)
    code_of(browser.allow(first))
    assert_shown(browser.deny(second), "invalid_request_uri")
    assert_shown(_open(browser, pushing, reference), "invalid_request_uri")


def test_a_denied_reference_is_used_up_too_7_3(authserver: AuthServer, pushing: RegisteredClient, alice: User):
    reference, browser = _push(authserver, pushing, state="s", prompt="consent"), authserver.browser(alice)
    assert_sent_back(browser.deny(_open(browser, pushing, reference)), "access_denied", pushing, state="s")
    assert_shown(_open(browser, pushing, reference), "invalid_request_uri")


def test_a_double_click_on_allow_gets_one_code(authserver: AuthServer, pushing: RegisteredClient, alice: User):
    browser = authserver.browser(alice)
    page = _open(browser, pushing, _push(authserver, pushing, prompt="consent"))
    assert code_of(browser.allow(page)) == code_of(browser.allow(page))


def test_what_was_answered_without_a_page_is_used_up_7_3(
    authserver: AuthServer, trusted: RegisteredClient, alice: User
):
    reference, browser = _push(authserver, trusted), authserver.browser(alice)
    code_of(_open(browser, trusted, reference))
    assert_shown(_open(browser, trusted, reference), "invalid_request_uri")
    silent = _push(authserver, trusted, prompt="none")
    assert_sent_back(_open(authserver.browser(), trusted, silent), "login_required", trusted)
    assert_shown(_open(authserver.browser(alice), trusted, silent), "invalid_request_uri")


def test_what_has_changed_since_the_push_counts_7_4(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True)
    pushed = {name: _push(authserver, client, scope=scope) for name, scope in (("a", "api:read"), ("b", "openid"))}
    members = {**client.registration, "scope": "openid"}
    _replace(authserver, client, members)
    assert_sent_back(_open(authserver.browser(alice), client, pushed["a"]), "invalid_scope", client)
    _replace(authserver, client, {**members, "redirect_uris": ["https://elsewhere.test/"]})
    assert_shown(_open(authserver.browser(alice), client, pushed["b"]), "invalid_redirect_uri")
    clients.set_disabled(authserver.store, client.client_id, disabled=True, actor="test")
    authserver.server.forget()
    assert_shown(_open(authserver.browser(alice), client, pushed["b"]), "invalid_client")


def _replace(authserver: AuthServer, client: RegisteredClient, members: dict[str, Any]) -> None:
    kept = {
        name: value
        for name, value in members.items()
        if name not in {"client_id", "client_secret", "client_id_issued_at", "client_secret_expires_at"}
    }
    clients.update(authserver.store, authserver.sealer, client.client_id, kept, actor="test")
    authserver.server.forget()


def test_the_pushed_parameters_are_nowhere_in_the_browser(
    authserver: AuthServer, pushing: RegisteredClient, alice: User
):
    # Not in a URL, a cookie or a page.
    browser = authserver.browser(alice)
    secret = "s3cret-nonce-of-the-client"
    page = _open(browser, pushing, _push(authserver, pushing, nonce=secret, state=secret + "-state", prompt="consent"))
    shown = page.text + page.url + str(page.headers) + str(dict(browser.http.cookies))
    assert secret not in shown


def test_the_credentials_of_the_client_are_not_kept(authserver: AuthServer, alice: User):
    client = authserver.client(token_endpoint_auth_method="client_secret_post", trusted=True)
    request = {**authserver.request(client, authserver.pkce()), "client_secret": client.client_secret}
    answer = authserver.post("/par", **request)
    assert answer.status_code == 201
    with authserver.store.database.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT value FROM ephemeral WHERE space = 'pushed-request'").all()
    assert rows
    assert not any(client.client_secret in row[0] for row in rows)
    code_of(_open(authserver.browser(alice), client, answer.json()["request_uri"]))


# 5, 6: where pushing is required.


def test_a_client_registered_for_it_has_to_push_6(authserver: AuthServer, pushing: RegisteredClient, alice: User):
    page = authserver.browser(alice).visit_request(authserver.request(pushing, authserver.pkce(), state="s"))
    assert_sent_back(page, "invalid_request", pushing, state="s")


def test_the_server_may_require_it_of_all_5(tmp_path: Path):
    server = AuthServer(tmp_path, require_pushed_authorization_requests=True)
    try:
        user, client = server.user(), server.client(trusted=True)
        document = server.get("/.well-known/oauth-authorization-server").json()
        assert document["require_pushed_authorization_requests"] is True
        page = server.browser(user).visit_request(server.request(client, server.pkce()))
        assert_sent_back(page, "invalid_request", client)
        code_of(_open(server.browser(user), client, _push(server, client)))
        # What has no authorization request goes on.
        assert server.token(client, grant_type="client_credentials", scope="api:read").status_code == 200
    finally:
        server.close()


def test_the_metadata_names_the_endpoint_5(authserver: AuthServer):
    document = authserver.get("/.well-known/oauth-authorization-server").json()
    assert document["pushed_authorization_request_endpoint"] == authserver.issuer + "/par"
    assert document["require_pushed_authorization_requests"] is False


def test_switched_off_nothing_of_it_is_left(tmp_path: Path):
    server = AuthServer(tmp_path, features={"par": False})
    try:
        user, client = server.user(), server.client(trusted=True)
        assert not [name for name in server.get("/.well-known/openid-configuration").json() if "pushed" in name]
        assert server.push(client, server.pkce()).status_code == 404
        page = server.browser(user).visit_request(server.request(client, server.pkce(), request_uri=PREFIX + "x" * 43))
        assert_shown(page, "invalid_request_uri")
    finally:
        server.close()


def test_switched_off_a_client_that_has_to_push_gets_no_weaker_way_6(tmp_path: Path):
    server = AuthServer(tmp_path)
    user, client = server.user(), server.client(require_pushed_authorization_requests=True, trusted=True)
    server.close()
    server = AuthServer(tmp_path, features={"par": False})
    try:
        page = server.browser(user).visit_request(server.request(client, server.pkce(), state="s"))
        assert_sent_back(page, "invalid_request", client, state="s")
    finally:
        server.close()

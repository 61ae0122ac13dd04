"""RP-Initiated Logout 1.0; what the certification profile "RP-Initiated OP" looks at."""

import json
from pathlib import Path
from urllib.parse import urlencode

import jwt
import pytest

from authserver import keys
from authserver.manage import clients
from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient, signing_keys
from tests.assertions import OTHER_KEY
from tests.world import assert_sent_back, assert_shown, code_of

BACK = "https://client.test/bye"


@pytest.fixture(scope="module")
def leaving(authserver: AuthServer) -> RegisteredClient:
    """A client that has registered where to go after a logout."""
    return authserver.client(trusted=True, post_logout_redirect_uris=[BACK, "https://client.test/other?x=1"])


def _sign_in(authserver: AuthServer, client: RegisteredClient, user: User) -> tuple[Browser, str]:
    """Return a browser in which the user has used the client, and the ID token from there."""
    browser, pkce = authserver.browser(user), authserver.pkce()
    code = code_of(browser.visit_request(authserver.request(client, pkce)))
    tokens = authserver.token(client, grant_type="authorization_code", code=code, code_verifier=pkce.verifier).json()
    return browser, tokens["id_token"]


def _log_out(browser: Browser, **parameters: str | None) -> Page:
    return browser.visit(
        "/logout?" + urlencode({name: value for name, value in parameters.items() if value is not None})
    )


def _is_signed_in(authserver: AuthServer, client: RegisteredClient, browser: Browser) -> bool:
    page = browser.visit_request(authserver.request(client, authserver.pkce(), prompt="none"))
    if "error" in page.callback:
        assert_sent_back(page, "login_required", client)
        return False
    return bool(code_of(page))


def test_it_is_announced(authserver: AuthServer):
    document = authserver.get("/.well-known/openid-configuration").json()
    assert document["end_session_endpoint"] == authserver.issuer + "/logout"


# A valid hint of the session that is here ends it at once (2).


@pytest.mark.parametrize("state", ["s", "a b+c/=&%\N{SNOWMAN}", None])
def test_a_hint_and_a_registered_address_end_the_session_and_return_there(
    authserver: AuthServer, leaving: RegisteredClient, alice: User, state: str | None
):
    browser, hint = _sign_in(authserver, leaving, alice)
    page = _log_out(browser, id_token_hint=hint, post_logout_redirect_uri=BACK, state=state)
    assert page.location is not None
    assert page.location.partition("?")[0] == BACK
    assert page.callback == ({} if state is None else {"state": state})
    assert not _is_signed_in(authserver, leaving, browser)


def test_an_expired_hint_is_good(authserver: AuthServer, leaving: RegisteredClient, alice: User):
    browser, hint = _sign_in(authserver, leaving, alice)
    with authserver.later(3600):
        assert _log_out(browser, id_token_hint=hint, post_logout_redirect_uri=BACK).location == BACK
        assert not _is_signed_in(authserver, leaving, browser)


def test_the_query_of_a_registered_address_is_kept(authserver: AuthServer, leaving: RegisteredClient, alice: User):
    browser, hint = _sign_in(authserver, leaving, alice)
    page = _log_out(browser, id_token_hint=hint, post_logout_redirect_uri="https://client.test/other?x=1", state="s")
    assert page.location == "https://client.test/other?x=1&state=s"


def test_a_request_may_be_posted(authserver: AuthServer, leaving: RegisteredClient, alice: User):
    browser, hint = _sign_in(authserver, leaving, alice)
    answer = browser.http.post("/logout", data={"id_token_hint": hint, "post_logout_redirect_uri": BACK, "state": "s"})
    assert answer.status_code == 303
    assert hint not in answer.headers["location"]
    assert browser.visit(answer.headers["location"]).location == BACK + "?state=s"
    assert not _is_signed_in(authserver, leaving, browser)


def test_the_client_may_name_itself_beside_the_hint(authserver: AuthServer, leaving: RegisteredClient, alice: User):
    browser, hint = _sign_in(authserver, leaving, alice)
    page = _log_out(browser, id_token_hint=hint, client_id=leaving.client_id, post_logout_redirect_uri=BACK)
    assert page.location == BACK


def test_refresh_tokens_die_with_the_session_and_offline_ones_do_not(
    authserver: AuthServer, leaving: RegisteredClient, alice: User
):
    browser = authserver.browser(alice)
    found = []
    for scope in ("openid", "openid offline_access"):
        pkce = authserver.pkce()
        code = code_of(browser.visit_request(authserver.request(leaving, pkce, scope=scope)))
        parameters = {"code": code, "code_verifier": pkce.verifier}
        found.append(authserver.token(leaving, grant_type="authorization_code", **parameters).json())
    _log_out(browser, id_token_hint=found[0]["id_token"], post_logout_redirect_uri=BACK)
    assert authserver.refresh(leaving, found[0]["refresh_token"]).status_code == 400
    assert authserver.get("/userinfo", found[0]["access_token"]).status_code == 401
    assert authserver.refresh(leaving, found[1]["refresh_token"]).status_code == 200


def test_other_browsers_of_the_same_user_stay_signed_in(authserver: AuthServer, leaving: RegisteredClient, alice: User):
    browser, hint = _sign_in(authserver, leaving, alice)
    other, _ = _sign_in(authserver, leaving, alice)
    _log_out(browser, id_token_hint=hint)
    assert not _is_signed_in(authserver, leaving, browser)
    assert _is_signed_in(authserver, leaving, other)


def test_the_cookie_from_before_opens_nothing(authserver: AuthServer, leaving: RegisteredClient, alice: User):
    browser, hint = _sign_in(authserver, leaving, alice)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.http.cookies.items())
    _log_out(browser, id_token_hint=hint)
    old = authserver.browser()
    old.http.headers["Cookie"] = cookie
    assert not _is_signed_in(authserver, leaving, old)


# Everything else asks the person, and returns nowhere (2, 3, 6).


def _assert_asks(authserver: AuthServer, client: RegisteredClient, browser: Browser, page: Page) -> None:
    assert page.location is None
    assert _is_signed_in(authserver, client, browser), "nothing has happened yet"
    if page.status == 200:
        page = browser.submit(page, "logout-confirm")
        assert page.location is None
        assert not _is_signed_in(authserver, client, browser)
    else:
        assert page.status == 400
        assert page.error_code == "invalid_logout"


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"state": "s"},
        {"post_logout_redirect_uri": BACK},
        {"post_logout_redirect_uri": BACK, "state": "s"},
        {"post_logout_redirect_uri": "https://evil.test/"},
        {"logout_hint": "alice"},
        {"ui_locales": "de"},
        {"extra": "x"},
        {"id_token_hint": ""},
    ],
)
def test_without_a_hint_the_person_is_asked_and_sent_nowhere(
    authserver: AuthServer, leaving: RegisteredClient, alice: User, parameters: dict[str, str]
):
    browser, _ = _sign_in(authserver, leaving, alice)
    page = _log_out(browser, **parameters)
    assert page.status == 200
    _assert_asks(authserver, leaving, browser, page)


def test_the_name_of_the_client_alone_proves_nothing(authserver: AuthServer, leaving: RegisteredClient, alice: User):
    browser, _ = _sign_in(authserver, leaving, alice)
    page = _log_out(browser, client_id=leaving.client_id, post_logout_redirect_uri=BACK, state="s")
    _assert_asks(authserver, leaving, browser, page)


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.test/",
        BACK + "?foo=bar",
        BACK + "/",
        BACK + "#x",
        "https://CLIENT.test/bye",
        "javascript:alert(1)",
        "x",
        "\N{SNOWMAN}",
    ],
)
def test_an_address_that_is_not_registered_is_never_returned_to(
    authserver: AuthServer, leaving: RegisteredClient, alice: User, uri: str
):
    browser, hint = _sign_in(authserver, leaving, alice)
    page = _log_out(browser, id_token_hint=hint, post_logout_redirect_uri=uri, state="s")
    _assert_asks(authserver, leaving, browser, page)


def test_a_client_that_was_switched_off_is_not_returned_to(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True, post_logout_redirect_uris=[BACK])
    browser, hint = _sign_in(authserver, client, alice)
    clients.set_disabled(authserver.store, client.client_id, disabled=True, actor="test")
    authserver.server.forget()
    assert_shown(_log_out(browser, id_token_hint=hint, post_logout_redirect_uri=BACK), "invalid_logout")


def test_a_hint_that_we_did_not_write_is_no_proof(authserver: AuthServer, leaving: RegisteredClient, alice: User):
    browser, hint = _sign_in(authserver, leaving, alice)
    claims, header = jwt.decode(hint, options={"verify_signature": False}), jwt.get_unverified_header(hint)
    key = signing_keys.private_key("RS256")
    access = authserver.client(access_token_format="jwt")
    forged = [
        "x",
        hint + "A",
        jwt.encode(claims, None, "none"),
        jwt.encode(claims, OTHER_KEY, "ES256", {"kid": header["kid"]}),
        authserver.tokens(access, alice)["access_token"],
        jwt.api_jws.encode(
            json.dumps({**claims, "iss": "https://other.test"}).encode(), key, "RS256", {"kid": header["kid"]}
        ),
    ]
    for text in forged:
        page = _log_out(browser, id_token_hint=text, post_logout_redirect_uri=BACK, state="s")
        assert page.location is None
        assert "logout-confirm" in page.text, "the person is asked"
        assert _is_signed_in(authserver, leaving, browser)


def test_a_hint_outlives_the_publication_of_its_key_but_not_its_compromise(tmp_path: Path):
    server = AuthServer(tmp_path)
    alice, client = server.user(), server.client(trusted=True, post_logout_redirect_uris=[BACK])
    browser, hint = _sign_in(server, client, alice)
    keys.rotate(server.store, server.sealer, server.settings, soon=True)
    with server.later(6 * 3600):
        server.server.keys.load()
        assert _log_out(browser, id_token_hint=hint, post_logout_redirect_uri=BACK).location == BACK
    browser, hint = _sign_in(server, client, alice)
    keys.rotate(server.store, server.sealer, server.settings, compromised=True)
    server.server.keys.load()
    assert "logout-confirm" in _log_out(browser, id_token_hint=hint, post_logout_redirect_uri=BACK).text
    server.close()


@pytest.mark.parametrize("name", ["aud", "sub", "sid"])
@pytest.mark.parametrize("value", [None, 1, [], ["x"], {"a": 1}, True])
def test_a_hint_of_strange_shape_under_our_own_key_is_never_a_failure(
    authserver: AuthServer, leaving: RegisteredClient, alice: User, name: str, value: object
):
    browser, hint = _sign_in(authserver, leaving, alice)
    claims = {**jwt.decode(hint, options={"verify_signature": False}), name: value}
    key, headers = signing_keys.private_key("RS256"), {"kid": jwt.get_unverified_header(hint)["kid"], "typ": "JWT"}
    text = jwt.api_jws.encode(json.dumps(claims).encode(), key, "RS256", headers)
    page = _log_out(browser, id_token_hint=text, client_id="x")
    assert page.status < 500


def test_the_hint_of_another_client_is_not_the_client_that_it_says_it_is(
    authserver: AuthServer, leaving: RegisteredClient, client: RegisteredClient, alice: User
):
    browser, hint = _sign_in(authserver, client, alice)
    page = _log_out(browser, id_token_hint=hint, client_id=leaving.client_id, post_logout_redirect_uri=BACK)
    _assert_asks(authserver, leaving, browser, page)


def test_the_hint_of_another_user_ends_no_session_and_returns_nowhere(
    authserver: AuthServer, leaving: RegisteredClient, alice: User, bob: User
):
    browser, _ = _sign_in(authserver, leaving, alice)
    _, hint = _sign_in(authserver, leaving, bob)
    page = _log_out(browser, id_token_hint=hint, post_logout_redirect_uri=BACK, state="s")
    _assert_asks(authserver, leaving, browser, page)


@pytest.mark.parametrize("name", ["id_token_hint", "post_logout_redirect_uri", "client_id", "state"])
def test_a_repeated_parameter_is_an_error_page(
    authserver: AuthServer, leaving: RegisteredClient, alice: User, name: str
):
    browser, _ = _sign_in(authserver, leaving, alice)
    page = browser.visit("/logout?" + urlencode([(name, "x"), (name, "x")]))
    assert page.status == 400
    assert page.location is None
    assert _is_signed_in(authserver, leaving, browser)


def test_an_image_or_a_form_of_another_site_ends_nothing(
    authserver: AuthServer, leaving: RegisteredClient, alice: User
):
    browser, _ = _sign_in(authserver, leaving, alice)
    browser.http.get("/logout", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"})
    assert _is_signed_in(authserver, leaving, browser)
    for headers in ({"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}, {}):
        answer = browser.http.post("/logout/confirm", data={}, headers=headers)
        assert answer.status_code == 403
        assert _is_signed_in(authserver, leaving, browser)


def test_who_is_not_signed_in_is_told_that_it_is_done(authserver: AuthServer, leaving: RegisteredClient, alice: User):
    _, hint = _sign_in(authserver, leaving, alice)
    page = _log_out(authserver.browser(), id_token_hint=hint, post_logout_redirect_uri=BACK, state="s")
    assert page.location == BACK + "?state=s"
    page = _log_out(authserver.browser())
    assert (page.status, page.location) == (200, None)
    assert page.url.endswith("/logged-out")

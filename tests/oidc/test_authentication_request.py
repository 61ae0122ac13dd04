"""Authentication request (OpenID Connect Core 1.0, 3.1.2.1, 3.1.2.6)."""

import json
from typing import Any

import jwt
import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Page, RegisteredClient, signing_keys
from pytest_authserver.server import PASSWORD
from tests.assertions import OTHER_KEY
from tests.world import ask, assert_sent_back, code_of


def _is_login(page: Page) -> bool:
    return page.location is None and page.status == 200 and "login-submit" in page.text


def _is_consent(page: Page) -> bool:
    return page.location is None and page.status == 200 and "consent-allow" in page.text


def _auth_time(authserver: AuthServer, client: RegisteredClient, page: Page, verifier: str) -> int:
    tokens = authserver.token(
        client, grant_type="authorization_code", code=code_of(page), code_verifier=verifier
    ).json()
    found: int = jwt.decode(tokens["id_token"], options={"verify_signature": False})["auth_time"]
    return found


# What is not supported is refused, never ignored (7.2.1; 6.1 and 6.2 where jar is switched off: see its tests).


@pytest.mark.parametrize("value", ["x", "eyJhbGciOiJub25lIn0.e30.", "https://client.test/request", "{}"])
def test_what_would_change_the_request_is_refused_and_not_ignored(
    authserver: AuthServer, client: RegisteredClient, alice: User, value: str
):
    page = ask(authserver, client, alice, registration=value, state="s")
    assert_sent_back(page, "registration_not_supported", client, state="s")


@pytest.mark.parametrize(
    "wishes",
    [
        {"display": "page"},
        {"display": "popup"},
        {"display": "unheard-of"},
        {"ui_locales": "de en-GB"},
        {"ui_locales": "../../../etc/passwd"},
        {"ui_locales": " ".join(f"x{number}" for number in range(1000))},
        {"claims_locales": "de"},
        {"acr_values": "urn:authserver:pwd"},
        {"acr_values": "1 2"},
        {"extra": "foobar"},
        {"login_hint": "alice"},
        {"login_hint": '"><script>alert(1)</script>\u202e'},
    ],
)
def test_wishes_are_never_an_error(
    authserver: AuthServer, client: RegisteredClient, alice: User, wishes: dict[str, str]
):
    code_of(ask(authserver, client, alice, **wishes))
    assert _is_login(ask(authserver, client, **wishes))


def test_five_thousand_wishes_are_as_good_as_none(authserver: AuthServer, client: RegisteredClient):
    many = "x " * 5000
    request = authserver.request(client, authserver.pkce(), ui_locales=many)
    browser = authserver.browser()
    answer = browser.http.post("/authorize", data={**request, "claims_locales": "../../../etc/passwd"})
    assert answer.status_code == 303
    assert _is_login(browser.visit(answer.headers["location"]))


def test_the_order_of_parameters_and_scopes_means_nothing(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    request = authserver.request(client, authserver.pkce(), scope="profile openid")
    backwards = dict(reversed(request.items()))
    code_of(authserver.browser(alice).visit_request(backwards))


def test_a_login_hint_fills_the_form_and_cannot_break_out_of_it(authserver: AuthServer, client: RegisteredClient):
    hint = '"><script>alert(1)</script>'
    page = ask(authserver, client, login_hint=hint)
    assert page.form("login-submit").fields["username"] == hint
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    "parameters", [{"login_hint": "x" * 2049}, {"nonce": "x" * 2049}, {"nonce": "a\nb"}, {"nonce": "a\0"}]
)
def test_what_is_too_long_or_not_printable_is_an_invalid_request(
    authserver: AuthServer, client: RegisteredClient, alice: User, parameters: dict[str, str]
):
    assert_sent_back(ask(authserver, client, alice, **parameters), "invalid_request", client)


# prompt.


def test_prompt_none_without_a_session_is_answered_by_a_redirect(authserver: AuthServer, client: RegisteredClient):
    assert_sent_back(ask(authserver, client, prompt="none", state="s"), "login_required", client, state="s")


def test_prompt_none_with_a_session_and_without_consent_is_answered_by_a_redirect(authserver: AuthServer, alice: User):
    asking = authserver.client()
    assert_sent_back(ask(authserver, asking, alice, prompt="none", state="s"), "consent_required", asking, state="s")


def test_prompt_none_with_both_succeeds_silently(authserver: AuthServer, client: RegisteredClient, alice: User):
    code_of(ask(authserver, client, alice, prompt="none"))


@pytest.mark.parametrize("prompt", ["none login", "login none", "none none", "none consent", "create", "x", "NONE"])
def test_none_stands_alone_and_unknown_values_are_an_invalid_request(
    authserver: AuthServer, client: RegisteredClient, alice: User, prompt: str
):
    assert_sent_back(ask(authserver, client, alice, prompt=prompt), "invalid_request", client)


def test_prompt_login_asks_for_the_password_again_and_moves_auth_time(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    browser, pkce = authserver.browser(alice), authserver.pkce()
    before = _auth_time(authserver, client, browser.visit_request(authserver.request(client, pkce)), pkce.verifier)
    with authserver.later(5):
        page = browser.visit_request(authserver.request(client, pkce, prompt="login"))
        assert _is_login(page)
        page = browser.log_in(page, "alice", PASSWORD)
        after = _auth_time(authserver, client, page, pkce.verifier)
    assert after >= before + 4


def test_prompt_login_cannot_be_skipped_by_going_on(authserver: AuthServer, client: RegisteredClient, alice: User):
    browser = authserver.browser(alice)
    page = browser.visit_request(authserver.request(client, authserver.pkce(), prompt="login"))
    assert _is_login(page)
    interaction = page.url.partition("interaction=")[2]
    for path in ("/authorize/resume", "/consent", "/login"):
        assert _is_login(browser.visit(f"{path}?interaction={interaction}"))


def test_prompt_consent_asks_again_though_it_was_allowed(authserver: AuthServer, client: RegisteredClient, alice: User):
    asking = authserver.client()
    for owner in (asking, client):
        browser = authserver.browser(alice)
        code_of(browser.authorize(authserver.request(owner, authserver.pkce())))
        page = browser.visit_request(authserver.request(owner, authserver.pkce(), prompt="consent"))
        assert _is_consent(page)
        code_of(browser.allow(page))
        code_of(browser.visit_request(authserver.request(owner, authserver.pkce())))


def test_a_users_refusal_is_access_denied(authserver: AuthServer, alice: User):
    asking = authserver.client()
    browser = authserver.browser(alice)
    page = browser.visit_request(authserver.request(asking, authserver.pkce(), state="s"))
    assert_sent_back(browser.deny(page), "access_denied", asking, state="s")
    assert _is_consent(browser.visit_request(authserver.request(asking, authserver.pkce())))


def test_prompt_select_account_shows_the_accounts(authserver: AuthServer, client: RegisteredClient, alice: User):
    browser = authserver.browser(alice)
    page = browser.visit_request(authserver.request(client, authserver.pkce(), prompt="select_account"))
    assert page.location is None
    assert "alice" in page.text
    assert _is_login(ask(authserver, client, prompt="select_account"))


def test_prompt_login_consent_asks_for_both(authserver: AuthServer, client: RegisteredClient, alice: User):
    browser = authserver.browser(alice)
    page = browser.visit_request(authserver.request(client, authserver.pkce(), prompt="login consent"))
    assert _is_login(page)
    page = browser.log_in(page, "alice", PASSWORD)
    assert _is_consent(page)
    code_of(browser.allow(page))


# max_age.


@pytest.mark.parametrize(
    "max_age", ["-1", "abc", "1.5", "1e3", " 1", "1 ", "+1", "0x10", "1" * 20, "\N{ARABIC-INDIC DIGIT ONE}"]
)
def test_a_max_age_that_is_no_number_of_seconds_is_an_invalid_request(
    authserver: AuthServer, client: RegisteredClient, alice: User, max_age: str
):
    assert_sent_back(ask(authserver, client, alice, max_age=max_age), "invalid_request", client)


def test_max_age_zero_asks_for_the_password_again(authserver: AuthServer, client: RegisteredClient, alice: User):
    browser, pkce = authserver.browser(alice), authserver.pkce()
    page = browser.visit_request(authserver.request(client, pkce, max_age="0"))
    assert _is_login(page)
    interaction = page.url.partition("interaction=")[2]
    assert _is_login(browser.visit(f"/authorize/resume?interaction={interaction}"))
    assert _auth_time(authserver, client, browser.log_in(page, "alice", PASSWORD), pkce.verifier)


def test_a_client_may_have_a_max_age_of_its_own(authserver: AuthServer, alice: User):
    # Registration 2: "The max_age request parameter overrides this default value."
    client, browser = authserver.client(trusted=True, default_max_age=60), authserver.browser(alice)
    with authserver.later(70):
        assert _is_login(browser.visit_request(authserver.request(client, authserver.pkce())))
        assert code_of(browser.visit_request(authserver.request(client, authserver.pkce(), max_age="600")))
    assert code_of(browser.visit_request(authserver.request(client, authserver.pkce())))


def test_a_sign_in_that_was_too_old_is_not_made_younger_by_going_on(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    browser, pkce = authserver.browser(alice), authserver.pkce()
    with authserver.later(5):
        page = browser.visit_request(authserver.request(client, pkce, max_age="1"))
        interaction = page.url.partition("interaction=")[2]
        for path in ("/authorize/resume", "/consent", "/login"):
            assert _is_login(browser.visit(f"{path}?interaction={interaction}"))
        answered = browser.log_in(page, "alice", PASSWORD)
    # Once answered it is answered: the same page later begins nothing and gives no second code.
    with authserver.later(8):
        assert code_of(browser.visit(f"/authorize/resume?interaction={interaction}")) == code_of(answered)


def test_a_sign_in_older_than_max_age_is_asked_for_again_and_a_younger_one_is_not(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    browser, pkce = authserver.browser(alice), authserver.pkce()
    times = [
        _auth_time(
            authserver, client, browser.visit_request(authserver.request(client, pkce, max_age=age)), pkce.verifier
        )
        for age in ("15000", "10000", str(10**9))
    ]
    assert len(set(times)) == 1
    with authserver.later(5):
        assert _is_login(browser.visit_request(authserver.request(client, pkce, max_age="1")))
        page = browser.visit_request(authserver.request(client, pkce, max_age="1", prompt="none"))
        assert_sent_back(page, "login_required", client)


# id_token_hint.


def test_the_hint_of_the_user_who_is_here_succeeds_silently_even_when_expired(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    hint = authserver.tokens(client, alice)["id_token"]
    for seconds in (0, 3600):
        with authserver.later(seconds):
            code_of(ask(authserver, client, alice, prompt="none", id_token_hint=hint))


def test_the_hint_of_another_user_needs_that_user(
    authserver: AuthServer, client: RegisteredClient, alice: User, bob: User
):
    hint = authserver.tokens(client, alice)["id_token"]
    page = ask(authserver, client, bob, prompt="none", id_token_hint=hint, state="s")
    assert_sent_back(page, "login_required", client, state="s")
    browser = authserver.browser(bob)
    page = browser.visit_request(authserver.request(client, authserver.pkce(), id_token_hint=hint, state="t"))
    assert _is_login(page)
    page = browser.log_in(page, "bob", PASSWORD)
    assert page.location is None or page.callback["error"] == "login_required"


def test_of_two_accounts_in_one_browser_the_hint_chooses(
    authserver: AuthServer, client: RegisteredClient, alice: User, bob: User
):
    hints = {user.sub: authserver.tokens(client, user)["id_token"] for user in (alice, bob)}
    browser = authserver.browser(alice)
    page = browser.visit_request(authserver.request(client, authserver.pkce(), prompt="login"))
    page = browser.visit(f"/login?{page.url.partition('?')[2]}&switch=1")
    code_of(browser.log_in(page, "bob", PASSWORD))
    for subject, hint in hints.items():
        pkce = authserver.pkce()
        page = browser.visit_request(authserver.request(client, pkce, prompt="none", id_token_hint=hint))
        tokens = authserver.token(
            client, grant_type="authorization_code", code=code_of(page), code_verifier=pkce.verifier
        ).json()
        assert jwt.decode(tokens["id_token"], options={"verify_signature": False})["sub"] == subject


def _hints(authserver: AuthServer, client: RegisteredClient, user: User) -> list[str]:
    good = authserver.tokens(client, user)["id_token"]
    header, claims = jwt.get_unverified_header(good), jwt.decode(good, options={"verify_signature": False})
    key = signing_keys.private_key("RS256")
    access = authserver.tokens(client, user, scope="openid jwt:read", resource="https://jwt.test/")["access_token"]

    def with_claims(**changes: Any) -> str:
        payload = json.dumps({**claims, **changes}).encode()
        return jwt.api_jws.encode(payload, key, "RS256", {"kid": header["kid"], "typ": "JWT"})

    return [
        "x",
        "a.b.c",
        "\N{SNOWMAN}",
        "x" * 7000,
        good + "A",
        good[:-4],
        access,
        jwt.encode(claims, None, "none"),
        jwt.encode(claims, OTHER_KEY, "ES256", {"kid": header["kid"]}),
        jwt.encode(claims, key.public_key().public_numbers().n.to_bytes(256, "big"), "HS256", {"kid": header["kid"]}),
        jwt.encode(claims, key, "RS256"),
        with_claims(iss="https://other.test"),
        with_claims(sub=["x"]),
        with_claims(sub=""),
        with_claims(sub=1),
    ]


def test_a_hint_that_we_did_not_write_is_an_invalid_request(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    for hint in _hints(authserver, client, alice):
        for prompt in ("none", None):
            page = ask(authserver, client, alice, prompt=prompt, id_token_hint=hint, state="s")
            assert_sent_back(page, "invalid_request", client, state="s")


def test_the_hint_of_another_client_tells_nothing(
    authserver: AuthServer, client: RegisteredClient, stranger: RegisteredClient, alice: User, bob: User
):
    hint = authserver.tokens(client, alice)["id_token"]
    for user in (alice, bob):
        page = ask(authserver, stranger, user, prompt="none", id_token_hint=hint, state="s")
        assert_sent_back(page, "invalid_request", stranger, state="s")


# How a request may arrive.


def test_a_request_may_be_posted_and_is_answered_with_a_get_of_ours(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    browser = authserver.browser(alice)
    request = authserver.request(client, authserver.pkce())
    answer = browser.http.post("/authorize", data=request)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(("/authorize?posted=", authserver.issuer + "/authorize?posted="))
    assert client.client_id not in answer.headers["location"]
    code_of(browser.visit(answer.headers["location"]))


def test_a_post_reads_its_body_alone(authserver: AuthServer, client: RegisteredClient, alice: User):
    request = authserver.request(client, authserver.pkce())
    for good, evil in (
        (request, {"redirect_uri": "https://evil.test/"}),
        ({"redirect_uri": "https://evil.test/"}, request),
    ):
        answer = authserver.browser(alice).http.post("/authorize", params=good, data=evil)
        assert answer.status_code == 400
        assert "location" not in answer.headers


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_not_allowed(authserver: AuthServer, client: RegisteredClient, alice: User, method: str):
    answer = authserver.browser(alice).http.request(method, "/authorize", params=authserver.request(client))
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_head_has_no_side_effects(authserver: AuthServer, client: RegisteredClient, alice: User):
    before = len(authserver.store.grants.of_user(alice.sub))
    browser = authserver.browser(alice)
    answer = browser.http.head("/authorize", params=authserver.request(client, authserver.pkce()))
    assert answer.content == b""
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert len(authserver.store.grants.of_user(alice.sub)) == before


def test_no_other_origin_reads_the_answer(authserver: AuthServer, client: RegisteredClient, alice: User):
    browser = authserver.browser(alice)
    for origin in ("https://client.test", "https://evil.test", "null"):
        for method in ("GET", "OPTIONS"):
            answer = browser.http.request(
                method, "/authorize", params=authserver.request(client), headers={"Origin": origin}
            )
            assert not [name for name in answer.headers if name.startswith("access-control-")]

"""Initiating User Registration via OpenID Connect 1.0."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, Pkce, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests import request_objects
from tests.signing_up import NEW, is_sign_up, sign_up
from tests.world import SCOPE, ask, assert_refused, assert_sent_back, assert_shown, code_of


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server on whose pages people may make accounts."""
    server = AuthServer(tmp_path_factory.mktemp("signup"), features={"signup": True})
    yield server
    server.close()


@pytest.fixture(scope="module")
def alice(at: AuthServer) -> User:
    return at.user("alice")


@pytest.fixture(scope="module")
def client(at: AuthServer) -> RegisteredClient:
    """A trusted client: no page asks for consent."""
    return at.client(trusted=True, scope=SCOPE.partition(" api:")[0])


def _create(at: AuthServer, browser: Browser, client: RegisteredClient, pkce: Pkce, **parameters: Any) -> Page:
    return browser.visit_request(at.request(client, pkce, **{"prompt": "create", **parameters}))


def _claims(at: AuthServer, client: RegisteredClient, page: Page, pkce: Pkce) -> dict[str, Any]:
    sent = {"grant_type": "authorization_code", "code": code_of(page), "code_verifier": pkce.verifier}
    token = at.token(client, **sent).json()["id_token"]
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


# 4: the parameter.


def test_the_sign_up_page_is_what_people_see_first_4(at: AuthServer, client: RegisteredClient):
    page = _create(at, at.browser(), client, at.pkce())
    assert is_sign_up(page)
    assert "login-submit" not in page.text


@pytest.mark.parametrize(
    "prompt", ["create login", "select_account create", "none create", "create consent login", "create x", "CREATE"]
)
def test_what_excludes_a_new_account_cannot_stand_beside_it_4(at: AuthServer, client: RegisteredClient, prompt: str):
    page = ask(at, client, prompt=prompt, state="s")
    assert_sent_back(page, "invalid_request", client, state="s")


def test_consent_may_stand_beside_it_and_is_asked_for_afterwards_4(at: AuthServer, client: RegisteredClient):
    browser, pkce = at.browser(), at.pkce()
    page = _create(at, browser, client, pkce, prompt="create consent", scope="openid offline_access")
    page = sign_up(browser, page, "with-consent")
    assert "consent-allow" in page.text
    code_of(browser.allow(page))


def test_who_is_named_already_needs_no_new_account_4(at: AuthServer, client: RegisteredClient, alice: User):
    hint = at.tokens(client, alice)["id_token"]
    for named in ({"id_token_hint": hint}, {"claims": f'{{"id_token":{{"sub":{{"value":"{alice.sub}"}}}}}}'}):
        assert_sent_back(ask(at, client, prompt="create", **named), "invalid_request", client)


# 4.1: the authorization request.


def test_the_new_account_is_signed_in_and_the_client_gets_its_answer_4_1(at: AuthServer, client: RegisteredClient):
    browser, pkce = at.browser(), at.pkce()
    page = _create(at, browser, client, pkce, state="s", nonce="n", scope="openid profile email")
    page = sign_up(browser, page, "zoe", email="zoe@people.test", name="Zoë Ĵones")
    assert page.callback["state"] == "s"
    made = at.store.users.by_login("zoe")
    assert made is not None
    claims = _claims(at, client, page, pkce)
    assert (claims["sub"], claims["nonce"]) == (made.sub, "n")
    assert (claims["acr"], claims["amr"]) == ("urn:authserver:pwd", ["pwd"])
    assert claims["auth_time"] >= made.created_at // 1_000_000


def test_what_is_told_of_the_new_account_is_its_name_and_no_address_4_1(at: AuthServer, client: RegisteredClient):
    browser, pkce = at.browser(), at.pkce()
    page = _create(at, browser, client, pkce, scope="openid profile email")
    code = code_of(sign_up(browser, page, "yan", email="yan@people.test", name="Yan"))
    tokens = at.token(client, grant_type="authorization_code", code=code, code_verifier=pkce.verifier).json()
    told = at.get("/userinfo", tokens["access_token"]).json()
    assert (told["preferred_username"], told["name"]) == ("yan", "Yan")
    assert {"email", "email_verified"}.isdisjoint(told)


@pytest.mark.parametrize("mode", ["fragment", "form_post", "jwt"])
def test_the_way_of_the_answer_is_the_same_as_ever_4_1(at: AuthServer, client: RegisteredClient, mode: str):
    browser = at.browser()
    page = sign_up(
        browser, _create(at, browser, client, at.pkce(), response_mode=mode), f"mode-{mode.replace('_', '-')}"
    )
    answer = page.form("code").fields if mode == "form_post" else page.callback
    assert "response" in answer if mode == "jwt" else "code" in answer


def test_a_pushed_or_signed_request_asks_for_it_as_well_4_1(at: AuthServer):
    client = request_objects.signing_client(at)
    pushed = at.push(client, at.pkce(), prompt="create").json()["request_uri"]
    signed = request_objects.signed(at, client, prompt="create")
    for sent in ({"request_uri": pushed}, {"request": signed}):
        assert is_sign_up(at.browser().visit_request({"client_id": client.client_id, **sent}))
    assert_refused(at.push(client, at.pkce(), prompt="create login"), "invalid_request")


def test_who_is_signed_in_sees_the_page_all_the_same_and_keeps_the_other_account_4_1(
    at: AuthServer, client: RegisteredClient, alice: User
):
    browser, pkce = at.browser(alice), at.pkce()
    (before,) = at.store.sessions.of_user(alice.sub, 0)[-1:]
    page = _create(at, browser, client, pkce)
    assert is_sign_up(page)
    claims = _claims(at, client, sign_up(browser, page, "second-account"), pkce)
    assert claims["sub"] != alice.sub
    assert claims["sid"] != before.sid
    chooser = browser.visit_request(at.request(client, at.pkce(), prompt="select_account"))
    assert "alice" in chooser.text
    assert "second-account" in chooser.text


def test_the_page_cannot_be_skipped_by_going_on_4_1(at: AuthServer, client: RegisteredClient, alice: User):
    browser = at.browser(alice)
    page = _create(at, browser, client, at.pkce())
    interaction = parse_qs(urlsplit(page.url).query)["interaction"][0]
    for path in ("/authorize/resume", "/login", "/consent"):
        assert is_sign_up(browser.visit(f"{path}?interaction={interaction}"))


def test_who_has_an_account_may_sign_in_instead_by_a_new_proof_4_1(
    at: AuthServer, client: RegisteredClient, alice: User
):
    browser, pkce = at.browser(alice), at.pkce()
    with at.later(60):
        page = _create(at, browser, client, pkce)
        _, _, link = page.text.rpartition('id="sign-in" href="')
        page = browser.visit(link.partition('"')[0].replace("&amp;", "&"))
        assert "login-submit" in page.text
        claims = _claims(at, client, browser.log_in(page, "alice", PASSWORD), pkce)
        asked_at = at.store.users.get(alice.sub)
    assert asked_at is not None
    assert claims["sub"] == alice.sub
    assert claims["auth_time"] >= asked_at.created_at // 1_000_000 + 59


def test_a_session_that_was_here_before_is_no_answer_even_when_it_is_chosen_4_1(
    at: AuthServer, client: RegisteredClient, alice: User
):
    browser = at.browser(alice)
    with at.later(5):
        page = _create(at, browser, client, at.pkce())
        interaction = parse_qs(urlsplit(page.url).query)["interaction"][0]
        chosen = browser.submit(browser.visit(f"/login/account?interaction={interaction}"), "sid")
        assert chosen.location is None
        assert "login-submit" in chosen.text
        assert "login-submit" in browser.visit(f"/authorize/resume?interaction={interaction}").text


def test_the_guess_of_the_client_is_in_the_form_4_1(at: AuthServer, client: RegisteredClient):
    for hint, field in (("zoe@people.test", "email"), ("zoe", "username"), ('"><script>@', "email")):
        page = _create(at, at.browser(), client, at.pkce(), login_hint=hint)
        assert page.form("signup-submit").fields[field] == hint
        assert "<script>" not in page.text


def test_the_same_form_again_gets_the_same_answer_4_1(at: AuthServer, client: RegisteredClient):
    browser = at.browser()
    page = _create(at, browser, client, at.pkce())
    first, second = (code_of(sign_up(browser, page, "twice")) for _ in range(2))
    assert first == second
    user = at.store.users.by_login("twice")
    assert user is not None
    assert len(at.store.grants.of_user(user.sub)) == 1
    with at.later(30):
        assert_shown(sign_up(browser, page, "twice"), "interaction_completed")


def test_leaving_the_page_answers_nothing_and_the_request_stays_open_4_1(at: AuthServer, client: RegisteredClient):
    browser = at.browser()
    page = _create(at, browser, client, at.pkce())
    assert is_sign_up(browser.visit(page.url))
    with at.later(1801):
        assert_shown(sign_up(browser, page, "too-late"), "interaction_lost")
    assert at.store.users.by_login("too-late") is None


# 4.2: discovery.


def test_the_value_is_announced_beside_the_others_4_2(at: AuthServer):
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        values = at.get(path).json()["prompt_values_supported"]
        assert values == ["none", "login", "consent", "select_account", "create"]


# Switched off, which is the default.


def test_switched_off_it_is_an_unknown_value_4_1(authserver: AuthServer):
    client = authserver.client(trusted=True)
    page = ask(authserver, client, prompt="create", state="s")
    assert_sent_back(page, "invalid_request", client, state="s")
    assert "prompt" in page.callback["error_description"]
    assert_refused(authserver.push(client, authserver.pkce(), prompt="create"), "invalid_request")
    assert "create" not in authserver.get("/.well-known/openid-configuration").json()["prompt_values_supported"]


def test_switched_off_in_the_middle_there_is_the_sign_in_page_and_no_new_account_4_1(tmp_path: Path):
    at = AuthServer(tmp_path, features={"signup": True})
    off = AuthServer(tmp_path, database_url=at.settings.database_url)
    alice, client = at.user("alice"), at.client(trusted=True)
    browser, pkce = at.browser(alice), at.pkce()
    page = _create(at, browser, client, pkce)
    after = Browser(off.http(cookies=browser.http.cookies), off.issuer)
    assert sign_up(after, page, "nobody-new").status == 404
    assert off.store.users.by_login("nobody-new") is None
    interaction = parse_qs(urlsplit(page.url).query)["interaction"][0]
    page = after.visit(f"/authorize/resume?interaction={interaction}")
    assert "login-submit" in page.text
    assert 'id="sign-up"' not in page.text
    assert _claims(off, client, after.log_in(page, "alice", PASSWORD), pkce)["sub"] == alice.sub
    at.close()
    off.close()


def test_the_rules_of_new_passwords_hold_here_too(at: AuthServer, client: RegisteredClient):
    browser = at.browser()
    page = sign_up(browser, _create(at, browser, client, at.pkce()), "weak", password="password1234")
    assert (page.status, is_sign_up(page)) == (400, True)
    code_of(sign_up(browser, page, "weak", password=NEW))

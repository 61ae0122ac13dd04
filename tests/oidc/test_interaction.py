"""What the user must still do: sign in, choose, consent; and that only this user in this browser does it."""

from urllib.parse import parse_qs, urlsplit

import pytest

from authserver.identity.sessions import cookie_name, live_sessions, read_browser
from authserver.manage import clients, users
from authserver.oidc.interaction import decide, load
from authserver.records import Event, User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.world import assert_sent_back, assert_shown, code_of


def _begin(authserver: AuthServer, browser: Browser, client: RegisteredClient, **parameters: str) -> tuple[Page, str]:
    """Begin a request; return its first page and the interaction's id."""
    page = browser.visit_request(authserver.request(client, authserver.pkce(), **parameters))
    return page, parse_qs(urlsplit(page.url).query)["interaction"][0]


@pytest.fixture
def asking(authserver: AuthServer) -> RegisteredClient:
    """A client that needs consent."""
    return authserver.client()


def test_sign_in_then_consent_then_the_answer(authserver: AuthServer, asking: RegisteredClient, alice: User):
    browser = authserver.browser()
    page, interaction = _begin(authserver, browser, asking, state="s")
    page = browser.log_in(page, "alice", PASSWORD)
    assert interaction in page.url
    page = browser.allow(page)
    assert code_of(page)
    assert page.callback["state"] == "s"


def test_nothing_of_the_request_is_in_the_urls_of_the_pages(
    authserver: AuthServer, asking: RegisteredClient, alice: User
):
    browser = authserver.browser()
    page, _ = _begin(authserver, browser, asking, state="my-state", nonce="my-nonce")
    for shown in (page, browser.log_in(page, "alice", PASSWORD)):
        assert set(parse_qs(urlsplit(shown.url).query)) == {"interaction"}
        assert "my-" not in shown.url + str(browser.http.cookies)


@pytest.mark.parametrize("path", ["/login", "/consent", "/authorize/resume"])
def test_the_id_counts_only_in_the_browser_that_began_it(
    authserver: AuthServer, asking: RegisteredClient, alice: User, path: str
):
    _, interaction = _begin(authserver, authserver.browser(alice), asking)
    for other in (authserver.browser(), authserver.browser(alice)):
        page = other.visit(f"{path}?interaction={interaction}")
        assert_shown(page, "interaction_lost")


@pytest.mark.parametrize(
    "change", [lambda text: "", lambda text: text[:-2], lambda text: text + "0", lambda text: text.rpartition(".")[0]]
)
def test_an_id_that_was_tampered_with_leads_nowhere(
    authserver: AuthServer, asking: RegisteredClient, alice: User, change: object
):
    browser = authserver.browser(alice)
    _, interaction = _begin(authserver, browser, asking)
    for path in ("/login", "/consent", "/authorize/resume"):
        assert_shown(browser.visit(f"{path}?interaction={change(interaction)}"), "interaction_lost")  # type: ignore[operator]


@pytest.mark.parametrize(
    "interaction", ["x", "x.0", ".", ".0", "0.", "a.-1", "a.1000", "a.%00", "%ff", "asi_.0", "x" * 5000]
)
def test_rubbish_in_the_place_of_an_id_leads_nowhere(authserver: AuthServer, alice: User, interaction: str):
    browser = authserver.browser(alice)
    for path in ("/login", "/consent", "/authorize/resume"):
        assert_shown(browser.visit(f"{path}?interaction={interaction}"), "interaction_lost")


def test_consent_cannot_be_skipped_by_going_on(authserver: AuthServer, asking: RegisteredClient, alice: User):
    browser = authserver.browser(alice)
    page, interaction = _begin(authserver, browser, asking)
    assert "consent-allow" in page.text
    for path in ("/authorize/resume", "/login", "/consent"):
        page = browser.visit(f"{path}?interaction={interaction}")
        assert page.location is None
        assert "consent-allow" in page.text


def test_a_second_submission_gets_the_same_answer_and_no_second_code(
    authserver: AuthServer, asking: RegisteredClient, alice: User
):
    browser = authserver.browser(alice)
    page, interaction = _begin(authserver, browser, asking)
    first, second = browser.allow(page), browser.allow(page)
    third = browser.visit(f"/authorize/resume?interaction={interaction}")
    assert code_of(first) == code_of(second) == code_of(third)
    assert (
        len([grant for grant in authserver.store.grants.of_user(alice.sub) if grant.client_id == asking.client_id]) == 1
    )


def test_much_later_a_completed_interaction_is_only_told_to_be_so(
    authserver: AuthServer, asking: RegisteredClient, alice: User
):
    browser = authserver.browser(alice)
    page, interaction = _begin(authserver, browser, asking)
    code_of(browser.allow(page))
    with authserver.later(30):
        assert_shown(browser.visit(f"/authorize/resume?interaction={interaction}"), "interaction_completed")


def test_denied_stays_denied(authserver: AuthServer, asking: RegisteredClient, alice: User):
    browser = authserver.browser(alice)
    page, interaction = _begin(authserver, browser, asking, state="s")
    assert_sent_back(browser.deny(page), "access_denied", asking, state="s")
    assert_sent_back(browser.allow(page), "access_denied", asking, state="s")
    assert_sent_back(browser.visit(f"/authorize/resume?interaction={interaction}"), "access_denied", asking, state="s")


def test_what_was_answered_gets_no_other_answer_by_signing_in_again(
    authserver: AuthServer, asking: RegisteredClient, alice: User, bob: User
):
    browser = authserver.browser(alice)
    page, interaction = _begin(authserver, browser, asking, state="s")
    assert_sent_back(browser.deny(page), "access_denied", asking, state="s")
    again = browser.visit(f"/login?interaction={interaction}&switch=1")
    for username in ("bob", "alice"):
        assert_sent_back(browser.log_in(again, username, PASSWORD), "access_denied", asking, state="s")


def test_who_takes_the_place_of_an_interaction_does_not_take_its_decision(
    authserver: AuthServer, asking: RegisteredClient, alice: User
):
    browser = authserver.browser(alice)
    _, first = _begin(authserver, browser, asking)
    server, name = authserver.server, read_browser(browser.http.cookies[cookie_name(authserver.settings)])
    assert name is not None
    waiting, session = load(server, first, name.id), live_sessions(server, name)[0]
    assert waiting is not None
    places = authserver.settings.sessions.interactions_per_browser
    later = [_begin(authserver, browser, authserver.client()) for _ in range(places)]
    # The form of the first was sent before, and its decision is written after the others began.
    decide(server, waiting, session, allow=True)
    for _, interaction in later:
        assert "consent-allow" in browser.visit(f"/authorize/resume?interaction={interaction}").text


def test_an_interaction_ends_after_half_an_hour(authserver: AuthServer, asking: RegisteredClient, alice: User):
    browser = authserver.browser(alice)
    page, _ = _begin(authserver, browser, asking)
    with authserver.later(1801):
        assert_shown(browser.allow(page), "interaction_lost")
    with authserver.later(1790):
        code_of(browser.allow(page))


def test_two_tabs_of_one_browser_do_not_disturb_each_other(
    authserver: AuthServer, asking: RegisteredClient, alice: User
):
    browser = authserver.browser()
    (first, _), (second, _) = (_begin(authserver, browser, asking, state=state) for state in ("one", "two"))
    page = browser.log_in(first, "alice", PASSWORD)
    other = browser.visit(second.url)
    assert browser.allow(page).callback["state"] == "one"
    assert (
        browser.allow(other).callback["state"] == "two" if other.location is None else other.callback["state"] == "two"
    )


def test_a_browser_has_ten_places_and_a_new_interaction_takes_the_oldest(
    authserver: AuthServer, asking: RegisteredClient, alice: User
):
    browser = authserver.browser(alice)
    begun = [_begin(authserver, browser, asking) for _ in range(12)]
    for page, interaction in begun[:2]:
        assert_shown(browser.visit(f"/consent?interaction={interaction}"), "interaction_lost")
        assert_shown(browser.allow(page), "interaction_lost")
    for page, _ in begun[2:]:
        code_of(browser.allow(page))


def test_a_hundred_starts_leave_the_cookies_small(authserver: AuthServer, asking: RegisteredClient):
    browser = authserver.browser()
    for _ in range(100):
        _begin(authserver, browser, asking)
    assert len("; ".join(f"{name}={value}" for name, value in browser.http.cookies.items())) < 1024


# What may change while a page is open.


def test_a_client_that_was_switched_off_gets_no_code(authserver: AuthServer, asking: RegisteredClient, alice: User):
    browser = authserver.browser(alice)
    page, _ = _begin(authserver, browser, asking)
    clients.set_disabled(authserver.store, asking.client_id, disabled=True, actor="test")
    with authserver.later(2):
        assert_shown(browser.allow(page))


def test_a_redirect_uri_that_was_taken_away_gets_no_code(authserver: AuthServer, asking: RegisteredClient, alice: User):
    browser = authserver.browser(alice)
    page, _ = _begin(authserver, browser, asking)
    registered = authserver.store.clients.get(asking.client_id)
    assert registered is not None
    metadata = {**registered.metadata, "redirect_uris": ["https://client.test/other"]}
    clients.update(authserver.store, authserver.sealer, asking.client_id, metadata, actor="test")
    authserver.server.forget()
    assert_shown(browser.allow(page))


def test_a_scope_that_was_taken_away_is_not_granted(authserver: AuthServer, asking: RegisteredClient, alice: User):
    browser = authserver.browser(alice)
    page, _ = _begin(authserver, browser, asking, scope="openid email")
    registered = authserver.store.clients.get(asking.client_id)
    assert registered is not None
    metadata = {**registered.metadata, "scope": "openid profile"}
    clients.update(authserver.store, authserver.sealer, asking.client_id, metadata, actor="test")
    authserver.server.forget()
    page = browser.allow(page)
    assert page.location is None or "error" in page.callback
    for grant in authserver.store.grants.of_user(alice.sub):
        assert grant.client_id != asking.client_id or "email" not in grant.scope


def test_a_client_that_takes_signed_answers_only_by_now_gets_no_other(
    authserver: AuthServer, asking: RegisteredClient, alice: User
):
    browser = authserver.browser(alice)
    page, _ = _begin(authserver, browser, asking)
    registered = authserver.store.clients.get(asking.client_id)
    assert registered is not None
    metadata, members = {**registered.metadata, "response_modes": ["jwt"]}, authserver.server.registry.CLIENT_METADATA
    clients.update(authserver.store, authserver.sealer, asking.client_id, metadata, actor="test", members=members)
    authserver.server.forget()
    assert_shown(browser.allow(page), "invalid_client")


def test_a_session_that_ended_meanwhile_gets_no_code(authserver: AuthServer, asking: RegisteredClient):
    user = authserver.user("interaction-ended")
    browser = authserver.browser(user)
    page, _ = _begin(authserver, browser, asking)
    authserver.store.sessions.end_all(user.sub, "administrator", Event("session.ended", sub=user.sub))
    page = browser.allow(page)
    assert page.location is None
    assert "login-submit" in page.text


def test_a_user_who_was_switched_off_meanwhile_gets_no_code(authserver: AuthServer, asking: RegisteredClient):
    user = authserver.user("interaction-disabled")
    browser = authserver.browser(user)
    page, _ = _begin(authserver, browser, asking)
    users.set_disabled(authserver.store, user, disabled=True, actor="test")
    page = browser.allow(page)
    assert page.location is None
    assert "login-submit" in page.text


def test_the_decision_of_one_account_is_not_the_decision_of_another(
    authserver: AuthServer, asking: RegisteredClient, alice: User, bob: User
):
    browser = authserver.browser(alice)
    page, interaction = _begin(authserver, browser, asking)
    switch = browser.visit(f"/login?interaction={interaction}&switch=1")
    now_bob = browser.log_in(switch, "bob", PASSWORD)
    assert "consent-allow" in now_bob.text
    stale = browser.allow(page)
    assert stale.location is None, "the page that was shown to Alice does not decide for Bob"
    code_of(browser.allow(browser.visit(f"/consent?interaction={interaction}")))
    assert [g for g in authserver.store.grants.of_user(alice.sub) if g.client_id == asking.client_id] == []


def test_the_cookie_changes_at_sign_in(authserver: AuthServer, asking: RegisteredClient, alice: User):
    browser = authserver.browser()
    page, _ = _begin(authserver, browser, asking)
    before = dict(browser.http.cookies)
    browser.log_in(page, "alice", PASSWORD)
    after = dict(browser.http.cookies)
    assert before.keys() == after.keys()
    assert before != after


def test_prompt_none_opens_no_interaction(authserver: AuthServer, asking: RegisteredClient):
    browser = authserver.browser()
    page = browser.visit_request(authserver.request(asking, authserver.pkce(), prompt="none"))
    assert_sent_back(page, "login_required", asking)
    assert dict(browser.http.cookies) == {}


def test_one_request_makes_one_grant_in_every_response_mode(authserver: AuthServer, client: RegisteredClient):
    for mode in ("query", "fragment", "form_post"):
        user = authserver.user(f"interaction-{mode}")
        authserver.browser(user).visit_request(authserver.request(client, authserver.pkce(), response_mode=mode))
        assert len(authserver.store.grants.of_user(user.sub)) == 1, mode

from concurrent.futures import ThreadPoolExecutor

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.web.walking import start


def test_the_page_says_who_asks_for_what_where_and_for_how_long(
    authserver: AuthServer, client: RegisteredClient, signed_in: Browser
) -> None:
    authserver.resource("https://photos.test/", "api:read", name="Photo archive")
    request = authserver.request(
        client,
        authserver.pkce(),
        scope="openid email offline_access api:read",
        resource="https://photos.test/",
        prompt="consent",
    )
    text = start(signed_in, request).text
    for words in (
        "Holiday Photos",
        "client.test",
        "signed in as <strong><bdi>alice",
        "Confirm who you are",
        "See your e-mail address",
        "for 365 days at the most",
        "At <bdi>Photo archive",
        "Use api:read",
        "Also while you are away",
    ):
        assert words in text
    assert "offline_access" not in text


def test_without_offline_access_it_ends_with_the_sign_in(consent_page: Page) -> None:
    assert "Until you sign out in this browser" in consent_page.text
    assert "while you are away" not in consent_page.text


def test_allowing_answers_with_a_code_and_denying_with_access_denied(
    authserver: AuthServer, client: RegisteredClient, signed_in: Browser, consent_page: Page
) -> None:
    assert signed_in.deny(consent_page).callback["error"] == "access_denied"
    page = start(signed_in, authserver.request(client, authserver.pkce()))
    assert "code" in signed_in.allow(page).callback


@pytest.mark.parametrize("decision", [None, "", "yes", "ALLOW", "allow,deny"])
def test_only_the_two_buttons_decide(signed_in: Browser, consent_page: Page, decision: str | None) -> None:
    form = consent_page.form("consent-allow")
    data = {**form.fields, **({"decision": decision} if decision is not None else {})}
    assert signed_in.http.post(form.action, data=data).status_code == 400
    assert "code" in signed_in.allow(consent_page).callback


def test_a_post_without_a_rendered_page_of_this_transaction_is_refused(
    authserver: AuthServer, client: RegisteredClient, signed_in: Browser, consent_page: Page
) -> None:
    form = consent_page.form("consent-allow")
    other = start(signed_in, authserver.request(client, authserver.pkce())).form("consent-allow")
    assert other.action != form.action
    for token in ("", other.fields["csrf_token"]):
        response = signed_in.http.post(form.action, data={"decision": "allow", "csrf_token": token})
        assert response.status_code == 403
    assert "consent-allow" in signed_in.visit(consent_page.url).text


def test_a_page_shown_to_one_account_does_not_decide_for_another(
    authserver: AuthServer, signed_in: Browser, consent_page: Page
) -> None:
    authserver.user("bob")
    page = signed_in.visit(consent_page.url.replace("/consent", "/login") + "&switch=1")
    signed_in.log_in(page, "bob", PASSWORD)
    form = consent_page.form("consent-allow")
    response = signed_in.http.post(form.action, data={**form.fields, "decision": "allow"})
    assert response.status_code == 403


def test_two_clicks_on_allow_are_one_code(
    authserver: AuthServer, client: RegisteredClient, signed_in: Browser, consent_page: Page
) -> None:
    """A double click gives the same result, not two codes."""
    form = consent_page.form("consent-allow")
    data = {**form.fields, "decision": "allow"}
    cookie = {"Cookie": f"authserver={signed_in.http.cookies['authserver']}"}

    def click(_: int) -> str:
        http = authserver.http()
        resume = http.post(form.action, data=data, headers=cookie).headers["location"]
        return http.get(resume, headers=cookie).headers["location"]

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(click, range(4)))
    assert len(answers) == 1
    assert "code=" in answers.pop()


def test_a_session_that_ended_while_the_page_was_open_decides_nothing(
    authserver: AuthServer, alice: User, signed_in: Browser, consent_page: Page
) -> None:
    from authserver.records import Event

    authserver.store.sessions.end_all(alice.sub, "administrator", Event("session.ended", "test"))
    page = signed_in.allow(consent_page)
    assert "login-submit" in page.text
    assert authserver.store.grants.of_user(alice.sub) == ()


def test_no_key_that_is_pressed_too_early_decides(consent_page: Page) -> None:
    """Whoever was still typing when the page came has pressed no button of it (RFC 9700 4.16)."""
    assert "autofocus" not in consent_page.text
    assert not [name for name in consent_page.form("consent-allow").fields if name != "csrf_token"]


def test_opening_the_page_changes_nothing(authserver: AuthServer, alice: User, consent_page: Page) -> None:
    assert authserver.store.consents.of_user(alice.sub) == ()
    assert authserver.store.grants.of_user(alice.sub) == ()


def test_an_application_that_registered_itself_is_shown_as_such(authserver: AuthServer, signed_in: Browser) -> None:
    from authserver.manage import clients

    metadata = {"client_name": "Totally Your Bank", "redirect_uris": ["https://evil.test/cb"]}
    answer = clients.register(authserver.store, authserver.sealer, metadata, actor="anybody", origin="registration")
    client = RegisteredClient(answer["client_id"], answer["client_secret"], "https://evil.test/cb", answer)
    page = start(signed_in, authserver.request(client, authserver.pkce(), scope="openid"))
    assert 'id="unverified"' in page.text
    assert "evil.test" in page.text


def test_names_of_clients_are_text_and_their_links_are_web_pages(authserver: AuthServer, signed_in: Browser) -> None:
    client = authserver.client(client_name='<script>alert("x")</script> & co', policy_uri="https://client.test/privacy")
    page = start(signed_in, authserver.request(client, authserver.pkce()))
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    assert 'href="https://client.test/privacy" rel="noopener noreferrer"' in page.text

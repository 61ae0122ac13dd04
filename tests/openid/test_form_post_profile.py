"""Form Post OP: the page that carries the answer, beside what it shares with the Basic OP (``test_basic_*.py``)."""

from html.parser import HTMLParser

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Page
from tests.openid.party import Party, Variant

AWKWARD = "\"'><script>alert(1)</script>&amp;&quot;%22\u2028\N{SNOWMAN}"


@pytest.fixture(scope="module")
def party(provider: AuthServer) -> Party:
    return Party(provider, Variant(response_mode="form_post"))


class Scripts(HTMLParser):
    """Collects the nonces of a page's scripts, and everything that runs without one."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.nonces: list[str | None] = []
        self.handlers: list[str] = []
        self.feed(page.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.nonces.append(dict(attrs).get("nonce"))
        self.handlers += [name for name, value in attrs if name.startswith("on") or "javascript:" in (value or "")]


def test_an_error_is_posted_like_a_success(party: Party, berta: User):
    for mistake, error in (
        ({"prompt": "none"}, "login_required"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "openid", "prompt": "none login"}, "invalid_request"),
    ):
        assert party.error(party.browser().visit_request(party.request(**mistake))) == error
    refusing = Party(party.provider, party.variant)
    browser = refusing.browser(berta)
    assert refusing.error(browser.deny(browser.visit_request(refusing.request()))) == "access_denied"


def test_what_the_client_sent_stays_a_value_of_the_form(party: Party, berta: User):
    page = party.browser(berta).authorize(party.request(state=AWKWARD))
    assert party.answer(page)["state"] == AWKWARD
    assert len(Scripts(page).nonces) == 1


def test_the_page_posts_by_itself_under_its_own_policy(party: Party, berta: User):
    page = party.ask(party.browser(berta))
    scripts, policy = Scripts(page), page.headers["content-security-policy"]
    assert scripts.handlers == []
    assert f"'nonce-{scripts.nonces[0]}'" in policy
    assert "unsafe-inline" not in policy
    assert "form-action 'self' https://client.test" in policy
    assert page.headers["cache-control"] == "no-store"

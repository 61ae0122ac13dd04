"""What the browser never gets: a token, a secret, a script that is not the page's own."""

import json
import re

import pytest

from tests.browser.demonstration import Person
from tests.browser.walker import Walker

# Access and refresh tokens, client secrets, and anything that begins like a JWT.
SECRET = re.compile(r"as[ars]_[A-Za-z0-9_-]{20}|eyJ[A-Za-z0-9_-]{10}")
SCRIPT_SEES = """() => JSON.stringify([
    document.cookie, {...localStorage}, {...sessionStorage}, document.documentElement.outerHTML, history.state, name,
    location.href, performance.getEntries().map(entry => entry.name),
])"""


def test_no_token_reaches_the_browser(walker: Walker, person: Person):
    walker.log_in(person)
    seen = [walker.page.evaluate(SCRIPT_SEES)]
    walker.add("A note")
    walker.page.click("#notes li button")
    walker.page.wait_for_selector("#notes li", state="detached")
    seen += [walker.page.evaluate(SCRIPT_SEES), json.dumps(walker.page.context.cookies())]
    walker.page.click("#logout")
    walker.page.wait_for_selector(".notice")
    seen.append(walker.page.evaluate(SCRIPT_SEES))
    # The one JWT on the way: the ID token as a hint to the provider's logout, in a URL that no script gets to see.
    hint = [url for url in walker.received if "id_token_hint=" in url]
    bodies = {url: texts for url, texts in walker.received.items() if url not in hint}
    assert {f"{walker.demo.web}/", f"{walker.demo.web}/api/notes", f"{walker.demo.web}/api/almanac"} <= set(bodies)
    assert all(texts[-1].count("\n") for texts in bodies.values())
    found = [url for url, texts in bodies.items() if any(SECRET.search(url + text) for text in texts)]
    assert found == []
    assert [text[:80] for text in seen if SECRET.search(text)] == []


def test_cookies_are_few_and_closed_to_scripts(walker: Walker, person: Person):
    walker.log_in(person)
    cookies = walker.page.context.cookies()
    assert {cookie["name"] for cookie in cookies} == {"authserver", "bff"}
    assert all(cookie["httpOnly"] and cookie["sameSite"] == "Lax" and cookie["path"] == "/" for cookie in cookies)
    assert walker.page.evaluate("document.cookie") == ""
    assert walker.page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]


def test_every_page_has_a_strict_policy_and_keeps_to_it(walker: Walker, person: Person):
    walker.log_in(person)
    for name in ("security", "sessions", "apps"):
        walker.account(name)
    walker.open("/no-such-page")
    walker.page.goto(f"{walker.demo.issuer}/authorize")
    shown = {url: policy for url, policy in walker.policies.items() if policy}
    # Welcome, sign-in, consent, home, three account pages, two error pages; redirects have nothing to protect.
    assert len(shown) >= 8
    for url, policy in shown.items():
        rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
        assert rules["default-src"] == "'none'", url
        assert rules["frame-ancestors"] == rules["base-uri"] == "'none'", url
        assert rules["style-src"] == "'self'", url
        assert rules.get("script-src", "'self'") == "'self'", url
        assert "unsafe" not in policy, url
        assert "*" not in policy, url


@pytest.mark.parametrize("place", ["/account/apps", "/login", "/account/security"])
def test_no_page_of_another_origin_may_frame_ours(walker: Walker, person: Person, place: str):
    walker.log_in(person)
    blank = walker.page.context.new_page()
    blank.goto("about:blank")
    blank.set_content(f'<iframe src="{walker.demo.issuer}{place}"></iframe>')
    blank.wait_for_timeout(500)
    assert all("authserver" not in frame.content() for frame in blank.frames[1:])
    walker.violations.clear()


def test_another_sites_page_cannot_call_the_apis(walker: Walker, person: Person):
    walker.log_in(person)
    other = walker.page.context.new_page()
    other.goto(f"{walker.demo.issuer}/health/live")
    script = (
        """url => fetch(url, {credentials: "include", headers: {"X-CSRF": "1"}}).then(() => "read", () => "refused")"""
    )
    assert other.evaluate(script, f"{walker.demo.web}/api/notes") == "refused"
    walker.violations.clear()

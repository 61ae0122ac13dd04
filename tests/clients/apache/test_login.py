"""mod_auth_openidc as an OpenID Connect client, with docs/apache/login.conf, in front of an application."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from authserver.manage import sessions
from tests.clients.apache.conftest import ALBUMS, Sites
from tests.servers.fixtures import NewPage

_PATIENCE = 10


def _query(url: str) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}


@pytest.mark.parametrize("site", ALBUMS)
def test_the_application_is_told_who_has_signed_in(sites: Sites, site: str):
    with sites.visitor(name="Alice Liddell") as visitor:
        answer = visitor.open(f"{sites.at[site]}/photos?page=2")
        told: dict[str, Any] = answer.json()
        assert str(answer.url) == f"{sites.at[site]}/photos?page=2"
        assert told["SIGNEDINUSER"] == visitor.user.sub
        assert told["SIGNEDINNAME"] == "Alice Liddell"
        assert told["SIGNEDINEMAIL"] == f"{visitor.user.username}@example.test"
        assert "COOKIE" not in told
    asked = _query(visitor.sent_to[0])
    assert (asked["response_mode"], asked["code_challenge_method"]) == ("form_post", "S256")
    assert visitor.forms[0].keys() == {"code", "state", "iss"}


def test_nobody_says_who_they_are_by_a_header(sites: Sites):
    with sites.visitor() as visitor:
        visitor.open(sites.at["secret"])
        lies = dict.fromkeys(
            ("signedinuser", "SignedInName", "OIDC_CLAIM_sub", "OIDC-CLAIM-name", "Remote-User"), "root"
        )
        told = visitor.http.get(sites.at["secret"], headers=lies).json()
        assert told["SIGNEDINUSER"] == visitor.user.sub
        assert told["SIGNEDINNAME"] == ""
        assert not [name for name in told if name.startswith("OIDC")]


def test_tokens_are_renewed_before_they_end(sites: Sites):
    with sites.visitor() as visitor:
        tokens = [visitor.open(sites.at["secret"]).json()["SIGNEDINTOKEN"] for _ in range(4)]
        assert len(visitor.forms) == 1
    assert len(set(tokens)) == 4
    assert sites.world.introspect(sites.clients["secret"], tokens[-1])["sub"] == visitor.user.sub


def test_two_tabs_may_renew_at_the_same_time(sites: Sites):
    with sites.visitor() as visitor, ThreadPoolExecutor(2) as tabs:
        visitor.open(sites.at["secret"])
        answers = list(tabs.map(visitor.http.get, [sites.at["secret"]] * 2))
        assert [answer.status_code for answer in answers] == [200, 200]
        assert visitor.http.get(sites.at["secret"]).status_code == 200


@pytest.mark.parametrize("site", ALBUMS)
def test_who_signs_out_is_signed_out_everywhere(sites: Sites, site: str):
    goodbye = f"{sites.at[site]}/goodbye"
    with sites.visitor() as visitor:
        token = visitor.open(sites.at[site]).json()["SIGNEDINTOKEN"]
        del visitor.sent_to[:]
        left = visitor.open(f"{sites.at[site]}/.oidc?logout={quote(goodbye, safe='')}")
        assert visitor.sent_to[0].startswith(f"{sites.world.issuer}/logout?")
        assert "id_token_hint" in _query(visitor.sent_to[0])
        assert str(left.url) == goodbye
        visitor.open(sites.at[site])
        assert len(visitor.forms) == 2
    with sites.world.http() as http:
        assert http.get("/userinfo", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_who_is_signed_out_at_the_server_is_signed_out_here(sites: Sites):
    # At the other site a token that cannot be renewed would end the session, too.
    with sites.visitor() as visitor:
        visitor.open(sites.at["key"])
        assert visitor.http.get(sites.at["key"]).status_code == 200
        sessions.end_all(sites.world.store, visitor.user.sub, actor="test")
        assert visitor.http.get(sites.at["key"]).status_code == 200
        sites.world.server.deliveries.run()
        sites.world.server.deliveries.wait(_PATIENCE)
        answer = visitor.http.get(sites.at["key"])
        assert answer.headers["location"].startswith(f"{sites.world.issuer}/authorize?")


def test_who_cannot_renew_is_signed_out(sites: Sites):
    with sites.visitor() as visitor:
        visitor.open(sites.at["secret"])
        sessions.end_all(sites.world.store, visitor.user.sub, actor="test")
        answers = [visitor.http.get(sites.at["secret"]) for _ in range(2)]
    assert answers[0].headers["location"] == f"{sites.at['secret']}/goodbye"
    assert answers[1].headers["location"].startswith(f"{sites.world.issuer}/authorize?")


def test_a_browser_brings_the_cookies_with_the_form_from_another_site(sites: Sites, new_page: NewPage):
    # To a browser localhost is one site and 127.0.0.1 another.
    user = sites.world.user("barbara")
    page = new_page(ignore_https_errors=True)
    page.goto(f"{sites.at['secret']}/photos")
    page.fill("#username", user.username)
    page.fill("#password", "correct horse battery staple")
    page.click("#login-submit")
    page.click("#consent-allow")
    page.wait_for_url(f"{sites.at['secret']}/photos")
    page.reload()
    assert user.sub in page.content()
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies(sites.at["secret"])}
    assert cookies["__Host-session"]["sameSite"] == "Lax"

"""Whole flows with debug logging: nothing that was issued or typed is in the log (OWASP ASVS 16.2.5)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pytest

from pytest_authserver import AuthServer, Browser, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.assertions import claims, keyed_client, signed
from tests.faults.deployment import Deployment, deployed

pytestmark = pytest.mark.slow

WRONG = "not the right password at all"


class Collected:
    """Everything secret that passed by."""

    def __init__(self) -> None:
        self.values: set[str] = set()

    def add(self, *values: str | None) -> None:
        """Note values, as they are and as they travel."""
        for value in values:
            if value:
                self.values |= {value, quote(value, safe="")}

    def add_tokens(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Note what a token response holds."""
        self.add(*(answer.get(name) for name in ("access_token", "refresh_token", "id_token")))
        return answer


@pytest.fixture(params=["json", "text"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    environ = {"AUTHSERVER_WORKERS": "1", "AUTHSERVER_LOG_LEVEL": "debug", "AUTHSERVER_LOG_FORMAT": request.param}
    with deployed(tmp_path, environ) as made:
        yield made


def _walk(
    http: httpx2.Client, world: AuthServer, client: RegisteredClient, seen: Collected, mode: str
) -> dict[str, Any]:
    """Walk the code flow page by page, with a wrong password first."""
    browser, pkce = Browser(http, world.issuer), world.pkce()
    request = world.request(client, pkce, nonce="the-nonce-of-this-flow", response_mode=mode, prompt="consent")
    page = browser.visit_request({**request, "scope": "openid profile email offline_access"})
    if "login-submit" in page.text:
        seen.add(page.form("login-submit").fields["csrf_token"])
        page = browser.log_in(page, "alice", WRONG)
        page = browser.log_in(page, "alice", PASSWORD)
    seen.add(page.form("consent-allow").fields["csrf_token"])
    seen.add(*parse_qs(urlsplit(page.url).query)["interaction"], *browser.http.cookies.values())
    page = browser.allow(page)
    code = page.form("code").fields["code"] if mode == "form_post" else page.callback["code"]
    seen.add(code, pkce.verifier)
    sent = {"grant_type": "authorization_code", "code": code, "code_verifier": pkce.verifier}
    answers = [
        http.post("/token", data={**sent, "redirect_uri": request["redirect_uri"]}, auth=client.basic) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 400]
    return seen.add_tokens(answers[0].json())


def _use(http: httpx2.Client, world: AuthServer, seen: Collected) -> None:
    """Use tokens and credentials at every endpoint, rightly and wrongly."""
    client, user = world.client(), world.user("bob")
    in_body = {"client_id": client.client_id, "client_secret": client.client_secret}
    seen.add(client.client_secret)
    tokens = seen.add_tokens(world.tokens(client, user, scope="openid offline_access"))
    for _ in range(2):
        sent = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **in_body}
        seen.add_tokens(http.post("/token", data=sent).json())
    http.get("/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    http.get(f"/userinfo?access_token={tokens['access_token']}")
    http.post("/userinfo", data={"access_token": tokens["access_token"]})
    http.post(f"/token?client_secret={client.client_secret}", data=in_body)
    for path in ("/introspect", "/revoke"):
        for value in tokens.values():
            http.post(path, data={"token": value, **in_body})
    wrong = {**in_body, "client_secret": client.client_secret[::-1]}
    seen.add(wrong["client_secret"])
    http.post("/token", data={**wrong, "grant_type": "client_credentials"})
    http.get("/logout", params={"id_token_hint": tokens["id_token"]})
    http.get("/authorize", params={"id_token_hint": tokens["id_token"], "client_id": client.client_id})
    keyed = keyed_client(world, access_token_format="jwt")
    assertion = signed(claims(world, keyed))
    seen.add(assertion["client_assertion"])
    for _ in range(2):
        sent = {"grant_type": "client_credentials", "scope": "api:read", **assertion}
        seen.add_tokens(http.post("/token", data=sent).json())


def test_nothing_that_was_issued_or_typed_is_in_the_log(deployment: Deployment) -> None:
    world, seen = deployment.world, Collected()
    world.resource("https://api.test/", "api:read")
    world.user("alice")
    node = deployment.serve()
    client = world.client()
    seen.add(PASSWORD, WRONG, "the-nonce-of-this-flow", client.client_secret)
    with httpx2.Client(base_url=world.issuer, trust_env=False, timeout=60) as http:
        for mode in ("query", "fragment", "form_post"):
            _walk(http, world, client, seen, mode)
        _use(http, world, seen)
    node.group.process.terminate()
    node.group.wait()
    log = node.group.output
    assert len(seen.values) > 40
    assert "/token" in log, "there is a log"
    assert "/authorize" in log
    assert [value for value in seen.values if value in log] == []

"""A disabled account or client closes every door at once, and enabling it again opens none of the old ones."""

from collections.abc import Callable
from typing import Final, NamedTuple

from authserver.manage import clients, users
from authserver.records import User
from pytest_authserver import Allowed, AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD

JWT_API: Final = "https://jwt.test/"


class Life(NamedTuple):
    """Everything that somebody has at a client: a browser, tokens of each kind, a code, pages that are open."""

    server: AuthServer
    alice: User
    client: RegisteredClient
    watcher: RegisteredClient
    browser: Browser
    opaque: str
    jwt: str
    online: str
    offline: str
    code: Allowed
    consent: Page

    def is_active(self, token: str) -> bool:
        return bool(self.server.introspect(self.watcher, token)["active"])

    def own_active(self, token: str) -> bool:
        """Ask as the client itself, as a refresh token is nobody else's."""
        return bool(self.server.introspect(self.client, token).get("active"))

    def answered(self, **parameters: str) -> dict[str, str]:
        """Make an authorization request in the browser that is signed in."""
        request = self.server.request(self.client, self.server.pkce(), scope="openid profile", **parameters)
        return self.browser.visit_request(request).callback


def lead(server: AuthServer) -> Life:
    """Let alice use a client for a while."""
    server.resource(JWT_API, "jwt:read", token_format="jwt")
    alice = server.user("alice")
    client = server.client(scope="openid profile email offline_access jwt:read", resources=[JWT_API])
    browser = server.browser(alice)
    asked = server.request(client, server.pkce(), scope="openid profile")
    assert "code" in browser.authorize(asked).callback
    online = server.tokens(client, alice, scope="openid profile")
    offline = server.tokens(client, alice, scope="openid offline_access", prompt="consent")
    code = server.allow(client, alice, scope="openid")
    of_api = server.tokens(client, alice, scope="openid jwt:read", resource=JWT_API)
    consent = browser.visit_request(server.request(client, server.pkce(), scope="openid email"))
    return Life(
        server=server,
        alice=alice,
        client=client,
        watcher=server.client(introspects_all=True),
        browser=browser,
        opaque=online["access_token"],
        jwt=of_api["access_token"],
        online=online["refresh_token"],
        offline=offline["refresh_token"],
        code=code,
        consent=consent,
    )


def sees_own_page(life: Life) -> bool:
    return life.browser.visit("/account").url.endswith("/account")


def can_log_in(life: Life) -> bool:
    browser = life.server.browser()
    page = browser.log_in(browser.visit("/login"), "alice", PASSWORD)
    return page.status == 200 and page.url.endswith("/account")


# Doors that are alice's and the client's together; each says whether it is open.
SHARED: Final[dict[str, Callable[[Life], bool]]] = {
    "userinfo": lambda life: life.server.get("/userinfo", life.opaque).status_code == 200,
    "userinfo with a JWT": lambda life: life.server.get("/userinfo", life.jwt).status_code == 200,
    "introspection": lambda life: life.is_active(life.opaque),
    "introspection of a JWT": lambda life: life.is_active(life.jwt),
    "introspection of a refresh token": lambda life: life.own_active(life.offline),
    "authorization at once": lambda life: "code" in life.answered(),
    "authorization without a page": lambda life: "code" in life.answered(prompt="none"),
    "consent": lambda life: "code" in life.browser.submit(life.consent, "consent-allow").callback,
    "code": lambda life: life.server.redeem(life.client, life.code).status_code == 200,
    "refresh token": lambda life: life.server.refresh(life.client, life.online).status_code == 200,
    "offline refresh token": lambda life: life.server.refresh(life.client, life.offline).status_code == 200,
}
OF_ACCOUNT: Final = {**SHARED, "session": sees_own_page, "password": can_log_in}
OF_CLIENT: Final = {
    **SHARED,
    "client credentials": lambda life: (
        life.server.token(life.client, grant_type="client_credentials").status_code == 200
    ),
}
# Whoever is enabled again may begin anew; a client also with those who are still signed in.
NEW: Final = {"password", "client credentials"}
SIGNED_IN: Final = {"authorization at once", "authorization without a page", "consent"}


def doors(life: Life, table: dict[str, Callable[[Life], bool]]) -> dict[str, bool]:
    life.server.server.forget()
    return {name: is_open(life) for name, is_open in table.items()}


def test_these_doors_are_open(authserver: AuthServer):
    life = lead(authserver)
    table = {**OF_ACCOUNT, **OF_CLIENT}
    assert doors(life, table) == dict.fromkeys(table, True)


def test_a_disabled_account_finds_every_door_closed_and_the_old_ones_stay_so(authserver: AuthServer):
    life = lead(authserver)
    users.set_disabled(authserver.store, life.alice, disabled=True, actor="test")
    assert doors(life, OF_ACCOUNT) == dict.fromkeys(OF_ACCOUNT, False)
    users.set_disabled(authserver.store, life.alice, disabled=False, actor="test")
    assert doors(life, OF_ACCOUNT) == {name: name in NEW for name in OF_ACCOUNT}


def test_a_disabled_client_finds_every_door_closed_and_the_old_ones_stay_so(authserver: AuthServer):
    life = lead(authserver)
    clients.set_disabled(authserver.store, life.client.client_id, disabled=True, actor="test")
    assert doors(life, OF_CLIENT) == dict.fromkeys(OF_CLIENT, False)
    assert sees_own_page(life)
    clients.set_disabled(authserver.store, life.client.client_id, disabled=False, actor="test")
    assert doors(life, OF_CLIENT) == {name: name in NEW | SIGNED_IN for name in OF_CLIENT}


def test_the_sign_in_page_does_not_tell_a_disabled_account_from_a_wrong_password(authserver: AuthServer):
    alice = authserver.user("alice")
    users.set_disabled(authserver.store, alice, disabled=True, actor="test")
    refused = []
    for password in (PASSWORD, PASSWORD + "x"):
        browser = authserver.browser()
        page = browser.log_in(browser.visit("/login"), "alice", password)
        token = page.form("username").fields["csrf_token"]
        refused.append((page.status, page.text.replace(token, "")))
    assert refused[0] == refused[1]

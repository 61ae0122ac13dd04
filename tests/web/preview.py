"""Takes a picture of every page in every look, into var/screenshots: ``python -m tests.web.preview [page …]``."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page

from pytest_authserver.live import serving
from pytest_authserver.server import PASSWORD, AuthServer
from tests.servers.chromium import running_chromium

LOOKS = {"phone": (375, 740), "desktop": (1280, 800), "small": (320, 568)}
FOLDER = Path("var/screenshots")


def main(wanted: list[str]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), limits={"sign_in_per_address": 1000}) as server,
        running_chromium() as chromium,
    ):
        world(server)
        for size, (width, height) in LOOKS.items():
            for colors in ("light", "dark"):
                context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=colors)
                context.route("https://photos.example/**", lambda route: route.fulfill(body="back"))
                page = context.new_page()
                for name, show in PAGES.items():
                    if wanted and name not in wanted:
                        continue
                    context.clear_cookies()
                    show(server, page)
                    page.screenshot(path=FOLDER / f"{name}-{size}-{colors}.png", full_page=True)
                context.close()


def world(server: AuthServer) -> None:
    server.user("alice", name="Alice Example", phone_number="+31 20 555 0100", locale="en-NL")
    server.user("bob")
    server.resource(
        "https://api.example",
        name="Photo archive",
        scopes={"photos:read": "See your photos and albums", "photos:write": "Add photos to your albums"},
    )
    members = {
        "redirect_uris": ["https://photos.example/callback"],
        "scope": "openid profile email offline_access photos:read photos:write",
        "policy_uri": "https://photos.example/privacy",
        "tos_uri": "https://photos.example/terms",
    }
    server.client(client_id="photos", client_name="Holiday Photos", **members)


def start(server: AuthServer, page: Page, **parameters: str) -> None:
    request = {
        "client_id": "photos",
        "redirect_uri": "https://photos.example/callback",
        "response_type": "code",
        "scope": "openid profile email offline_access photos:read photos:write",
        "resource": "https://api.example",
        "code_challenge": server.pkce().challenge,
        "code_challenge_method": "S256",
        "prompt": "consent",
        **parameters,
    }
    page.goto(f"{server.issuer}/authorize?{urlencode(request)}")


def log_in(page: Page, username: str = "alice", password: str = PASSWORD) -> None:
    page.fill("#username", username)
    page.fill("#password", password)
    page.click("#login-submit")


def login(server: AuthServer, page: Page) -> None:
    start(server, page)


def login_refused(server: AuthServer, page: Page) -> None:
    start(server, page)
    log_in(page, "carol", "wrong")


def select_account(server: AuthServer, page: Page) -> None:
    for name in ("alice", "bob"):
        start(server, page, prompt="login consent")
        log_in(page, name)
    start(server, page, prompt="select_account")


def consent(server: AuthServer, page: Page) -> None:
    start(server, page)
    log_in(page)


def account(path: str) -> Callable[[AuthServer, Page], None]:
    def show(server: AuthServer, page: Page) -> None:
        page.goto(f"{server.issuer}/login")
        log_in(page)
        page.goto(f"{server.issuer}{path}")

    return show


def apps(server: AuthServer, page: Page) -> None:
    consent(server, page)
    page.click("#consent-allow")
    page.wait_for_url("https://photos.example/**")
    page.goto(f"{server.issuer}/account/apps")


def password_refused(server: AuthServer, page: Page) -> None:
    account("/account/security")(server, page)
    page.fill("#current", PASSWORD)
    page.fill("#new", "passwordpassword")
    page.fill("#repeat", "passwordpassword")
    page.click("#password-submit")


def logged_out(server: AuthServer, page: Page) -> None:
    account("/logout")(server, page)
    page.click("#logout-confirm")


def error(server: AuthServer, page: Page) -> None:
    page.goto(f"{server.issuer}/authorize?client_id=nobody")


PAGES: dict[str, Callable[[AuthServer, Page], None]] = {
    "login": login,
    "login_refused": login_refused,
    "select_account": select_account,
    "consent": consent,
    "profile": account("/account"),
    "security": account("/account/security"),
    "password_refused": password_refused,
    "sessions": account("/account/sessions"),
    "apps": apps,
    "logout": account("/logout"),
    "logged_out": logged_out,
    "error": error,
}

if __name__ == "__main__":
    main(sys.argv[1:])

"""Takes a picture of every page in every look, into var/screenshots: ``python -m tests.web.preview [page …]``."""

import json
import sys
import tempfile
from base64 import b32decode
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Page

from pytest_authserver.live import serving
from pytest_authserver.records import RegisteredClient
from pytest_authserver.server import PASSWORD, AuthServer
from tests.authenticator import Authenticator
from tests.backchannel import GRANT_TYPE as CIBA
from tests.devices import begin, device_client
from tests.servers.chromium import running_chromium

LOOKS = {"phone": (375, 740), "desktop": (1280, 800), "small": (320, 568)}
LIMITS = {"sign_in_per_address": 1000, "ciba_open_per_user": 1000, "ciba_requests_per_user": 1000}
_NUMBERS = count()
_SECRETS: dict[str, str] = {}
FOLDER = Path("var/screenshots")


def main(wanted: list[str]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), limits=LIMITS, **SETTINGS) as server,
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


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": [*properties], "properties": properties}


DETAILS = {
    "payment": {
        "description": "Pay {amount.value} {amount.currency} to {creditor}",
        "resources": ["https://bank.example"],
        "json_schema": _object(
            amount=_object(value={"type": "string"}, currency={"enum": ["EUR"]}),
            creditor={"type": "string"},
            creditorAccount=_object(iban={"type": "string"}),
            reference={"type": "string"},
        ),
    },
    "folder": {
        "description": "Work on a folder: {actions}",
        "resources": ["https://api.example"],
        "json_schema": _object(actions={"type": "array", "items": {"type": "string"}}, identifier={"type": "string"}),
    },
}


SETTINGS: dict[str, Any] = {
    "features": {"ciba": True},
    "ciba": {"fresh_seconds": 60},
    "authorization_details_types": DETAILS,
}


def world(server: AuthServer) -> None:
    server.user("alice", name="Alice Example", phone_number="+31 20 555 0100", locale="en-NL")
    server.user("bob")
    server.resource(
        "https://api.example",
        name="Photo archive",
        scopes={"photos:read": "See your photos and albums", "photos:write": "Add photos to your albums"},
    )
    server.resource("https://bank.example", name="First Bank of the Pacific", scopes={})
    members = {
        "authorization_details_types": ["payment", "folder"],
        "redirect_uris": ["https://photos.example/callback"],
        "scope": "openid profile email offline_access photos:read photos:write",
        "policy_uri": "https://photos.example/privacy",
        "tos_uri": "https://photos.example/terms",
    }
    server.client(client_id="photos", client_name="Holiday Photos", **members)
    till = {"grant_types": [CIBA], "redirect_uris": None, "backchannel_token_delivery_mode": "poll"}
    _SECRETS["till"] = server.client(
        client_id="till", client_name="Corner shop", scope=members["scope"], **till
    ).client_secret
    device_client(server, client_id="frame", client_name="Kitchen picture frame", scope=members["scope"])


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


def device(server: AuthServer, page: Page) -> None:
    page.goto(f"{server.issuer}/device")


def device_link(server: AuthServer, page: Page) -> None:
    frame = RegisteredClient("frame", "", "", {})
    codes = begin(server, frame, scope="openid offline_access photos:read", resource="https://api.example")
    page.goto(codes["verification_uri_complete"])


def device_wrong(server: AuthServer, page: Page) -> None:
    device(server, page)
    page.fill("#user_code", "WDJ-MJHT")
    page.click("#device-submit")


def device_sign_in(server: AuthServer, page: Page) -> None:
    device_link(server, page)
    page.click("#device-submit")


def device_confirm(server: AuthServer, page: Page) -> None:
    device_sign_in(server, page)
    log_in(page)


def device_done(button: str) -> Callable[[AuthServer, Page], None]:
    def show(server: AuthServer, page: Page) -> None:
        device_confirm(server, page)
        page.click(button)

    return show


def consent_in_detail(server: AuthServer, page: Page) -> None:
    details = [
        {
            "type": "payment",
            "amount": {"value": "1234.50", "currency": "EUR"},
            "creditor": "<b>Merchant</b> " + "Aotearoa " * 9,
            "creditorAccount": {"iban": "DE02100100109307118603"},
            "reference": "x" * 90,
        },
        {"type": "folder", "actions": ["read", "write"], "identifier": "/holidays/2026"},
    ]
    start(server, page, scope="openid photos:read", authorization_details=json.dumps(details))
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


def set_up(server: AuthServer, page: Page) -> str:
    """Leave somebody with an app, and the recovery codes on the page; return the name."""
    # A code counts once for each account, and this goes faster than codes change.
    name = f"dora{next(_NUMBERS)}"
    server.user(name)
    page.goto(f"{server.issuer}/login")
    log_in(page, name)
    page.goto(f"{server.issuer}/account/second-factor")
    app = Authenticator(b32decode(page.inner_text("#secret").replace(" ", "")), [])
    page.fill("#code", app.code())
    page.click("#second-factor-add")
    page.wait_for_selector("#recovery-codes")
    return name


def set_up_page(server: AuthServer, page: Page) -> None:
    account("/account/second-factor")(server, page)


def set_up_refused(server: AuthServer, page: Page) -> None:
    set_up_page(server, page)
    page.fill("#code", "000000")
    page.click("#second-factor-add")


def recovery_codes(server: AuthServer, page: Page) -> None:
    set_up(server, page)


def second_factor_on(server: AuthServer, page: Page) -> None:
    set_up(server, page)
    page.goto(f"{server.issuer}/account/second-factor")


def security_on(server: AuthServer, page: Page) -> None:
    set_up(server, page)
    page.click("#codes-kept")


def second_step(server: AuthServer, page: Page) -> None:
    name = set_up(server, page)
    page.context.clear_cookies()
    start(server, page)
    log_in(page, name)


def second_step_refused(server: AuthServer, page: Page) -> None:
    second_step(server, page)
    page.fill("#code", "000000")
    page.click("#second-factor-submit")


def second_step_recovery(server: AuthServer, page: Page) -> None:
    second_step(server, page)
    page.click("#use-recovery")


def offer(server: AuthServer, page: Page) -> None:
    start(server, page, acr_values="urn:authserver:mfa")
    log_in(page)


def ask(server: AuthServer, **parameters: str) -> str:
    """Ask a new user something; return the user's name."""
    name = f"carla-{next(_NUMBERS)}"
    server.user(name)
    till = RegisteredClient("till", _SECRETS["till"], "", {})
    for message in ("Till 4, 12.50 EUR", "Till 2, a very long message that somebody has to compare word for word."):
        sent = {"scope": "openid profile photos:read offline_access", "resource": "https://api.example"}
        server.post("/bc-authorize", till, login_hint=name, binding_message=message, **sent, **parameters)
    return name


def requests(server: AuthServer, page: Page) -> None:
    page.goto(f"{server.issuer}/account/requests")
    log_in(page, ask(server))
    page.wait_for_selector("#look-again")


def request(server: AuthServer, page: Page) -> None:
    requests(server, page)
    page.click("main .row .button >> nth=0")
    page.wait_for_selector("#request-allow")


def request_again(server: AuthServer, page: Page) -> None:
    requests(server, page)
    with server.later(61):
        page.click("main .row .button >> nth=0")
        page.wait_for_selector("#request-sign-in")


def request_done(button: str) -> Callable[[AuthServer, Page], None]:
    def show(server: AuthServer, page: Page) -> None:
        request(server, page)
        page.click(button)
        page.wait_for_selector("#look-again")

    return show


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
    "consent_in_detail": consent_in_detail,
    "device": device,
    "device_link": device_link,
    "device_wrong": device_wrong,
    "device_sign_in": device_sign_in,
    "device_confirm": device_confirm,
    "device_allowed": device_done("#device-allow"),
    "device_denied": device_done("#device-deny"),
    "profile": account("/account"),
    "security": account("/account/security"),
    "password_refused": password_refused,
    "sessions": account("/account/sessions"),
    "apps": apps,
    "requests": requests,
    "request": request,
    "request_again": request_again,
    "request_allowed": request_done("#request-allow"),
    "request_denied": request_done("#request-deny"),
    "logout": account("/logout"),
    "logged_out": logged_out,
    "second_factor_set_up": set_up_page,
    "second_factor_refused": set_up_refused,
    "second_factor_on": second_factor_on,
    "recovery_codes": recovery_codes,
    "security_on": security_on,
    "second_step": second_step,
    "second_step_refused": second_step_refused,
    "second_step_recovery": second_step_recovery,
    "offer": offer,
    "error": error,
}

if __name__ == "__main__":
    main(sys.argv[1:])

"""What is asked of people: by an application, by a device, and by who is somewhere else."""

import json
from typing import Any

from authserver.manage import resources
from pytest_authserver import Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests import backchannel, devices
from tests.web.gallery.world import API, BANK, LINKS, SCOPE, Gallery, shown

PAYMENT = {
    "type": "payment",
    "amount": {"value": "1234.50", "currency": "EUR"},
    "creditor": "<b>Merchant</b> " + "Aotearoa " * 9,
    "creditorAccount": {"iban": "DE02100100109307118603"},
    "reference": "x" * 90,
}
CLAIMS = (
    *("name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture"),
    *("website", "gender", "birthdate", "zoneinfo", "locale", "updated_at", "email", "email_verified", "address"),
    *("phone_number", "phone_number_verified"),
)
ENDLESS = "Antidisestablishmentarianism" * 4  # nowhere a place to break
FOLDER = {"type": "folder", "actions": ["read", "write"], "identifier": "/holidays/2026"}


@shown
def consent(gallery: Gallery) -> Page:
    return gallery.start(gallery.browser(gallery.alice))


@shown
def consent_to_a_stranger(gallery: Gallery) -> Page:
    return gallery.start(gallery.browser(gallery.alice), gallery.gifts, scope="openid email", resource=None)


@shown
def consent_to_a_described_application(gallery: Gallery) -> Page:
    return gallery.start(gallery.browser(gallery.alice), gallery.described, scope="openid email", resource=None)


@shown
def consent_in_detail(gallery: Gallery) -> Page:
    details = json.dumps([PAYMENT, FOLDER, {"type": "call"}])
    return gallery.start(gallery.signed_in(), scope="openid photos:read", authorization_details=details, resource=None)


@shown
def consent_to_a_service_without_scopes(gallery: Gallery) -> Page:
    return gallery.start(gallery.browser(gallery.alice), scope="openid", resource=[API, BANK])


@shown
def consent_to_a_service_that_was_removed(gallery: Gallery) -> Page:
    place = "https://a-service-with-a-very-long-host-name.departments.example/api/version-2/"
    gallery.at.resource(place, "thing:do")
    client = gallery.client(client_name=None, scope="openid thing:do", policy_uri=LINKS["policy_uri"])
    browser = gallery.browser(gallery.alice)
    page = gallery.start(browser, client, scope="openid thing:do", resource=place)
    resources.remove(gallery.at.store, place, actor="test")
    gallery.at.server.forget()
    return browser.visit(page.url)


@shown
def consent_to_an_app_on_this_device(gallery: Gallery) -> Page:
    client = gallery.client(
        client_name="Pocket Notes",
        redirect_uris=["com.example.notes:/callback"],
        grant_types=["authorization_code", "refresh_token"],
        token_endpoint_auth_method="none",
        tos_uri=LINKS["tos_uri"],
    )
    claims = json.dumps({"userinfo": {"birthdate": None, "phone_number": None}})
    return gallery.start(gallery.browser(gallery.alice), client, scope="openid profile", claims=claims, resource=None)


def _after(gallery: Gallery, scope: str, *, offline: bool = True, **parameters: str) -> Page:
    """Ask for everything after this was allowed."""
    grants = ["authorization_code", *(["refresh_token"] if offline else [])]
    client, browser = gallery.client(client_name="Albums", grant_types=grants), gallery.browser(gallery.person())
    browser.allow(gallery.start(browser, client, scope=scope, resource=API if "photos" in scope else None))
    return gallery.start(
        browser, client, scope=SCOPE if offline else SCOPE.replace("offline_access ", ""), **parameters
    )


@shown
def consent_to_more(gallery: Gallery) -> Page:
    return _after(gallery, "openid profile")


@shown
def consent_to_something_else(gallery: Gallery) -> Page:
    client, browser = gallery.client(client_name="Albums"), gallery.browser(gallery.person())
    browser.allow(gallery.start(browser, client, scope="profile", resource=None))
    return gallery.start(browser, client, scope="email", resource=None)


@shown
def consent_in_detail_after_another(gallery: Gallery) -> Page:
    client, browser = gallery.client(client_name="Albums"), gallery.browser(gallery.person())
    browser.allow(gallery.start(browser, client, scope="openid", resource=None))
    return gallery.start(
        browser, client, scope="openid", authorization_details=json.dumps([PAYMENT, FOLDER]), resource=None
    )


@shown
def consent_to_more_in_detail(gallery: Gallery) -> Page:
    return _after(gallery, "openid profile", authorization_details=json.dumps([FOLDER]))


@shown
def consent_once_more(gallery: Gallery) -> Page:
    return _after(gallery, SCOPE)


@shown
def consent_to_one_more_of_a_service(gallery: Gallery) -> Page:
    return _after(gallery, "openid profile photos:read", offline=False)


@shown
def consent_for_ever_without_refresh_tokens(gallery: Gallery) -> Page:
    client = gallery.client(client_name="Albums", grant_types=["authorization_code"])
    return gallery.start(gallery.browser(gallery.alice), client)


@shown
def consent_to_every_claim(gallery: Gallery) -> Page:
    scope = "openid profile email address phone offline_access"
    client = gallery.client(client_name="Curious", scope=scope)
    claims = json.dumps({"userinfo": dict.fromkeys(CLAIMS)})
    return gallery.start(gallery.browser(gallery.alice), client, scope="openid", claims=claims, resource=None)


@shown
def consent_to_every_scope(gallery: Gallery) -> Page:
    scope = "openid profile email address phone offline_access"
    client = gallery.client(client_name="Curious", scope=scope)
    return gallery.start(gallery.browser(gallery.alice), client, scope=scope, resource=None)


@shown
def consent_to_an_endless_name(gallery: Gallery) -> Page:
    client = gallery.client(client_name=ENDLESS, redirect_uris=[f"https://{'a' * 60}.{'b' * 60}.example/"], **LINKS)
    return gallery.start(gallery.signed_in(gallery.person("x" * 60)), client)


@shown
def going_back_by_form(gallery: Gallery) -> Page:
    browser = gallery.browser(gallery.alice)
    return gallery.start(browser, gallery.notes, response_mode="form_post", prompt=None)


# A device.


def _codes(gallery: Gallery, client: RegisteredClient | None = None, **parameters: Any) -> dict[str, Any]:
    asked = {"scope": "openid offline_access photos:read", "resource": API, **parameters}
    return devices.begin(gallery.at, client or gallery.frame, **asked)


def _confirmation(gallery: Gallery, client: RegisteredClient | None = None, **parameters: Any) -> tuple[Browser, Page]:
    browser = gallery.signed_in()
    return browser, devices.enter(browser, _codes(gallery, client, **parameters)["user_code"])


@shown
def device(gallery: Gallery) -> Page:
    return gallery.browser().visit("/device")


@shown
def device_by_link(gallery: Gallery) -> Page:
    return gallery.browser().visit(_codes(gallery)["verification_uri_complete"])


@shown
def device_wrong(gallery: Gallery) -> Page:
    browser = gallery.browser()
    return browser.submit(browser.visit("/device"), "device-submit", user_code="WDJ-MJHT")


@shown
def device_unknown(gallery: Gallery) -> Page:
    return devices.enter(gallery.signed_in(), "BCDF-GHJK")


@shown
def device_delayed(gallery: Gallery) -> Page:
    at = gallery.server(limits={"user_codes_per_session": 1})
    browser = gallery.browser(at.user("alice"), at=at)
    devices.enter(browser, "BCDF-GHJK")
    return devices.enter(browser, "BCDF-GHJK")


@shown
def device_sign_in(gallery: Gallery) -> Page:
    return devices.enter(gallery.browser(), _codes(gallery)["user_code"])


@shown
def device_confirm(gallery: Gallery) -> Page:
    return _confirmation(gallery)[1]


def _begun_from(gallery: Gallery, address: str) -> Page:
    with gallery.at.http(address=address) as http:
        codes = http.post(
            "/device_authorization", data={"client_id": gallery.frame.client_id, "scope": "openid"}
        ).json()
    return devices.enter(gallery.signed_in(), codes["user_code"])


@shown
def device_from_elsewhere(gallery: Gallery) -> Page:
    return _begun_from(gallery, "2001:db8:85a3:8d3:1319:8a2e:370:7348")


@shown
def device_from_nowhere(gallery: Gallery) -> Page:
    return _begun_from(gallery, "")


@shown
def device_of_an_endless_name(gallery: Gallery) -> Page:
    return _confirmation(
        gallery, devices.device_client(gallery.at, client_name=ENDLESS), scope="openid", resource=None
    )[1]


@shown
def device_allowed(gallery: Gallery) -> Page:
    browser, page = _confirmation(gallery)
    return browser.submit(page, "device-allow")


@shown
def device_denied(gallery: Gallery) -> Page:
    browser, page = _confirmation(gallery)
    return browser.submit(page, "device-deny")


# Behind the scenes (CIBA).


def _asked(gallery: Gallery, *messages: str, **parameters: Any) -> Browser:
    """Ask somebody new a few things; return their browser."""
    person = gallery.person("carla")
    whole = {"scope": "openid profile photos:read offline_access", "resource": API, **parameters}
    for message in messages:
        backchannel.begin(gallery.at, gallery.till, person, binding_message=message, **whole)
    browser = gallery.browser()
    browser.log_in(browser.visit("/account/requests"), person.username, PASSWORD)
    return browser


def _question(gallery: Gallery, **parameters: Any) -> tuple[Browser, Page]:
    browser = _asked(gallery, "Till 4, 12.50 EUR", **parameters)
    return browser, backchannel.opened(browser)


@shown
def requests_none(gallery: Gallery) -> Page:
    return gallery.browser(gallery.alice).visit("/account/requests")


@shown
def requests(gallery: Gallery) -> Page:
    browser = _asked(
        gallery, "Till 4, 12.50 EUR", "Till 2, a very long message that somebody has to compare, word for word."
    )
    return browser.visit("/account/requests")


@shown
def requests_of_an_endless_name(gallery: Gallery) -> Page:
    person, client = (
        gallery.person("y" * 60),
        backchannel.asking_client(gallery.at, client_name=ENDLESS, scope="openid"),
    )
    backchannel.begin(gallery.at, client, person, binding_message=ENDLESS)
    return gallery.signed_in(person).visit("/account/requests")


@shown
def request_of_an_endless_name(gallery: Gallery) -> Page:
    person, client = (
        gallery.person("z" * 60),
        backchannel.asking_client(gallery.at, client_name=ENDLESS, scope="openid"),
    )
    backchannel.begin(gallery.at, client, person, binding_message=ENDLESS)
    return backchannel.opened(gallery.signed_in(person))


@shown
def request(gallery: Gallery) -> Page:
    return _question(gallery)[1]


@shown
def request_again(gallery: Gallery) -> Page:
    browser, page = _question(gallery)
    with gallery.at.later(61):
        return browser.visit(page.url)


@shown
def request_allowed(gallery: Gallery) -> Page:
    browser, page = _question(gallery)
    return browser.submit(page, "request-allow")


@shown
def request_denied(gallery: Gallery) -> Page:
    browser, page = _question(gallery)
    return browser.submit(page, "request-deny")


@shown
def request_over(gallery: Gallery) -> Page:
    browser, page = _question(gallery)
    with gallery.at.later(601):
        return browser.submit(page, "request-deny")


@shown
def request_in_detail(gallery: Gallery) -> Page:
    details = json.dumps([PAYMENT])
    person = gallery.person("carla")
    backchannel.begin(gallery.at, gallery.till, person, scope="openid", authorization_details=details)
    browser = gallery.browser()
    browser.log_in(browser.visit("/account/requests"), person.username, PASSWORD)
    return backchannel.opened(browser)

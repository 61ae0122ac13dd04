"""The error pages: every refusal of a request that gets a page, every status, every failure of our own."""

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from werkzeug.test import Client

from authserver.identity.passwords import TooBusy
from authserver.jwt import InvalidJWT
from authserver.limits import Exceeded
from authserver.manage import clients
from authserver.oauth import encryption
from authserver.store.errors import BadValue, Busy, Conflict, Unavailable
from pytest_authserver import Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests import encrypted
from tests.web.gallery.world import CALLBACK, PAGES, Gallery, raising, replaced, shown

FORM = "application/x-www-form-urlencoded"
NOTHING: Mapping[str, str] = MappingProxyType({})


# What applications get wrong.


def _refused(name: str, **parameters: Any) -> None:
    PAGES[name] = lambda gallery: gallery.start(gallery.browser(), **parameters)


_refused("unknown_client", client_id="nobody")
_refused("unknown_redirect_uri", redirect_uri="https://elsewhere.example/")
_refused("repeated_address", redirect_uri=[CALLBACK, CALLBACK])
_refused("two_request_objects", request="x", request_uri="https://photos.example/request")
_refused("wrong_request_object", request="a.b.c")
_refused("wrong_request_uri", request_uri="https://photos.example/request")
_refused("pushed_request_gone", request_uri="urn:ietf:params:oauth:request_uri:gone")
_refused("document_unusable", client_id="https://frames.example/nothing")


@shown
def malformed_request(gallery: Gallery) -> Page:
    return gallery.browser().visit("/authorize?client_id=%FF")


@shown
def answer_that_cannot_be_encrypted(gallery: Gallery) -> Page:
    client = gallery.client(jwks={"keys": [encrypted.jwk("rsa")]}, authorization_encrypted_response_alg="RSA-OAEP-256")
    browser = gallery.browser(gallery.alice)
    page = gallery.start(browser, client, response_mode="jwt")
    with replaced(encryption, "_keys", raising(InvalidJWT("gone"))):
        return browser.allow(page)


@shown
def answer_in_a_way_that_was_switched_off(gallery: Gallery) -> Page:
    browser = gallery.browser(gallery.alice)
    page = gallery.start(browser, response_mode="jwt")
    with replaced(gallery.at.server, "response_modes", {}):
        return browser.allow(page)


def _removed(gallery: Gallery, where: str, client: RegisteredClient | None = None) -> Page:
    """Have the application disappear in the middle of an answer, when ``where`` looks for it."""
    browser, find = gallery.browser(gallery.alice), gallery.at.server.query_client
    mode = {"response_mode": "jwt"} if where == "sign" else {"scope": "openid", "resource": None}
    page = gallery.start(browser, client, **mode)

    def lost(client_id: str) -> Any:
        return None if sys._getframe(1).f_code.co_name == where else find(client_id)

    with replaced(gallery.at.server, "query_client", lost):
        return browser.allow(page)


@shown
def application_removed_before_its_answer_is_signed(gallery: Gallery) -> Page:
    return _removed(gallery, "sign")


@shown
def application_removed_before_it_is_stored(gallery: Gallery) -> Page:
    return _removed(gallery, "keep", gallery.described)


@shown
def application_switched_off(gallery: Gallery) -> Page:
    client, browser = gallery.client(), gallery.browser(gallery.alice)
    page = gallery.start(browser, client)
    clients.set_disabled(gallery.at.store, client.client_id, disabled=True, actor="test")
    gallery.at.server.forget()
    return browser.allow(page)


@shown
def too_many_sign_ins(gallery: Gallery) -> Page:
    with replaced(gallery.at.store.ephemeral, "put", raising(Conflict())):
        return gallery.start(gallery.browser())


# What is over.


@shown
def completed(gallery: Gallery) -> Page:
    browser = gallery.browser(gallery.alice)
    page = gallery.start(browser)
    browser.allow(page)
    with gallery.at.later(60):
        return browser.allow(page)


@shown
def lost(gallery: Gallery) -> Page:
    browser = gallery.browser()
    page = gallery.start(browser)
    with gallery.at.later(3600):
        return browser.visit(page.url)


@shown
def form_expired(gallery: Gallery) -> Page:
    browser = gallery.browser()
    return browser.submit(browser.visit("/login"), "login-submit", csrf_token="old", username="a", password="b")


# Posts, and signing out.


def _posted(name: str, body: bytes, path: str = "/authorize", content_type: str = FORM) -> None:
    def way(gallery: Gallery) -> Page:
        browser = gallery.browser()
        return browser._follow(browser.http.post(path, content=body, headers={"Content-Type": content_type}))

    PAGES[name] = way


_posted("posted_too_large", b"state=" + b"x" * 20_000)
_posted("posted_with_a_query", b"client_id=x", "/authorize?client_id=x")
_posted("posted_as_json", b"{}", content_type="application/json")
_posted("posted_malformed", b"client_id=%FF", "/logout")


@shown
def posted_and_cut_off(gallery: Gallery) -> Page:
    browser, headers = gallery.browser(), {"Content-Type": FORM, "Content-Length": "100"}
    return browser._follow(browser.http.post("/authorize", content=iter([b"client_id=x"]), headers=headers))


@shown
def logout_malformed(gallery: Gallery) -> Page:
    return gallery.browser().visit("/logout?state=a&state=b")


def _hint(gallery: Gallery) -> str:
    tokens = gallery.at.tokens(gallery.notes, gallery.alice, scope="openid")
    return str(tokens["id_token"])


@shown
def logout_of_another_application(gallery: Gallery) -> Page:
    return gallery.browser().visit(f"/logout?client_id=photos&id_token_hint={_hint(gallery)}")


@shown
def logout_to_an_unknown_address(gallery: Gallery) -> Page:
    return gallery.browser().visit(f"/logout?post_logout_redirect_uri=https://x/&id_token_hint={_hint(gallery)}")


# Addresses and methods.


@shown
def not_found(gallery: Gallery) -> Page:
    return gallery.browser().visit("/nowhere")


@shown
def method_not_allowed(gallery: Gallery) -> Page:
    return gallery.browser().visit("/logout/confirm")


@shown
def too_large(gallery: Gallery) -> Page:
    browser = gallery.browser()
    page = browser.visit("/login")
    return browser.log_in(page, "alice", "x" * 100_000)


@shown
def address_too_long(gallery: Gallery) -> Page:
    return gallery.start(gallery.browser(), state="s" * 9000)


@shown
def address_of_no_ascii(gallery: Gallery) -> Page:
    environ = {"wsgi.url_scheme": "http", "REQUEST_METHOD": "GET", "PATH_INFO": "/authorize", "QUERY_STRING": "a=\xe9"}
    answer = Client(gallery.at.app).open(environ_overrides=environ, headers={"Accept-Language": gallery.language})
    url = f"{gallery.at.issuer}/authorize"
    return Page(url, answer.status_code, dict(answer.headers.items(True)), answer.text)


@shown
def no_such_decision(gallery: Gallery) -> Page:
    browser = gallery.browser(gallery.alice)
    page = gallery.start(browser)
    page.form("consent-allow").buttons.clear()
    return browser.submit(page, "csrf_token", decision="perhaps")


# What fails on our side.


def _failing(name: str, error: Callable[[], Exception]) -> None:
    def way(gallery: Gallery) -> Page:
        browser = gallery.browser()
        page = browser.visit("/login")
        with replaced(gallery.at.server.passwords, "verify", raising(error())):
            return browser.log_in(page, "alice", PASSWORD)

    PAGES[name] = way


_failing("store_busy", Busy)
_failing("store_away", Unavailable)
_failing("sign_in_busy", TooBusy)
_failing("value_that_no_store_takes", BadValue)
_failing("failure", lambda: RuntimeError("broken"))


@shown
def too_many_strangers(gallery: Gallery) -> Page:
    with replaced(gallery.at.server.limits, "count_stranger", raising(Exceeded(60))):
        return gallery.start(gallery.browser())

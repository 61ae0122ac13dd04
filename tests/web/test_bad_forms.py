"""Bad values in forms that are otherwise right: signed in, the page's own token, one field after the other.

The fields are read from the pages themselves, so a new form is in the table from its first day.
"""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_authserver import AuthServer, Browser, Form, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests import devices
from tests.authenticator import enrol
from tests.web.bad_values import BAD_TEXTS, BAD_VALUES, WORST

FORM = "application/x-www-form-urlencoded"
Open = Callable[[AuthServer, RegisteredClient, Browser], Page]


def _ask(**parameters: str) -> Open:
    return lambda server, client, browser: browser.visit_request(server.request(client, server.pkce(), **parameters))


def _visit(path: str) -> Open:
    return lambda server, client, browser: browser.visit(path)


def _second_factor(server: AuthServer, _: RegisteredClient, browser: Browser) -> Page:
    """Open the page that changes a second factor, with one."""
    page = browser.visit("/account/second-factor")
    if 'id="second-factor-add"' not in page.text:
        return page
    enrol(server, browser, page)
    return browser.visit("/account/second-factor")


def _second_step(server: AuthServer, client: RegisteredClient, browser: Browser) -> Page:
    """Open the page that comes after the password."""
    _second_factor(server, client, browser)
    page = browser.visit("/login?again=1")
    return browser.log_in(page, page.form("username").fields["username"], PASSWORD)


def _device(server: AuthServer, _: RegisteredClient, browser: Browser) -> Page:
    """Open the page that says what a device asks for."""
    return devices.enter(browser, devices.begin(server, devices.device_client(server))["user_code"])


PAGES: dict[str, Open] = {
    "sign in": _ask(prompt="login"),
    "sign up": _ask(prompt="create"),
    "choose an account": _ask(prompt="select_account"),
    "consent": _ask(prompt="consent"),
    "sign out": _visit("/logout"),
    "applications": _visit("/account/apps"),
    "sessions": _visit("/account/sessions"),
    "password": _visit("/account/security"),
    "set up a second factor": _visit("/account/second-factor"),
    "offer of a second factor": _ask(acr_values="urn:authserver:mfa"),
    "change the second factor": _second_factor,
    "second step": _second_step,
    "enter the code of a device": _visit("/device"),
    "connect a device": _device,
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    settings: dict[str, Any] = {"features": {"signup": True}}
    if request.param == "postgresql":
        settings["database_url"] = request.getfixturevalue("postgres").create()
    made = AuthServer(tmp_path_factory.mktemp("bad-forms"), **settings)
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(server: AuthServer) -> RegisteredClient:
    return server.client()


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return iter(range(1_000_000))


def _signed_in(server: AuthServer, client: RegisteredClient, numbers: Iterator[int]) -> Browser:
    """Return a browser of somebody new, who has allowed the client something and is signed in elsewhere, too."""
    user = server.user(f"user-{next(numbers)}")
    server.browser(user)
    browser = server.browser(user)
    browser.authorize(server.request(client, server.pkce()))
    return browser


def _fields(form: Form) -> dict[str, str]:
    """Return what the form sends when its first button is pressed."""
    return {**form.fields, **dict(pressed for pressed in list(form.buttons.values())[:1] if pressed[0])}


def _send(browser: Browser, page: Page, form: Form, body: bytes, content_type: str = FORM) -> httpx2.Response:
    headers = {"Content-Type": content_type, "Origin": browser.origin, "Sec-Fetch-Site": "same-origin"}
    return browser.http.post(urljoin(page.url, form.action or page.url), content=body, headers=headers)


def _check(answer: httpx2.Response, about: str) -> None:
    assert answer.status_code < 500, f"{about}: {answer.status_code} {answer.text[:200]}"
    assert "Traceback" not in answer.text, about
    assert "<script>alert" not in answer.text, about
    location = answer.headers.get("location", "")
    assert location.isprintable(), about
    assert urlsplit(location).hostname in {None, "localhost", "client.test"}, about


def test_every_page_has_a_form_with_fields(
    server: AuthServer, client: RegisteredClient, numbers: Iterator[int]
) -> None:
    for name, open_page in PAGES.items():
        page = open_page(server, client, _signed_in(server, client, numbers))
        assert any(len(_fields(form)) > 1 or name == "sign out" for form in page.forms), name


@pytest.mark.parametrize("name", PAGES)
def test_every_field_takes_every_bad_value(
    server: AuthServer, client: RegisteredClient, numbers: Iterator[int], name: str
) -> None:
    for about in BAD_TEXTS if server.settings.database_url.startswith("sqlite") else WORST:
        browser = _signed_in(server, client, numbers)
        page = PAGES[name](server, client, browser)
        for number, form in enumerate(page.forms):
            for field in _fields(form):
                good = httpx2.QueryParams({key: text for key, text in _fields(form).items() if key != field})
                _check(
                    _send(browser, page, form, f"{good}&{field}={BAD_VALUES[about]}".encode()),
                    f"{name} {field}: {about}",
                )
                if browser.visit("/account").url.endswith("/login"):
                    browser = _signed_in(server, client, numbers)
                page = PAGES[name](server, client, browser)
                if number >= len(page.forms):
                    break
                form = page.forms[number]  # noqa: PLW2901 - its token may be another now


@pytest.mark.parametrize("name", PAGES)
def test_every_form_takes_bodies_of_every_kind(
    server: AuthServer, client: RegisteredClient, numbers: Iterator[int], name: str
) -> None:
    browser = _signed_in(server, client, numbers)
    page = PAGES[name](server, client, browser)
    form = page.forms[0]
    good = str(httpx2.QueryParams(_fields(form))).encode()
    bodies = {
        "nothing": b"",
        "twice": good + b"&" + good,
        "lists": good.replace(b"=", b"[]="),
        "objects": good.replace(b"=", b"[a]="),
        "nul": good + b"\0",
        "not utf-8": good + b"&x=\xff",
        "many fields": good + b"&a=b" * 1001,
        "too large": good + b"&x=" + b"a" * 70_000,
        "json": b'{"csrf_token": "x"}',
    }
    for about, body in bodies.items():
        for content_type in (
            FORM,
            "application/json",
            "multipart/form-data; boundary=x",
            "multipart/form-data",
            "text/plain",
            "x",
            "",
        ):
            _check(_send(browser, page, form, body, content_type), f"{name} {about} {content_type}")
    browser = _signed_in(server, client, numbers)
    page = PAGES[name](server, client, browser)
    assert _send(browser, page, page.forms[0], bodies["too large"]).status_code == 413


@pytest.mark.parametrize("path", ["/authorize", "/logout"])
def test_a_posted_request_of_every_kind_is_kept_or_refused(
    server: AuthServer, client: RegisteredClient, path: str
) -> None:
    with server.http() as http:
        for body, content_type, status in (
            (b"client_id=x", FORM, 303),
            (b"", FORM, 303),
            (b"a[]=1&b[x]=2", FORM, 303),
            (b"state=%ff", FORM, 400),
            (b"state=\xff", FORM, 400),
            (b"state=\0", FORM, 400),
            (b"&".join(b"f%d=a" % number for number in range(101)), FORM, 400),
            (b"state=" + b"a" * 65_536, FORM, 413),
            (b"{}", "application/json", 400),
            (b"client_id=x", "text/plain", 400),
            (b"client_id=x", "multipart/form-data; boundary=x", 400),
            (b"client_id=x", f"{FORM}; charset=utf-16", 400),
        ):
            answer = http.post(path, content=body, headers={"Content-Type": content_type})
            assert answer.status_code == status, (body[:40], content_type, answer.text[:200])
            if status == 303:
                _check(http.get(answer.headers["location"]), path)
            else:
                assert "location" not in answer.headers
                assert 'id="error-code"' in answer.text


@given(st.dictionaries(st.sampled_from(["username", "password", "csrf_token", "x"]), st.text(max_size=60), max_size=4))
def test_no_text_makes_the_sign_in_fail(server: AuthServer, client: RegisteredClient, fields: dict[str, str]) -> None:
    browser = server.browser()
    page = browser.visit("/login")
    form = page.form("login-submit")
    sent = {name: text.encode("utf-8", "replace").decode() for name, text in {**form.fields, **fields}.items()}
    _check(browser.http.post("/login", data=sent), repr(fields))

"""A small user agent: it keeps cookies, follows redirects inside the server, and fills login and consent forms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx2

_MAX_HOPS = 20


@dataclass
class Form:
    """A form of a page: where it goes and what it holds; ``buttons`` are the submits with a name."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass
class Page:
    """What the browser shows: URL, status, headers, text and forms; ``location`` where it was sent elsewhere."""

    url: str
    status: int
    headers: Mapping[str, str]
    text: str
    forms: list[Form] = field(default_factory=list)
    location: str | None = None

    @property
    def callback(self) -> dict[str, str]:
        """Return the parameters with which the browser was sent back to the client (query or fragment)."""
        parts = urlsplit(self.location or "")
        return dict(parse_qsl(parts.fragment or parts.query, keep_blank_values=True))

    @property
    def error_code(self) -> str | None:
        """Return the text of the element with id ``error-code``, or None."""
        _, found, rest = self.text.partition('id="error-code"')
        return rest.partition(">")[2].partition("<")[0].strip() if found else None

    def form(self, name: str) -> Form:
        """Return the form that has a field or button of this name or id; raises LookupError."""
        for form in self.forms:
            if name in form.fields or name in form.buttons:
                return form
        raise LookupError(f"no form with {name} on {self.url} ({self.status})")


class Browser:
    """A person's browser in front of one authorization server."""

    def __init__(self, http: httpx2.Client, issuer: str) -> None:
        self.http = http
        self.issuer = issuer

    def visit(self, url: str) -> Page:
        """Open a URL and follow redirects until a page is shown or the browser is sent elsewhere."""
        return self._follow(self.http.get(urljoin(self.issuer, url)))

    def visit_request(self, parameters: Mapping[str, Any]) -> Page:
        """Make an authorization request; a list repeats a parameter."""
        return self.visit(f"{self.issuer}/authorize?{urlencode(parameters, doseq=True)}")

    def submit(self, page: Page, name: str, /, **values: str) -> Page:
        """Fill and send the form that has a field or button ``name`` (a name or an id)."""
        form = page.form(name)
        data = {**form.fields, **values}
        if name in form.buttons and form.buttons[name][0]:
            data.update([form.buttons[name]])
        url = urljoin(page.url, form.action or page.url)
        if form.method == "get":
            return self._follow(self.http.get(url, params=data))
        headers = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        return self._follow(self.http.post(url, data=data, headers=headers))

    def log_in(self, page: Page, username: str, password: str, *, remember: bool = False) -> Page:
        """Fill the login form; ``remember`` ticks the box that keeps the account signed in."""
        ticked = {"remember": "1"} if remember else {}
        return self.submit(page, "login-submit", username=username, password=password, **ticked)

    def reopen(self) -> None:
        """Close the browser and open it again: cookies without an end of their own are gone (RFC 6265 5.3)."""
        for cookie in list(self.http.cookies.jar):
            if cookie.discard:
                self.http.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)

    def allow(self, page: Page) -> Page:
        """Press the button that allows on the consent page."""
        return self.submit(page, "consent-allow")

    def deny(self, page: Page) -> Page:
        """Press the button that denies on the consent page."""
        return self.submit(page, "consent-deny")

    def authorize(self, parameters: Mapping[str, Any], *, username: str = "", password: str = "") -> Page:
        """Make an authorization request, sign in and consent where asked; return where it ended."""
        page = self.visit_request(parameters)
        for _ in range(3):
            if page.location is not None or not page.forms:
                break
            if "login-submit" in page.text and username:
                page = self.log_in(page, username, password)
            elif "consent-allow" in page.text:
                page = self.allow(page)
            else:
                break
        return page

    @property
    def origin(self) -> str:
        """Return the origin of the server, as the browser would write it."""
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    def _follow(self, response: httpx2.Response) -> Page:
        for _ in range(_MAX_HOPS):
            if not response.is_redirect:
                return _page(response)
            target = urljoin(str(response.url), response.headers["location"])
            if not target.startswith(self.origin + "/"):
                return Page(str(response.url), response.status_code, response.headers, "", location=target)
            response = self.http.get(target)
        raise LookupError(f"more than {_MAX_HOPS} redirects")


def _page(response: httpx2.Response) -> Page:
    reader = _FormReader()
    if response.headers.get("content-type", "").startswith("text/html"):
        reader.feed(response.text)
    return Page(str(response.url), response.status_code, response.headers, response.text, reader.forms)


class _FormReader(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(values.get("action", ""), values.get("method", "get").lower()))
        elif tag in {"input", "button", "textarea"} and self.forms:
            self._field(tag, values)

    def _field(self, tag: str, values: dict[str, str]) -> None:
        name, form = values.get("name", ""), self.forms[-1]
        if tag == "button" or values.get("type") == "submit":
            for key in (name, values.get("id", "")):
                if key:
                    form.buttons[key] = (name, values.get("value", ""))
        elif name and (values.get("type") not in {"checkbox", "radio"} or "checked" in values):
            form.fields[name] = values.get("value", "")

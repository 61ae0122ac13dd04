"""Somebody with one browser in front of an application and of the server that signs people in to it."""

from urllib.parse import urljoin

import httpx2

from authserver.records import User
from pytest_authserver import Browser, Page
from pytest_authserver.server import PASSWORD

_MAX_HOPS = 20


class Visitor:
    """Follows redirects between the two, fills the pages of the server, and remembers where it was sent."""

    def __init__(self, http: httpx2.Client, issuer: str, user: User) -> None:
        self.http = http
        self.user = user
        self.sent_to: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.logins = 0
        self._browser = Browser(http, issuer)

    def open(self, url: str, **options: str) -> httpx2.Response:
        """Open a page of the application; return what is there, when all signing in and out is done."""
        return self._follow(self.http.get(url, headers=options))

    def post(self, url: str, form: dict[str, str]) -> httpx2.Response:
        """Send a form of the application."""
        return self._follow(self.http.post(url, data=form))

    def _follow(self, answer: httpx2.Response) -> httpx2.Response:
        for _ in range(_MAX_HOPS):
            if not answer.is_redirect:
                return answer
            target = urljoin(str(answer.url), answer.headers["location"])
            self.sent_to.append(target)
            answer = self._at_the_server(target) if target.startswith(self._browser.origin) else self.http.get(target)
        raise LookupError(f"more than {_MAX_HOPS} redirects")

    def _at_the_server(self, url: str) -> httpx2.Response:
        page = self._browser.visit(url)
        if page.location is None and "login-submit" in page.text:
            self.logins += 1
            page = self._browser.log_in(page, self.user.username, PASSWORD)
        if page.location is None and "consent-allow" in page.text:
            page = self._browser.allow(page)
        return self._leave(page)

    def _leave(self, page: Page) -> httpx2.Response:
        if page.location is not None:
            self.sent_to.append(page.location)
            return self.http.get(page.location)
        (form,) = page.forms
        assert form.method == "post", page.text
        self.forms.append(form.fields)
        return self.http.post(form.action, data=form.fields, headers={"Origin": self._browser.origin})

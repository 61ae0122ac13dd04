"""A user agent for tests: keeps cookies, follows the log-in by hand, sends what a page would send."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from flask import Flask
from werkzeug.test import TestResponse

from tests.bff.stub import Stub

BASE = "http://localhost:9002"
OWN = {"X-CSRF": "1"}


class Browser:
    def __init__(self, app: Flask, stub: Stub, base: str = BASE) -> None:
        self.http = app.test_client()
        self.stub = stub
        self.base = base

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.http.get(path, base_url=self.base, **more)

    def raw(self, path: str, **headers: str) -> TestResponse:
        """Send a GET with just these headers and no cookie but the given."""
        bare = self.http.application.test_client(use_cookies=False)
        return bare.get(path, base_url=self.base, headers={**OWN, **headers})

    def post(self, path: str, **more: Any) -> TestResponse:
        return self.http.post(path, base_url=self.base, **more)

    def api(self, path: str, method: str = "GET", **more: Any) -> TestResponse:
        headers = {**OWN, **more.pop("headers", {})}
        return self.http.open(path, method=method, base_url=self.base, headers=headers, **more)

    def start(self, query: str = "") -> dict[str, str]:
        """Begin a log-in; gives the parameters of the authorization request."""
        answer = self.get(f"/bff/login{query}")
        assert answer.status_code == 303, answer.text
        self.url = answer.headers["Location"]
        self.asked = parse_qs(urlsplit(self.url).query)
        return {name: values[0] for name, values in self.asked.items()}

    def answered(self, asked: dict[str, str], **changes: str | None) -> str:
        """Let the provider agree; gives the path of the callback with its answer."""
        code = self.stub.authorize(asked, self.asked["resource"])
        answer = {"code": code, "state": asked["state"], "iss": self.stub.issuer, **changes}
        return f"/bff/callback?{urlencode({k: v for k, v in answer.items() if v is not None})}"

    def log_in(self) -> TestResponse:
        answer = self.get(self.answered(self.start()))
        assert answer.status_code == 303, answer.text
        return answer

    def cookie(self, name: str = "bff") -> str | None:
        found = self.http.get_cookie(name, domain=urlsplit(self.base).hostname or "")
        return found.value if found else None


def error_code(page: str) -> str:
    """Give the code that an error page tells."""
    return page.partition('id="error-code">')[2].partition("<")[0]

"""A client that registers itself, and checks of every answer what the certification suite checks of every answer."""

import hashlib
import json
import math
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx2

from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests import verified
from tests.registering import register
from tests.world import assert_shown

if TYPE_CHECKING:
    from playwright.sync_api import Page as Screen

CB = "https://client.test/callback"
INTERACTION = {"login_required", "interaction_required", "account_selection_required", "consent_required"}
STANDARD = {"iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "amr", "sid", "nonce", "at_hash", "c_hash", "s_hash"}
CLAIMS = {
    "profile": {
        "name",
        "given_name",
        "family_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    },
    "email": {"email", "email_verified"},
    "address": {"address"},
    "phone": {"phone_number", "phone_number_verified"},
}
"""Scope values, and the claims that they open (OpenID Connect Core 1.0, 5.4)."""
_ALWAYS = {"state", "iss", "session_state"}
_SECRETS = {"client_secret_basic", "client_secret_post", "client_secret_jwt"}
# RFC 6749 4.1.2.1 and 5.2: what "error" and "error_description" may be made of. RFC 6750 2.1: a token.
_SENTENCE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_OF_TYPE = {"code": {"code"}, "id_token": {"id_token"}, "token": {"access_token", "token_type", "expires_in", "scope"}}


@dataclass(frozen=True)
class Variant:
    """How the clients of a profile ask, and where they look for the answer."""

    response_type: str = "code"
    response_mode: str | None = None
    grant_types: tuple[str, ...] = ("authorization_code",)

    @property
    def place(self) -> str:
        """Return where the answer is: query, fragment or form_post."""
        return self.response_mode or ("query" if self.response_type == "code" else "fragment")


_BOTH = ("authorization_code", "implicit")
VARIANTS = {
    "basic": Variant(),
    "form post": Variant(response_mode="form_post"),
    "code id_token": Variant("code id_token", grant_types=_BOTH),
    "code token": Variant("code token", grant_types=_BOTH),
    "code id_token token": Variant("code id_token token", grant_types=_BOTH),
    "id_token": Variant("id_token", grant_types=("implicit",)),
    "id_token token": Variant("id_token token", grant_types=("implicit",)),
}
"""The profiles that share their modules: Basic OP, Form Post OP, Hybrid OP, Implicit OP."""
IMPLICIT = ["id_token", "id_token token"]
WITH_CODE = [name for name in VARIANTS if name not in IMPLICIT]
WITH_USERINFO = [name for name in VARIANTS if name != "id_token"]


@dataclass
class SignIn:
    """What a client has in the end: authorization response, token response, and what the ID tokens say."""

    answer: dict[str, str]
    tokens: dict[str, Any]
    claims: dict[str, Any]
    front: dict[str, Any] = field(default_factory=dict)


class Party:
    """A relying party of one variant; what is not said is as the suite does it."""

    def __init__(self, provider: AuthServer, variant: Variant, **metadata: Any) -> None:
        self.provider, self.variant = provider, variant
        kinds = {"response_types": [variant.response_type], "grant_types": list(variant.grant_types)}
        assert_key_set(provider)
        self.registration = register(provider, **{"redirect_uris": [CB], **kinds, **metadata})
        assert_registered(provider, self.registration)
        secret = self.registration.get("client_secret", "")
        self.redirect_uri: str = self.registration["redirect_uris"][0]
        self.client = RegisteredClient(self.registration["client_id"], secret, self.redirect_uri, self.registration)

    def request(self, **parameters: Any) -> dict[str, Any]:
        """Return the parameters of an authorization request; None takes one away."""
        asked = {"response_type": self.variant.response_type, "response_mode": self.variant.response_mode}
        return self.provider.request(
            self.client, **{"scope": "openid", "nonce": secrets.token_urlsafe(12), **asked, **parameters}
        )

    def ask(self, browser: Browser, **parameters: Any) -> Page:
        """Make an authorization request and allow what is asked; a sign-in is left to the test."""
        return browser.authorize(self.request(**parameters))

    def answer(self, page: Page, state: str | None = None) -> dict[str, str]:
        """Return the parameters of an authorization response that is in the right place, and nowhere else."""
        if self.variant.place == "form_post":
            assert (page.location, page.status) == (None, 200), page.location or page.error_code
            (form,) = [form for form in page.forms if form.action == self.redirect_uri]
            assert form.method == "post"
            found = form.fields
        else:
            assert page.location is not None, f"{page.status} {page.error_code}"
            mark = "#" if self.variant.place == "fragment" else "&" if "?" in self.redirect_uri else "?"
            assert page.location.startswith(self.redirect_uri + mark)
            assert page.location.count("#") == (mark == "#")
            found = {name: page.callback[name] for name in page.callback if f"{name}=" not in self.redirect_uri}
        assert found["iss"] == self.provider.issuer
        assert state is None or found["state"] == state
        return found

    def error(self, page: Page) -> str:
        """Return the error of a refused request, which tells of nothing else."""
        found = self.answer(page)
        assert found.keys() <= {"state", "iss", "error", "error_description"}
        assert all(_SENTENCE.fullmatch(text) for name, text in found.items() if name.startswith("error"))
        return found["error"]

    def redeem(self, answer: dict[str, str], **changes: Any) -> httpx2.Response:
        """Make the token request for a code, by whatever method the client is registered for."""
        parameters = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": self.redirect_uri}
        return self.post("/token", **{**parameters, **changes})

    def post(self, path: str, **parameters: Any) -> httpx2.Response:
        """Post a form with the client's credentials."""
        if self.registration["token_endpoint_auth_method"] == "client_secret_post":
            own = {"client_id": self.client.client_id, "client_secret": self.client.client_secret}
            return self.provider.post(path, **own, **parameters)
        return self.provider.post(path, self.client, **parameters)

    def sign_in(self, browser: Browser, **parameters: Any) -> SignIn:
        """Ask and redeem, and check everything on the way."""
        asked = self.request(**parameters)
        return self.finish(browser.authorize(asked), asked)

    def sign_in_on(self, screen: "Screen", user: User) -> dict[str, str]:
        """Ask in a real browser, sign in and allow there; return the authorization response."""
        screen.goto(f"{self.provider.issuer}/authorize?{urlencode(self.request(state='a state'))}")
        screen.fill("#username", user.username)
        screen.fill("#password", PASSWORD)
        screen.click("#login-submit")
        screen.click("#consent-allow")
        screen.wait_for_url(f"{self.redirect_uri}?*")
        return self.answer(Page(screen.url, 200, {}, "", location=screen.url), "a state")

    def finish(self, page: Page, asked: dict[str, Any], **more: Any) -> SignIn:
        """Redeem what came of a request, and check everything on the way."""
        answer, words = self.answer(page, asked.get("state")), asked["response_type"].split()
        assert answer.keys() <= _ALWAYS.union(*(_OF_TYPE[word] for word in words))
        assert answer.keys() >= {"access_token" if word == "token" else word for word in words}
        assert ("state" in answer) is ("state" in asked)
        if "token" in words:
            assert_given(answer)
        tokens: dict[str, Any] = answer
        if "code" in words:
            assert_random(answer["code"])
            tokens = assert_tokens(self.redeem(answer, **more))
        claims = self.claims(tokens["id_token"], asked)
        assert claims.get("at_hash") == (half(tokens["access_token"]) if "access_token" in tokens else None)
        c_hash = half(answer["code"]) if "code" in answer else None
        assert claims.get("c_hash", c_hash) == c_hash
        done = SignIn(answer, tokens, claims)
        assert self.told(done)["sub"] == claims["sub"]
        if "id_token" in answer:
            done.front = self.claims(answer["id_token"], asked)
            assert done.front["sub"] == claims["sub"]
        return done

    def claims(self, id_token: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the claims of an ID token that is good for this client and this request, and tells no more."""
        claims = verified.read(self.provider, id_token, "RS256")
        assert claims.keys() <= STANDARD | wanted(asked)
        assert (claims["iss"], claims["aud"]) == (self.provider.issuer, self.client.client_id)
        assert claims.get("nonce") == asked.get("nonce")
        assert "azp" not in claims
        assert 0 < len(claims["sub"]) <= 255
        assert claims["sub"].isascii()
        assert 0 < claims["auth_time"] <= claims["iat"] < claims["exp"]
        assert abs(claims["iat"] - time.time()) < 300
        assert claims["acr"]
        return claims

    def userinfo(self, tokens: dict[str, Any]) -> dict[str, Any]:
        """Return what the userinfo endpoint tells."""
        answer = self.provider.get("/userinfo", tokens["access_token"])
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        told: dict[str, Any] = answer.json()
        assert isinstance(told.get("updated_at", 0), int)
        return told

    def told(self, done: SignIn) -> dict[str, Any]:
        """Return what is told of the user: by userinfo, or in an ID token beside which no access token came (5.4)."""
        if "access_token" in done.tokens:
            return self.userinfo(done.tokens)
        return {name: value for name, value in done.claims.items() if name == "sub" or name not in STANDARD}

    def leave(self) -> None:
        """Delete the client, as the suite does in the end."""
        path, token = self.registration["registration_client_uri"], self.registration["registration_access_token"]
        with self.provider.http(headers={"Authorization": f"Bearer {token}"}) as http:
            assert http.delete(path).status_code == 204
            assert http.get(path).status_code == 401

    def browser(self, user: User | None = None) -> Browser:
        """Return a new browser, in which this user is signed in."""
        return self.provider.browser(user)


def wanted(asked: dict[str, Any]) -> set[str]:
    """Return the claims about the user that belong into an ID token: of the scope where it comes alone, and by name."""
    by_name: dict[str, Any] = json.loads(asked.get("claims", "{}"))
    scope = asked["scope"].split() if asked.get("response_type") == "id_token" else []
    return set(by_name.get("id_token", {})).union(*(CLAIMS.get(value, ()) for value in scope))


def assert_given(answer: dict[str, str]) -> None:
    """Check an access token that the browser brought (OpenID Connect Core 3.2.2.5; RFC 6749 4.2.2)."""
    assert_random(answer["access_token"])
    assert _TOKEN.fullmatch(answer["access_token"])
    assert answer["token_type"] == "Bearer"
    assert 0 < int(answer["expires_in"]) <= 300


def assert_tokens(response: httpx2.Response) -> dict[str, Any]:
    """Check a token response; return it."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    tokens: dict[str, Any] = response.json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] > 0
    for name in {"access_token", "refresh_token"} & tokens.keys():
        assert_random(tokens[name])
        assert _TOKEN.fullmatch(tokens[name])
    return tokens


def assert_key_set(provider: AuthServer) -> None:
    """Check the published keys: each has a name of its own, and nothing of it is secret."""
    place: str = provider.get("/.well-known/openid-configuration").json()["jwks_uri"]
    keys = provider.get(place).json()["keys"]
    assert keys
    assert len({key["kid"] for key in keys}) == len(keys)
    assert all({"d", "p", "q", "dp", "dq", "qi", "oth", "k"}.isdisjoint(key) for key in keys)
    assert {key["kty"] for key in keys} <= {"RSA", "EC", "OKP"}


def assert_registered(provider: AuthServer, registration: dict[str, Any]) -> None:
    """Check a registration response: credentials that fit the method, and the way back (RFC 7591 3.2.1, RFC 7592 3)."""
    assert "error" not in registration
    assert registration["registration_client_uri"].startswith(f"{provider.issuer}/")
    assert_random(registration["registration_access_token"])
    has_secret = registration["token_endpoint_auth_method"] in _SECRETS
    assert has_secret is ("client_secret" in registration) is ("client_secret_expires_at" in registration)
    if has_secret:
        assert_random(registration["client_secret"])


def half(text: str) -> str:
    """Return the left half of the SHA-256 of a text, as RS256 goes with it (OpenID Connect Core 3.1.3.6, 3.3.2.11)."""
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).rstrip(b"=").decode()


def assert_random(text: str) -> None:
    """Check length and measured entropy as the suite does: 128 bits long, 96 bits by the frequency of its letters."""
    counts, length = Counter(text), len(text)
    measured = -sum(count * math.log2(count / length) for count in counts.values())
    assert length * 8 >= 128
    assert measured >= 96
    assert text.isascii()
    assert text.isprintable()


def assert_page(page: Page) -> None:
    """Check that the user reads of the mistake here, and the client gets nothing."""
    assert_shown(page)
    assert "form-post" not in page.text

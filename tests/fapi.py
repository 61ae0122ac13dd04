"""A client that keeps to FAPI 2.0, and each way in which it may stop doing so."""

import json
import secrets
import time
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Self
from urllib.parse import urlencode

import httpx2

from authserver.records import User
from pytest_authserver import AuthServer, Page, RegisteredClient
from tests import signing
from tests.assertions import TYPE
from tests.certificates import Certificate

FORM = "application/x-www-form-urlencoded"
SCOPE = "openid profile api:read"
CERTIFICATE = "Client-Cert"  # the header in which the proxy hands it on


@dataclass
class Flow:
    """One authorization request on its way to tokens."""

    reference: str
    verifier: str
    state: str | None
    page: Page | None = None

    @property
    def code(self) -> str:
        """Return the code with which the browser came back."""
        assert self.page is not None
        assert "code" in self.page.callback, self.page.callback or self.page.error_code
        return self.page.callback["code"]


@dataclass(frozen=True)
class Party:
    """A registered client with everything it holds."""

    server: AuthServer
    client: RegisteredClient
    method: str  # private_key_jwt, tls_client_auth, self_signed_tls_client_auth
    binding: str  # dpop, mtls
    key: str = "p256"  # of its assertions and request objects
    algorithm: str = "ES256"
    proof_key: str = "p256_other"
    certificate: Certificate | None = None
    signs: bool = False  # its requests
    without: frozenset[str] = field(default=frozenset())  # what it leaves out: assertion, proof, certificate

    def leaving_out(self, *what: str) -> Self:
        """Return the client as it would be without its assertion, proof or certificate."""
        return replace(self, without=frozenset(what))

    def but(self, **changes: Any) -> Self:
        """Return the client with another key, algorithm or certificate."""
        return replace(self, **changes)

    # What it sends.

    def assertion(self, **changes: Any) -> dict[str, str]:
        """Return the parameters that authenticate it; ``changes`` of claims, None takes one away."""
        if self.method != "private_key_jwt" or "assertion" in self.without:
            return {"client_id": self.client.client_id}
        moment, client_id = int(time.time()), self.client.client_id
        claims = {"iss": client_id, "sub": client_id, "aud": self.server.issuer, "iat": moment, "exp": moment + 60}
        whole = {**claims, "jti": secrets.token_urlsafe(12), **changes}
        sent = {name: value for name, value in whole.items() if value is not None}
        return {
            "client_assertion_type": TYPE,
            "client_assertion": signing.token(self.algorithm, sent, self.key, kid=self.key),
        }

    def proof(self, method: str, url: str, token: str | None = None, **changes: Any) -> str:
        """Return a DPoP proof."""
        claims = {"htm": method, "htu": url, "iat": int(time.time()), "jti": secrets.token_urlsafe(12)}
        if token is not None:
            claims["ath"] = signing.b64(sha256(token.encode()).digest())
        public = signing.key(self.proof_key).as_dict(private=False)
        public.pop("kid", None)
        whole = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        algorithm = "EdDSA" if self.proof_key == "ed25519" else "ES256"
        return signing.token(algorithm, whole, self.proof_key, typ="dpop+jwt", jwk=public)

    def request_object(self, parameters: dict[str, Any], **changes: Any) -> str:
        """Return the parameters as a signed request object; ``changes`` of claims, None takes one away."""
        moment = int(time.time())
        claims = {"iss": self.client.client_id, "aud": self.server.issuer, "nbf": moment, "exp": moment + 300}
        whole = {**parameters, **claims, **changes}
        sent = {name: value for name, value in whole.items() if value is not None}
        return signing.token(self.algorithm, sent, self.key, kid=self.key, typ="oauth-authz-req+jwt")

    def headers(self, method: str, url: str, token: str | None = None) -> dict[str, str]:
        """Return the proof and the certificate that go with a request."""
        made: dict[str, str] = {}
        if self.binding == "dpop" and "proof" not in self.without:
            made["DPoP"] = self.proof(method, url, token)
        if self.certificate is not None and "certificate" not in self.without:
            made[CERTIFICATE] = self.certificate.field
        return made

    # Where it sends it.

    def post(self, path: str, headers: dict[str, str] | None = None, **parameters: Any) -> httpx2.Response:
        """Post a form, authenticated and bound; None takes a parameter away."""
        whole = {**self.assertion(), **parameters}
        sent = urlencode({name: value for name, value in whole.items() if value is not None}, doseq=True)
        url = f"{self.server.issuer}{path}"
        made = {"Content-Type": FORM, **self.headers("POST", url), **(headers or {})}
        with self.server.http() as http:
            return http.post(path, content=sent, headers=made)

    def request(self, challenge: str, **changes: Any) -> dict[str, Any]:
        """Return the parameters of an authorization request; None takes one away."""
        whole = {
            "client_id": self.client.client_id,
            "redirect_uri": self.client.redirect_uri,
            "response_type": "code",
            "scope": SCOPE,
            "state": "state-of-the-client",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in whole.items() if value is not None}

    def push(self, claims: dict[str, Any] | None = None, **changes: Any) -> httpx2.Response:
        """Push an authorization request; ``claims`` change its request object where it has one."""
        return self._push(self.request(self.server.pkce().challenge, **changes), claims)

    def begin(self, **changes: Any) -> Flow:
        """Push a request that has to be accepted."""
        pkce = self.server.pkce()
        parameters = self.request(pkce.challenge, **changes)
        answer = self._push(parameters, None)
        assert answer.status_code == 201, answer.text
        return Flow(answer.json()["request_uri"], pkce.verifier, parameters.get("state"))

    def walk(self, flow: Flow, user: User, **outside: Any) -> Flow:
        """Open the page in a new browser in which the user is signed in."""
        browser = self.server.browser(user)
        page = browser.visit_request({"client_id": self.client.client_id, "request_uri": flow.reference, **outside})
        return replace(flow, page=page)

    def redeem(self, flow: Flow, **changes: Any) -> httpx2.Response:
        """Exchange the code."""
        parameters = {
            "grant_type": "authorization_code",
            "code": changes.pop("code", None) or flow.code,
            "redirect_uri": self.client.redirect_uri,
            "code_verifier": flow.verifier,
            **changes,
        }
        return self.post("/token", **parameters)

    def tokens(self, user: User, **changes: Any) -> dict[str, Any]:
        """Go the whole way."""
        answer = self.redeem(self.walk(self.begin(**changes), user))
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    def refresh(self, token: str, **changes: Any) -> httpx2.Response:
        """Refresh."""
        return self.post("/token", grant_type="refresh_token", refresh_token=token, **changes)

    def userinfo(self, token: str, scheme: str | None = None, **headers: str) -> httpx2.Response:
        """Ask the one resource that the authorization server has itself."""
        chosen = scheme or ("DPoP" if self.binding == "dpop" else "Bearer")
        made = {"Authorization": f"{chosen} {token}", **self.headers("GET", f"{self.server.issuer}/userinfo", token)}
        with self.server.http() as http:
            return http.get("/userinfo", headers={**made, **headers})

    def introspect(self, token: str) -> dict[str, Any]:
        """Ask what is known of a token."""
        answer: dict[str, Any] = json.loads(self.leaving_out("proof").post("/introspect", token=token).content)
        return answer

    def _push(self, parameters: dict[str, Any], claims: dict[str, Any] | None) -> httpx2.Response:
        if not self.signs:
            return self.post("/par", **parameters)
        return self.post("/par", request=self.request_object(parameters, **(claims or {})))

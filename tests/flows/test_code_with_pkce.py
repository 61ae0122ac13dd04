"""The story of a web application: authorization code with PKCE, step by step, as a client's developer sees it."""

import base64
import hashlib
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from jwt import PyJWK

from pytest_authserver import AuthServer, Browser
from pytest_authserver.server import PASSWORD

API = "https://notes.test/"


class Notebook:
    """A web application that does everything that RFC 9700 and OpenID Connect ask of a client."""

    def __init__(self, authserver: AuthServer) -> None:
        self.authserver = authserver
        self.client = authserver.client(
            client_name="Notebook", redirect_uris=["https://notebook.test/callback"], scope="openid profile notes:read"
        )
        # It finds everything by discovery, and draws a verifier, a state and a nonce for each sign-in.
        self.metadata = authserver.get("/.well-known/openid-configuration").json()
        assert self.metadata["issuer"] == authserver.issuer
        self.verifier, self.state, self.nonce = (secrets.token_urlsafe(32) for _ in range(3))

    def start(self) -> str:
        """Return the URL that the browser is sent to (RFC 6749 4.1.1, RFC 7636 4.3)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        request = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": "https://notebook.test/callback",
            "scope": "openid profile notes:read",
            "resource": API,
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self.metadata['authorization_endpoint']}?{urlencode(request)}"

    def callback(self, location: str | None) -> str:
        """Return the code, after a look at state and issuer (RFC 9207 2.4)."""
        assert location is not None
        assert location.startswith("https://notebook.test/callback?")
        answer = dict(parse_qsl(urlsplit(location).query))
        assert answer.keys() == {"code", "state", "iss"}
        assert answer["state"] == self.state
        assert answer["iss"] == self.metadata["issuer"]
        return answer["code"]

    def redeem(self, code: str) -> dict[str, Any]:
        """Return the tokens (RFC 6749 4.1.3)."""
        sent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": "https://notebook.test/callback",
            "code_verifier": self.verifier,
        }
        with self.authserver.http(auth=self.client.basic) as http:
            answer = http.post(self.metadata["token_endpoint"], data=sent)
        assert answer.status_code == 200
        tokens: dict[str, Any] = answer.json()
        return tokens

    def read(self, id_token: str) -> dict[str, Any]:
        """Return the claims of an ID token, verified with the published key (OpenID Connect Core 3.1.3.7)."""
        keys = {key["kid"]: key for key in self.authserver.get(self.metadata["jwks_uri"]).json()["keys"]}
        key = PyJWK(keys[jwt.get_unverified_header(id_token)["kid"]])
        issuer = self.metadata["issuer"]
        claims: dict[str, Any] = jwt.decode(id_token, key, ["RS256"], audience=self.client.client_id, issuer=issuer)
        assert claims["nonce"] == self.nonce
        return claims


def _sign_in(authserver: AuthServer, notebook: Notebook, browser: Browser) -> dict[str, Any]:
    """Walk from the application to the server's pages and back; return the tokens."""
    page = browser.visit(notebook.start())
    assert "Notebook" in page.text
    page = browser.log_in(page, "alice", PASSWORD)
    assert "Use notes:read" in page.text
    return notebook.redeem(notebook.callback(browser.allow(page).location))


def test_a_web_application_signs_its_user_in_and_calls_an_api(authserver: AuthServer) -> None:
    alice = authserver.user("alice", name="Alice Adams")
    authserver.resource(API, "notes:read", "notes:write")
    api = authserver.client(
        grant_types=["client_credentials"], redirect_uris=None, scope=None, resource_server_for=[API]
    )
    notebook = Notebook(authserver)
    tokens = _sign_in(authserver, notebook, authserver.browser())

    # Who is it? The ID token and userinfo agree.
    assert notebook.read(tokens["id_token"])["sub"] == alice.sub
    told = authserver.get(notebook.metadata["userinfo_endpoint"], tokens["access_token"]).json()
    assert (told["sub"], told["name"]) == (alice.sub, "Alice Adams")

    # The API asks whether the token is good, and for what.
    told = authserver.introspect(api, tokens["access_token"])
    assert told["active"]
    assert (told["aud"], told["sub"], told["client_id"]) == (API, alice.sub, notebook.client.client_id)
    assert "notes:read" in told["scope"].split()
    assert "notes:write" not in told["scope"].split()


def test_it_goes_on_without_asking_until_its_user_signs_out(authserver: AuthServer) -> None:
    authserver.user("alice")
    authserver.resource(API, "notes:read")
    notebook, browser = Notebook(authserver), authserver.browser()
    tokens = _sign_in(authserver, notebook, browser)
    with authserver.later(601):
        # Ten minutes later the token is over, and the application refreshes it.
        assert authserver.introspect(notebook.client, tokens["access_token"]) == {"active": False}
        fresh = authserver.refresh(notebook.client, tokens["refresh_token"]).json()
        assert fresh["refresh_token"] != tokens["refresh_token"]
        assert authserver.introspect(notebook.client, fresh["access_token"])["active"]

        # Alice comes again: nothing is asked.
        assert notebook.callback(browser.visit(notebook.start()).location)

        # She signs out: what the application holds is dead.
        hint = urlencode({"id_token_hint": tokens["id_token"]})
        assert browser.visit(f"{notebook.metadata['end_session_endpoint']}?{hint}").url.endswith("/logged-out")
        assert authserver.refresh(notebook.client, fresh["refresh_token"]).json()["error"] == "invalid_grant"
        assert authserver.introspect(notebook.client, fresh["access_token"]) == {"active": False}


def test_a_native_application_without_a_secret_does_the_same(authserver: AuthServer) -> None:
    # RFC 8252: any port of the loopback address, PKCE instead of a secret.
    alice = authserver.user("alice")
    application = authserver.public_client(redirect_uris=["http://127.0.0.1/callback"], application_type="native")
    pkce = authserver.pkce()
    request = authserver.request(application, pkce, redirect_uri="http://127.0.0.1:51004/callback")
    page = authserver.browser().authorize(request, username="alice", password=PASSWORD)
    assert page.location is not None
    assert page.location.startswith("http://127.0.0.1:51004/callback?")
    redeem = {
        "grant_type": "authorization_code",
        "code": page.callback["code"],
        "redirect_uri": "http://127.0.0.1:51004/callback",
        "code_verifier": pkce.verifier,
        "client_id": application.client_id,
    }
    tokens = authserver.post("/token", **redeem).json()
    assert authserver.get("/userinfo", tokens["access_token"]).json()["sub"] == alice.sub
    fresh = authserver.post(
        "/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"], client_id=application.client_id
    ).json()
    assert authserver.get("/userinfo", fresh["access_token"]).status_code == 200


def test_a_stolen_code_is_worth_nothing_without_the_verifier(authserver: AuthServer) -> None:
    authserver.user("alice")
    application = authserver.public_client()
    request = authserver.request(application, authserver.pkce())
    page = authserver.browser().authorize(request, username="alice", password=PASSWORD)
    stolen = {
        "grant_type": "authorization_code",
        "code": page.callback["code"],
        "redirect_uri": application.redirect_uri,
        "client_id": application.client_id,
    }
    assert authserver.post("/token", **stolen).json()["error"] == "invalid_grant"
    assert authserver.post("/token", **stolen, code_verifier="a" * 43).json()["error"] == "invalid_grant"

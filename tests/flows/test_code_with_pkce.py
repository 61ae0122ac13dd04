"""The story of a web application: authorization code with PKCE, step by step, as a client developer would see it."""

import base64
import hashlib
import secrets
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from jwt import PyJWK

from pytest_authserver import AuthServer
from pytest_authserver.server import PASSWORD

API = "https://notes.test/"


def test_a_web_application_signs_its_user_in_and_calls_an_api(authserver: AuthServer) -> None:
    # The world: an account, an API, the application, and the API's own client for introspection.
    alice = authserver.user("alice", name="Alice Adams")
    authserver.resource(API, "notes:read", "notes:write")
    application = authserver.client(
        client_name="Notebook", redirect_uris=["https://notebook.test/callback"], scope="openid profile notes:read"
    )
    api = authserver.client(
        grant_types=["client_credentials"], redirect_uris=None, scope=None, resource_server_for=[API]
    )

    # The application finds everything by discovery.
    metadata = authserver.get("/.well-known/openid-configuration").json()
    assert metadata["issuer"] == authserver.issuer

    # It makes a proof key, a state and a nonce, and sends the browser away.
    verifier, state, nonce = (secrets.token_urlsafe(32) for _ in range(3))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    request = {
        "response_type": "code",
        "client_id": application.client_id,
        "redirect_uri": "https://notebook.test/callback",
        "scope": "openid profile notes:read",
        "resource": API,
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    browser = authserver.browser()
    page = browser.visit(f"{metadata['authorization_endpoint']}?{urlencode(request)}")

    # Alice signs in and reads what the application asks for.
    assert "Notebook" in page.text
    page = browser.log_in(page, "alice", PASSWORD)
    assert "Notebook" in page.text
    assert "Use notes:read" in page.text
    page = browser.allow(page)

    # The browser is back at the application, which checks state and issuer before anything else.
    assert page.location is not None
    assert page.location.startswith("https://notebook.test/callback?")
    answer = dict(parse_qsl(urlsplit(page.location).query))
    assert answer["state"] == state
    assert answer["iss"] == metadata["issuer"]

    # It redeems the code with its secret and the verifier.
    redeem = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": "https://notebook.test/callback",
        "code_verifier": verifier,
    }
    with authserver.http(auth=application.basic) as http:
        tokens = http.post(metadata["token_endpoint"], data=redeem)
    assert tokens.status_code == 200
    tokens = tokens.json()

    # It verifies the ID token with the published key.
    keys = {key["kid"]: key for key in authserver.get(metadata["jwks_uri"]).json()["keys"]}
    key = keys[jwt.get_unverified_header(tokens["id_token"])["kid"]]
    claims = jwt.decode(
        tokens["id_token"], PyJWK(key), ["RS256"], audience=application.client_id, issuer=metadata["issuer"]
    )
    assert claims["nonce"] == nonce
    assert claims["sub"] == alice.sub

    # It asks who that is.
    told = authserver.get(metadata["userinfo_endpoint"], tokens["access_token"]).json()
    assert told["sub"] == claims["sub"]
    assert told["name"] == "Alice Adams"

    # The API asks whether the token is good, and for what.
    told = authserver.introspect(api, tokens["access_token"])
    assert told["active"]
    assert (told["aud"], told["sub"], told["client_id"]) == (API, alice.sub, application.client_id)
    assert "notes:read" in told["scope"].split()
    assert "notes:write" not in told["scope"].split()

    # Ten minutes later the token is over, and the application refreshes it.
    with authserver.later(601):
        assert authserver.introspect(api, tokens["access_token"]) == {"active": False}
        fresh = authserver.refresh(application, tokens["refresh_token"]).json()
        assert fresh["refresh_token"] != tokens["refresh_token"]
        assert authserver.introspect(api, fresh["access_token"])["active"]

        # Alice comes again: nothing is asked.
        page = browser.visit(f"{metadata['authorization_endpoint']}?{urlencode(request)}")
        assert "code" in page.callback

        # She signs out: what the application holds is dead.
        page = browser.visit(f"{metadata['end_session_endpoint']}?{urlencode({'id_token_hint': tokens['id_token']})}")
        assert page.url.endswith("/logged-out")
        assert authserver.refresh(application, fresh["refresh_token"]).json()["error"] == "invalid_grant"
        assert authserver.introspect(api, fresh["access_token"]) == {"active": False}


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

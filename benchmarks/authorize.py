"""The whole code flow of somebody who is signed in and has consented: authorization request, then token request."""

import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import parse_qs, urlencode, urlsplit

from benchmarks.connection import get, post
from benchmarks.script import Operation, Script, Target, must, signed_as


def code_flow(at: Target, number: int) -> Script:
    client, cookie = at.clients["app"], {"Cookie": at.browsers[number]["cookie"]}
    while True:
        verifier, state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(8), secrets.token_urlsafe(8)
        query = authorization(at, verifier) | {"state": state, "nonce": nonce}
        reply = (yield get(at.authority, f"/authorize?{urlencode(query)}", cookie)).expect(303)
        location = reply.headers["location"]
        must(location.startswith(at.redirect_uri + "?"), f"sent elsewhere: {location[:80]}")
        answer = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        must((answer["state"], answer["iss"]) == (state, at.issuer), "another state or issuer")
        tokens = (yield post(at.authority, "/token", client, redemption(at, answer["code"], verifier))).json()
        must(tokens["access_token"].startswith("asa_") and tokens["refresh_token"], "a token is missing")
        must(signed_as(tokens["id_token"], "RS256", "JWT")["nonce"] == nonce, "another nonce")
        yield None


def authorization(at: Target, verifier: str) -> dict[str, str]:
    """Return the parameters of an authorization request (RFC 6749 4.1.1, RFC 7636 4.3)."""
    return {
        "client_id": at.clients["app"]["client_id"],
        "redirect_uri": at.redirect_uri,
        "response_type": "code",
        "scope": "openid profile",
        "code_challenge": urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }


def redemption(at: Target, code: str, verifier: str) -> dict[str, str]:
    """Return the parameters of the token request (4.1.3)."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": at.redirect_uri,
        "code_verifier": verifier,
    }


OPERATIONS = (Operation("code_flow", "code flow, signed in, consented", code_flow),)

"""A small real OpenID provider with two APIs, on a free loopback port, with the faults that tests ask for."""

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote_plus, urlencode

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flask import Flask, Response, jsonify, redirect, request
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from werkzeug.serving import make_server

from bff.settings import Api, BffSettings
from tests.bff.keys import EC_KEY, RSA_KEY

CLIENT_ID = "bff client:1"
CLIENT_SECRET = "s3cret with spaces & colons: +%"


@dataclass
class Grant:
    sub: str
    scope: str
    resources: list[str]
    nonce: str
    challenge: str
    redirect_uri: str
    sid: str
    alive: bool = True
    redeemed: bool = False


@dataclass
class RefreshToken:
    grant: Grant
    successor: str | None = None
    rotated_at: float = 0.0


@dataclass
class Stub:
    """The provider: what it saw, what it issued, and which faults it plays."""

    port: int = 0
    sub: str = "user-1"
    claims: dict[str, Any] = field(default_factory=lambda: {"name": "Alice Liddell", "email": "alice@site.example"})
    lifetime: int = 600
    window: float = 60.0
    with_refresh: bool = True
    metadata: dict[str, Any] = field(default_factory=dict)
    id_token_claims: dict[str, Any] = field(default_factory=dict)
    userinfo: Callable[[str], Response] | None = None
    id_token_header: dict[str, Any] = field(default_factory=dict)
    id_token: Callable[[dict[str, Any]], str] | None = None
    token_fault: Callable[[dict[str, str]], Response | None] | None = None
    refresh_delay: float = 0.0
    lose_refresh_answers: int = 0
    keys: list[dict[str, Any]] | None = None
    grants: dict[str, Grant] = field(default_factory=dict)
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict)
    access_tokens: dict[str, tuple[Grant, str]] = field(default_factory=dict)
    issued: set[str] = field(default_factory=set)
    refreshes: int = 0
    rotations: int = 0
    token_requests: list[dict[str, Any]] = field(default_factory=list)
    push: Callable[[dict[str, str]], Response | None] | None = None
    pushed: dict[str, Any] = field(default_factory=dict)
    revoked: list[str] = field(default_factory=list)
    challenge: str = ""
    api_calls: list[dict[str, Any]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self, database_url: str, **changes: Any) -> BffSettings:
        values: dict[str, Any] = {
            "issuer": self.issuer,
            "public_url": "http://localhost:9002",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "secret_key": "0123456789abcdef0123456789abcdef",
            "database_url": database_url,
            "provider_timeout_seconds": 5,
            "apis": self.apis(),
        }
        return BffSettings(**{**values, **changes})

    def apis(self) -> tuple[Api, ...]:
        return (
            Api(
                prefix="notes",
                target=f"{self.issuer}/v1/notes",
                resource="https://notes.example/",
                name="Notes",
                checked_by="introspection",
            ),
            Api(
                prefix="almanac",
                target=f"{self.issuer}/v1/almanac",
                resource="https://almanac.example/",
                name="Almanac",
                checked_by="keys",
            ),
        )

    def document(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "revocation_endpoint": f"{self.issuer}/revoke",
            "end_session_endpoint": f"{self.issuer}/logout",
            **({"pushed_authorization_request_endpoint": f"{self.issuer}/par"} if self.push else {}),
            **({"userinfo_endpoint": f"{self.issuer}/userinfo"} if self.userinfo else {}),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def jwks(self) -> dict[str, Any]:
        if self.keys is not None:
            return {"keys": self.keys}
        return {"keys": [public_jwk(EC_KEY, "ec-1"), public_jwk(RSA_KEY, "rsa-1")]}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        headers = {"kid": "ec-1", **header}
        return jwt.encode(claims, EC_KEY, "ES256", headers={k: v for k, v in headers.items() if v is not None})

    def logout_token(self, **changes: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 120,
            "jti": secrets.token_hex(8),
            "sub": self.sub,
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            **changes,
        }
        return self.sign({k: v for k, v in claims.items() if v is not None}, typ="logout+jwt")

    def make_id_token(self, grant: Grant, access_token: str, *, nonce: bool) -> str:
        now = int(time.time())
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        claims = {
            "iss": self.issuer,
            "sub": grant.sub,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 600,
            "sid": grant.sid,
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
            **({"nonce": grant.nonce} if nonce else {}),
            **self.claims,
            **self.id_token_claims,
        }
        claims = {k: v for k, v in claims.items() if v is not None}
        return self.id_token(claims) if self.id_token else self.sign(claims, **self.id_token_header)

    def authorize(self, query: dict[str, str], resources: list[str]) -> str:
        """Answer an authorization request as if the user had agreed; gives the code."""
        code = f"code_{secrets.token_urlsafe(24)}"
        with self.lock:
            self.grants[code] = Grant(
                sub=self.sub,
                scope=query["scope"],
                resources=resources,
                nonce=query["nonce"],
                challenge=query["code_challenge"],
                redirect_uri=query["redirect_uri"],
                sid=f"sid-{secrets.token_hex(4)}",
            )
        return code

    def tokens(self, grant: Grant, resource: str | None, refresh_token: str | None, *, nonce: bool) -> Response:
        access_token = f"at_{secrets.token_urlsafe(24)}"
        id_token = self.make_id_token(grant, access_token, nonce=nonce)
        with self.lock:
            self.access_tokens[access_token] = (grant, resource or "")
            self.issued |= {access_token, id_token, *([refresh_token] if refresh_token else [])}
        return jsonify(
            access_token=access_token,
            token_type="Bearer",
            expires_in=self.lifetime,
            scope=grant.scope,
            id_token=id_token,
            **({"refresh_token": refresh_token} if refresh_token else {}),
        )

    def redeem(self, form: dict[str, str]) -> Response:
        with self.lock:
            grant = self.grants.get(form.get("code", ""))
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if grant is None or grant.redeemed or proof != grant.challenge:
                return _refuse("invalid_grant")
            if form.get("redirect_uri") != grant.redirect_uri:
                return _refuse("invalid_grant")
            grant.redeemed = True
            refresh_token = None
            if self.with_refresh:
                refresh_token = f"rt_{secrets.token_urlsafe(24)}"
                self.refresh_tokens[refresh_token] = RefreshToken(grant)
        return self.tokens(grant, form.get("resource"), refresh_token, nonce=True)

    def refresh(self, form: dict[str, str]) -> Response:
        if self.refresh_delay:
            time.sleep(self.refresh_delay)
        with self.lock:
            self.refreshes += 1
            row = self.refresh_tokens.get(form.get("refresh_token", ""))
            if row is None or not row.grant.alive:
                return _refuse("invalid_grant")
            resource = form.get("resource")
            if resource is not None and resource not in row.grant.resources:
                return _refuse("invalid_target")
            if row.successor is None:
                self.rotations += 1
                row.successor, row.rotated_at = f"rt_{secrets.token_urlsafe(24)}", time.monotonic()
                self.refresh_tokens[row.successor] = RefreshToken(row.grant)
            elif self.refresh_tokens[row.successor].successor is not None:
                return _refuse("invalid_grant")
            elif time.monotonic() - row.rotated_at >= self.window:
                row.grant.alive = False
                return _refuse("invalid_grant")
            answer = self.tokens(row.grant, resource, row.successor, nonce=False)
            if self.lose_refresh_answers:
                self.lose_refresh_answers -= 1
                return Response("gone", 502)
            return answer

    def end_grants(self) -> None:
        with self.lock:
            for grant in self.grants.values():
                grant.alive = False

    def app(self) -> Flask:
        app = Flask("stub", static_folder=None)
        app.add_url_rule("/.well-known/openid-configuration", view_func=lambda: jsonify(self.document()), endpoint="wk")
        app.add_url_rule("/jwks", view_func=lambda: jsonify(self.jwks()), endpoint="jwks")
        app.add_url_rule("/authorize", view_func=self._authorize, endpoint="authorize")
        app.add_url_rule("/par", view_func=self._par, endpoint="par", methods=["POST"])
        app.add_url_rule("/token", view_func=self._token, endpoint="token", methods=["POST"])
        app.add_url_rule("/revoke", view_func=self._revoke, endpoint="revoke", methods=["POST"])
        app.add_url_rule("/logout", view_func=self._logout, endpoint="logout")
        app.add_url_rule("/userinfo", view_func=self._userinfo, endpoint="userinfo")
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
        app.add_url_rule("/v1/<path:path>", view_func=self._api, endpoint="api", methods=methods)
        app.before_request(lambda: self.seen.append(f"{request.method} {request.full_path}"))
        return app

    def _authorize(self) -> Response:
        asked = self.pushed.pop(request.args["request_uri"]) if "request_uri" in request.args else request.args
        code = self.authorize(asked.to_dict(), asked.getlist("resource"))
        query = urlencode({"code": code, "state": asked["state"], "iss": self.issuer})
        return redirect(f"{asked['redirect_uri']}?{query}", 303)  # type: ignore[return-value]

    def _par(self) -> Response:
        assert self.push is not None
        if not self._authenticated():
            return _refuse("invalid_client", 401)
        fault = self.push(request.form.to_dict())
        if fault is not None:
            return fault
        reference = f"urn:ietf:params:oauth:request_uri:{secrets.token_urlsafe(24)}"
        self.pushed[reference] = request.form
        answer = jsonify(request_uri=reference, expires_in=60)
        answer.status_code = 201
        return answer

    def _authenticated(self) -> bool:
        scheme, _, pair = request.headers.get("Authorization", "").partition(" ")
        name, _, secret = base64.b64decode(pair).decode().partition(":")
        right = (unquote_plus(name), unquote_plus(secret)) == (CLIENT_ID, CLIENT_SECRET)
        return scheme == "Basic" and right

    def _token(self) -> Response:
        form = request.form.to_dict()
        self.token_requests.append({**form, "resources": request.form.getlist("resource")})
        if not self._authenticated():
            return _refuse("invalid_client", 401)
        fault = self.token_fault(form) if self.token_fault else None
        if fault is not None:
            return fault
        return self.redeem(form) if form.get("grant_type") == "authorization_code" else self.refresh(form)

    def _revoke(self) -> Response:
        if not self._authenticated():
            return _refuse("invalid_client", 401)
        token = request.form["token"]
        with self.lock:
            self.revoked.append(token)
            row = self.refresh_tokens.get(token)
            if row is not None:
                row.grant.alive = False
        return jsonify({})

    def _userinfo(self) -> Response:
        assert self.userinfo is not None
        return self.userinfo(request.headers.get("Authorization", ""))

    def _logout(self) -> Response:
        query = urlencode({"state": request.args.get("state", "")})
        return redirect(f"{request.args['post_logout_redirect_uri']}?{query}", 303)  # type: ignore[return-value]

    def _api(self, path: str) -> Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        raw = request.environ.get("RAW_URI", "")
        call = {"method": request.method, "path": raw, "headers": list(request.headers.items()), "token": token}
        with self.lock:
            self.api_calls.append({**call, "body": request.get_data()})
            known = next((value for key, value in self.access_tokens.items() if hmac.compare_digest(key, token)), None)
        resource = f"https://{path.split('/', maxsplit=1)[0]}.example/"
        if known is None or not known[0].alive or known[1] != resource:
            return Response('{"error": "invalid_token"}', 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return self._answer(path)

    def _answer(self, path: str) -> Response:
        if path == "notes/strong" and self.challenge:
            return Response("{}", 401, {"WWW-Authenticate": self.challenge})
        if path == "notes/elsewhere":
            return redirect("http://127.0.0.1:9/steal", 307)  # type: ignore[return-value]
        if path == "notes/cookie":
            headers = {"Set-Cookie": "bff=x", "Connection": "x-hop", "X-Hop": "1", "Authorization": "Bearer z"}
            return Response("{}", 200, {**headers, "Access-Control-Allow-Origin": "*", "ETag": '"1"'})
        if path == "notes/big":
            return Response(b"x" * 20_000, 200)
        if path == "notes/slow":
            time.sleep(1.5)
            return jsonify({})
        if path == "notes/drip":
            return Response(_drip(), 200)
        if path.startswith("almanac"):
            moon = {"phase": "waxing gibbous", "age_days": 11.2, "illuminated": 0.92}
            page = {"date": "2026-05-01", "iso_week": "2026-W18", "day_of_year": 121, "days_left": 244, "moon": moon}
            return jsonify(almanac=page, token={"checked_by": "published keys", "format": "jwt"})
        return self._notes(path)

    def _notes(self, path: str) -> Response:
        token = {"checked_by": "introspection", "format": "opaque"}
        with self.lock:
            if request.method == "POST":
                note = {"id": str(len(self.notes) + 1), "text": request.get_json()["text"]}
                self.notes.append(note)
                answer = jsonify(note=note, token=token)
                answer.status_code = 201
                answer.headers["Location"] = f"{self.issuer}/v1/notes/{note['id']}"
                return answer
            if request.method == "DELETE":
                self.notes[:] = [note for note in self.notes if note["id"] != path.rpartition("/")[2]]
                return Response(status=204)
            return jsonify(notes=self.notes, token=token)

    @contextmanager
    def running(self) -> Iterator[Self]:
        server = make_server("127.0.0.1", self.port, self.app(), threaded=True)
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def public_jwk(pem: str, kid: str) -> dict[str, Any]:
    key = load_pem_private_key(pem.encode(), None).public_key()
    kind = ECAlgorithm if pem != RSA_KEY else RSAAlgorithm
    return {**kind.to_jwk(key, as_dict=True), "kid": kid, "use": "sig"}


def _refuse(error: str, status: int = 400) -> Response:
    return Response(f'{{"error": "{error}", "error_description": "<b>no</b>"}}', status, mimetype="application/json")


def _drip() -> Iterator[bytes]:
    for _ in range(200):
        yield b"x"
        time.sleep(0.1)

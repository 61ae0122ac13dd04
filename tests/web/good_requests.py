"""One good request of every kind, to spoil in one place: made from the registry, so that what is new is in the table.

An endpoint or a grant that has no entry here is asked with nothing but the credentials of a client, and its parameters
are spoiled all the same.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import httpx2

from authserver import registry
from authserver.oauth import device
from authserver.sections import Features
from pytest_authserver import AuthServer
from tests import backchannel, devices, exchanges, vouching
from tests.assertions import claims, keyed_client, signed
from tests.signing import key

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
API: Final = "https://api.test/"
CALLBACK: Final = "https://client.test/callback"
PAYMENT: Final = json.dumps([{"type": "payment", "amount": 5}])
GRANTS: Final = tuple(grant.GRANT_TYPE for grant in registry.GRANTS)
EVERYTHING: Final = dict.fromkeys(Features.model_fields, True)
SETTINGS: Final[Mapping[str, Any]] = {
    "features": EVERYTHING,
    "registration": {"mode": "open"},
    "authorization_details_types": {"payment": {**exchanges.PAYMENT, "resources": [API], "without_user": True}},
    # One client sends it all.
    "limits": {**backchannel.PLENTY, "pushed_requests": 1_000_000, "device_requests": 1_000_000},
}


@dataclass(frozen=True)
class Good:
    """A request that works: ``fields`` are sent as a form, in the query of a GET, or as a JSON object."""

    method: str
    path: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    auth: tuple[str, str] | None = None
    query: str = ""
    status: int = 200  # of the answer; 0 where nobody knows yet what is good
    fragile: bool = False  # whether a refusal may use it up

    @property
    def strict(self) -> bool:
        """Say whether what is malformed is refused even where nobody looks for it."""
        return self.method == "POST" or self.path == "/authorize"


class Sender:
    """A server with somebody of every kind around it, who sends good requests and spoiled ones."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        keys = folder / "issuer.json"
        keys.write_text(json.dumps({"keys": [key("p256", kid="ec").as_dict(private=False)]}))
        issuers = [{"issuer": vouching.IDP, "typ": "jwt", "jwks_file": keys}]
        self.server = server = AuthServer(folder, trusted_issuers=issuers, **{**SETTINGS, **settings})
        server.resource(API, "api:read", "api:write")
        self.http = server.http()
        self._numbers = count()
        self.user = server.user("alice")
        self.client = server.client(
            grant_types=list(GRANTS),
            resource_server_for=[API],
            exchange_audiences=[API],
            authorization_details_types=["payment"],
            backchannel_token_delivery_mode="poll",
            grace_seconds=300,
            trusted=True,
        )
        self.key_holder = keyed_client(server, grant_types=["client_credentials"], redirect_uris=None)
        tokens = server.tokens(self.client, self.user, scope="openid offline_access api:read", prompt="consent")
        self.access_token, self.refresh_token = tokens["access_token"], tokens["refresh_token"]
        self.id_token = tokens["id_token"]
        self.api_token = server.tokens(self.client, self.user, scope="openid api:read", resource=API)["access_token"]
        self.goods = {**self._at_token(), **self._elsewhere()}
        made_once = [good() for good in self.goods.values()]
        for name, path, methods, _ in registry.ENDPOINTS:
            for method in methods:
                if not any((made.method, made.path) == (method, path) for made in made_once):
                    self.goods[f"{method} {name}"] = partial(Good, method, path, auth=self.client.basic, status=0)

    def close(self) -> None:
        self.http.close()
        self.server.close()

    def at(self, path: str) -> dict[str, Callable[[], Good]]:
        """Return the good requests at an endpoint."""
        return {name: make for name, make in self.goods.items() if make().path == path}

    def send(self, good: Good, body: str | bytes | None = None, content_type: str = "") -> httpx2.Response:
        """Send a request, with another body than its fields where one is given."""
        json_body = good.path in JSON_PATHS
        if body is None:
            body = json.dumps(good.fields) if json_body else urlencode(good.fields, doseq=True)
        text = body.encode() if isinstance(body, str) else body
        headers = dict(good.headers)
        path = f"{good.path}?{good.query}" if good.query else good.path
        if good.method in {"POST", "PUT"}:
            headers["Content-Type"] = content_type or (JSON if json_body else FORM)
        elif text and not json_body:
            path, text = f"{good.path}?{text.decode('latin-1')}", b""
        request = self.http.build_request(good.method, path, content=text, headers=headers)
        answer = self.http.send(request, auth=good.auth or httpx2.USE_CLIENT_DEFAULT, stream=True)
        if answer.headers.get("content-type") != "text/event-stream":
            answer.read()
        answer.close()  # a stream of events has no end of its own
        return answer

    def register(self, **metadata: Any) -> tuple[str, Good]:
        """Register a client; return its id, and the good request that reads it."""
        answer = self.send(Good("POST", "/register", {"redirect_uris": [CALLBACK], **metadata}))
        assert answer.status_code == 201, answer.text
        return answer.json()["client_id"], self.reading(answer.json())

    def reading(self, registered: Mapping[str, Any]) -> Good:
        """Return the request that reads a registration."""
        headers = {"Authorization": f"Bearer {registered['registration_access_token']}"}
        return Good("GET", "/register/client", {}, headers, query=f"client_id={registered['client_id']}")

    def _at_token(self) -> dict[str, Callable[[], Good]]:
        post = partial(Good, "POST", "/token", auth=self.client.basic)
        known: dict[str, Callable[[], Mapping[str, Any]]] = {
            "authorization_code": self._code,
            "refresh_token": lambda: {"refresh_token": self.refresh_token, "scope": "openid"},
            "client_credentials": lambda: {"scope": "api:read", "resource": API, "authorization_details": PAYMENT},
            devices.GRANT_TYPE: self._device_code,
            exchanges.GRANT: lambda: {
                "subject_token": self.api_token,
                "subject_token_type": exchanges.ACCESS_TOKEN,
                "actor_token": self.id_token,
                "actor_token_type": exchanges.ID_TOKEN,
                "requested_token_type": exchanges.ACCESS_TOKEN,
                "audience": API,
                "scope": "api:read",
            },
            backchannel.GRANT_TYPE: lambda: {"auth_req_id": self.send(self._asking()).json()["auth_req_id"]},
            vouching.GRANT: lambda: {
                "assertion": vouching.signed(vouching.claims(self.server, self.user)),
                "scope": "api:read",
                "resource": API,
            },
        }

        def made(grant: str) -> Good:
            if grant not in known:
                return post({"grant_type": grant}, status=0)
            return post(
                {"grant_type": grant, **known[grant]()},
                # CIBA 11: nobody has decided yet.
                status=400 if grant == backchannel.GRANT_TYPE else 200,
                # RFC 6749 4.1.2, RFC 7636 4.6: whoever shows a code wrongly has shown it.
                fragile=grant == "authorization_code",
            )

        return {grant.rpartition(":")[2]: partial(made, grant) for grant in GRANTS}

    def _elsewhere(self) -> dict[str, Callable[[], Good]]:
        server, client = self.server, self.client
        post = partial(Good, "POST", auth=client.basic)
        bearer = {"Authorization": f"Bearer {self.access_token}"}
        asked = {"scope": "openid api:read", "resource": API, "authorization_details": PAYMENT}
        hinted = {"prompt": "consent", "max_age": "600", "nonce": "n", "ui_locales": "en", "login_hint": "alice"}

        def update() -> Good:
            client_id, reading = self.register()
            return replace(reading, method="PUT", fields={"client_id": client_id, "redirect_uris": [CALLBACK]})

        return {
            "secret in the body": lambda: Good("POST", "/token", {**self._credentials(), "grant_type": GRANTS[2]}),
            # RFC 7523 3: it proves the client once, whatever the client asks for.
            "assertion": lambda: Good("POST", "/token", {**self._assertion(), "grant_type": GRANTS[2]}, fragile=True),
            "push": lambda: post("/par", {**server.request(client, server.pkce()), **asked, **hinted}, status=201),
            "device": lambda: post("/device_authorization", asked),
            "back channel": self._asking,
            "followed": lambda: Good("GET", "/revocations", {}, {"Last-Event-ID": "1.1"}, client.basic),
            "followed by form": lambda: post("/revocations", {"last_event_id": "1.1"}),
            "status list": lambda: Good("GET", "/status-list", {"id": "0"}, status=404),
            "introspection": lambda: post("/introspect", {"token": self.access_token, "token_type_hint": "x"}),
            "revocation": lambda: post("/revoke", {"token": "unknown", "token_type_hint": "access_token"}),
            "userinfo": lambda: Good("GET", "/userinfo", {}, bearer),
            "userinfo by form": lambda: Good("POST", "/userinfo", {"access_token": self.access_token}),
            "registration": lambda: Good("POST", "/register", {"redirect_uris": [CALLBACK]}, status=201),
            "update": update,
            "reading": lambda: self.register()[1],
            "deletion": lambda: replace(self.register()[1], method="DELETE", status=204),
            "keys": lambda: Good("GET", "/jwks"),
            "authorization": lambda: Good(
                "GET", "/authorize", {**server.request(client, server.pkce()), **asked, **hinted}, status=303
            ),
            "sign-out": lambda: Good(
                "GET",
                "/logout",
                {"id_token_hint": self.id_token, "client_id": client.client_id, "logout_hint": "alice", "state": "s"},
                status=303,
            ),
        }

    def _asking(self) -> Good:
        # Only so many requests wait for each.
        asked = {"scope": "openid api:read", "login_hint": self.server.user(f"user-{next(self._numbers)}").username}
        return Good("POST", "/bc-authorize", {**asked, "binding_message": "Till 4"}, auth=self.client.basic)

    def _credentials(self) -> dict[str, str]:
        return {"client_id": self.client.client_id, "client_secret": self.client.client_secret, "scope": "api:read"}

    def _assertion(self) -> dict[str, str]:
        return {**signed(claims(self.server, self.key_holder)), "scope": "api:read"}

    def _code(self) -> dict[str, Any]:
        allowed = self.server.allow(self.client, self.user, scope="openid api:read", resource=API)
        assert allowed.pkce is not None
        return {
            "code": allowed.code,
            "redirect_uri": allowed.redirect_uri,
            "code_verifier": allowed.pkce.verifier,
            "client_id": self.client.client_id,
            "resource": API,
            "scope": "openid",
        }

    def _device_code(self) -> dict[str, Any]:
        at, (_, session) = self.server.server, self.server._session(self.user)
        codes = devices.begin(self.server, self.client, scope="openid api:read", resource=API)
        found = device.find(at, device.entered(codes["user_code"]) or "", session, "127.0.0.1")
        assert found is not None
        assert device.decide(at, found[0], session, "openid api:read")
        return {"device_code": codes["device_code"], "resource": API}


JSON_PATHS: Final = frozenset(path for name, path, _, _ in registry.ENDPOINTS if name in registry.TAKE_JSON)

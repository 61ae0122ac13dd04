"""Request objects (RFC 9101) as a client makes them, signed by PyJWT and encrypted by joserfc, and as none should."""

import json
import time
from datetime import timedelta
from typing import Any

from joserfc import jwe
from joserfc.jwk import Key, import_key

from pytest_authserver import AuthServer, Page, Pkce, RegisteredClient
from tests import signing
from tests.world import assert_refused, assert_shown

TYPE = "oauth-authz-req+jwt"
NAMES = ("p256", "rsa", "p384", "ed25519")  # keys of a client that signs
METHODS = {"RSA-OAEP-256": "A256GCM", "ECDH-ES": "A256GCM"}


def jwk(name: str, **members: str) -> dict[str, Any]:
    """Return a public key of the tests as a client registers it."""
    return dict(signing.key(name, kid=name, **members).as_dict(private=False))


def signing_client(at: AuthServer, **metadata: Any) -> RegisteredClient:
    """Register a client that signs its requests, of which no consent is asked."""
    members = {"trusted": True, "jwks": {"keys": [jwk(name) for name in NAMES]}, **metadata}
    return at.client(**members)


def claims(at: AuthServer, client: RegisteredClient, pkce: Pkce | None = None, **changes: Any) -> dict[str, Any]:
    """Return the claims of a good request object with changes: None takes one away, a timedelta counts from now."""
    moment = int(time.time())
    made = {
        **at.request(client, pkce or at.pkce(), state="inside"),
        "iss": client.client_id,
        "aud": at.issuer,
        "nbf": moment,
        "iat": moment,
        "exp": moment + 300,
        **changes,
    }
    seconds = {name: value.total_seconds() for name, value in made.items() if isinstance(value, timedelta)}
    made |= {name: moment + int(value) for name, value in seconds.items()}
    return {name: value for name, value in made.items() if value is not None}


def sign(payload: Any, algorithm: str = "ES256", name: str | None = None, **header: Any) -> str:
    """Sign claims with a key of the tests, which the header names; None takes a member of the header away."""
    chosen = name or signing.KIND_OF[algorithm]
    head = {"alg": algorithm, "typ": TYPE, "kid": chosen, **header}
    text = json.dumps({member: value for member, value in head.items() if value is not None})
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return signing.raw(text.encode(), body, algorithm, signing.pem(chosen))


def signed(at: AuthServer, client: RegisteredClient, pkce: Pkce | None = None, **changes: Any) -> str:
    """Return a good request object with changes of its claims."""
    return sign(claims(at, client, pkce, **changes))


def published(at: AuthServer, algorithm: str) -> dict[str, Any]:
    """Return the key of the server to which clients encrypt under this algorithm."""
    keys: list[dict[str, Any]] = at.get("/jwks").json()["keys"]
    return next(key for key in keys if key["alg"] == algorithm and key["use"] == "enc")


def encrypt(at: AuthServer, inner: str, algorithm: str = "RSA-OAEP-256", enc: str = "A256GCM", **header: Any) -> str:
    """Encrypt a request object to the server; None takes a member of the header away."""
    members = published(at, algorithm)
    return encrypt_to(import_key(members), inner, alg=algorithm, enc=enc, **{"kid": members["kid"], **header})


def encrypt_to(key: Key, inner: str, **header: Any) -> str:
    """Encrypt to any key, under whatever the header says."""
    head = {member: value for member, value in {"cty": "JWT", **header}.items() if value is not None}
    registry = jwe.JWERegistry(algorithms=[head["alg"], head["enc"], "DEF"], strict_check_header=False)
    return jwe.encrypt_compact(head, inner, key, registry=registry)


def visit(at: AuthServer, client: RegisteredClient, token: str, user: Any = None, **outside: Any) -> Page:
    """Bring a request object to the authorization endpoint in a new browser."""
    return at.browser(user).visit_request({"client_id": client.client_id, "request": token, **outside})


def assert_not_taken(at: AuthServer, client: RegisteredClient, token: str) -> None:
    """Check that a request object is refused, by a page at the one endpoint and in JSON at the other (6.1, 6.2)."""
    assert_shown(visit(at, client, token), "invalid_request_object")
    assert_refused(at.post("/par", client, request=token), "invalid_request_object")

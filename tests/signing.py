"""The fixed keys of the tests, and tokens signed with them by PyJWT: a second writer beside our own."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cache
from typing import Any

import jwt as pyjwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from tests.listener import KEYS

SECRET = "a shared secret of the tests, long enough for HMAC"
KIND_OF = {"RS256": "rsa", "PS256": "rsa", "ES256": "p256", "ES384": "p384", "EdDSA": "ed25519", "Ed25519": "ed25519"}

_ALGORITHMS = pyjwt.algorithms.get_default_algorithms()
_ALGORITHMS["Ed25519"] = _ALGORITHMS["EdDSA"]


def pem(name: str) -> str:
    """Return a private key of the tests."""
    return (KEYS / f"{name}.pem").read_text()


@cache
def key(name: str, **parameters: str) -> Key:
    """Return the public half of a key of the tests, as a JWK with these members."""
    kind = RSAKey if name.startswith("rsa") else OKPKey if name.startswith("ed") else ECKey
    return kind.import_key({**kind.import_key(pem(name)).as_dict(private=False), **parameters})


def shared() -> Key:
    """Return the shared secret as a key."""
    return OctKey.import_key(SECRET)


def b64(data: bytes) -> str:
    """Encode as base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(head: bytes, body: bytes, algorithm: str, private: str) -> str:
    """Sign these very bytes under the algorithm with a private key (PEM) or secret, whatever the header says."""
    signed = f"{b64(head)}.{b64(body)}"
    return f"{signed}.{b64(_ALGORITHMS[algorithm].sign(signed.encode(), _prepared(algorithm, private)))}"


@cache
def _prepared(algorithm: str, private: str) -> Any:
    return _ALGORITHMS[algorithm].prepare_key(private)


def token(algorithm: str = "ES256", claims: Any = None, name: str | None = None, **header: Any) -> str:
    """Sign claims under the algorithm with the key that fits it, or another one."""
    private = SECRET if algorithm == "HS256" else pem(name or KIND_OF[algorithm])
    head = {"alg": algorithm, "typ": "JWT", **header}
    return raw(json.dumps(head).encode(), json.dumps(claims or {"sub": "me"}).encode(), algorithm, private)


def claims_of(jwt: str) -> dict[str, Any]:
    """Return the claims of a token whose signature is another test's affair."""
    body = jwt.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims

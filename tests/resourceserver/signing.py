"""Fixed test keys and tokens made with them; nothing here protects anything."""

import base64
import json
import time
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import get_default_algorithms

ISSUER_CLAIM = "iss"
ALGORITHM_OF = {
    "rsa": "RS256",
    "rsa_other": "RS256",
    "rsa_short": "RS256",
    "p256": "ES256",
    "p384": "ES384",
    "ed25519": "EdDSA",
}
_ALGORITHMS = get_default_algorithms()
_KEYS = Path(__file__).parent / "keys"


@cache
def private_key(name: str) -> Any:
    return load_pem_private_key((_KEYS / f"{name}.pem").read_bytes(), password=None)


def public_jwk(name: str, kid: str | None = None, **members: object) -> dict[str, object]:
    """The public key as a JWK; a member given as None is left out."""
    jwk = _ALGORITHMS[ALGORITHM_OF[name]].to_jwk(private_key(name).public_key(), as_dict=True)
    jwk.pop("key_ops", None)
    jwk |= {"kid": kid or name, "use": "sig", "alg": ALGORITHM_OF[name], **members}
    return {key: value for key, value in jwk.items() if value is not None}


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: object, payload: object, key: str = "rsa", alg: str | None = None) -> str:
    """A compact JWS over whatever is given: objects are written as JSON, bytes and text as they are."""
    head, body = (base64url(_bytes(part)) for part in (header, payload))
    algorithm = _ALGORITHMS[{"Ed25519": "EdDSA"}.get(alg or "", alg or ALGORITHM_OF[key])]
    signature = algorithm.sign(f"{head}.{body}".encode(), private_key(key))
    return f"{head}.{body}.{base64url(signature)}"


def header(key: str = "rsa", **members: object) -> dict[str, object]:
    return _merged({"typ": "at+jwt", "alg": ALGORITHM_OF[key], "kid": key}, members)


def claims(issuer: str, audience: object, **members: object) -> dict[str, object]:
    """The claims of a good JWT access token (RFC 9068 2.2); a member given as None is left out."""
    now = int(time.time())
    usual: dict[str, object] = {
        "iss": issuer,
        "sub": "user-1",
        "aud": audience,
        "exp": now + 600,
        "iat": now,
        "jti": "token-1",
        "client_id": "client-1",
        "scope": "read write",
    }
    return _merged(usual, members)


def _merged(usual: dict[str, object], members: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in {**usual, **members}.items() if value is not None}


def _bytes(part: object) -> bytes:
    if isinstance(part, bytes):
        return part
    return part.encode() if isinstance(part, str) else json.dumps(part).encode()

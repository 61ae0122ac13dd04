"""Client assertions (RFC 7523 3), as a client would sign them with PyJWT."""

import json
import secrets
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from pytest_authserver import AuthServer, RegisteredClient, signing_keys

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY = ec.derive_private_key(20260101, ec.SECP256R1())
OTHER_KEY = ec.derive_private_key(20260102, ec.SECP256R1())
RSA_KEY = signing_keys.private_key("RS256")


def jwk(key: Any = KEY, **members: Any) -> dict[str, Any]:
    """Return the public key as a client registers it."""
    algorithm = (
        jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else jwt.algorithms.RSAAlgorithm
    )
    public: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return {**public, **members}


def keyed_client(authserver: AuthServer, key: Any = KEY, **metadata: Any) -> RegisteredClient:
    """Register a client for private_key_jwt with this key."""
    members = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [jwk(key)]}, **metadata}
    return authserver.client(**members)


def claims(authserver: AuthServer, client: RegisteredClient, **changes: Any) -> dict[str, Any]:
    """Return the claims of a good assertion with changes; None takes one away."""
    moment = int(time.time())
    made = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": authserver.issuer,
        "jti": secrets.token_urlsafe(12),
        "iat": moment,
        "exp": moment + 60,
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def signed(payload: dict[str, Any], key: Any = KEY, algorithm: str = "ES256", **headers: Any) -> dict[str, str]:
    """Return the parameters that authenticate a client by these claims."""
    return {"client_assertion_type": TYPE, "client_assertion": jwt.encode(payload, key, algorithm, headers)}

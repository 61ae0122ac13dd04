"""JWTs of the server as a careful reader takes them: by the published key of their ``kid``, under one algorithm."""

import json
import warnings
from typing import Any

import jwt
from joserfc import jws
from joserfc.jwk import import_key

from pytest_authserver import AuthServer

# Hash of each algorithm that signs, written from the tables of RFC 7518 3.1 and RFC 8032 5.1.
HASHES = {
    "RS256": "sha256",
    "PS256": "sha256",
    "ES256": "sha256",
    "ES384": "sha384",
    "Ed25519": "sha512",
    "EdDSA": "sha512",
}
ALGORITHMS = list(HASHES)


def read(authserver: AuthServer, token: str, algorithm: str) -> dict[str, Any]:
    """Verify a JWT with joserfc, and with PyJWT where that knows the algorithm; return its claims."""
    header = jwt.get_unverified_header(token)
    (public,) = [key for key in authserver.get("/jwks").json()["keys"] if key["kid"] == header["kid"]]
    assert header == {"alg": algorithm, "kid": public["kid"], "typ": "JWT"}
    assert (public["alg"], public["use"]) == (algorithm, "sig")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # RFC 9864 deprecates the name EdDSA, and joserfc says so
        found = jws.deserialize_compact(token, import_key(public), [algorithm])
    claims: dict[str, Any] = json.loads(found.payload)
    if algorithm != "Ed25519":  # PyJWT knows the older name only
        options: Any = {"verify_aud": False}
        assert jwt.decode(token, jwt.PyJWK(public), [algorithm], options=options) == claims
    return claims

"""The algorithms that sign here (RFC 7518 3, RFC 9864 2.2), against two other libraries."""

import json
from base64 import urlsafe_b64decode
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from joserfc import jws

from authserver import signing
from authserver.keys import ENCRYPTION, SIGNING
from tests.signing import KIND_OF, b64, key, pem

BODY = b64(b'{"sub":"me"}')


def private(name: str) -> Any:
    return serialization.load_pem_private_key(pem(name).encode(), None)


def token(algorithm: str, name: str) -> str:
    sign = signing.signing_function(algorithm, private(name))
    assert sign is not None
    signed = f"{b64(json.dumps({'alg': algorithm}).encode())}.{BODY}"
    return f"{signed}.{b64(sign(signed.encode()))}"


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", SIGNING)
def test_what_is_signed_is_read_by_two_other_libraries(algorithm: str):
    made, public = token(algorithm, KIND_OF[algorithm]), key(KIND_OF[algorithm])
    assert jws.deserialize_compact(made, public, [algorithm]).payload == b'{"sub":"me"}'
    reader = pyjwt.PyJWS()
    if algorithm == "Ed25519":  # PyJWT knows the older name only
        reader.register_algorithm("Ed25519", pyjwt.algorithms.OKPAlgorithm())
    prepared = private(KIND_OF[algorithm]).public_key()
    assert reader.decode(made, prepared, algorithms=[algorithm]) == b'{"sub":"me"}'


@pytest.mark.parametrize(("algorithm", "size"), [("ES256", 64), ("ES384", 96), ("Ed25519", 64), ("PS256", 256)])
def test_a_signature_has_the_size_of_its_algorithm(algorithm: str, size: int):
    made = token(algorithm, KIND_OF[algorithm]).rpartition(".")[2]
    assert len(urlsafe_b64decode(made + "=" * (-len(made) % 4))) == size


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [
        ("ES256", "p384"),
        ("ES384", "p256"),
        ("ES256", "rsa"),
        ("RS256", "p256"),
        ("PS256", "ed25519"),
        ("Ed25519", "p256"),
        ("Ed25519", "ed448"),
        ("EdDSA", "ed448"),
        ("ECDH-ES", "p256"),
        ("RSA-OAEP-256", "rsa"),
        ("HS256", "rsa"),
        ("none", "rsa"),
    ],
)
def test_a_key_of_another_kind_signs_nothing(algorithm: str, name: str):
    assert signing.signing_function(algorithm, private(name)) is None


def test_a_key_is_made_on_the_curve_of_its_algorithm():
    for algorithm, curve in (("ES256", "secp256r1"), ("ES384", "secp384r1"), ("ECDH-ES", "secp256r1")):
        made = signing.make_private(algorithm)
        assert isinstance(made, ec.EllipticCurvePrivateKey)
        assert made.curve.name == curve
    for algorithm in ("Ed25519", "EdDSA"):
        assert isinstance(signing.make_private(algorithm), ed25519.Ed25519PrivateKey)


def test_what_encrypts_does_not_sign():
    assert not set(ENCRYPTION) & set(SIGNING)

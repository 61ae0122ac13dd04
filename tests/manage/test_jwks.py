"""Key sets as registered: public, strong enough, told apart (RFC 7517, RFC 8725 3.5)."""

from base64 import urlsafe_b64encode
from typing import Any

import pytest

from authserver.manage.errors import InvalidMetadata
from authserver.manage.jwks import check_jwks


def text(size: int, first: int = 0x80) -> str:
    return urlsafe_b64encode(bytes([first]) + b"\x01" * (size - 1)).rstrip(b"=").decode()


RSA = {"kty": "RSA", "n": text(256), "e": "AQAB"}
EC = {"kty": "EC", "crv": "P-256", "x": text(32), "y": text(32)}
ED = {"kty": "OKP", "crv": "Ed25519", "x": text(32)}


@pytest.mark.parametrize(
    "key", [RSA, EC, ED, {**EC, "crv": "P-384", "x": text(48), "y": text(48)}, {**RSA, "use": "sig"}]
)
def test_public_keys_are_taken(key: dict[str, Any]):
    assert check_jwks("jwks", {"keys": [key], "other": 1}) == {"keys": [key]}


@pytest.mark.parametrize(
    "key",
    [
        {**RSA, "d": text(256)},
        {**EC, "d": text(32)},
        {"kty": "oct", "k": text(32)},
        {**RSA, "n": text(128)},
        {**RSA, "n": text(256, 0x00)},
        {**RSA, "n": text(4096)},
        {**RSA, "e": "AQ"},
        {**RSA, "e": "Ag"},
        {**RSA, "n": 5},
        {**EC, "y": text(31)},
        {**EC, "crv": "P-192"},
        {**EC, "crv": ["P-256"]},
        {**ED, "crv": "X25519"},
        {**ED, "x": "!"},
        {**EC, "kid": 1},
        {**EC, "use": "other"},
        {**EC, "use": []},
        {**EC, "use": {}},
        {**EC, "other": 2**64},
        {"kty": None},
        {},
        "key",
    ],
    ids=repr,
)
def test_secret_weak_or_broken_keys_are_refused(key: Any):
    with pytest.raises(InvalidMetadata):
        check_jwks("jwks", {"keys": [key]})


@pytest.mark.parametrize("value", [None, [], {}, {"keys": []}, {"keys": {}}, {"keys": [EC] * 21}, "x"], ids=repr)
def test_what_is_no_key_set_is_refused(value: Any):
    with pytest.raises(InvalidMetadata):
        check_jwks("jwks", value)


def test_several_keys_need_a_kid_each():
    assert check_jwks("jwks", {"keys": [{**EC, "kid": "a"}, {**ED, "kid": "b"}]})
    for keys in ([EC, ED], [{**EC, "kid": "a"}, ED], [{**EC, "kid": "a"}, {**ED, "kid": "a"}]):
        with pytest.raises(InvalidMetadata):
            check_jwks("jwks", {"keys": keys})

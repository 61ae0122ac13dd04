"""JSON Web Encryption (RFC 7516): what this server encrypts to its clients."""

from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, RSAKey

from authserver import jwt
from authserver.oauth import encryption
from authserver.records import Client
from pytest_authserver import AuthServer
from tests import encrypted, signing

TOKEN = signing.token("ES256", {"text": "\N{SNOWMAN}" * 2000})
ALG_OF = {"rsa": "RSA-OAEP-256", "p256": "ECDH-ES", "p384": "ECDH-ES"}


def _client(*keys: Mapping[str, Any]) -> Client:
    return Client("client", jwks={"keys": list(keys)})


def _encrypt(at: AuthServer, client: Client, alg: str, enc: str = "A256GCM") -> str:
    return encryption.encrypt(at.server, client, TOKEN, alg, enc)


@pytest.mark.parametrize("enc", encryption.METHODS)
@pytest.mark.parametrize("name", ALG_OF)
def test_both_readers_find_the_signed_token_inside_3_1(authserver: AuthServer, name: str, enc: str):
    alg = ALG_OF[name]
    token = _encrypt(authserver, _client(encrypted.jwk(name)), alg, enc)
    assert encrypted.opened(token, name) == TOKEN
    private = (RSAKey if name == "rsa" else ECKey).import_key(signing.pem(name))
    assert jwe.decrypt_compact(token, private, algorithms=[alg, enc]).plaintext == TOKEN.encode()


def test_every_algorithm_that_is_announced_is_tried_here():
    assert set(ALG_OF.values()) == set(encryption.ALGORITHMS)


@pytest.mark.parametrize("name", ALG_OF)
def test_the_header_says_what_is_inside_and_which_key_opens_it_4_1(authserver: AuthServer, name: str):
    header = encrypted.head(_encrypt(authserver, _client(encrypted.jwk(name)), ALG_OF[name]))
    assert header.pop("epk", None) is None or name != "rsa"
    assert header == {"alg": ALG_OF[name], "enc": "A256GCM", "cty": "JWT", "kid": f"{name}-enc"}


def test_a_key_without_an_identifier_is_used_without_one(authserver: AuthServer):
    token = _encrypt(authserver, _client(encrypted.jwk("rsa", kid="")), "RSA-OAEP-256")
    assert "kid" not in encrypted.head(token)
    assert encrypted.opened(token, "rsa") == TOKEN


@pytest.mark.parametrize("name", ALG_OF)
def test_no_two_encryptions_are_alike(authserver: AuthServer, name: str):
    client = _client(encrypted.jwk(name))
    made = [_encrypt(authserver, client, ALG_OF[name]).split(".") for _ in range(3)]
    for part in range(0 if name != "rsa" else 1, 5):
        values = {token[part] for token in made}
        assert len(values) == 3 or values == {""}


# Which key.


def test_a_key_for_encryption_comes_before_one_for_everything(authserver: AuthServer):
    anything, own = encrypted.jwk("rsa_other", use="", kid="anything"), encrypted.jwk("rsa", kid="own")
    for keys in ((anything, own), (own, anything)):
        assert encrypted.head(_encrypt(authserver, _client(*keys), "RSA-OAEP-256"))["kid"] == "own"
    token = _encrypt(authserver, _client(anything), "RSA-OAEP-256")
    assert encrypted.opened(token, "rsa_other") == TOKEN


@pytest.mark.parametrize(
    "members",
    [
        encrypted.jwk("rsa", use="sig"),
        encrypted.jwk("rsa", alg="RS256"),
        encrypted.jwk("rsa", alg="RSA-OAEP"),
        encrypted.jwk("rsa", use="", alg="PS256"),
        encrypted.jwk("p256"),
        encrypted.jwk("ed25519"),
        {**encrypted.jwk("rsa"), "key_ops": ["verify"]},
        {**encrypted.jwk("rsa", use=""), "key_ops": ["verify"]},
        {**encrypted.jwk("rsa"), "key_ops": 5},
        {**encrypted.jwk("rsa"), "n": "AQAB"},
        {**encrypted.jwk("rsa"), "alg": ["RSA-OAEP-256"]},
        {"kty": "oct", "k": "AAAA"},
    ],
)
def test_a_key_that_is_not_for_the_algorithm_is_never_used_7517_4(authserver: AuthServer, members: dict[str, Any]):
    with pytest.raises(encryption.NoKey):
        _encrypt(authserver, _client(members), "RSA-OAEP-256")
    token = _encrypt(authserver, _client(members, encrypted.jwk("rsa", kid="good")), "RSA-OAEP-256")
    assert encrypted.head(token)["kid"] == "good"


@pytest.mark.parametrize("change", [{"x": "A" * 43}, {"y": "A" * 43}, {"crv": "P-384"}, {"crv": "secp256k1"}])
def test_a_point_that_is_not_on_its_curve_is_never_used(authserver: AuthServer, change: dict[str, str]):
    with pytest.raises(encryption.NoKey):
        _encrypt(authserver, _client({**encrypted.jwk("p256"), **change}), "ECDH-ES")


def test_without_any_key_nothing_is_encrypted(authserver: AuthServer):
    for client in (Client("client"), _client()):
        with pytest.raises(encryption.NoKey):
            _encrypt(authserver, client, "ECDH-ES")


def test_the_key_comes_from_the_jwks_uri_of_the_client(authserver: AuthServer, monkeypatch: pytest.MonkeyPatch):
    client = Client("client", jwks_uri="https://client.test/jwks")

    def published(asked: Client) -> dict[str, Any]:
        assert asked is client
        return {"keys": [encrypted.jwk("rsa"), encrypted.jwk("p256")]}

    monkeypatch.setattr(authserver.server.outbound, "encryption_keys", published)
    assert encrypted.opened(_encrypt(authserver, client, "ECDH-ES"), "p256") == TOKEN


def test_a_key_set_that_is_not_to_be_had_means_no_key(authserver: AuthServer, monkeypatch: pytest.MonkeyPatch):
    def away(_asked: Client) -> dict[str, Any]:
        raise jwt.InvalidJWT("away")

    monkeypatch.setattr(authserver.server.outbound, "encryption_keys", away)
    with pytest.raises(encryption.NoKey):
        _encrypt(authserver, Client("client", jwks_uri="https://client.test/jwks"), "ECDH-ES")

"""Client authentication by a certificate (RFC 8705 2), and by one that the client has registered itself (2.2)."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from authserver.manage import clients
from authserver.manage.errors import InvalidMetadata
from authserver.outbound import Outbound
from authserver.records import User
from authserver.settings import Settings
from pytest_authserver import AuthServer, RegisteredClient
from tests.assertions import claims, jwk, keyed_client, signed
from tests.certificates import issue, key
from tests.mtls import (
    CA,
    DAY,
    ITSELF,
    LEAF,
    OTHER,
    SELF,
    anna,
    ask,
    assert_known,
    assert_unknown,
    bare,
    by_key_set,
    confirmation,
    pki,
    redeem,
    refresh,
    secret,
    self_signed,
    send,
    server,
)
from tests.signing import pem
from tests.world import assert_refused

__all__ = ["anna", "bare", "pki", "secret", "self_signed", "server"]


# 2: mutual TLS for client authentication.


def test_the_certificate_authenticates_at_every_endpoint(server: AuthServer, pki: RegisteredClient, anna: User):
    token = ask(server, pki).json()["access_token"]
    pkce = server.pkce()
    pushed = send(server, "/par", LEAF, **server.request(pki, pkce))
    assert pushed.status_code == 201, pushed.text
    assert confirmation(server, pki, token, LEAF) == {"x5t#S256": LEAF.x5t}
    assert redeem(server, pki, anna, LEAF).status_code == 200
    assert send(server, "/revoke", LEAF, token=token, client_id=pki.client_id).status_code == 200
    for path in ("/par", "/introspect", "/revoke"):
        refused = send(server, path, SELF, token=token, client_id=pki.client_id)
        assert_refused(refused, "invalid_client", 401)


def test_the_client_has_to_name_itself(server: AuthServer, pki: RegisteredClient, self_signed: RegisteredClient):
    for certificate in (LEAF, SELF):
        for name in (None, "", "unknown", "\N{SNOWMAN}", "a\0b", "x" * 10_000):
            assert_refused(send(server, "/token", certificate, **ITSELF, client_id=name), "invalid_client", 401)


def test_without_a_certificate_the_name_alone_proves_nothing(
    server: AuthServer, pki: RegisteredClient, self_signed: RegisteredClient
):
    for client in (pki, self_signed):
        for path in ("/token", "/par", "/introspect", "/revoke"):
            refused = send(server, path, None, **ITSELF, token="x", client_id=client.client_id)
            assert_refused(refused, "invalid_client", 401)


def test_a_failed_attempt_uses_up_no_code(server: AuthServer, pki: RegisteredClient, anna: User):
    allowed = server.allow(pki, anna)
    sent = {"grant_type": "authorization_code", "code": allowed.code, "redirect_uri": allowed.redirect_uri}
    sent |= {"code_verifier": allowed.pkce.verifier if allowed.pkce else "", "client_id": pki.client_id}
    assert_refused(send(server, "/token", SELF, **sent), "invalid_client", 401)
    assert_refused(send(server, "/token", None, **sent), "invalid_client", 401)
    assert send(server, "/token", LEAF, **sent).status_code == 200


def test_a_certificate_beside_another_method_is_no_second_method(
    server: AuthServer, secret: RegisteredClient, bare: RegisteredClient, anna: User
):
    assert send(server, "/token", LEAF, secret.basic, **ITSELF).status_code == 200
    posted = {"client_id": secret.client_id, "client_secret": secret.client_secret}
    assert send(server, "/token", LEAF, **posted, **ITSELF).status_code == 200
    keyed = keyed_client(server)
    assert send(server, "/token", LEAF, **signed(claims(server, keyed)), **ITSELF).status_code == 200
    assert redeem(server, bare, anna, LEAF).status_code == 200


def test_a_certificate_is_no_way_in_for_clients_with_other_methods(server: AuthServer, secret: RegisteredClient):
    keyed = keyed_client(server, LEAF.key)
    for client in (secret, keyed):
        assert_unknown(server, client, LEAF)


def test_other_methods_are_no_way_in_for_clients_with_certificates(server: AuthServer):
    client = by_key_set(server, jwk(SELF.key))
    named = (client.client_id, "secret")
    assert_refused(send(server, "/token", SELF, named, **ITSELF), "invalid_client", 401)
    assert_refused(ask(server, client, SELF, client_secret="secret"), "invalid_client", 401)
    assertion = signed(claims(server, client), SELF.key)
    assert_refused(send(server, "/token", SELF, **assertion, **ITSELF), "invalid_client", 401)
    assert_known(server, client, SELF)


def test_a_disabled_client_is_unknown_at_once(server: AuthServer):
    client = by_key_set(server, jwk(SELF.key))
    assert_known(server, client, SELF)
    clients.set_disabled(server.store, client.client_id, disabled=True, actor="test")
    server.server.forget()
    assert_unknown(server, client, SELF)


# 2.2: a certificate that the client has registered.


def test_a_registered_certificate_authenticates(server: AuthServer, self_signed: RegisteredClient):
    assert_known(server, self_signed, SELF)


def test_another_certificate_over_the_same_key_is_not_the_registered_one(
    server: AuthServer, self_signed: RegisteredClient
):
    assert_unknown(server, self_signed, issue("CN=itself", key(2)))
    assert_unknown(server, self_signed, LEAF)


def test_a_key_that_is_registered_without_a_certificate_stands_for_all_of_its_certificates(server: AuthServer):
    client = by_key_set(server, jwk(key(3)), jwk(key(2)))
    for certificate in (SELF, LEAF, OTHER):
        assert_known(server, client, certificate)
    assert_unknown(server, client, issue("CN=itself", key(7)))


def test_keys_of_each_kind_are_compared(server: AuthServer):
    rsa, p384 = load_pem_private_key(pem("rsa").encode(), None), ec.derive_private_key(4711, ec.SECP384R1())
    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    okp = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(edwards.public_key()))
    for private, public in ((rsa, jwk(rsa)), (p384, jwk(p384)), (edwards, okp)):
        client = by_key_set(server, public)
        if private is not edwards:
            assert_known(server, client, issue("CN=itself", private))
        assert_known(server, client, issue("CN=itself", private, CA))
        assert_unknown(server, client, SELF)


def test_a_key_for_encryption_does_not_authenticate(server: AuthServer):
    client = by_key_set(server, jwk(SELF.key, use="enc", x5c=[SELF.x5c]), jwk(SELF.key, use="enc"))
    assert_unknown(server, client, SELF)


def test_the_certificate_of_another_client_is_refused(server: AuthServer, self_signed: RegisteredClient):
    other = issue("CN=other", key(8))
    by_key_set(server, jwk(other.key, x5c=[other.x5c]))
    assert_unknown(server, self_signed, other)


def test_a_registered_certificate_runs_out(server: AuthServer):
    early, late = issue("CN=itself", key(2), days=(2, 9)), issue("CN=itself", key(2), days=(-9, -2))
    client = by_key_set(server, jwk(key(3), x5c=[early.x5c]), jwk(key(3), x5c=[late.x5c]), jwk(SELF.key))
    assert_known(server, client, SELF)
    for certificate in (early, late):
        assert_unknown(server, client, certificate)
    with server.later(3 * DAY):
        assert_known(server, client, early)


@pytest.mark.parametrize("chain", [[], ["rubbish!"], [1], "AAAA", ["AAA"], {}])
def test_a_malformed_certificate_cannot_be_registered(server: AuthServer, chain: Any):
    with pytest.raises(InvalidMetadata):
        by_key_set(server, jwk(SELF.key, x5c=chain))


def test_a_client_with_this_method_registers_its_keys(server: AuthServer):
    with pytest.raises(InvalidMetadata):
        by_key_set(server)


def _published(monkeypatch: pytest.MonkeyPatch, server: AuthServer) -> list[dict[str, Any]]:
    """Let the key set behind every jwks_uri be this list."""
    keys: list[dict[str, Any]] = []
    outgoing = Outbound(Settings(development=True))
    body = lambda _uri: json.dumps({"keys": [{**each, "kid": str(n)} for n, each in enumerate(keys)]}).encode()  # noqa: E731
    monkeypatch.setattr(outgoing._key_sets, "_fetch", body)
    monkeypatch.setattr(server.server, "outbound", outgoing)
    return keys


def test_a_certificate_behind_the_jwks_uri_can_be_rotated_6_3(
    server: AuthServer, monkeypatch: pytest.MonkeyPatch, anna: User
):
    keys = _published(monkeypatch, server)
    client = by_key_set(server, jwks_uri="https://client.test/jwks", tls_client_certificate_bound_access_tokens=True)
    old, new = issue("CN=old", key(2)), issue("CN=new", key(3))
    keys.append(jwk(old.key, x5c=[old.x5c]))
    first = redeem(server, client, anna, old).json()
    assert_unknown(server, client, issue("CN=stranger", key(7)))
    keys.append(jwk(new.key, x5c=[new.x5c]))
    with server.later(61):
        # Found at once, though the set is not five minutes old; the refresh token follows the client (7.1).
        second = refresh(server, client, first["refresh_token"], new)
        assert second.status_code == 200, second.text
        assert confirmation(server, client, second.json()["access_token"], new) == {"x5t#S256": new.x5t}
        # A token that was issued before stays bound to the certificate of then (6.3).
        assert confirmation(server, client, first["access_token"], new) == {"x5t#S256": old.x5t}
        assert refresh(server, client, second.json()["refresh_token"], old).status_code == 200
    del keys[0]
    with server.later(400):
        assert_unknown(server, client, old)
        assert_known(server, client, new)


def test_a_jwks_uri_without_an_answer_authenticates_nobody(server: AuthServer, monkeypatch: pytest.MonkeyPatch):
    _published(monkeypatch, server)
    client = by_key_set(server, jwks_uri="https://client.test/none")
    assert_unknown(server, client, SELF)

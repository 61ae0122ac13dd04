"""ID tokens signed and encrypted as each client registered (OpenID Connect Core 1.0, 3.1.3.6, 10; Registration 2)."""

import hashlib
from typing import Any

import pytest

from authserver.manage.errors import InvalidMetadata
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests import encrypted, verified
from tests.assertions import jwk, keyed_client
from tests.devices import request as ask_for_a_device
from tests.signing import b64
from tests.world import ask, assert_refused, assert_sent_back, code_of

FAPI2: dict[str, Any] = {"profile": "fapi2", "grant_types": ["authorization_code"], "jwks": {"keys": [jwk()]}}
# A key for signatures is none to encrypt to, and neither is one of another kind.
WITHOUT_KEY: dict[str, Any] = {"jwks": {"keys": [jwk()]}, "id_token_encrypted_response_alg": "RSA-OAEP-256"}


def half(text: str, algorithm: str) -> str:
    """Return what 3.1.3.6 asks for, written from its words."""
    digest = hashlib.new(verified.HASHES[algorithm], text.encode("ascii")).digest()
    return b64(digest[: len(digest) // 2])


# Registration 2: id_token_signed_response_alg.


@pytest.mark.parametrize("algorithm", verified.ALGORITHMS)
def test_it_is_signed_by_the_algorithm_that_the_client_registered(authserver: AuthServer, alice: User, algorithm: str):
    client = authserver.client(id_token_signed_response_alg=algorithm)
    assert client.registration["id_token_signed_response_alg"] == algorithm
    tokens = authserver.tokens(client, alice, nonce="n")
    claims = verified.read(authserver, tokens["id_token"], algorithm)
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (authserver.issuer, client.client_id, "n")
    assert claims["at_hash"] == half(tokens["access_token"], algorithm)
    refreshed = authserver.refresh(client, tokens["refresh_token"]).json()
    again = verified.read(authserver, refreshed["id_token"], algorithm)
    assert again["at_hash"] == half(refreshed["access_token"], algorithm)
    hinted = ask(authserver, client, alice, id_token_hint=tokens["id_token"])
    assert hinted.error_code is None, "the server knows its own signature again"


def test_without_a_word_it_is_rs256(authserver: AuthServer, alice: User):
    client = authserver.client()
    assert "id_token_signed_response_alg" not in client.registration
    assert verified.read(authserver, authserver.tokens(client, alice)["id_token"], "RS256")


@pytest.mark.parametrize(
    "algorithm", ["none", "HS256", "HS512", "RS384", "PS512", "ES512", "ES256K", "Ed448", "", 1, []]
)
def test_no_other_algorithm_can_be_registered(authserver: AuthServer, algorithm: Any):
    with pytest.raises(InvalidMetadata):
        authserver.client(id_token_signed_response_alg=algorithm)


@pytest.mark.parametrize("algorithm", ["PS256", "ES256", "Ed25519", "EdDSA"])
def test_fapi_2_allows_these(authserver: AuthServer, algorithm: str):
    made = authserver.client(**FAPI2, id_token_signed_response_alg=algorithm).registration
    assert made["id_token_signed_response_alg"] == algorithm


@pytest.mark.parametrize("member", ["id_token_signed_response_alg", "userinfo_signed_response_alg"])
@pytest.mark.parametrize("algorithm", ["RS256", "ES384"])
def test_fapi_2_allows_no_others(authserver: AuthServer, algorithm: str, member: str):
    # FAPI 2.0 Security Profile 5.4.1
    with pytest.raises(InvalidMetadata, match=member):
        authserver.client(**FAPI2, **{member: algorithm})


def test_the_algorithms_are_announced(authserver: AuthServer):
    document = authserver.get("/.well-known/openid-configuration").json()
    assert sorted(document["id_token_signing_alg_values_supported"]) == sorted(verified.ALGORITHMS)
    assert document["id_token_encryption_alg_values_supported"] == ["RSA-OAEP-256", "ECDH-ES"]
    assert document["id_token_encryption_enc_values_supported"] == ["A128CBC-HS256", "A256GCM"]


# 2: azp.


def test_there_is_no_authorized_party_beside_the_audience_2(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    claims = verified.read(authserver, authserver.tokens(client, alice)["id_token"], "RS256")
    assert claims["aud"] == client.client_id
    assert not {"azp", "c_hash", "s_hash"} & claims.keys()


# 10.2, Registration 2: id_token_encrypted_response_alg and _enc.


@pytest.mark.parametrize(
    ("name", "alg", "enc", "signed"),
    [
        ("rsa", "RSA-OAEP-256", "A256GCM", "PS256"),
        ("rsa", "RSA-OAEP-256", None, None),
        ("p256", "ECDH-ES", None, "ES384"),
        ("p384", "ECDH-ES", "A256GCM", "Ed25519"),
    ],
)
def test_an_encrypted_one_holds_the_signed_one_10_2(
    authserver: AuthServer, alice: User, name: str, alg: str, enc: str | None, signed: str | None
):
    client = authserver.client(
        jwks={"keys": [encrypted.jwk(name)]},
        id_token_signed_response_alg=signed,
        id_token_encrypted_response_alg=alg,
        id_token_encrypted_response_enc=enc,
    )
    tokens = authserver.tokens(client, alice)
    for answer in (tokens, authserver.refresh(client, tokens["refresh_token"]).json()):
        header = encrypted.head(answer["id_token"])
        assert (header["alg"], header["enc"], header["cty"]) == (alg, enc or "A128CBC-HS256", "JWT")
        claims = verified.read(authserver, encrypted.opened(answer["id_token"], name), signed or "RS256")
        assert (claims["sub"], claims["aud"]) == (alice.sub, client.client_id)
        assert claims["at_hash"] == half(answer["access_token"], signed or "RS256")


def test_the_client_takes_the_signed_one_out_to_use_it_as_a_hint_3_1_2_1(authserver: AuthServer, alice: User):
    client = authserver.client(
        trusted=True, jwks={"keys": [encrypted.jwk("p256")]}, id_token_encrypted_response_alg="ECDH-ES"
    )
    token = authserver.tokens(client, alice)["id_token"]
    assert code_of(ask(authserver, client, alice, prompt="none", id_token_hint=encrypted.opened(token, "p256")))
    assert_sent_back(ask(authserver, client, alice, prompt="none", id_token_hint=token), "invalid_request", client)


@pytest.mark.parametrize("kind", ["id_token", "userinfo"])
@pytest.mark.parametrize(
    "members",
    [
        {"alg": "RSA1_5"},
        {"alg": "RSA-OAEP"},
        {"alg": "dir"},
        {"alg": "A128KW"},
        {"alg": "none"},
        {"alg": "ECDH-ES", "enc": "A128GCM"},
        {"alg": "ECDH-ES", "enc": "none"},
        {"enc": "A256GCM"},
        {"alg": "ECDH-ES", "jwks": None},
    ],
)
def test_what_cannot_be_done_is_not_registered(authserver: AuthServer, kind: str, members: dict[str, Any]):
    keys = members.get("jwks", {"keys": [encrypted.jwk("p256")]})
    wanted = {f"{kind}_encrypted_response_{name}": value for name, value in members.items() if name != "jwks"}
    with pytest.raises(InvalidMetadata):
        authserver.client(jwks=keys, **wanted)


def test_one_that_could_not_be_encrypted_is_refused_before_anybody_signs_in(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True, **WITHOUT_KEY)
    for user in (None, alice):
        page = ask(authserver, client, user, state="s")
        assert_sent_back(page, "invalid_request", client, state="s")
        assert "encrypted" in page.callback["error_description"]
    assert_refused(authserver.push(client, authserver.pkce()), "invalid_request")
    assert "code" in ask(authserver, client, alice, scope="profile").callback, "no ID token was asked for"


def test_so_is_a_device_that_asks_for_one(authserver: AuthServer):
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    client = authserver.client(grant_types=[grant], redirect_uris=None, **WITHOUT_KEY)
    assert_refused(ask_for_a_device(authserver, client, scope="openid"), "invalid_request")
    assert ask_for_a_device(authserver, client, scope="profile").status_code == 200


def test_a_key_that_is_lost_costs_no_refresh_token(
    authserver: AuthServer, alice: User, monkeypatch: pytest.MonkeyPatch
):
    client = keyed_client(
        authserver,
        token_endpoint_auth_method="client_secret_basic",
        jwks={"keys": [encrypted.jwk("p256")]},
        id_token_encrypted_response_alg="ECDH-ES",
    )
    allowed, tokens = authserver.allow(client, alice), authserver.tokens(client, alice)
    with monkeypatch.context() as away:
        away.setattr("authserver.oauth.encryption._keys", lambda *_arguments: [])
        for answer in (authserver.redeem(client, allowed), authserver.refresh(client, tokens["refresh_token"])):
            assert_refused(answer, "invalid_request")
            assert "encrypted" in answer.json()["error_description"]
    with authserver.later(120):  # longer than any retry is forgiven
        assert authserver.refresh(client, tokens["refresh_token"]).status_code == 200

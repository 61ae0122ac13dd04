"""What is checked of an assertion: issuer, key, claims, single use (RFC 7523 3)."""

import hmac
import json
import time
from typing import Any

import pytest

from authserver.outbound import Outbound
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.proofs import Prover
from tests.signing import b64, key, pem, raw
from tests.vouching import (
    AUDIENCE,
    BANK,
    DIRECTORY,
    GRANT,
    IDP,
    assert_bad,
    assert_good,
    bearer,
    claims,
    client,
    keys,
    server,
    signed,
    user,
)
from tests.world import assert_refused

__all__ = ["client", "keys", "server", "user"]


# 3: issuer and key.


def test_an_issuer_whose_keys_are_behind_a_url_is_believed_from_its_clients(
    server: AuthServer, user: User, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []
    published = {"keys": [key("p384", kid="far").as_dict(private=False)]}

    def fetch(_outbound: Outbound, url: str) -> bytes:
        asked.append(url)
        return json.dumps(published).encode()

    monkeypatch.setattr(Outbound, "fetch", fetch)
    monkeypatch.setattr(server.server, "outbound", Outbound(server.settings))
    teller, other = bearer(server, client_id="teller"), bearer(server)
    assertion = signed(claims(server, user, iss=BANK), "ES384")
    assert_bad(server, other, assertion)
    assert asked == [], "nothing is fetched for a client that may not bring it"
    assert_good(server, teller, assertion)
    assert_good(server, teller, signed(claims(server, user, iss=BANK), "ES384"))
    assert asked == [f"{BANK}/jwks"]
    assert_bad(server, teller, signed(claims(server, user, iss=BANK), "ES256"))
    published["keys"] = [key("p256", kid="ec").as_dict(private=False)]
    with server.later(301):
        late = int(time.time()) + 301
        assert_good(server, teller, signed(claims(server, user, iss=BANK, iat=late, exp=late + 60), "ES256"))


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256", "EdDSA", "Ed25519"])
def test_each_algorithm_of_a_published_key_is_good(
    server: AuthServer, client: RegisteredClient, user: User, algorithm: str
):
    assert_good(server, client, signed(claims(server, user), algorithm))


@pytest.mark.parametrize(
    "iss", [None, "", "https://nobody.test", f"{IDP}/", IDP.upper(), "http://localhost:9000", 1, [IDP]]
)
def test_an_issuer_that_is_not_trusted_is_refused(server: AuthServer, client: RegisteredClient, user: User, iss: Any):
    assert_bad(server, client, signed(claims(server, user, iss=iss)))


def test_a_key_of_anybody_else_is_refused(server: AuthServer, client: RegisteredClient, user: User):
    payload, own = claims(server, user), key("p256_other", kid="ec").as_dict(private=False)
    for header in ({}, {"kid": "none"}, {"kid": ["ec"]}, {"kid": None}, {"jwk": own}, {"jku": "https://evil.test/"}):
        assert_bad(server, client, signed(payload, "ES256", "p256_other", **header))


def test_a_public_key_is_no_secret_and_no_signature_is_none(server: AuthServer, client: RegisteredClient, user: User):
    payload = b64(json.dumps(claims(server, user)).encode())
    for kid in ("ec", "rsa"):
        public = key("p256" if kid == "ec" else "rsa", kid=kid)
        head = b64(json.dumps({"alg": "HS256", "kid": kid}).encode())
        for secret in (public.as_pem(private=False), json.dumps(public.as_dict(private=False)).encode(), b""):
            text = f"{head}.{payload}"
            assert_bad(server, client, f"{text}.{b64(hmac.digest(secret, text.encode(), 'sha256'))}")
    for algorithm in ("none", "None", "NONE"):
        head = b64(json.dumps({"alg": algorithm, "kid": "ec"}).encode())
        for text in (f"{head}.{payload}.", f"{head}.{payload}", f"{head}.{payload}.AA"):
            assert_bad(server, client, text)
    assert_bad(server, client, signed(claims(server, user), "RS256", kid="ec"))
    assert_bad(server, client, signed(claims(server, user), "ES256", kid="rsa"))


@pytest.mark.parametrize("text", ["x", "a.b.c", "....", "\N{SNOWMAN}", "e30.e30.e30", "A" * 20_000, "{}", "a.b.c.d.e"])
def test_what_is_no_jwt_is_refused(server: AuthServer, client: RegisteredClient, text: str):
    assert_bad(server, client, text)


@pytest.mark.parametrize("payload", [b"[]", b"1", b'"x"', b"{", b"null", b'{"iss":"a","iss":"b"}', b"[" * 5000])
def test_what_holds_no_claims_is_refused(server: AuthServer, client: RegisteredClient, payload: bytes):
    assert_bad(server, client, raw(b'{"alg":"ES256","kid":"ec"}', payload, "ES256", pem("p256")))


@pytest.mark.parametrize(
    "typ", ["at+jwt", "oauth-id-jag+jwt", "client-authentication+jwt", "logout+jwt", "dpop+jwt", "x", "", None, ["JWT"]]
)
def test_other_kinds_of_jwt_are_no_assertions_8725_3_11(
    server: AuthServer, client: RegisteredClient, user: User, typ: Any
):
    assert_bad(server, client, signed(claims(server, user), typ=typ))


def test_a_type_may_be_missing_or_written_in_full(server: AuthServer, client: RegisteredClient, user: User):
    for typ in ("JWT", "jwt", "application/jwt"):
        assert_good(server, client, signed(claims(server, user), typ=typ))
    untyped = raw(b'{"alg":"ES256","kid":"ec"}', json.dumps(claims(server, user)).encode(), "ES256", pem("p256"))
    assert_good(server, client, untyped)


def test_our_own_tokens_and_assertions_of_clients_are_none_8725_3_12(server: AuthServer, user: User):
    web = server.client(trusted=True, access_token_format="jwt", grant_types=["authorization_code", GRANT])
    own = server.tokens(web, user)
    for text in (own["access_token"], own["id_token"]):
        assert_bad(server, web, text)
    of_client = claims(server, user, iss=web.client_id, sub=web.client_id)
    assert_bad(server, web, signed(of_client))


# 3, items 2 to 8: the claims.


@pytest.mark.parametrize(
    "sub", [None, "", 1, True, ["x"], {"a": 1}, "nobody", "alice", "a\0b", "x" * 2000, "\N{SNOWMAN}"]
)
def test_a_subject_that_is_no_account_is_refused(server: AuthServer, client: RegisteredClient, user: User, sub: Any):
    payload = claims(server, user, sub=None)
    if sub is not None:
        payload["sub"] = sub
    assert_bad(server, client, signed(payload))
    assert_bad(server, client, signed({**payload, "sub": [user.sub]}))


def test_the_audience_is_the_issuer_or_the_token_endpoint(server: AuthServer, client: RegisteredClient, user: User):
    issuer = server.issuer
    for good in (issuer, f"{issuer}/token", [issuer], [issuer, f"{issuer}/token"]):
        assert_good(server, client, signed(claims(server, user, aud=good)))
    for bad in (None, "", f"{issuer}/", f"{issuer}/introspect", AUDIENCE, client.client_id, [], [issuer, "x"], [1], 1):
        payload = {**claims(server, user, aud=None), **({} if bad is None else {"aud": bad})}
        assert_bad(server, client, signed(payload))


def test_an_issuer_may_call_us_by_another_name(server: AuthServer, client: RegisteredClient, user: User):
    payload = {"iss": DIRECTORY, "sub": "alice"}
    assert_good(server, client, signed(claims(server, user, **payload, aud=AUDIENCE)))
    assert_bad(server, client, signed(claims(server, user, **payload)))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"exp": -300},
        {"exp": 3700},
        {"exp": 365 * 86400},
        {"nbf": 70},
        {"iat": 70},
        {"iat": 10**9},
        {"exp": "x"},
        {"iat": True},
        {"nbf": [1]},
    ],
)
def test_times_out_of_bounds_are_refused(
    server: AuthServer, client: RegisteredClient, user: User, changes: dict[str, Any]
):
    moment = int(time.time())
    moved = {name: moment + value if type(value) is int else value for name, value in changes.items()}
    assert_bad(server, client, signed(claims(server, user, **moved)))


def test_an_assertion_is_good_once(server: AuthServer, client: RegisteredClient, user: User):
    payload = claims(server, user)
    assert_good(server, client, signed(payload))
    for again in (signed(payload), signed(payload, "RS256"), signed({**payload, "exp": payload["exp"] + 30})):
        assert_bad(server, client, again)
    assert_bad(server, bearer(server), signed(payload))
    of_another = claims(server, user, iss=DIRECTORY, sub="alice", aud=AUDIENCE, jti=payload["jti"])
    assert_good(server, client, signed(of_another))


@pytest.mark.parametrize("jti", [None, "", 1, ["x"], "x" * 300])
def test_an_assertion_that_cannot_be_remembered_is_refused(
    server: AuthServer, client: RegisteredClient, user: User, jti: Any
):
    payload = claims(server, user, jti=None)
    if jti is not None:
        payload["jti"] = jti
    assert_bad(server, client, signed(payload))


def test_used_assertions_are_remembered_where_nothing_is_lost(
    server: AuthServer, client: RegisteredClient, user: User, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server.store, "ephemeral", None)
    assertion = signed(claims(server, user, iat=int(time.time()) - 3000))
    assert_good(server, client, assertion)
    assert_bad(server, client, assertion)


def test_an_assertion_that_names_a_client_is_for_that_client(server: AuthServer, client: RegisteredClient, user: User):
    assert_good(server, client, signed(claims(server, user, client_id=client.client_id)))
    for other in ("x", "", 1, [client.client_id]):
        assert_bad(server, client, signed(claims(server, user, client_id=other)))


def test_an_assertion_that_is_bound_needs_the_proof_of_its_key(
    server: AuthServer, client: RegisteredClient, user: User
):
    prover = Prover()
    for cnf in ({"jkt": prover.jkt}, {}, {"jkt": []}, "x", {"jkt": prover.jkt, "x5t#S256": "y"}):
        assert_bad(server, client, signed(claims(server, user, cnf=cnf)))
    headers = {"DPoP": prover.proof(url=f"{server.issuer}/token")}
    sent = {"grant_type": GRANT, "assertion": signed(claims(server, user, cnf={"jkt": prover.jkt}))}
    answer = server.http().post("/token", data=sent, headers=headers, auth=client.basic)
    assert answer.json()["token_type"] == "DPoP"
    other = {"DPoP": Prover("p256_other").proof(url=f"{server.issuer}/token")}
    sent["assertion"] = signed(claims(server, user, cnf={"jkt": prover.jkt}))
    assert_refused(server.http().post("/token", data=sent, headers=other, auth=client.basic), "invalid_grant")

"""JWT-Secured Authorization Request (RFC 9101), by value; by reference: tests/flows/test_request_by_reference.py."""

import hmac
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests import request_objects, signing
from tests.request_objects import assert_not_taken, claims, sign, signed, signing_client, visit
from tests.signing import claims_of
from tests.world import API, OTHER_API, assert_refused, assert_sent_back, assert_shown, code_of

EVIL = "https://evil.test/callback"
NONE = b'{"alg":"none"}'


@pytest.fixture
def signer(authserver: AuthServer) -> RegisteredClient:
    """A client that signs its requests; each test has its own, because pushed requests are counted."""
    return signing_client(authserver)


# 4, 5.1: the object by value.


def test_a_signed_request_ends_in_tokens_5_1(authserver: AuthServer, signer: RegisteredClient, alice: User):
    pkce = authserver.pkce()
    page = visit(authserver, signer, signed(authserver, signer, pkce, nonce="n-1"), alice)
    assert page.callback["state"] == "inside"
    answer = authserver.token(
        signer, grant_type="authorization_code", code=code_of(page), code_verifier=pkce.verifier
    ).json()
    assert claims_of(answer["id_token"])["nonce"] == "n-1"
    assert answer["scope"] == "openid profile"


def test_a_signed_request_may_be_pushed_9126_3(authserver: AuthServer, signer: RegisteredClient, alice: User):
    answer = authserver.post("/par", signer, request=signed(authserver, signer))
    assert answer.status_code == 201, answer.text
    query = {"client_id": signer.client_id, "request_uri": answer.json()["request_uri"]}
    page = authserver.browser(alice).visit_request(query)
    assert code_of(page)
    assert page.callback["state"] == "inside"


def test_a_signed_request_may_be_posted(authserver: AuthServer, signer: RegisteredClient, alice: User):
    http = authserver.browser(alice).http
    form = {"client_id": signer.client_id, "request": signed(authserver, signer)}
    answer = http.post(f"{authserver.issuer}/authorize", data=form, follow_redirects=False)
    assert answer.status_code == 303
    assert "code=" in http.get(answer.headers["location"]).headers["location"]


def test_the_page_of_a_signed_request_can_be_loaded_again(
    authserver: AuthServer, signer: RegisteredClient, alice: User
):
    query = {"client_id": signer.client_id, "request": signed(authserver, signer, jti="once")}
    browser = authserver.browser(alice)
    assert code_of(browser.visit_request(query)) != code_of(browser.visit_request(query))


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", request_objects.TYPE, f"application/{request_objects.TYPE}"])
def test_the_type_is_a_request_object_s_or_none_10_8(
    authserver: AuthServer, signer: RegisteredClient, alice: User, typ: str | None
):
    assert code_of(visit(authserver, signer, sign(claims(authserver, signer), typ=typ), alice))


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"])
def test_every_algorithm_that_is_announced_works_6_2(
    authserver: AuthServer, signer: RegisteredClient, alice: User, algorithm: str
):
    assert code_of(visit(authserver, signer, sign(claims(authserver, signer), algorithm), alice))
    document = authserver.get("/.well-known/openid-configuration").json()
    assert algorithm in document["request_object_signing_alg_values_supported"]


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": None, "aud": None, "nbf": None, "iat": None, "exp": None},
        {"aud": ["https://other1.example.com", "http://localhost:9000", "invalid"]},
        {"nbf": timedelta(seconds=8), "iat": timedelta(seconds=8)},
        {"exp": timedelta(days=12)},
        {"sub": "somebody", "jti": "x", "unheard-of": {"a": [1, None]}, "another": None},
    ],
)
def test_what_a_good_object_may_look_like_4(
    authserver: AuthServer, signer: RegisteredClient, alice: User, changes: dict[str, Any]
):
    assert code_of(visit(authserver, signer, signed(authserver, signer, **changes), alice))


# 4: numbers, lists and objects stand for what a parameter would have.


def test_a_claim_that_is_not_text_is_read_as_the_text_of_its_parameter_4(
    authserver: AuthServer, signer: RegisteredClient
):
    wishes = {"userinfo": {"name": {"essential": True}}, "id_token": {"acr": {"values": ["a", "\N{SNOWMAN}"]}}}
    given = {"max_age": 86400, "claims": wishes, "flag": True, "resource": [API, OTHER_API], "display": "", "x": 2**70}
    answer = authserver.post("/par", signer, request=signed(authserver, signer, **given))
    assert answer.status_code == 201, answer.text
    digest = sha256(answer.json()["request_uri"].encode()).hexdigest()
    item = authserver.store.ephemeral.get("pushed-request", digest)
    assert item is not None
    kept = json.loads(item.value)
    assert kept["signed"] is True
    sent = kept["parameters"]
    assert json.loads(sent["claims"]) == wishes
    assert (sent["max_age"], sent["flag"], sent["x"]) == ("86400", "true", str(2**70))
    assert kept["lists"] == {"resource": [API, OTHER_API]}
    assert sent.keys().isdisjoint({"iss", "aud", "exp", "nbf", "iat", "display", "request"})


def test_a_number_counts_as_the_parameter_would(authserver: AuthServer, signer: RegisteredClient, alice: User):
    assert "login-submit" in visit(authserver, signer, signed(authserver, signer, max_age=0), alice).text
    assert code_of(visit(authserver, signer, signed(authserver, signer, max_age=10**6), alice))
    for value in (1.5, -1, [1], {"a": 1}, True):
        page = visit(authserver, signer, signed(authserver, signer, max_age=value), alice)
        assert_sent_back(page, "invalid_request", signer, state="inside")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": 'a"b'}, "invalid_scope"),
        ({"scope": ["openid"]}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"resource": ["https://unknown.test/"]}, "invalid_target"),
        ({"resource": "relative"}, "invalid_target"),
        ({"registration": {"a": 1}}, "registration_not_supported"),
    ],
)
def test_what_is_wrong_with_the_parameters_is_told_to_the_client(
    authserver: AuthServer, signer: RegisteredClient, alice: User, changes: dict[str, Any], error: str
):
    token = signed(authserver, signer, **changes)
    assert_sent_back(visit(authserver, signer, token, alice), error, signer, state="inside")
    assert_refused(authserver.post("/par", signer, request=token), error)


def test_without_a_proven_redirect_uri_there_is_only_a_page(authserver: AuthServer, signer: RegisteredClient):
    for uri in (None, EVIL, ["https://client.test/callback"], 5):
        token = signed(authserver, signer, redirect_uri=uri)
        # The one that stands beside the object does not help.
        page = visit(authserver, signer, token, redirect_uri=signer.redirect_uri)
        assert_shown(page, "invalid_redirect_uri")
        assert_refused(authserver.post("/par", signer, request=token), "invalid_request")


# 5, 6.3, 10.7: what stands beside the object.


def test_nothing_beside_the_object_counts_6_3(authserver: AuthServer, signer: RegisteredClient, alice: User):
    pkce = authserver.pkce()
    beside = {
        "redirect_uri": EVIL,
        "scope": "openid email api:read",
        "state": "outside",
        "nonce": "outside",
        "code_challenge": authserver.pkce().challenge,
        "response_type": "token",
        "response_mode": "form_post",
        "prompt": "login",
        "unheard-of": "x",
    }
    token = signed(authserver, signer, pkce, nonce="inside")
    pushed = authserver.post("/par", signer, request=token, **beside).json()["request_uri"]
    query = {"client_id": signer.client_id, "request_uri": pushed, **beside}
    for page in (visit(authserver, signer, token, alice, **beside), authserver.browser(alice).visit_request(query)):
        assert page.location is not None
        assert page.location.startswith(signer.redirect_uri)
        assert page.callback["state"] == "inside"
        answer = authserver.token(
            signer, grant_type="authorization_code", code=code_of(page), code_verifier=pkce.verifier
        ).json()
        assert answer["scope"] == "openid profile"
        assert claims_of(answer["id_token"])["nonce"] == "inside"


def test_a_state_or_a_proof_key_only_beside_the_object_is_not_there(
    authserver: AuthServer, signer: RegisteredClient, alice: User
):
    page = visit(authserver, signer, signed(authserver, signer, state=None), alice, state="outside")
    assert code_of(page)
    assert "state" not in page.callback
    beside = authserver.pkce().challenge
    page = visit(authserver, signer, signed(authserver, signer, code_challenge=None), alice, code_challenge=beside)
    assert_sent_back(page, "invalid_request", signer, state="inside")


def test_the_client_is_named_the_same_inside_and_outside_6_3(authserver: AuthServer, signer: RegisteredClient):
    other = signing_client(authserver)
    token = signed(authserver, signer)
    # The very same keys are registered for both.
    assert_not_taken(authserver, other, token)
    for inside in (None, "", other.client_id, signer.client_id.upper() + "x", [signer.client_id], 5):
        assert_not_taken(authserver, signer, signed(authserver, signer, client_id=inside))
    assert_shown(authserver.browser().visit_request({"request": token}), "invalid_client")
    unknown = {"client_id": "unknown", "request": token}
    assert_shown(authserver.browser().visit_request(unknown), "invalid_client")


def test_an_object_comes_once_and_one_way_5(authserver: AuthServer, signer: RegisteredClient):
    token = signed(authserver, signer)
    assert_shown(visit(authserver, signer, token, request_uri="https://client.test/request"), "invalid_request")
    query = {"client_id": signer.client_id, "request": [token, token]}
    assert_shown(authserver.browser().visit_request(query), "invalid_request")
    pushed = authserver.post("/par", signer, request=token, request_uri="https://client.test/request")
    assert_refused(pushed, "invalid_request")
    assert_refused(authserver.post("/par", signer, request=[token, token]), "invalid_request")


# 6.2: the signature.


@pytest.mark.parametrize(
    "forge",
    {
        "none": lambda body: f"{signing.b64(NONE)}.{signing.b64(body)}.",
        "none with a signature": lambda body: signing.raw(NONE, body, "ES256", signing.pem("p256")),
        "NonE": lambda body: signing.raw(b'{"alg":"NonE"}', body, "ES256", signing.pem("p256")),
        "HS256 by a shared secret": lambda body: _hmac(body, signing.SECRET),
        "HS256 by the public key": lambda body: _hmac(body, json.dumps(request_objects.jwk("p256"))),
        "the key of another client": lambda body: sign(body, name="p256_other", kid="p256"),
        "a key that the header brings": lambda body: sign(
            body, name="p256_other", kid=None, jwk=request_objects.jwk("p256_other")
        ),
        "a place that the header names": lambda body: sign(
            body, name="p256_other", kid=None, jku="https://evil.test/jwks", x5u="https://evil.test/x5u"
        ),
        "an unknown key": lambda body: sign(body, kid="unknown"),
        "no key named of several": lambda body: sign(body, kid=None),
        "a key identifier that is none": lambda body: sign(body, kid=["p256"]),
        "another algorithm than the key's": lambda body: sign(body, "RS256", "rsa", kid="p256"),
        "a broken signature": lambda body: _broken(sign(body)),
        "an empty signature": lambda body: sign(body).rpartition(".")[0] + ".",
        "a critical extension": lambda body: sign(body, crit=["exp"]),
        "b64": lambda body: sign(body, b64=True),
        "the type of an access token": lambda body: sign(body, typ="at+jwt"),
        "the type of an assertion": lambda body: sign(body, typ="client-authentication+jwt"),
        "the type of a proof": lambda body: sign(body, typ="dpop+jwt"),
        "an empty type": lambda body: sign(body, typ=""),
    }.items(),
    ids=lambda pair: pair[0],
)
def test_an_object_that_the_client_did_not_sign_is_refused_6_2(
    authserver: AuthServer, signer: RegisteredClient, forge: tuple[str, Callable[[bytes], str]]
):
    assert_not_taken(authserver, signer, forge[1](json.dumps(claims(authserver, signer)).encode()))


@pytest.mark.parametrize(
    "spoil",
    {
        "nothing": lambda _token: ".",
        "a word": lambda _token: "x",
        "a space": lambda token: " " + token,
        "a line end": lambda token: token + "\n",
        "padding": lambda token: token.replace(".", "=.", 1),
        "plain base64": lambda token: "+/" + token[2:],
        "a part more": lambda token: token + ".x",
        "two parts more": lambda token: token + ".x.x",
        "a part less": lambda token: token.rpartition(".")[0],
        "an empty part": lambda token: token.replace(".", "..", 1),
        "not ASCII": lambda token: token + "\N{SNOWMAN}",
        "JSON": lambda token: json.dumps(
            dict(zip(("protected", "payload", "signature"), token.split("."), strict=True))
        ),
        "16 KiB": lambda token: token + "A" * 16384,
    }.items(),
    ids=lambda pair: pair[0],
)
def test_what_is_not_a_compact_token_is_refused(
    authserver: AuthServer, signer: RegisteredClient, spoil: tuple[str, Callable[[str], str]]
):
    token = spoil[1](signed(authserver, signer))
    assert_refused(authserver.post("/par", signer, request=token), "invalid_request_object")
    if len(token) < 8192:
        assert_shown(visit(authserver, signer, token), "invalid_request_object")


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"5",
        b'"text"',
        b"null",
        b"{",
        b"\xff\xfe",
        b'{"client_id":"a","client_id":"%s"}',
        b'{"client_id":"%s","max_age":NaN}',
        b'{"client_id":"%s","claims":{"a":1e999}}',
        b'{"client_id":"%s","max_age":' + b"9" * 5000 + b"}",
        b'{"client_id":"%s","state":"\\ud800"}',
        b'{"client_id":"%s","resource":[1]}',
        b'{"client_id":"%s","resource":{"a":1}}',
        b'{"client_id":"%s","claims":' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"client_id":"%s"' + b"".join(b',"n%d":1' % number for number in range(200)) + b"}",
    ],
)
def test_claims_that_nobody_can_read_in_one_way_are_refused(
    authserver: AuthServer, signer: RegisteredClient, body: bytes
):
    assert_not_taken(authserver, signer, sign(body.replace(b"%s", signer.client_id.encode())))


def test_a_client_without_a_key_set_cannot_sign(authserver: AuthServer):
    client = authserver.client(trusted=True)
    assert_not_taken(authserver, client, signed(authserver, client))
    assert_not_taken(authserver, client, _hmac(json.dumps(claims(authserver, client)).encode(), client.client_secret))


def test_a_client_may_pin_its_algorithm_6_2(authserver: AuthServer, alice: User):
    client = signing_client(authserver, request_object_signing_alg="PS256")
    assert code_of(visit(authserver, client, sign(claims(authserver, client), "PS256"), alice))
    for algorithm in ("RS256", "ES256"):
        assert_not_taken(authserver, client, sign(claims(authserver, client), algorithm))


def test_a_refusal_is_one_line_that_names_client_and_reason(
    authserver: AuthServer, signer: RegisteredClient, alice: User, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    for user in (None, alice):
        caplog.clear()
        token = signed(authserver, signer, iss="another", state="secret-state")
        assert_shown(visit(authserver, signer, token, user), "invalid_request_object")
        lines = [record for record in caplog.records if record.name == "authserver.oauth.jar"]
        assert [(line.__dict__["client_id"], line.__dict__["reason"]) for line in lines] == [
            (signer.client_id, "the claims are not accepted")
        ]
        assert "secret-state" not in caplog.text


def _hmac(body: bytes, secret: str) -> str:
    head = signing.b64(b'{"alg":"HS256"}')
    text = f"{head}.{signing.b64(body)}"
    return f"{text}.{signing.b64(hmac.digest(secret.encode(), text.encode(), 'sha256'))}"


def _broken(token: str) -> str:
    return token[:-8] + ("AAAAAAAA" if not token.endswith("AAAAAAAA") else "BBBBBBBB")

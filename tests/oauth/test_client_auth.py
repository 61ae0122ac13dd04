"""Client authentication with a secret or none (RFC 6749 2.3); assertions are in test_client_assertion.py."""

from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from authserver.manage import clients
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.assertions import claims, keyed_client, signed
from tests.world import assert_refused

ITSELF = {"grant_type": "client_credentials", "scope": "api:read"}


def _basic(text: str | bytes, scheme: str = "Basic") -> dict[str, str]:
    data = text.encode() if isinstance(text, str) else text
    return {"Authorization": f"{scheme} {b64encode(data).decode()}"}


def _with(authserver: AuthServer, headers: dict[str, str], **parameters: str) -> httpx2.Response:
    with authserver.http(headers=headers) as http:
        return http.post("/token", data={**ITSELF, **parameters})


# 2.3.1: basic and post.


@pytest.mark.parametrize("registered", ["client_secret_basic", "client_secret_post"])
def test_basic_and_post_are_one_family(authserver: AuthServer, registered: str):
    client = authserver.client(token_endpoint_auth_method=registered)
    assert authserver.token(client, **ITSELF).status_code == 200
    in_body = {"client_id": client.client_id, "client_secret": client.client_secret}
    assert authserver.post("/token", **ITSELF, **in_body).status_code == 200


@pytest.mark.parametrize("registered", ["client_secret_basic", "client_secret_post"])
def test_a_client_may_be_pinned_to_its_method(authserver: AuthServer, registered: str):
    client = authserver.client(token_endpoint_auth_method=registered, auth_method_pinned=True)
    in_body = {"client_id": client.client_id, "client_secret": client.client_secret}
    answers = {
        "client_secret_basic": authserver.token(client, **ITSELF),
        "client_secret_post": authserver.post("/token", **ITSELF, **in_body),
    }
    assert answers.pop(registered).status_code == 200
    assert_refused(answers.popitem()[1], "invalid_client", 401)


def test_a_client_id_beside_basic_must_be_equal(
    authserver: AuthServer, client: RegisteredClient, stranger: RegisteredClient
):
    assert authserver.token(client, **ITSELF, client_id=client.client_id).status_code == 200
    for client_id in (stranger.client_id, "x", "\N{SNOWMAN}"):
        assert_refused(authserver.token(client, **ITSELF, client_id=client_id), "invalid_client", 401)


def test_each_half_of_basic_is_form_encoded_and_decoded_once_2_3_1(authserver: AuthServer):
    secret = "a+b c%41%2541/=&?:" + "x" * 32
    client = authserver.client(client_id="urn:some:client+1%", client_secret=secret)
    encoded = f"{quote(client.client_id, safe='')}:{quote(secret, safe='')}"
    assert _with(authserver, _basic(encoded)).status_code == 200
    twice = f"{quote(quote(client.client_id, safe=''), safe='')}:{quote(quote(secret, safe=''), safe='')}"
    assert_refused(_with(authserver, _basic(twice)), "invalid_client", 401)


def test_secrets_of_ours_work_encoded_or_not(authserver: AuthServer, client: RegisteredClient):
    plain = f"{client.client_id}:{client.client_secret}"
    assert plain == f"{quote(client.client_id, safe='')}:{quote(client.client_secret, safe='')}"
    for scheme in ("Basic", "basic", "BASIC"):
        assert _with(authserver, _basic(plain, scheme)).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic YQ",
        "Basic YQ==",
        "Basic " + b64encode(b"no colon").decode(),
        "Basic " + b64encode(b":").decode(),
        "Basic " + b64encode(b":secret").decode(),
        "Basic " + b64encode(b"a\0b:secret").decode(),
        "Basic " + b64encode(b"\xff\xfe:secret").decode(),
        "Basic " + b64encode(b"%ff:secret").decode(),
        "Basic " + b64encode(b"%zz:%").decode(),
        "Basic " + b64encode(b"a:b").decode() + " x",
        "Basic " + b64encode(b"a:b").decode() + ", Basic " + b64encode(b"a:b").decode(),
        "Basic " + b64encode(b"x" * 100_000).decode(),
        "Bearer x",
        "Negotiate x",
        "DPoP x",
        "x",
        "",
    ],
)
def test_a_header_that_is_not_basic_with_credentials_proves_nobody(authserver: AuthServer, header: str):
    answer = _with(authserver, {"Authorization": header})
    assert_refused(answer, "invalid_client", 401)
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_a_broken_header_does_not_fall_back_to_the_body(authserver: AuthServer, public: RegisteredClient, alice: User):
    token = authserver.tokens(public, alice)["refresh_token"]
    parameters = {"grant_type": "refresh_token", "refresh_token": token, "client_id": public.client_id}
    with authserver.http(headers={"Authorization": "Basic !!!!"}) as http:
        assert_refused(http.post("/token", data=parameters), "invalid_client", 401)
    assert authserver.refresh(public, token).status_code == 200


@pytest.mark.parametrize("secret", ["", "wrong", "x" * 60_000, "\N{SNOWMAN}", "a\0b", "' OR 1=1 --"])
def test_a_wrong_secret_proves_nobody(authserver: AuthServer, client: RegisteredClient, secret: str):
    answers = [
        _with(authserver, _basic(f"{client.client_id}:{quote(secret)}")),
        authserver.post("/token", **ITSELF, client_id=client.client_id, client_secret=secret),
    ]
    for answer in answers:
        assert_refused(answer, "invalid_client", 401)
        assert client.client_id not in answer.text


def test_known_and_unknown_clients_are_refused_alike(authserver: AuthServer, client: RegisteredClient):
    known = authserver.post("/token", **ITSELF, client_id=client.client_id, client_secret="wrong")
    unknown = authserver.post("/token", **ITSELF, client_id="unknown", client_secret="wrong")
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)


# 2.3: one method, the registered one.


def test_two_methods_at_once_are_an_invalid_request_2_3(
    authserver: AuthServer, client: RegisteredClient, stranger: RegisteredClient
):
    assertion = signed(claims(authserver, client))
    both = [
        {"client_secret": client.client_secret},
        {"client_id": client.client_id, "client_secret": client.client_secret},
        {"client_id": stranger.client_id, "client_secret": stranger.client_secret},
        assertion,
        {"client_assertion_type": assertion["client_assertion_type"]},
    ]
    for parameters in both:
        assert_refused(authserver.token(client, **ITSELF, **parameters), "invalid_request")
    in_body = {"client_id": client.client_id, "client_secret": client.client_secret}
    assert_refused(authserver.post("/token", **ITSELF, **in_body, **assertion), "invalid_request")


def test_a_client_without_credentials_may_not_use_any(authserver: AuthServer, public: RegisteredClient, alice: User):
    token = authserver.tokens(public, alice)["refresh_token"]
    parameters = {"grant_type": "refresh_token", "refresh_token": token}
    for secret in ("", "x"):
        header = _basic(f"{public.client_id}:{secret}")
        with authserver.http(headers=header) as http:
            assert_refused(http.post("/token", data=parameters), "invalid_client", 401)
    in_body = {"client_id": public.client_id, "client_secret": "x"}
    assert_refused(authserver.post("/token", **parameters, **in_body), "invalid_client", 401)
    # RFC 6749 2.3.1 and 3.2: a parameter without a value counts as omitted.
    empty = {"client_id": public.client_id, "client_secret": ""}
    assert authserver.post("/token", **parameters, **empty).status_code == 200


def test_a_client_with_credentials_must_use_them(authserver: AuthServer, client: RegisteredClient):
    keyed = keyed_client(authserver)
    for owner in (client, keyed):
        answer = authserver.post("/token", **ITSELF, client_id=owner.client_id)
        assert_refused(answer, "invalid_client", 401)


def test_a_secret_does_not_authenticate_a_client_with_a_key(authserver: AuthServer):
    keyed = keyed_client(authserver)
    for secret in ("", "x"):
        assert_refused(_with(authserver, _basic(f"{keyed.client_id}:{secret}")), "invalid_client", 401)


@pytest.mark.parametrize("client_id", ["", " ", "unknown", "\N{SNOWMAN}", "a\0b", "x" * 60_000, "' OR 1=1 --", "%00"])
def test_a_name_that_nobody_has_proves_nobody(authserver: AuthServer, client_id: str):
    assert_refused(authserver.post("/token", **ITSELF, client_id=client_id), "invalid_client", 401)
    answer = authserver.post("/token", **ITSELF, client_id=client_id, client_secret="x")
    assert_refused(answer, "invalid_client", 401)


@pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke"])
def test_a_disabled_client_is_refused_everywhere(authserver: AuthServer, path: str):
    client = authserver.client()
    clients.set_disabled(authserver.store, client.client_id, disabled=True, actor="test")
    assert_refused(authserver.post(path, client, **ITSELF, token="x"), "invalid_client", 401)


@pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke"])
def test_every_endpoint_takes_the_same_methods(authserver: AuthServer, path: str):
    shared = authserver.client(token_endpoint_auth_method="client_secret_jwt")
    keyed = keyed_client(authserver)
    secret = authserver.client()
    ways: list[dict[str, Any]] = [
        {"client_id": secret.client_id, "client_secret": secret.client_secret},
        signed(claims(authserver, keyed)),
        signed(claims(authserver, shared), shared.client_secret, "HS256"),
    ]
    for way in ways:
        assert authserver.post(path, **ITSELF, token="x", **way).status_code == 200
    assert authserver.post(path, secret, **ITSELF, token="x").status_code == 200


# Several secrets, each with its end.


def test_after_a_rotation_both_secrets_work_until_the_old_one_ends(authserver: AuthServer):
    old = authserver.client()
    answer = clients.rotate_secret(authserver.store, authserver.sealer, old.client_id, actor="test", keep_seconds=100)
    new = RegisteredClient(old.client_id, answer["client_secret"], old.redirect_uri, answer)
    authserver.server.forget()
    assert authserver.token(new, **ITSELF).status_code == 200
    with authserver.later(98):
        assert authserver.token(old, **ITSELF).status_code == 200
    with authserver.later(101):
        assert_refused(authserver.token(old, **ITSELF), "invalid_client", 401)
        assert authserver.token(new, **ITSELF).status_code == 200


def test_after_a_rotation_both_secrets_sign_until_the_old_one_ends(authserver: AuthServer):
    old = authserver.client(token_endpoint_auth_method="client_secret_jwt")
    answer = clients.rotate_secret(authserver.store, authserver.sealer, old.client_id, actor="test", keep_seconds=30)
    authserver.server.forget()

    def statuses() -> list[int]:
        proofs = [signed(claims(authserver, old), key, "HS256") for key in (old.client_secret, answer["client_secret"])]
        return [authserver.post("/token", **ITSELF, **proof).status_code for proof in proofs]

    assert statuses() == [200, 200]
    with authserver.later(31):
        assert statuses() == [401, 200]


def test_a_secret_that_was_withdrawn_counts_no_more_after_a_second(authserver: AuthServer):
    old = authserver.client()
    assert authserver.token(old, **ITSELF).status_code == 200
    clients.rotate_secret(authserver.store, authserver.sealer, old.client_id, actor="test", keep_seconds=0)
    with authserver.later(1):
        assert_refused(authserver.token(old, **ITSELF), "invalid_client", 401)


# Guessing.


def test_guessing_is_throttled_for_that_client_and_address_only(tmp_path: Path):
    server = AuthServer(tmp_path, limits={"client_failures": 20})
    guessed, other = server.client(), server.client()
    wrong = RegisteredClient(guessed.client_id, "wrong", "", {})
    statuses = [server.token(wrong, **ITSELF).status_code for _ in range(30)]
    assert statuses[:20] == [401] * 20
    assert statuses[-1] == 429
    answer = server.token(wrong, **ITSELF)
    assert_refused(answer, "invalid_client", 429)
    assert int(answer.headers["retry-after"]) > 0
    assert server.token(other, **ITSELF).status_code == 200
    elsewhere = httpx2.WSGITransport(app=server.app, remote_addr="127.0.0.2")
    with httpx2.Client(transport=elsewhere, base_url=server.issuer, auth=guessed.basic) as http:
        assert http.post("/token", data=ITSELF).status_code == 200
    with server.later(61):
        assert server.token(guessed, **ITSELF).status_code == 200
    server.close()


def test_the_metadata_names_methods_and_algorithms_per_endpoint(authserver: AuthServer):
    document = authserver.get("/.well-known/oauth-authorization-server").json()
    methods = {"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"}
    for endpoint in ("token", "revocation", "introspection"):
        offered = set(document[f"{endpoint}_endpoint_auth_methods_supported"])
        assert offered == (methods if endpoint == "introspection" else methods | {"none"})
        algorithms = document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        assert {"RS256", "PS256", "ES256", "EdDSA", "Ed25519", "HS256"}.issubset(algorithms)
        assert "none" not in algorithms

"""JWT Secured Authorization Response Mode for OAuth 2.0 (JARM)."""

import time
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet

from authserver.manage import clients
from authserver.manage.errors import InvalidMetadata
from authserver.oauth import encryption, jarm
from authserver.records import User
from pytest_authserver import AuthServer, Page, RegisteredClient
from tests import encrypted
from tests.assertions import jwk
from tests.world import SCOPE, ask, assert_refused, assert_sent_back, assert_shown, is_alive

MODES = ("jwt", "query.jwt", "fragment.jwt", "form_post.jwt")
AWKWARD = "a b+c/d=e&f%20g?h#i\r\n\N{SNOWMAN}\"'<script>\\u0000"


def _response(page: Page) -> str:
    """Return the response's only parameter, wherever the mode has put it."""
    fields = page.callback if page.location is not None else page.form("response").fields
    assert fields.keys() == {"response"}
    return fields["response"]


def _read(authserver: AuthServer, client: RegisteredClient, response: str, algorithm: str = "RS256") -> dict[str, Any]:
    """Verify a response as a client would (2.4), with both libraries."""
    published = authserver.get("/jwks").json()
    key = jwt.PyJWKSet.from_dict(published)[jwt.get_unverified_header(response)["kid"]]
    read: dict[str, Any] = jwt.decode(
        response,
        key,
        algorithms=[algorithm],
        audience=client.client_id,
        issuer=authserver.issuer,
        options={"require": ["iss", "aud", "exp"], "strict_aud": True},
    )
    known = {"keys": [each for each in published["keys"] if each["use"] == "sig"]}
    again = joserfc_jwt.decode(response, KeySet.import_key_set(known), algorithms=[algorithm])
    assert again.claims == read
    return read


def _answer(authserver: AuthServer, client: RegisteredClient, user: User | None, **parameters: Any) -> dict[str, Any]:
    return _read(authserver, client, _response(ask(authserver, client, user, **parameters)))


@pytest.fixture(scope="module")
def encrypting(authserver: AuthServer) -> RegisteredClient:
    """A client that wants its responses encrypted."""
    return authserver.client(
        trusted=True,
        jwks={"keys": [encrypted.jwk("rsa")]},
        authorization_encrypted_response_alg="RSA-OAEP-256",
        authorization_encrypted_response_enc="A256GCM",
    )


@pytest.fixture(scope="module")
def pinned(authserver: AuthServer) -> RegisteredClient:
    """A client that is registered for signed responses only."""
    return authserver.client(trusted=True, response_modes=["fragment.jwt", "jwt"])


# 2.1: the response document.


@pytest.mark.parametrize("mode", MODES)
def test_a_success_holds_the_code_and_three_claims_2_1(
    authserver: AuthServer, client: RegisteredClient, alice: User, mode: str
):
    read = _answer(authserver, client, alice, response_mode=mode, state="s")
    assert read.keys() == {"iss", "aud", "exp", "code", "state"}
    assert (read["iss"], read["aud"], read["state"]) == (authserver.issuer, client.client_id, "s")
    assert 0 < read["exp"] - time.time() <= 600


@pytest.mark.parametrize("mode", MODES)
def test_an_error_holds_what_a_plain_error_would_2_1(authserver: AuthServer, client: RegisteredClient, mode: str):
    read = _answer(authserver, client, None, response_mode=mode, response_type="token", state="s")
    assert read.keys() == {"iss", "aud", "exp", "error", "error_description", "state"}
    assert (read["error"], read["state"]) == ("unsupported_response_type", "s")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"scope": "\t"}, "invalid_scope"),
        ({"response_type": None}, "invalid_request"),
        ({"resource": "https://unknown.test/"}, "invalid_target"),
        ({"code_challenge": "x"}, "invalid_request"),
        ({"state": ["a", "b"]}, "invalid_request"),
    ],
)
def test_every_error_is_signed(authserver: AuthServer, client: RegisteredClient, changes: dict[str, Any], error: str):
    assert _answer(authserver, client, None, response_mode="jwt", **changes)["error"] == error


def test_the_refusal_of_the_user_is_signed(authserver: AuthServer, alice: User):
    client = authserver.client()
    browser = authserver.browser(alice)
    page = browser.visit_request(authserver.request(client, authserver.pkce(), response_mode="query.jwt"))
    read = _read(authserver, client, _response(browser.deny(page)))
    assert read["error"] == "access_denied"
    assert "code" not in read


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("state", [AWKWARD, "x" * 512])
def test_the_state_comes_back_as_it_was_sent(
    authserver: AuthServer, client: RegisteredClient, alice: User, mode: str, state: str
):
    assert _answer(authserver, client, alice, response_mode=mode, state=state)["state"] == state


def test_without_a_state_none_is_invented(authserver: AuthServer, client: RegisteredClient, alice: User):
    assert "state" not in _answer(authserver, client, alice, response_mode="jwt", state=None)


def test_nothing_of_the_request_becomes_a_claim(authserver: AuthServer, client: RegisteredClient, alice: User):
    sent = {"iss": "https://evil.test", "aud": "evil", "exp": "99999999999", "sub": "evil", "nonce": "n"}
    read = _answer(authserver, client, alice, response_mode="jwt", **sent)
    assert read.keys() == {"iss", "aud", "exp", "code", "state"}


def test_the_code_inside_can_be_redeemed(authserver: AuthServer, client: RegisteredClient, alice: User):
    pkce = authserver.pkce()
    read = _answer(authserver, client, alice, response_mode="form_post.jwt", code_challenge=pkce.challenge)
    parameters = {"code": read["code"], "code_verifier": pkce.verifier}
    assert authserver.token(client, grant_type="authorization_code", **parameters).status_code == 200


def test_a_pushed_request_is_answered_the_same(authserver: AuthServer, client: RegisteredClient, alice: User):
    reference = authserver.push(client, authserver.pkce(), response_mode="jwt", state="s").json()["request_uri"]
    query = {"client_id": client.client_id, "request_uri": reference, "response_mode": "query"}
    read = _read(authserver, client, _response(authserver.browser(alice).visit_request(query)))
    assert (read["state"], "code" in read) == ("s", True)


# 2.2: signing and encryption.


def test_the_key_that_signed_is_named_and_published_2_2(authserver: AuthServer, client: RegisteredClient, alice: User):
    header = jwt.get_unverified_header(_response(ask(authserver, client, alice, response_mode="jwt")))
    assert header["alg"] == "RS256"
    assert header["kid"] in {key["kid"] for key in authserver.get("/jwks").json()["keys"]}


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "ES384"])
def test_the_client_chooses_the_algorithm_3(authserver: AuthServer, alice: User, algorithm: str):
    client = authserver.client(trusted=True, authorization_signed_response_alg=algorithm)
    response = _response(ask(authserver, client, alice, response_mode="jwt"))
    assert "code" in _read(authserver, client, response, algorithm)


@pytest.mark.parametrize("profile", ["fapi2", "fapi2_message_signing"])
def test_clients_of_fapi_2_get_es256(authserver: AuthServer, profile: str):
    client = authserver.client(profile=profile, jwks={"keys": [jwk()]}, grant_types=None)
    assert client.registration["authorization_signed_response_alg"] == "ES256"


def test_an_encrypted_response_holds_the_signed_one_2_2(
    authserver: AuthServer, encrypting: RegisteredClient, alice: User
):
    for mode in MODES:
        response = _response(ask(authserver, encrypting, alice, response_mode=mode, state=AWKWARD))
        assert encrypted.head(response)["enc"] == "A256GCM"
        read = _read(authserver, encrypting, encrypted.opened(response, "rsa"))
        assert (read["state"], "code" in read) == (AWKWARD, True)


def test_errors_are_encrypted_too(authserver: AuthServer, encrypting: RegisteredClient):
    response = _response(ask(authserver, encrypting, response_mode="jwt", prompt="none", state="s"))
    read = _read(authserver, encrypting, encrypted.opened(response, "rsa"))
    assert (read["error"], read["state"]) == ("login_required", "s")


def test_without_a_method_the_standards_own_is_used_3(authserver: AuthServer, alice: User):
    client = authserver.client(
        trusted=True,
        jwks={"keys": [encrypted.jwk("p256")]},
        authorization_encrypted_response_alg="ECDH-ES",
        authorization_signed_response_alg="ES256",
    )
    response = _response(ask(authserver, client, alice, response_mode="jwt"))
    assert encrypted.head(response)["enc"] == "A128CBC-HS256"
    assert "code" in _read(authserver, client, encrypted.opened(response, "p256"), "ES256")


@pytest.mark.parametrize("mode", MODES)
def test_a_response_that_cannot_be_encrypted_is_not_sent_at_all(authserver: AuthServer, alice: User, mode: str):
    client = authserver.client(
        trusted=True, jwks={"keys": [jwk()]}, authorization_encrypted_response_alg="RSA-OAEP-256"
    )
    for parameters in ({}, {"prompt": "none"}, {"response_type": "token"}, {"scope": "unknown"}):
        for user in (alice, None):
            page = ask(authserver, client, user, response_mode=mode, state="s3cret", **parameters)
            assert_shown(page, "encryption_key_missing")
            assert "s3cret" not in page.text
            assert client.redirect_uri not in page.text


def test_whoever_pushes_learns_of_it_as_the_client(authserver: AuthServer):
    keys = {"keys": [jwk()]}
    client = authserver.client(jwks=keys, authorization_encrypted_response_alg="RSA-OAEP-256")
    answer = authserver.push(client, authserver.pkce(), response_mode="jwt")
    assert_refused(answer, "invalid_request")
    assert "encrypted" in answer.json()["error_description"]
    assert authserver.push(client, authserver.pkce()).status_code == 201
    able = authserver.client(jwks=keys, authorization_encrypted_response_alg="ECDH-ES")
    assert authserver.push(able, authserver.pkce(), response_mode="jwt").status_code == 201


def test_a_key_that_is_gone_when_the_user_has_decided_sends_nothing(
    authserver: AuthServer, alice: User, monkeypatch: pytest.MonkeyPatch
):
    client = authserver.client(
        jwks={"keys": [encrypted.jwk("rsa")]}, authorization_encrypted_response_alg="RSA-OAEP-256"
    )
    browser = authserver.browser(alice)
    page = browser.visit_request(authserver.request(client, authserver.pkce(), response_mode="jwt"))

    def gone(*_arguments: object) -> None:
        raise encryption.NoKey

    monkeypatch.setattr(encryption, "find_key", gone)
    assert_shown(browser.allow(page), "encryption_key_missing")


# 2.3: the modes.


@pytest.mark.parametrize(("mode", "place"), [("jwt", "query"), ("query.jwt", "query"), ("fragment.jwt", "fragment")])
def test_the_jwt_stands_where_the_mode_says_and_nothing_beside_it_2_3(
    authserver: AuthServer, client: RegisteredClient, alice: User, mode: str, place: str
):
    for parameters in ({}, {"prompt": "none login"}):
        parts = urlsplit(ask(authserver, client, alice, response_mode=mode, **parameters).location or "")
        text = {"query": parts.query, "fragment": parts.fragment}
        assert text.pop(place).startswith("response=ey")
        assert set(text.values()) == {""}


def test_the_query_of_the_redirect_uri_is_kept_2_3_1(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True, redirect_uris=["https://client.test/callback?a=b"])
    page = ask(authserver, client, alice, response_mode="query.jwt")
    assert page.callback.keys() == {"a", "response"}
    assert "code" in _read(authserver, client, page.callback["response"])


@pytest.mark.parametrize("parameters", [{}, {"response_type": "token"}])
def test_form_post_is_a_page_with_one_field_2_3_3(
    authserver: AuthServer, client: RegisteredClient, alice: User, parameters: dict[str, str]
):
    page = ask(authserver, client, alice, response_mode="form_post.jwt", **parameters)
    assert (page.status, page.location) == (200, None)
    assert "no-store" in page.headers["cache-control"]
    assert "form-action 'self' https://client.test" in page.headers["content-security-policy"]
    form = page.form("response")
    assert (form.method, form.action, set(form.fields)) == ("post", client.redirect_uri, {"response"})


def test_the_page_of_a_signed_in_user_costs_one_code(
    authserver: AuthServer, client: RegisteredClient, alice: User, monkeypatch: pytest.MonkeyPatch
):
    opened = []
    add = authserver.store.grants.open
    monkeypatch.setattr(authserver.store.grants, "open", lambda *given: opened.append(given) or add(*given))
    _answer(authserver, client, alice, response_mode="form_post.jwt")
    assert len(opened) == 1


@pytest.mark.parametrize("mode", MODES)
def test_what_cannot_be_redirected_stays_a_page(authserver: AuthServer, client: RegisteredClient, mode: str):
    assert_shown(ask(authserver, client, response_mode=mode, redirect_uri="https://evil.test/"))
    assert_shown(ask(authserver, client, response_mode=mode, client_id="unknown"))


# 3, 4: metadata.


def test_the_modes_and_algorithms_are_announced_4(authserver: AuthServer):
    document = authserver.get("/.well-known/oauth-authorization-server").json()
    assert set(MODES) <= set(document["response_modes_supported"])
    assert document["authorization_signing_alg_values_supported"] == document["id_token_signing_alg_values_supported"]
    assert document["authorization_encryption_alg_values_supported"] == ["RSA-OAEP-256", "ECDH-ES"]
    assert document["authorization_encryption_enc_values_supported"] == ["A128CBC-HS256", "A256GCM"]


@pytest.mark.parametrize(
    "members",
    [
        {"authorization_signed_response_alg": "none"},
        {"authorization_signed_response_alg": "HS256"},
        {"authorization_signed_response_alg": ["ES256"]},
        {"authorization_encrypted_response_alg": "RSA1_5"},
        {"authorization_encrypted_response_alg": "RSA-OAEP"},
        {"authorization_encrypted_response_alg": "dir"},
        {"authorization_encrypted_response_alg": "ECDH-ES", "authorization_encrypted_response_enc": "A128KW"},
        {"authorization_encrypted_response_enc": "A256GCM"},
    ],
)
def test_what_cannot_be_done_is_not_registered_3(authserver: AuthServer, members: dict[str, Any]):
    with pytest.raises(InvalidMetadata):
        authserver.client(jwks={"keys": [encrypted.jwk("rsa")]}, **members)


def test_encryption_needs_a_key_set_3(authserver: AuthServer):
    wanted = {"authorization_encrypted_response_alg": "ECDH-ES"}
    with pytest.raises(InvalidMetadata):
        authserver.client(**wanted)
    assert authserver.client(**wanted, jwks_uri="https://client.test/jwks").client_id


# FAPI 2.0 Message Signing 5.4: clients that are registered for signed responses.


@pytest.mark.parametrize("mode", [None, "", "query", "fragment", "form_post", "query.jwt", "form_post.jwt", "x"])
def test_every_other_mode_is_refused_by_a_signed_error(
    authserver: AuthServer, pinned: RegisteredClient, alice: User, mode: str | None
):
    assert "code" in _answer(authserver, pinned, alice, response_mode="jwt")
    page = ask(authserver, pinned, alice, response_mode=mode, state="s")
    read = _read(authserver, pinned, _response(page))
    assert (read["error"], read["state"]) == ("invalid_request", "s")
    assert page.location is not None
    assert "#response=" in page.location, "the first of the registered modes"


def test_a_client_of_the_message_signing_profile_has_signed_modes_only(authserver: AuthServer):
    members = {"profile": "fapi2_message_signing", "jwks": {"keys": [jwk()]}, "grant_types": None}
    assert set(authserver.client(**members).registration["response_modes"]) == set(MODES)
    assert authserver.client(**members, response_modes=["jwt"]).registration["response_modes"] == ["jwt"]
    with pytest.raises(InvalidMetadata):
        authserver.client(**members, response_modes=["jwt", "query"])


# RFC 8725 3.11: the response is nothing else.


def test_a_response_is_no_token_and_no_hint(authserver: AuthServer, client: RegisteredClient, alice: User):
    response = _response(ask(authserver, client, alice, response_mode="jwt"))
    assert_refused(authserver.get("/userinfo", response), "invalid_token", 401)
    assert not is_alive(authserver, client, response)
    hinted = ask(authserver, client, alice, id_token_hint=response)
    assert_sent_back(hinted, "invalid_request", client)


# Switched off.


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> AuthServer:
    """A server that signs no responses."""
    return AuthServer(tmp_path_factory.mktemp("without"), features={"jarm": False})


def test_switched_off_the_modes_are_unknown(without: AuthServer):
    user, client = without.user("carol"), without.client(trusted=True, scope=SCOPE)
    for mode in MODES:
        assert_sent_back(ask(without, client, user, response_mode=mode), "invalid_request", client)
    assert without.get("/.well-known/openid-configuration").json()["response_modes_supported"] == [
        "form_post",
        "fragment",
        "query",
    ]


def test_switched_off_a_client_that_needs_it_gets_no_code(without: AuthServer):
    user, client = without.user("dave"), without.client(trusted=True, response_modes=["jwt"])
    for mode in (None, "jwt", "query", "form_post"):
        assert_sent_back(ask(without, client, user, response_mode=mode), "invalid_request", client)


def test_a_request_that_was_kept_before_it_was_switched_off_is_not_answered_otherwise(
    authserver: AuthServer, alice: User, monkeypatch: pytest.MonkeyPatch
):
    client, browser = authserver.client(), authserver.browser(alice)
    page = browser.visit_request(authserver.request(client, authserver.pkce(), response_mode="jwt"))
    plain = {name: write for name, write in authserver.server.response_modes.items() if name not in jarm.MODES}
    monkeypatch.setattr(authserver.server, "response_modes", plain)
    assert_shown(browser.allow(page), "unsupported_response_mode")


def test_a_client_that_is_removed_meanwhile_is_not_answered(authserver: AuthServer, alice: User):
    client, browser = authserver.client(), authserver.browser(alice)
    page = browser.visit_request(authserver.request(client, authserver.pkce(), response_mode="jwt"))
    clients.remove(authserver.store, client.client_id, actor="test")
    authserver.server.forget()
    assert_shown(browser.allow(page), "invalid_client")

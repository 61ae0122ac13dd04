"""Proof Key for Code Exchange (RFC 7636; RFC 9700 2.1.1, 4.8.2)."""

import base64
import hashlib

import pytest

from authserver.records import User
from pytest_authserver import Allowed, AuthServer, Pkce, RegisteredClient
from tests.world import ask, assert_refused, assert_sent_back, code_of


def _pkce(verifier: str) -> Pkce:
    digest = hashlib.sha256(verifier.encode()).digest()
    return Pkce(verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode())


def _allow(authserver: AuthServer, client: RegisteredClient, user: User, verifier: str) -> Allowed:
    return authserver.allow(client, user, code_challenge=_pkce(verifier).challenge, code_challenge_method="S256")


@pytest.fixture(scope="module")
def optional(authserver: AuthServer) -> RegisteredClient:
    """A confidential client of which no proof key is demanded."""
    return authserver.client(profile="oidc", trusted=True)


def test_the_example_of_appendix_b_works(authserver: AuthServer, client: RegisteredClient, alice: User):
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert _pkce(verifier).challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    allowed = _allow(authserver, client, alice, verifier)
    assert authserver.redeem(client, allowed, code_verifier=verifier).status_code == 200


# 4.3, 4.4: the challenge.


def test_a_public_client_must_send_a_challenge_whatever_its_profile(authserver: AuthServer, alice: User):
    for profile in ("oauth21", "oidc"):
        public = authserver.public_client(profile=profile, trusted=True)
        page = ask(authserver, public, alice, code_challenge=None, code_challenge_method=None, state="s")
        assert_sent_back(page, "invalid_request", public, state="s")


def test_a_confidential_client_must_send_a_challenge_by_default(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    page = ask(authserver, client, alice, code_challenge=None, code_challenge_method=None)
    assert_sent_back(page, "invalid_request", client)


@pytest.mark.parametrize("nonce", [None, "n"])
def test_a_confidential_client_of_the_profile_oidc_need_not(
    authserver: AuthServer, optional: RegisteredClient, alice: User, nonce: str | None
):
    code_of(ask(authserver, optional, alice, code_challenge=None, code_challenge_method=None, nonce=nonce))


@pytest.mark.parametrize("method", [None, "", "plain", "s256", "S512", "S256 ", "\N{SNOWMAN}"])
def test_the_method_is_s256_and_said_so_4_3(
    authserver: AuthServer, client: RegisteredClient, optional: RegisteredClient, alice: User, method: str | None
):
    for asking in (client, optional):
        page = ask(authserver, asking, alice, code_challenge_method=method)
        assert_sent_back(page, "invalid_request", asking)


@pytest.mark.parametrize("length", [43, 44, 127, 128])
def test_a_challenge_of_43_to_128_characters_is_taken_4_2(
    authserver: AuthServer, client: RegisteredClient, alice: User, length: int
):
    code_of(ask(authserver, client, alice, code_challenge="a" * length))


@pytest.mark.parametrize(
    "challenge",
    [
        "a" * 42,
        "a" * 129,
        "a" * 42 + "=",
        "a" * 42 + "+",
        "a" * 42 + "/",
        "a" * 42 + " ",
        "a" * 42 + "\n",
        "\xe9" * 43,
        "",
    ],
)
def test_any_other_challenge_is_refused_4_2(
    authserver: AuthServer, client: RegisteredClient, optional: RegisteredClient, alice: User, challenge: str
):
    for asking in (client, optional):
        assert_sent_back(ask(authserver, asking, alice, code_challenge=challenge), "invalid_request", asking)


def test_a_method_without_a_challenge_is_refused_4_4_1(authserver: AuthServer, optional: RegisteredClient, alice: User):
    page = ask(authserver, optional, alice, code_challenge=None)
    assert_sent_back(page, "invalid_request", optional)


# 4.5, 4.6: the verifier.


@pytest.mark.parametrize("length", [43, 128])
def test_a_verifier_of_43_to_128_characters_is_taken_4_1(
    authserver: AuthServer, client: RegisteredClient, alice: User, length: int
):
    verifier = ("Aa0-._~" * 20)[:length]
    allowed = _allow(authserver, client, alice, verifier)
    assert authserver.redeem(client, allowed, code_verifier=verifier).status_code == 200


def test_a_verifier_in_plain_base64_is_taken_as_git_credential_oauth_sends_it(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    verifier = "A5kchPNQzm4lhI+jtpzvbRrLENHgwNFumNpNPVF/Oaw="
    allowed = _allow(authserver, client, alice, verifier)
    assert authserver.redeem(client, allowed, code_verifier=verifier).status_code == 200


@pytest.mark.parametrize(
    "verifier", ["a" * 42, "a" * 129, "a" * 42 + " ", "a" * 42 + ",", "\xe9" * 43, "a" * 42 + "\n"]
)
def test_a_verifier_that_is_not_well_formed_is_refused_though_its_hash_fits_4_1(
    authserver: AuthServer, client: RegisteredClient, alice: User, verifier: str
):
    allowed = _allow(authserver, client, alice, verifier)
    assert_refused(authserver.redeem(client, allowed, code_verifier=verifier), "invalid_grant")


@pytest.mark.parametrize("verifier", [None, "", "b" * 43, "x"])
def test_a_missing_or_wrong_verifier_burns_the_code_4_6(
    authserver: AuthServer, client: RegisteredClient, public: RegisteredClient, alice: User, verifier: str | None
):
    for asking in (client, public):
        allowed = authserver.allow(asking, alice)
        assert_refused(authserver.redeem(asking, allowed, code_verifier=verifier), "invalid_grant")
        assert_refused(authserver.redeem(asking, allowed), "invalid_grant")


def test_a_verifier_twice_is_an_invalid_request(authserver: AuthServer, client: RegisteredClient, alice: User):
    allowed = authserver.allow(client, alice)
    assert allowed.pkce is not None
    twice = [allowed.pkce.verifier, allowed.pkce.verifier]
    assert_refused(authserver.redeem(client, allowed, code_verifier=twice), "invalid_request")


def test_the_verifier_of_another_flow_does_not_fit(authserver: AuthServer, client: RegisteredClient, alice: User):
    first, second = authserver.allow(client, alice), authserver.allow(client, alice)
    assert second.pkce is not None
    assert_refused(authserver.redeem(client, first, code_verifier=second.pkce.verifier), "invalid_grant")


def test_the_challenge_itself_is_no_verifier(authserver: AuthServer, client: RegisteredClient, alice: User):
    allowed = authserver.allow(client, alice)
    assert allowed.pkce is not None
    assert_refused(authserver.redeem(client, allowed, code_verifier=allowed.pkce.challenge), "invalid_grant")


@pytest.mark.parametrize("profile", ["oidc", "legacy"])
def test_a_challenge_in_the_request_makes_the_verifier_compulsory_in_every_profile(
    authserver: AuthServer, alice: User, profile: str
):
    client = authserver.client(profile=profile)
    assert_refused(authserver.redeem(client, authserver.allow(client, alice), code_verifier=None), "invalid_grant")


@pytest.mark.parametrize("profile", ["oidc", "legacy"])
def test_a_verifier_for_a_code_without_a_challenge_is_refused(authserver: AuthServer, alice: User, profile: str):
    # RFC 9700 4.8.2: somebody may have taken the challenge out of the request.
    client = authserver.client(profile=profile)
    allowed = authserver.allow(client, alice, code_challenge=None)
    assert_refused(authserver.redeem(client, allowed, code_verifier="a" * 43), "invalid_grant")


def test_a_verifier_is_ignored_where_no_code_is_redeemed(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens = authserver.tokens(client, alice)
    assert authserver.refresh(client, tokens["refresh_token"], code_verifier="x").status_code == 200
    parameters = {"grant_type": "client_credentials", "scope": "api:read", "code_verifier": "x"}
    assert authserver.token(client, **parameters).status_code == 200

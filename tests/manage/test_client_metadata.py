"""What cannot be registered, and under which error code (RFC 7591 2 and 3.2.2)."""

from typing import Any

import pytest

from authserver.manage.client_metadata import CODE, JWT_BEARER, TOKEN_EXCHANGE
from authserver.manage.errors import InvalidMetadata
from tests.manage.conftest import CB, Register, refusal
from tests.manage.test_jwks import EC


@pytest.mark.parametrize(
    "uris", [[], None, "x", {}, [None], [["x"]], [f"{CB}/{n}" for n in range(51)], ["javascript:x"]]
)
def test_bad_redirect_uris_have_their_own_error_code(register: Register, uris: Any):
    error = refusal(register, redirect_uris=uris)
    assert (error.error, error.member) == ("invalid_redirect_uri", "redirect_uris")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("token_endpoint_auth_method", "client_secret_magic"),
        ("token_endpoint_auth_method", 7),
        ("token_endpoint_auth_signing_alg", "none"),
        ("grant_types", ["password"]),
        ("grant_types", ["implicit"]),
        ("grant_types", "authorization_code"),
        ("grant_types", [["authorization_code"]]),
        ("grant_types", ["refresh_token"]),
        ("response_types", ["token"]),
        ("response_types", ["code id_token"]),
        ("client_name", ""),
        ("client_name", "a\u202eb"),
        ("client_name", "a\nb"),
        ("client_name", "x" * 513),
        ("client_name", 1),
        ("client_uri", "javascript:x"),
        ("logo_uri", "http://client.example/logo"),
        ("contacts", "me"),
        ("scope", "a  b"),
        ("scope", 'a"b'),
        ("scope", ["a"]),
        ("scope", "a" * 5000),
        ("jwks", {"keys": [{"kty": "oct", "k": "AAAA"}]}),
        ("jwks_uri", "http://client.example/jwks"),
        ("application_type", "desktop"),
        ("subject_type", "ephemeral"),
        ("id_token_signed_response_alg", "none"),
        ("id_token_signed_response_alg", "HS256"),
        ("default_max_age", -1),
        ("default_max_age", True),
        ("require_auth_time", "yes"),
        ("initiate_login_uri", "http://client.example/start"),
        ("post_logout_redirect_uris", ["data:x"]),
        ("profile", "fapi9"),
        ("trusted", "true"),
        ("resources", ["no uri"]),
        ("resource_server_for", "https://api.example/"),
        ("web_origins", ["https://client.example/x"]),
        ("access_token_format", "xml"),
        ("require_pkce", 1),
        ("grace_seconds", 301),
        ("id_token_claims", 7),
        ("exchange_audiences", ["no uri"]),
        ("may_impersonate", "true"),
        ("may_act", ["a"]),
        ("id_jag_audiences", ["https://chat.example/"]),
        ("id_jag_audiences", {"no uri": {"client_id": "a"}}),
        ("id_jag_audiences", {"https://chat.example/": "a"}),
        ("id_jag_audiences", {"https://chat.example/": {}}),
        ("id_jag_audiences", {"https://chat.example/": {"client_id": 1}}),
        ("id_jag_audiences", {"https://chat.example/": {"client_id": "a", "scope": ["b"]}}),
        ("id_jag_audiences", {"https://chat.example/": {"client_id": "a", "resources": ["no uri"]}}),
        ("id_jag_audiences", {"https://chat.example/": {"client_id": "a", "subject": "b"}}),
        ("id_jag_audiences", {f"https://chat{number}.example/": {"client_id": "a"} for number in range(51)}),
    ],
)
def test_members_are_checked_one_by_one(register: Register, member: str, value: Any):
    error = refusal(register, **{member: value})
    assert error.error == "invalid_client_metadata"
    assert error.member == member
    assert error.description.isascii()


@pytest.mark.parametrize(
    ("metadata", "member"),
    [
        ({"grant_types": ["client_credentials"], "response_types": ["code"]}, "grant_types"),
        ({"grant_types": ["authorization_code"], "response_types": []}, "grant_types"),
        (
            {"grant_types": ["authorization_code", "client_credentials"], "token_endpoint_auth_method": "none"},
            "token_endpoint_auth_method",
        ),
        *(
            ({"grant_types": [CODE, grant], "token_endpoint_auth_method": "none"}, "token_endpoint_auth_method")
            for grant in (TOKEN_EXCHANGE, JWT_BEARER)
        ),
        ({"jwks": {"keys": [EC]}, "jwks_uri": "https://client.example/jwks"}, "jwks"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "jwks"),
        ({"token_endpoint_auth_signing_alg": "ES256"}, "token_endpoint_auth_signing_alg"),
        (
            {"token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "ES256"},
            "token_endpoint_auth_signing_alg",
        ),
        (
            {"token_endpoint_auth_method": "none", "resource_server_for": ["https://api.example/"]},
            "resource_server_for",
        ),
        ({"profile": "legacy", "token_endpoint_auth_method": "none"}, "token_endpoint_auth_method"),
        ({"profile": "legacy", "require_redirect_uri": False}, "require_redirect_uri"),
    ],
)
def test_members_that_contradict_each_other_are_refused(register: Register, metadata: dict[str, Any], member: str):
    assert refusal(register, **metadata).member == member


def test_an_administrator_is_told_of_unknown_members(register: Register):
    assert "redirect_urls" in refusal(register, redirect_urls=[CB]).description


def test_members_of_extensions_are_taken_and_checked(register: Register):
    def check(name: str, value: Any) -> Any:
        if value != "good":
            raise InvalidMetadata(name, "is bad")
        return value

    assert register(extension="good", members={"extension": check})["extension"] == "good"
    assert refusal(register, extension="bad", members={"extension": check}).member == "extension"


def test_names_for_people_may_carry_a_language(register: Register):
    assert register(**{"client_name#de": "Notizen"})["client_name#de"] == "Notizen"
    for name in ("scope#de", "client_name#", "client_name#d", "client_name#de_CH", "contacts#de"):
        assert "unknown member" in refusal(register, **{name: "a"}).description
    twice = refusal(register, **{"client_name#de": "Notizen", "client_name#De": "Merkzettel"})
    assert twice.description.startswith("client_name must be there once in a language")

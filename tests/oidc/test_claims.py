"""Claims about the user, by scope (OpenID Connect Core 1.0, 5.1, 5.4)."""

from typing import Any

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient

PROFILE = {"name", "given_name", "family_name", "birthdate", "preferred_username", "updated_at"}
EMAIL = {"email", "email_verified"}


def _claims(authserver: AuthServer, client: RegisteredClient, user: User, scope: str) -> dict[str, Any]:
    token = authserver.tokens(client, user, scope=scope)["access_token"]
    told: dict[str, Any] = authserver.get("/userinfo", token).json()
    assert told.pop("sub") == user.sub
    return told


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        ("openid", set()),
        ("openid profile", PROFILE),
        ("openid email", EMAIL),
        ("openid address", {"address"}),
        ("openid phone", {"phone_number"}),
        ("openid profile email address phone", PROFILE | EMAIL | {"address", "phone_number"}),
        ("phone email openid", EMAIL | {"phone_number"}),
        ("openid offline_access api:read", set()),
    ],
)
def test_each_scope_brings_its_claims_and_no_other_5_4(
    authserver: AuthServer, client: RegisteredClient, alice: User, scope: str, names: set[str]
):
    assert _claims(authserver, client, alice, scope).keys() == names


def test_the_values_have_the_types_of_the_standard_5_1(authserver: AuthServer, client: RegisteredClient, alice: User):
    told = _claims(authserver, client, alice, "openid profile email address phone")
    assert told["name"] == "Alice Adams"
    assert told["preferred_username"] == "alice"
    assert told["email"] == "alice@example.test"
    assert told["email_verified"] is True
    assert told["address"] == {"country": "NZ"}
    assert told["phone_number"] == "+64 3 000 0000"
    assert type(told["updated_at"]) is int
    assert told["updated_at"] < 10**10, "seconds, not microseconds"


def test_what_is_not_known_is_left_out_5_3_2(authserver: AuthServer, client: RegisteredClient, bob: User):
    told = _claims(authserver, client, bob, "openid profile email address phone")
    assert told.keys() == {"preferred_username", "updated_at", "email", "email_verified"}
    assert told["email_verified"] is False


def test_a_claim_of_no_scope_is_told_to_nobody(authserver: AuthServer, client: RegisteredClient):
    user = authserver.user("claims-secret", shoe_size=46)
    assert "shoe_size" not in _claims(authserver, client, user, "openid profile email address phone")


def test_a_profile_cannot_forge_what_the_protocol_says(authserver: AuthServer, client: RegisteredClient):
    for name in ("sub", "iss", "aud", "exp", "acr", "amr", "auth_time", "nonce", "sid", "scope", "client_id", "cnf"):
        with pytest.raises(Exception, match="protocol"):
            authserver.user(f"forger-{name}", **{name: "x"})


def test_the_metadata_names_every_claim(authserver: AuthServer):
    document = authserver.get("/.well-known/openid-configuration").json()
    supported = document["claims_supported"]
    assert set(supported) >= PROFILE | EMAIL | {"address", "phone_number", "sub", "iss", "auth_time", "acr"}
    assert len(supported) == len(set(supported))
    assert document["claim_types_supported"] == ["normal"]

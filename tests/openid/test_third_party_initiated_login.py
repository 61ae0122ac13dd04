"""3rd Party-Init OP: a client says where others may start a login at it (OpenID Connect Core 4, Registration 2)."""

import pytest

from pytest_authserver import AuthServer
from tests.openid.party import Party, Variant
from tests.registering import refusal

PLACE = "https://client.test/login?from=outside"


# OIDCC3rdPartyInitLogin
def test_where_a_login_may_be_started_is_registered_and_read_again(provider: AuthServer):
    party = Party(provider, Variant(), initiate_login_uri=PLACE)
    assert party.registration["initiate_login_uri"] == PLACE
    path = party.registration["registration_client_uri"].removeprefix(provider.issuer)
    read = provider.get(path, party.registration["registration_access_token"])
    assert (read.status_code, read.headers["content-type"]) == (200, "application/json")
    assert read.json()["initiate_login_uri"] == PLACE
    party.leave()


# OIDCC3rdPartyInitLoginNonHttps
@pytest.mark.parametrize("place", ["http://client.test/login", "javascript:alert(1)", "/login", 1])
def test_a_place_that_is_not_an_https_url_is_refused(provider: AuthServer, place: object):
    assert refusal(provider, initiate_login_uri=place) == "invalid_client_metadata"

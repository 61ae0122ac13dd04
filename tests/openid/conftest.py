"""The provider that the certification profiles are told of, and who lives there."""

from collections.abc import Iterator
from typing import Any

import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests.listener import KEYS
from tests.openid.deployed import behind_nginx
from tests.servers.fixtures import or_give_up

SETTINGS: dict[str, Any] = {
    "development": False,
    "registration": {"mode": "open", "profile": "oidc"},
    "features": {
        "hybrid": True,
        "session_management": True,
        # These announce members of drafts and of our own, and the suite warns of every name that it does not know.
        **dict.fromkeys(("revocation_events", "id_jag", "status_list"), False),
    },
    "outbound_allow": ("127.0.0.1",),
    "outbound_ca_file": KEYS / "authority.pem",
}
DEPLOYED = "https"
"""How the parameter of the provider is called where it is behind nginx."""


@pytest.fixture(scope="session", params=["called", DEPLOYED])
def provider(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A provider at an https address, where anybody may register a client of the profile for OpenID.

    Every module runs twice: called as a function, and over https behind nginx.
    """
    folder = tmp_path_factory.mktemp("provider")
    if request.param == DEPLOYED:
        with or_give_up() as stack:
            yield stack.enter_context(behind_nginx(folder, **SETTINGS))
        return
    server = AuthServer(folder, issuer="https://op.test", **SETTINGS)
    yield server
    server.close()


@pytest.fixture(scope="session")
def berta(provider: AuthServer) -> User:
    """Somebody with every claim that OpenID Connect Core 5.1 knows."""
    with provider.later(-60):  # what a test does in the past is done after this account was made
        return provider.user(
            "berta",
            name="Berta van den Berg",
            given_name="Berta",
            family_name="van den Berg",
            middle_name="Maria",
            nickname="Bee",
            profile="https://berta.test/",
            picture="https://berta.test/portrait.jpeg",
            website="https://berta.test/",
            gender="female",
            birthdate="1987-12-31",
            zoneinfo="Europe/Amsterdam",
            locale="nl-NL",
            email_verified=True,
            phone_number="+31 20 000 0000",
            phone_number_verified=True,
            address={"street_address": "Dam 1", "locality": "Amsterdam", "postal_code": "1012 JS", "country": "NL"},
        )

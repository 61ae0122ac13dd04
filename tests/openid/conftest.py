"""The provider that the certification profiles are told of, and who lives there."""

from collections.abc import Iterator

import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests.listener import KEYS


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A provider at an https address, where anybody may register a client of the profile for OpenID."""
    server = AuthServer(
        tmp_path_factory.mktemp("provider"),
        issuer="https://op.test",
        development=False,
        registration={"mode": "open", "profile": "oidc"},
        features={"hybrid": True},
        outbound_allow=("127.0.0.1",),
        outbound_ca_file=KEYS / "authority.pem",
    )
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

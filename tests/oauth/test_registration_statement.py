"""Software statements at registration (RFC 7591 2.3, 3.1.1, 3.2.2)."""

from pathlib import Path
from typing import Any

import pytest

from authserver.clock import SECOND, now
from pytest_authserver import AuthServer
from tests.registering import VENDOR, anybody, refusal, register
from tests.signing import key, token

__all__ = ["anybody"]

STRANGER = "https://stranger.test"


# 2.3, 3.1.1: software statements.


@pytest.fixture
def vendor(anybody: AuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key set of the trusted issuer, and nobody else's."""

    def issuer_keys(issuer: str, jwks_uri: str, _parsed: object) -> dict[str, Any]:
        assert (issuer, jwks_uri) == (VENDOR, f"{VENDOR}/jwks")
        return {"keys": [key("p256", kid="one").as_dict(private=False)]}

    monkeypatch.setattr(anybody.server.outbound, "issuer_keys", issuer_keys)


def _statement(algorithm: str = "ES256", name: str | None = None, **claims: Any) -> str:
    given = {"iss": VENDOR, "software_id": "notes", "client_name": "Notes of the vendor", **claims}
    return token(algorithm, {name: value for name, value in given.items() if value is not None}, name)


@pytest.mark.usefixtures("vendor")
def test_a_software_statement_goes_before_what_the_client_says_3_1_1(anybody: AuthServer):
    statement = _statement(exp=now() // SECOND + 60, aud="http://localhost:9000", trusted=True, client_id="chosen")
    answer = register(anybody, software_statement=statement, client_name="Notes, free", software_version="3")
    assert answer["client_name"] == "Notes of the vendor"
    assert (answer["software_id"], answer["software_version"]) == ("notes", "3")
    # 3.2.1: "its value MUST be returned unmodified".
    assert answer["software_statement"] == statement
    assert answer["client_id"] != "chosen"
    assert "trusted" not in answer


@pytest.mark.usefixtures("vendor")
def test_a_statement_cannot_go_beyond_the_policy(anybody: AuthServer):
    statement = _statement(scope="openid admin:all", grant_types=["authorization_code", "client_credentials"])
    answer = register(anybody, software_statement=statement)
    assert (answer["scope"], answer["grant_types"]) == ("openid", ["authorization_code"])


@pytest.mark.usefixtures("vendor")
@pytest.mark.parametrize(
    "statement",
    [
        "",
        "x",
        "a.b.c",
        17,
        ["x"],
        {"iss": VENDOR},
        _statement(iss=None),
        _statement(iss=17),
        _statement(name="p256_other"),
        _statement("HS256"),
        _statement(exp=now() // SECOND - 120),
        _statement(exp="tomorrow"),
        _statement(nbf=now() // SECOND + 86400),
        _statement(iat=now() // SECOND + 86400),
        _statement(aud="https://other.test"),
        _statement(aud=17),
        token("ES256", {"iss": VENDOR}, typ="at+jwt"),
        token("ES256", {"iss": VENDOR}, crit=["x"]),
        # alg none, and the signature of another statement.
        "eyJhbGciOiJub25lIn0." + _statement().split(".")[1] + ".",
        _statement().rpartition(".")[0] + "." + _statement(x=1).rpartition(".")[2],
    ],
    ids=range(20),
)
def test_a_statement_that_proves_nothing_is_refused_3_2_2(anybody: AuthServer, statement: object):
    assert refusal(anybody, software_statement=statement) == "invalid_software_statement"


@pytest.mark.usefixtures("vendor")
def test_a_statement_of_a_stranger_is_not_approved_3_2_2(anybody: AuthServer):
    assert refusal(anybody, software_statement=_statement(iss=STRANGER)) == "unapproved_software_statement"


@pytest.mark.usefixtures("vendor")
def test_what_a_statement_says_is_checked_like_everything_else(anybody: AuthServer):
    statement = _statement(redirect_uris=["http://client.test/cb"])
    assert refusal(anybody, software_statement=statement) == "invalid_redirect_uri"


def test_a_server_may_demand_a_statement(tmp_path: Path):
    server = AuthServer(tmp_path, registration={"mode": "open", "require_statement": True})
    assert refusal(server) == "invalid_software_statement"
    server.close()

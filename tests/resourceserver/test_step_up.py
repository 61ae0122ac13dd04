"""Step-up at the resource server (RFC 9470 3 and 6): what is refused, and what the challenge says."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from resourceserver import AccessToken, Verifier, protect
from resourceserver.errors import InsufficientUserAuthenticationError
from tests.resourceserver.conftest import AUDIENCE, Clock, Mint
from tests.resourceserver.stub_issuer import StubIssuer

PWD, MFA = "urn:authserver:pwd", "urn:authserver:mfa"


@pytest.fixture
def client(by_asking: Verifier) -> FlaskClient:
    app = Flask(__name__)

    @app.delete("/strong")
    @protect(by_asking, scopes=("write",), acr=(MFA, "phr"), max_age=300)
    def strong(token: AccessToken) -> object:
        return token.acr or ""

    @app.get("/recent")
    @protect(by_asking, max_age=0)
    def recent(token: AccessToken) -> object:
        return "recent"

    return app.test_client()


def _token(issuer: StubIssuer, clock: Clock, age: int = 10, **members: object) -> dict[str, str]:
    issuer.answers["t"] = issuer.active(AUDIENCE, **{"scope": "write", "auth_time": int(clock.now) - age, **members})
    return {"Authorization": "Bearer t"}


# 3: the challenge


def test_a_weak_sign_in_is_a_401_that_names_both_wishes(issuer: StubIssuer, client: FlaskClient, clock: Clock) -> None:
    answer = client.delete("/strong", headers=_token(issuer, clock, acr=PWD))
    assert answer.status_code == 401
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer error="insufficient_user_authentication"')
    assert f'acr_values="{MFA} phr"' in challenge
    assert 'max_age="300"' in challenge
    assert answer.json is not None
    assert answer.json["error"] == "insufficient_user_authentication"
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_old_sign_in_is_refused_however_strong_it_was(issuer: StubIssuer, client: FlaskClient, clock: Clock) -> None:
    answer = client.delete("/strong", headers=_token(issuer, clock, age=301, acr=MFA))
    assert 'error="insufficient_user_authentication"' in answer.headers["WWW-Authenticate"]


def test_no_age_at_all_may_be_asked_for(issuer: StubIssuer, client: FlaskClient, clock: Clock) -> None:
    answer = client.get("/recent", headers=_token(issuer, clock, age=1))
    assert 'max_age="0"' in answer.headers["WWW-Authenticate"]
    assert "acr_values" not in answer.headers["WWW-Authenticate"]


def test_a_missing_scope_is_told_first(issuer: StubIssuer, client: FlaskClient, clock: Clock) -> None:
    answer = client.delete("/strong", headers=_token(issuer, clock, acr=PWD, scope="read"))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_a_token_that_is_bad_learns_nothing_of_it(issuer: StubIssuer, client: FlaskClient) -> None:
    for headers in ({}, {"Authorization": "Bearer unknown"}):
        assert "acr_values" not in client.delete("/strong", headers=headers).headers["WWW-Authenticate"]


# 6: what the token says


def test_a_strong_and_recent_sign_in_is_served(issuer: StubIssuer, client: FlaskClient, clock: Clock) -> None:
    for acr in (MFA, "phr"):
        clock.now += 60
        assert client.delete("/strong", headers=_token(issuer, clock, acr=acr)).text == acr


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"acr": ""},
        {"acr": f"{MFA} "},
        {"acr": MFA.upper()},
        {"acr": f"{PWD} {MFA}"},
        {"acr": MFA, "auth_time": None},
    ],
)
def test_nothing_but_the_very_value_counts(
    issuer: StubIssuer, client: FlaskClient, clock: Clock, members: dict[str, object]
) -> None:
    assert client.delete("/strong", headers=_token(issuer, clock, **members)).status_code == 401


def test_a_jwt_says_it_by_the_same_claims(by_keys: Verifier, mint: Mint, clock: Clock) -> None:
    now = int(clock.now)
    good = mint(acr=MFA, auth_time=now - 10)
    assert by_keys.verify(f"Bearer {good}", acr=(MFA,), max_age=300)
    for weak in (mint(acr=PWD, auth_time=now - 10), mint(acr=MFA, auth_time=now - 400), mint(acr=MFA), mint()):
        with pytest.raises(InsufficientUserAuthenticationError):
            by_keys.verify(f"Bearer {weak}", acr=(MFA,), max_age=300)


def test_a_token_that_is_remembered_grows_old_all_the_same(
    issuer: StubIssuer, client: FlaskClient, clock: Clock
) -> None:
    headers = _token(issuer, clock, age=290, acr=MFA)
    assert client.delete("/strong", headers=headers).status_code == 200
    clock.now += 20
    assert client.delete("/strong", headers=headers).status_code == 401

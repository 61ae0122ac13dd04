import json

import pytest

from resourceserver import Verifier
from resourceserver.errors import InvalidTokenError
from tests.resourceserver.conftest import AUDIENCE, Clock, Mint
from tests.resourceserver.signing import claims, header, signed
from tests.resourceserver.stub_issuer import StubIssuer

REFUSED = pytest.raises(InvalidTokenError)


# RFC 9068 4, RFC 8725 3.11: the type.


@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt", "AT+JWT", "Application/At+Jwt"])
def test_both_names_of_the_type_are_taken_in_any_case(by_keys: Verifier, mint: Mint, typ: str) -> None:
    assert by_keys.check(mint(head={"typ": typ}))


@pytest.mark.parametrize(
    "typ",
    [
        None,
        "JWT",
        "jwt",
        "logout+jwt",
        "dpop+jwt",
        "token-introspection+jwt",
        "at+jwt ",
        "at+jwtx",
        "x/at+jwt",
        "",
        1,
        ["at+jwt"],
    ],
)
def test_a_token_of_another_type_is_refused(by_keys: Verifier, mint: Mint, typ: object) -> None:
    with REFUSED:
        by_keys.check(mint(head={"typ": typ}))


def test_an_id_token_of_the_same_issuer_is_refused(issuer: StubIssuer, by_keys: Verifier) -> None:
    id_token = {"alg": "RS256", "kid": "rsa", "typ": "JWT"}
    with REFUSED:
        by_keys.check(signed(id_token, claims(issuer.url, AUDIENCE, nonce="n")))
    with REFUSED:
        by_keys.check(signed({"alg": "RS256", "kid": "rsa"}, claims(issuer.url, AUDIENCE)))


# RFC 9068 2.2, 4: claims.


@pytest.mark.parametrize(
    "change", ["upper", "slash", "prefix", "longer", "list", "object", "number", "missing", "empty"]
)
def test_another_issuer_is_refused(issuer: StubIssuer, by_keys: Verifier, mint: Mint, change: str) -> None:
    url = issuer.url
    iss: object = {
        "upper": url.upper(),
        "slash": url + "/",
        "prefix": url[:-1],
        "longer": url + ".evil.test",
        "list": [url],
        "object": {"iss": url},
        "number": 1,
        "missing": None,
        "empty": "",
    }[change]
    with REFUSED:
        by_keys.check(mint(iss=iss))


@pytest.mark.parametrize(
    "aud",
    [
        None,
        "",
        "https://api.example/thing",
        "https://api.example/things/",
        "https://api.example/things/more",
        "HTTPS://API.EXAMPLE/things",
        [],
        ["https://api.example/other"],
        [AUDIENCE, 1],
        [AUDIENCE, None],
        [[AUDIENCE]],
        {"aud": AUDIENCE},
        1,
        True,
    ],
)
def test_another_audience_is_refused(by_keys: Verifier, mint: Mint, aud: object) -> None:
    with REFUSED:
        by_keys.check(mint(aud=aud))


def test_an_audience_in_a_list_of_strings_is_taken(by_keys: Verifier, mint: Mint) -> None:
    assert by_keys.check(mint(aud=["https://other.example", AUDIENCE])).audience == ("https://other.example", AUDIENCE)


@pytest.mark.parametrize("name", ["exp", "nbf", "iat", "auth_time"])
@pytest.mark.parametrize(
    "value",
    [
        '"9999999999"',
        "-1",
        "-0.5",
        "true",
        "false",
        "[]",
        "{}",
        '""',
        "NaN",
        "1e400",
        "-Infinity",
        str(2**53),
        "9" * 400,
    ],
)
def test_a_time_that_is_no_sane_number_is_refused(issuer: StubIssuer, by_keys: Verifier, name: str, value: str) -> None:
    payload = json.dumps(claims(issuer.url, AUDIENCE, **{name: "@"})).replace('"@"', value)
    with REFUSED:
        by_keys.check(signed(header(), payload))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_a_time_that_is_null_is_refused(issuer: StubIssuer, by_keys: Verifier, name: str) -> None:
    with REFUSED:
        by_keys.check(signed(header(), claims(issuer.url, AUDIENCE) | {name: None}))


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"])
def test_a_token_without_a_required_claim_is_refused(by_keys: Verifier, mint: Mint, name: str) -> None:
    with REFUSED:
        by_keys.check(mint(**{name: None}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"sub": ""},
        {"sub": 1},
        {"sub": "a\nb"},
        {"sub": "a\0"},
        {"sub": "x" * 256},
        {"client_id": ""},
        {"client_id": ["a"]},
        {"client_id": "clïent"},
        {"jti": 1},
        {"scope": ["read"]},
        {"scope": {"read": True}},
        {"scope": 'read "write"'},
        {"scope": "read  write"},
        {"scope": " read"},
        {"acr": 1},
        {"sid": []},
    ],
)
def test_a_claim_of_the_wrong_shape_is_refused(by_keys: Verifier, mint: Mint, wrong: dict[str, object]) -> None:
    with REFUSED:
        by_keys.check(mint(**wrong))


def test_times_are_granted_a_minute_and_no_more(by_keys: Verifier, mint: Mint, clock: Clock) -> None:
    now = int(clock.now)
    assert by_keys.check(mint(exp=now - 58))
    assert by_keys.check(mint(nbf=now + 59, iat=now + 59))
    for wrong in ({"exp": now - 61}, {"nbf": now + 63}, {"iat": now + 63}):
        with REFUSED:
            by_keys.check(mint(**wrong))


@pytest.mark.parametrize("exp", [2**31, 2**32, 2**53 - 1, 4102444800.5])
def test_times_far_ahead_are_handled(by_keys: Verifier, mint: Mint, exp: float) -> None:
    assert by_keys.check(mint(exp=exp)).expires_at == int(exp)


def test_a_key_bound_token_is_refused_while_no_proof_can_be_checked(by_keys: Verifier, mint: Mint) -> None:
    for cnf in ({"jkt": "abc"}, {"x5t#S256": "abc"}, {}, "x"):
        with REFUSED:
            by_keys.check(mint(cnf=cnf))

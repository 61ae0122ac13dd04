"""Access tokens that come with a request (RFC 6750 2.1, 3); userinfo's tests and those of tests/api prove the rest."""

import pytest

from authserver.oauth import bearer, errors


@pytest.mark.parametrize(
    ("header", "presented"),
    [
        ("Bearer x", ("bearer", "x")),
        ("bEARER x", ("bearer", "x")),
        ("DPoP x", ("dpop", "x")),
        ("Bearer  x ", ("bearer", "x")),
        ("Bearer", ("bearer", "")),
        ("Basic x", ("basic", None)),
        ("Bearerx", ("bearerx", None)),
        ("", ("", None)),
    ],
)
def test_a_token_is_read_from_a_header_of_two_schemes_2_1(header: str, presented: tuple[str, str | None]):
    assert bearer.presented(header) == presented


def test_a_challenge_says_error_and_what_would_do_3():
    answer = bearer.challenge(errors.InvalidToken(errors.TOKEN_INVALID), scope="a b")
    assert answer.status == 401
    assert dict(answer.headers)["WWW-Authenticate"] == (
        f'Bearer realm="authserver", error="invalid_token", error_description="{errors.TOKEN_INVALID}", scope="a b"'
    )


def test_a_challenge_names_the_algorithms_of_proofs_where_they_matter_9449_7_1():
    error = errors.InvalidToken(errors.TOKEN_UNPROVEN)
    for scheme, begin in (("dpop", 'DPoP realm="authserver"'), ("bearer", 'Bearer realm="authserver"')):
        challenge = dict(bearer.challenge(error, scheme, "ES256").headers)["WWW-Authenticate"]
        assert challenge.startswith(begin)
        assert challenge.endswith('algs="ES256"')

"""TOTP (RFC 6238) by the vectors of its appendix B, what a step accepts, and what goes into the picture."""

from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from authserver.identity import totp
from authserver.identity.totp import PERIOD

SECRET = b"12345678901234567890"
# RFC 6238 appendix B (SHA-1): seconds and the last six of the eight digits.
VECTORS = (
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
)


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_the_codes_are_those_of_the_specification(seconds: int, code: str):
    assert totp.code_at(SECRET, seconds // 30) == code


@pytest.mark.parametrize(("seconds", "code"), VECTORS[1:])
def test_a_code_is_taken_in_its_step_and_one_step_around_it(seconds: int, code: str):
    step, moment = seconds // 30, seconds * 1_000_000
    for around in (-1, 0, 1):
        assert totp.step_of(SECRET, code, moment + around * PERIOD) == step
    for far in (-2, 2):
        assert totp.step_of(SECRET, code, moment + far * PERIOD) is None


def test_a_used_step_is_remembered_longer_than_it_is_taken_anywhere():
    step = totp.step_of(SECRET, "287082", 59_000_000)
    assert step is not None
    # Another node's clock may be a minute behind.
    assert totp.end_of(step) >= (step + 2) * PERIOD + 60_000_000


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("123456", "123456"),
        (" 123 456 ", "123456"),
        ("000000", "000000"),
        ("", None),
        ("12345", None),
        ("1234567", None),
        ("12345a", None),
        ("123456\n", None),
        ("123\t456", None),
        ("123\u00a0456", None),
        ("\u0661\u0662\u0663\u0664\u0665\u0666", None),
        ("\uff11\uff12\uff13\uff14\uff15\uff16", None),
        ("+12345", None),
        ("1e1000", None),
        ("9" * 100_000, None),
    ],
)
def test_a_code_is_six_ascii_digits(typed: str, code: str | None):
    assert totp.read_code(typed) == code


def test_secrets_are_160_bits_and_never_the_same():
    drawn = {totp.new_secret() for _ in range(20)}
    assert len(drawn) == 20
    assert {len(secret) for secret in drawn} == {20}


def test_the_picture_says_what_apps_expect_whatever_the_names_are():
    uri = totp.uri(SECRET, "login.example:8443", "ål & b/c?d#e:f")
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("otpauth", "totp", "")
    assert unquote(parts.path) == "/login.example:8443:ål & b/c?d#e:f"
    assert parts.path.count("/") == 1
    assert parse_qs(parts.query) == {
        "secret": ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"],
        "issuer": ["login.example:8443"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }


def test_the_secret_is_spelled_in_groups_of_four():
    assert totp.spelled(SECRET) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"

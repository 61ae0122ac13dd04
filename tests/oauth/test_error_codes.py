"""The error codes (RFC 6749 5.2, 4.1.2.1, and the specifications that add to them)."""

import inspect
import re

import pytest

from authserver.oauth import errors
from authserver.oauth.server import error_answer

# RFC 6749 5.2: %x20-21 / %x23-5B / %x5D-7E
ALLOWED = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")
REFUSALS = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if issubclass(value, errors.Refusal) and value not in {errors.Refusal, errors.SlowDown, errors.UseDPoPNonce}
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.__name__)
def test_an_error_names_its_code_and_its_specification(refusal: type[errors.Refusal]):
    error = refusal("A sentence.")
    assert ALLOWED.fullmatch(error.error)
    assert error.get_error_description() == "A sentence."
    assert re.match(r"RFC \d{4}|OpenID Connect|CIBA \d", refusal.__doc__ or "")
    answer = error_answer(error)
    assert 400 <= answer.status < 500
    assert (answer.status == 401) is ("WWW-Authenticate" in dict(answer.headers))


def test_too_many_failures_say_when_to_come_back():
    answer = error_answer(errors.SlowDown(42))
    assert answer.status == 429
    assert dict(answer.headers)["Retry-After"] == "42"

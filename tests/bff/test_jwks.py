"""RFC 7517: the provider's keys, fetched seldom, found by id and use."""

import time
from collections.abc import Sequence

import pytest

from bff.errors import ProviderUnavailableError, TokenRefusedError
from bff.jwks import Keys
from tests.bff.keys import EC_KEY, RSA_KEY
from tests.bff.stub import public_jwk


class Source:
    def __init__(self, *keys: object) -> None:
        self.keys = list(keys)
        self.fetches = 0
        self.away = False

    def __call__(self) -> Sequence[object]:
        self.fetches += 1
        if self.away:
            raise ProviderUnavailableError
        return self.keys


def test_a_stranger_with_invented_ids_causes_one_fetch_in_a_cool_down():
    source = Source(public_jwk(EC_KEY, "one"))
    keys = Keys(source)
    for number in range(50):
        with pytest.raises(TokenRefusedError):
            keys.find(f"invented-{number}", "ES256")
    assert source.fetches == 1


def test_a_key_published_later_is_found_after_the_cool_down():
    source = Source(public_jwk(EC_KEY, "one"))
    keys = Keys(source, cooldown_seconds=0.01)
    keys.find("one", "ES256")
    source.keys.append(public_jwk(RSA_KEY, "two"))
    time.sleep(0.02)
    assert keys.find("two", "RS256").key_id == "two"
    assert source.fetches == 2


def test_old_keys_serve_while_the_provider_is_away():
    source = Source(public_jwk(EC_KEY, "one"))
    keys = Keys(source, fresh_seconds=0, cooldown_seconds=0)
    keys.find("one", "ES256")
    source.away = True
    assert keys.find("one", "ES256").key_id == "one"
    assert source.fetches > 1, "the provider was asked, and was away"


def test_old_keys_serve_no_longer_than_their_time():
    source = Source(public_jwk(EC_KEY, "one"))
    keys = Keys(source, cooldown_seconds=0)
    keys.find("one", "ES256")
    keys._fetched_at -= 2 * 3600
    source.away = True
    with pytest.raises(ProviderUnavailableError):
        keys.find("one", "ES256")


def test_without_any_key_the_provider_is_unavailable_and_asked_again_at_once():
    source = Source(public_jwk(EC_KEY, "one"))
    source.away = True
    keys = Keys(source)
    with pytest.raises(ProviderUnavailableError):
        keys.find("one", "ES256")
    source.away = False
    keys.find("one", "ES256")


@pytest.mark.parametrize(
    "change",
    [{"use": "enc"}, {"alg": "ES512"}, {"kty": "RSA"}, {"crv": "P-521"}, {"x": "AA"}, {"x": None}, {"kid": None}],
)
def test_a_key_that_does_not_fit_is_not_used(change: dict[str, object]):
    keys = Keys(Source({**public_jwk(EC_KEY, "one"), **change}, 5, None, "key"))
    with pytest.raises(TokenRefusedError):
        keys.find("one", "ES256")


def test_two_keys_of_one_id_are_ambiguous():
    keys = Keys(Source(public_jwk(EC_KEY, "one"), public_jwk(EC_KEY, "one")))
    with pytest.raises(TokenRefusedError):
        keys.find("one", "ES256")


def test_a_symmetric_key_is_never_used():
    keys = Keys(Source({"kty": "oct", "k": "c2VjcmV0", "kid": "one"}))
    with pytest.raises(TokenRefusedError):
        keys.find("one", "ES256")

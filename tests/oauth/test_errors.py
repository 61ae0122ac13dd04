"""The descriptions of errors (RFC 6749 5.2, 4.1.2.1)."""

import re

import pytest

from authserver.oauth import errors

# RFC 6749 5.2: %x20-21 / %x23-5B / %x5D-7E
ALLOWED = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")
SENTENCES = {name: value for name, value in vars(errors).items() if name.isupper() and isinstance(value, str)}


@pytest.mark.parametrize("name", sorted(SENTENCES))
def test_a_description_is_a_sentence_of_allowed_characters_5_2(name: str):
    assert ALLOWED.fullmatch(SENTENCES[name])
    assert SENTENCES[name].endswith(".")


def test_no_two_descriptions_are_the_same():
    assert len(set(SENTENCES.values())) == len(SENTENCES)

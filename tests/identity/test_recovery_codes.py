"""Recovery codes: what they look like, how they are read, and that they are worth nothing to anybody else."""

import re

import pytest

from authserver.identity import recovery_codes


def test_ten_codes_of_120_bits_are_drawn():
    codes = [*recovery_codes.draw(), *recovery_codes.draw()]
    assert len(set(codes)) == 20
    assert all(re.fullmatch(r"([a-z2-7]{4}-){5}[a-z2-7]{4}", code) for code in codes)


def test_a_code_is_found_however_it_is_written():
    code = recovery_codes.draw()[0]
    row = recovery_codes.row_of("alice", code)
    assert row is not None
    plain = code.replace("-", "")
    for typed in (code.upper(), plain, f" {plain} ", " ".join(plain), code.replace("o", "0").replace("i", "1")):
        assert recovery_codes.row_of("alice", typed) == row


def test_the_row_is_of_one_person_and_does_not_show_the_code():
    code = recovery_codes.draw()[0]
    rows = {recovery_codes.row_of(sub, code) for sub in ("alice", "bob", "")}
    assert len(rows) == 3
    assert not any(code[:4] in (row or "") for row in rows)


@pytest.mark.parametrize(
    "typed",
    ["", "x", "a" * 23, "a" * 25, "9" * 24, "!" * 24, "\N{LATIN SMALL LETTER DOTLESS I}" * 24, "a" * 100_000, "=" * 24],
)
def test_what_is_no_code_has_no_row(typed: str):
    assert recovery_codes.row_of("alice", typed) is None

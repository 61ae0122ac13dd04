"""Handles, digests and values that are encrypted at rest."""

import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver import crypto
from authserver.crypto import Kind, Sealer

FIRST, SECOND, THIRD = "first secret key" * 3, "second secret key" * 3, "third secret key" * 3
ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
RAW = bytes(range(32))

kinds = pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name.lower())


# Handles


@kinds
def test_a_new_handle_is_read_back_and_its_digest_is_found_again(kind: Kind):
    text, digest = crypto.new_handle(kind)
    raw = crypto.read_handle(kind, text)
    assert raw is not None
    assert crypto.write_handle(kind, raw) == text
    assert crypto.digest(kind, raw) == crypto.digest_of(kind, text) == digest


@kinds
def test_no_two_handles_are_equal(kind: Kind):
    assert len({crypto.new_handle(kind) for _ in range(100)}) == 100


def test_handles_of_all_kinds_begin_differently_and_have_one_size():
    assert len({kind.prefix for kind in Kind}) == len(Kind)
    assert {len(crypto.new_handle(kind)[0]) for kind in Kind} == {4 + 43 + 6}
    assert all(kind.prefix.startswith("as") and kind.prefix.endswith("_") for kind in Kind)


@kinds
def test_a_handle_is_refused_in_the_place_of_every_other_kind(kind: Kind):
    text = crypto.write_handle(kind, RAW)
    for other in Kind:
        assert (crypto.read_handle(other, text) is not None) == (other is kind)
        # Nor does it help to write the other prefix over it: the checksum covers the prefix.
        disguised = other.prefix + text[len(kind.prefix) :]
        assert (crypto.digest_of(other, disguised) is not None) == (other is kind)


def test_the_same_bytes_have_another_digest_in_every_kind():
    digests = {crypto.digest(kind, RAW) for kind in Kind}
    assert len(digests) == len(Kind)
    assert hashlib.sha256(RAW).digest() not in digests
    assert {len(digest) for digest in digests} == {32}


@kinds
def test_every_character_counts(kind: Kind):
    text = crypto.write_handle(kind, RAW)
    for place, old in enumerate(text):
        for new in (ALPHABET[(ALPHABET.index(old) + step) % 64] for step in (1, 2, 16, 63)):
            assert crypto.read_handle(kind, text[:place] + new + text[place + 1 :]) is None


@given(st.binary(min_size=32, max_size=32), st.integers(0, 255))
def test_one_changed_bit_is_refused_with_the_old_checksum(raw: bytes, bit: int):
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    text, other = crypto.write_handle(Kind.REFRESH, raw), crypto.write_handle(Kind.REFRESH, bytes(changed))
    assert crypto.read_handle(Kind.REFRESH, other[:-6] + text[-6:]) is None


def test_a_second_spelling_of_the_same_bytes_is_refused():
    # 43 characters are 258 bits: the last two say nothing (RFC 4648 3.5). So do the last four of the checksum.
    text = crypto.write_handle(Kind.CODE, b"\xff" * 32)
    for place in (4 + 43 - 1, -1):
        old = ALPHABET.index(text[place])
        characters = list(text)
        characters[place] = ALPHABET[old + 1]
        assert crypto.read_handle(Kind.CODE, "".join(characters)) is None


@pytest.mark.parametrize(
    "change",
    [
        *(lambda t: t + "=", lambda t: t + "\n", lambda t: " " + t, lambda t: t[:-1], lambda t: t + "A"),
        *(
            lambda t: t.upper(),
            lambda t: t[:4] + "+" + t[5:],
            lambda t: t[:4] + "/" + t[5:],
            lambda t: t[:4] + "\n" + t[5:],
        ),
        *(
            lambda t: t[:-1] + "\u00e9",
            lambda t: t[:-1] + "\u0661",
            lambda t: t[:-1] + "\ud800",
            lambda t: t[:-1] + "\0",
        ),
        *(lambda t: t[4:], lambda _t: "", lambda t: t[:4] + "." * 49, lambda t: t * 2, lambda t: t[:4] + "=" * 49),
    ],
)
def test_a_malformed_handle_is_none(change: object):
    assert callable(change)
    assert crypto.read_handle(Kind.ACCESS, change(crypto.write_handle(Kind.ACCESS, RAW))) is None


@given(st.text(max_size=60) | st.text(alphabet=ALPHABET, min_size=49, max_size=49).map("asa_".__add__))
def test_no_text_is_an_exception_or_a_handle_that_nobody_made(text: str):
    assert crypto.digest_of(Kind.ACCESS, text) is None


# Comparing, identifiers


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        *(("a", "a", True), ("a", "b", False), ("a", "ab", False), ("", "", True), ("\u00e9", "\u00e9", True)),
        *(("\u00e9", "e\u0301", False), ("\ud800", "\ud800", True), ("\ud800", "\udc00", False), (b"a", "a", True)),
    ],
)
def test_secrets_of_any_characters_are_compared(left: str | bytes, right: str | bytes, *, equal: bool):
    assert crypto.same(left, right) is equal


def test_identifiers_are_random_and_fit_a_url():
    made = {crypto.new_id() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == 22 and set(one) <= set(ALPHABET) for one in made)
    assert len(crypto.new_id(32)) == 43
    # A command would take it for an option.
    assert not any(crypto.new_id().startswith("-") for _ in range(1000))


# Encryption at rest


def test_a_sealed_value_opens_in_its_own_row_for_its_own_purpose_only():
    sealer = Sealer(FIRST)
    sealed = sealer.seal("client-secret", "clients|secrets|a", b"plain")
    assert b"plain" not in sealed
    assert sealer.open("client-secret", "clients|secrets|a", sealed) == b"plain"
    for purpose, context in (("client-secret", "clients|secrets|b"), ("signing-key", "clients|secrets|a")):
        with pytest.raises(ValueError, match="another row"):
            sealer.open(purpose, context, sealed)


def test_the_same_value_is_never_sealed_alike():
    sealer = Sealer(FIRST)
    assert len({sealer.seal("p", "c", b"plain") for _ in range(50)}) == 50


def test_every_bit_of_a_sealed_value_counts():
    sealer = Sealer(FIRST)
    sealed = sealer.seal("p", "c", b"plain")
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError):
            sealer.open("p", "c", bytes(changed))


def test_a_truncated_sealed_value_is_refused():
    sealer = Sealer(FIRST)
    sealed = sealer.seal("p", "c", b"plain")
    for size in range(len(sealed)):
        with pytest.raises(ValueError):
            sealer.open("p", "c", sealed[:size])


def test_the_first_key_seals_and_any_of_them_opens():
    old, new = Sealer(FIRST), Sealer(SECOND, (FIRST, THIRD))
    before, after = old.seal("p", "c", b"plain"), new.seal("p", "c", b"plain")
    assert new.open("p", "c", before) == new.open("p", "c", after) == b"plain"
    assert (new.is_current(before), new.is_current(after)) == (False, True)
    with pytest.raises(ValueError, match="not configured"):
        old.open("p", "c", after)
    assert Sealer(THIRD, (SECOND,)).open("p", "c", after) == b"plain"


def test_a_key_that_is_both_first_and_previous_is_the_first():
    sealer = Sealer(FIRST, (FIRST, SECOND))
    assert sealer.is_current(Sealer(FIRST).seal("p", "c", b""))
    assert sealer.open("p", "c", sealer.seal("p", "c", b"")) == b""


def test_derived_keys_differ_by_purpose_and_by_secret_key():
    keys = {Sealer(secret).derive(purpose) for secret in (FIRST, SECOND) for purpose in ("a", "b")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}
    assert Sealer(FIRST).derive("a") == Sealer(FIRST, (SECOND,)).derive("a")


def test_the_id_of_a_key_tells_nothing_of_it():
    assert Sealer(FIRST).key_id != hashlib.sha256(FIRST.encode()).digest()[:4]


# Client secrets


def test_the_digest_of_a_client_secret_is_not_that_of_anything_else():
    text, digest = crypto.new_handle(Kind.SECRET)
    assert crypto.client_secret_digest(text) not in {digest, hashlib.sha256(text.encode()).digest()}
    assert crypto.client_secret_digest(text) == crypto.client_secret_digest(text)
    assert len(crypto.client_secret_digest("\ud800\u00e9\0")) == 32


def test_the_digest_of_an_encrypted_token_is_not_that_of_anything_else():
    digest = crypto.encrypted_token_digest("a.b.c.d.e")
    assert digest not in {crypto.client_secret_digest("a.b.c.d.e"), hashlib.sha256(b"a.b.c.d.e").digest()}
    assert len(crypto.encrypted_token_digest("\ud800\u00e9\0")) == 32


def test_a_sealed_client_secret_opens_for_its_client_only():
    sealer = Sealer(FIRST)
    sealed = crypto.seal_client_secret(sealer, "a", "secret \u00e9")
    assert crypto.open_client_secret(sealer, "a", sealed) == "secret \u00e9".encode()
    with pytest.raises(ValueError):
        crypto.open_client_secret(sealer, "b", sealed)

"""Encryption at rest: bound to its place and its key."""

import pytest

from bff.seal import CannotOpenError, Sealer

OLD, NEW = b"o" * 32, b"n" * 32
PLACE = {"table": "sessions", "column": "refresh_token", "row": "1"}


def test_what_is_sealed_opens_in_its_place_only():
    sealer = Sealer(NEW)
    sealed = sealer.seal("rt_secret", **PLACE)
    assert "rt_secret" not in sealed
    assert sealer.open(sealed, **PLACE) == "rt_secret"
    for change in ({"table": "logins"}, {"column": "id_token"}, {"row": "2"}):
        with pytest.raises(CannotOpenError):
            sealer.open(sealed, **{**PLACE, **change})


def test_the_same_text_is_never_sealed_alike():
    sealer = Sealer(NEW)
    assert sealer.seal("x", **PLACE) != sealer.seal("x", **PLACE)


def test_a_previous_key_opens_and_the_current_seals():
    sealed = Sealer(OLD).seal("x", **PLACE)
    both = Sealer(NEW, [OLD])
    assert both.open(sealed, **PLACE) == "x"
    with pytest.raises(CannotOpenError):
        Sealer(OLD).open(both.seal("x", **PLACE), **PLACE)


@pytest.mark.parametrize("sealed", ["", "v1", "v1.x.y", "v2.00000000.AAAA", "v1..", "\ud800", "é"])
def test_nonsense_does_not_open(sealed: str):
    with pytest.raises(CannotOpenError):
        Sealer(NEW).open(sealed, **PLACE)


def test_a_changed_value_does_not_open():
    sealer = Sealer(NEW)
    head, body = sealer.seal("x", **PLACE).rsplit(".", 1)
    for changed in (body[:-4], "A" + body[1:] if body[0] != "A" else "B" + body[1:], "!" + body, "AAAA", ""):
        with pytest.raises(CannotOpenError):
            sealer.open(f"{head}.{changed}", **PLACE)

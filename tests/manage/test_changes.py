"""Changes that nobody overwrites."""

from contextlib import ExitStack

import pytest

from authserver import clock
from authserver.manage.changes import alone, require_version, version_of
from authserver.manage.errors import ChangedMeanwhile, OutOfDate
from authserver.store import Store


def test_a_second_change_at_the_same_time_is_refused_and_the_next_one_is_not(store: Store):
    with alone(store, "a-change", "x"):
        with pytest.raises(ChangedMeanwhile), alone(store, "a-change", "x"):
            pass
        with alone(store, "a-change", "y"):
            pass
    with alone(store, "a-change", "x"):
        pass


def test_a_change_that_fails_leaves_the_way_free(store: Store):
    with pytest.raises(ZeroDivisionError), alone(store, "a-change", "x"):
        raise ZeroDivisionError
    with alone(store, "a-change", "x"):
        pass


def test_whoever_took_longer_than_a_minute_does_not_end_the_turn_of_another_one(store: Store):
    slow, other = ExitStack(), ExitStack()
    try:
        slow.enter_context(alone(store, "a-change", "x"))
        clock.shift(61)
        other.enter_context(alone(store, "a-change", "x"))
        slow.close()
        with pytest.raises(ChangedMeanwhile), alone(store, "a-change", "x"):
            pass
        other.close()
        with alone(store, "a-change", "x"):
            pass
    finally:
        clock.shift(0)


def test_a_version_names_one_state():
    state = {"a": 1, "b": ["é"]}
    assert version_of(state) == version_of({"b": ["é"], "a": 1})
    assert version_of(state) != version_of({**state, "a": 2})
    require_version(state, version_of(state))
    require_version(state, None)
    with pytest.raises(OutOfDate):
        require_version({**state, "a": 2}, version_of(state))

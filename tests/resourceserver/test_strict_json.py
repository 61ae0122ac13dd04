import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourceserver.strict_json import MAX_DEPTH, parse_object

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES))
def test_every_sane_object_is_read_as_it_was_written(value: dict[str, object]) -> None:
    try:
        data = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    assert parse_object(data) == value


@given(st.binary())
def test_whatever_arrives_is_read_or_refused_as_a_value_error(data: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(parse_object(data), dict)


@pytest.mark.parametrize(
    "data",
    [
        b'{"sub":"a","sub":"b"}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e400}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xc0\xaf"}',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\n"}',
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":1} {}',
        b'{"a":1}x',
        b"[]",
        b'"text"',
        b"null",
        b"",
        b"{",
    ],
)
def test_what_two_readers_could_read_differently_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_object(data)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_bounded_and_counted_outside_of_strings(opening: bytes, closing: bytes) -> None:
    deepest = b'{"x":' + opening * (MAX_DEPTH - 1) + b"1" + closing * (MAX_DEPTH - 1) + b"}"
    assert parse_object(deepest)
    with pytest.raises(ValueError):
        parse_object(b'{"x":' + opening * MAX_DEPTH + b"1" + closing * MAX_DEPTH + b"}")
    assert parse_object(b'{"x":"' + b"[{" * 1000 + b'\\""}')
    with pytest.raises(ValueError):
        parse_object(b'{"x":' + opening * 50_000)

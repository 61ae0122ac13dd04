"""Strict JSON objects: RFC 8259 as RFC 7515 section 4 and RFC 7519 section 4 want it read.

Duplicate members, NaN, numbers beyond a double, lone surrogates and deep nesting are refused: two readers that
disagree about a document are a way around both of them.
"""

import json
import math
from typing import NoReturn

MAX_DEPTH = 32

_OPENING = frozenset("{[")
_CLOSING = frozenset("}]")


def parse_object(data: bytes) -> dict[str, object]:
    """Read one JSON object.

    Raises ValueError when `data` is anything else than one unambiguous JSON object in UTF-8.
    """
    text = data.decode("utf-8")
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise ValueError("nested too deep")
    value = _DECODER.decode(text)
    if type(value) is not dict:
        raise ValueError("not an object")
    if "\\u" in text:
        # An escaped lone surrogate is a str in Python but no Unicode text: encoding it raises (a ValueError).
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _depth(text: str) -> int:
    """Return the greatest nesting outside of strings."""
    depth = deepest = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif character in _CLOSING:
            depth -= 1
    return deepest


def _unique(members: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(members)
    if len(result) != len(members):
        raise ValueError("duplicate member")
    return result


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("number out of range")
    return number


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)

"""Checks of what operations are given: each returns the value to use, or raises InvalidMetadata."""

import re
from typing import Any, Final

from authserver import audit
from authserver.manage.client_metadata import Check
from authserver.manage.errors import InvalidMetadata

MOST: Final = 200
_VISIBLE: Final = re.compile(r"[\x21-\x7e]{1,4096}", re.ASCII)
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}", re.ASCII)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_LONGEST: Final = 4096


def identifier(name: str, value: Any) -> str:
    """Check an id, a URI or a cursor: visible characters of ASCII."""
    return _matching(_VISIBLE, name, value, "must be visible ASCII characters, 4096 at the most")


def token(name: str, value: Any) -> str:
    """Check that something could be a token."""
    return _matching(_TOKEN, name, value, "must be visible ASCII characters, 16384 at the most")


def text(name: str, value: Any) -> str:
    """Check a text; what it may say is checked where it is used."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise InvalidMetadata(name, f"must be text of at most {_LONGEST} characters")
    return value


def mapping(name: str, value: Any) -> dict[str, Any]:
    """Check an object; what is in it is checked where it is used."""
    if not isinstance(value, dict):
        raise InvalidMetadata(name, "must be an object")
    return value


def limit(name: str, value: Any) -> int:
    """Check how many entries a page may have."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value) or int(value) > MOST:
        raise InvalidMetadata(name, f"must be a number from 1 to {MOST}")
    return int(value)


def event(name: str, value: Any) -> str:
    """Check the name of an event of the audit trail."""
    if value not in audit.EVENTS:
        raise InvalidMetadata(name, "must be the name of an event")
    return str(value)


def _matching(pattern: re.Pattern[str], name: str, value: Any, problem: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidMetadata(name, problem)
    return value


PAGE: Final[dict[str, Check]] = {"cursor": identifier, "limit": limit}
"""What every list takes."""

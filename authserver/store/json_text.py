"""JSON in text columns: written and read here only."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from authserver.store.errors import BadValue


def to_text(value: Mapping[str, Any] | Iterable[Any]) -> str:
    """Write a mapping or a list as JSON text; raises BadValue for what JSON or UTF-8 cannot hold."""
    try:
        return orjson.dumps(dict(value) if isinstance(value, Mapping) else list(value)).decode()
    except (TypeError, ValueError):
        raise BadValue("not JSON") from None


def from_text(text: str) -> Any:
    """Read JSON text that this module wrote."""
    return orjson.loads(text)

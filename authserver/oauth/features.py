"""Switching extensions off: the registry as a server sees it, without what its settings leave out.

A module that can be switched off names its switch in ``FEATURE``. Its entries are then left out of every tuple when the
server is built, so that a request pays nothing for what is off, and the registry stays free of conditions. What would
be weaker without the extension fails closed: ``issue`` refuses a client that is registered for bound tokens, and
``authentication_request.unsupported`` a request that only the extension could read.
"""

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from authserver.sections import Features


class Selection:
    """The registry's names, each with the entries that are on."""

    def __init__(self, registry: ModuleType, features: Features) -> None:
        for name, value in vars(registry).items():
            if name.isupper():
                setattr(self, name, _selected(value, features))

    def __getattr__(self, name: str) -> Any:
        """Raise: the registry has no such name."""
        raise AttributeError(name)


def _selected(value: Any, features: Features) -> Any:
    if isinstance(value, tuple):
        return tuple([entry for entry in value if _is_on(entry, features)])
    if isinstance(value, Mapping):
        return {name: entry for name, entry in value.items() if _is_on(entry, features)}
    return value


def _is_on(entry: Any, features: Features) -> bool:
    """Say whether the module that an entry comes from is on; of an entry with several parts, the last one decides."""
    part = entry[-1] if isinstance(entry, tuple) else entry
    module = sys.modules.get(getattr(part, "__module__", ""))
    switch = getattr(module, "FEATURE", None)
    return switch is None or bool(getattr(features, switch))

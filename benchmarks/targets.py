"""What the figures are held against: targets, floors and a peer, in quiet microseconds of server CPU per request.

Floor: bare WSGI on granian with ``sqlite3``, tuned by hand, without the product's features. Peer: npm oidc-provider
9.13 with a SQLite adapter. All were measured with the same method on one machine.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Goal(NamedTuple):
    """The most that an operation may cost, and what others cost (0: not known)."""

    target: float
    floor: float = 0
    peer: float = 0


_BESIDE: Final = 30  # what PostgreSQL may add where it is hardly asked

SERVER: Final[Mapping[str, Mapping[str, Goal]]] = {
    "sqlite": {
        "discovery": Goal(60, 36, 115),
        "jwks": Goal(55, 34, 58),
        "cc_opaque": Goal(215, 106, 222),
        "cc_rs256": Goal(540, 402, 594),
        "cc_es256": Goal(210, 120, 312),
        "introspection": Goal(110, 43, 203),
        "refresh": Goal(800, 534, 941),
        "code_flow": Goal(1250, 728, 1656),
    },
    "postgresql": {
        "discovery": Goal(60 + _BESIDE),
        "jwks": Goal(55 + _BESIDE),
        "cc_opaque": Goal(400, 1241),
        "cc_rs256": Goal(540 + _BESIDE),
        "cc_es256": Goal(210 + _BESIDE),
        "introspection": Goal(290, 1124),
        "refresh": Goal(1300, 1889),
        "code_flow": Goal(2100, 3124),
    },
}
LIBRARY: Final[Mapping[str, Goal]] = {
    "cached_opaque": Goal(5, 1),
    "cached_jwt": Goal(8, 2),
    "first_rs256": Goal(90, 54),
    "first_es256": Goal(140, 102),
}
START_SECONDS: Final = 1.0
IDLE_MIB: Final = 80.0
AFTER_MIB: Final = 110.0
"""Memory of a worker after the run; the requirement speaks of a million requests."""
NOISE: Final = 0.15
"""A difference below this is none."""

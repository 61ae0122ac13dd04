"""Protocol tests share one server: see tests/world.py."""

from tests.devices import box, own, screen
from tests.following import at, caller, follower
from tests.world import alice, authserver, bob, client, node, public, service, stranger

__all__ = [
    "alice",
    "at",
    "authserver",
    "bob",
    "box",
    "caller",
    "client",
    "follower",
    "node",
    "own",
    "public",
    "screen",
    "service",
    "stranger",
]

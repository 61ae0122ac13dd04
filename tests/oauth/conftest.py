"""Protocol tests share one server: see tests/world.py."""

from tests.devices import box, own, screen
from tests.world import alice, authserver, bob, client, node, public, service, stranger

__all__ = ["alice", "authserver", "bob", "box", "client", "node", "own", "public", "screen", "service", "stranger"]

"""Protocol tests share one server: see tests/world.py."""

from tests.world import alice, authserver, bob, client, public, service, stranger

__all__ = ["alice", "authserver", "bob", "client", "public", "service", "stranger"]

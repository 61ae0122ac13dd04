"""Where a server listens, asked by a command."""

from authserver.cli.failure import Failure
from resourceserver.serving import addresses


def free_addresses(host: str, port: int, setting: str) -> tuple[str, ...]:
    """Return the addresses to listen on; raises Failure, naming the setting, when they cannot be had."""
    try:
        return addresses.free_addresses(host, port, setting)
    except addresses.AddressError as error:
        raise Failure(str(error)) from None

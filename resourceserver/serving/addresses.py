"""Where a server listens: the addresses behind a host name, and whether their port is free."""

import errno
import socket
from typing import Final

_LOCALHOST: Final = ("127.0.0.1", "::1")
_ABSENT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})


class AddressError(Exception):
    """The server cannot listen there; the message is a sentence for whoever starts it."""


def free_addresses(host: str, port: int, setting: str) -> tuple[str, ...]:
    """Return the addresses to listen on: for localhost 127.0.0.1 and, where the machine has it, ::1.

    Raises AddressError, naming the setting, when the port is taken or the address is not this machine's.
    """
    addresses = _LOCALHOST if host == "localhost" else _resolved(host)
    found = tuple(address for address in addresses if _is_free(address, port, setting, optional=address == "::1"))
    if not found:
        raise AddressError(f"cannot listen on {host}: this machine does not have this address")
    return found


def _resolved(host: str) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise AddressError(f"cannot listen on {host}: the name is not known") from None
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_free(address: str, port: int, setting: str, *, optional: bool) -> bool:
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
            # Workers share the port (SO_REUSEPORT), and so could a second server, unnoticed; this probe cannot.
            probe.listen(1)
    except OSError as error:
        if error.errno in _ABSENT and optional:
            return False
        raise AddressError(_sentence(error, address, port, setting)) from None
    return True


def _sentence(error: OSError, address: str, port: int, setting: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {address} is taken by another program: end it, or choose another port with {setting}"
    if error.errno == errno.EACCES:
        return f"port {port} needs rights that this user does not have: choose another one with {setting}"
    return f"cannot listen on {address}, port {port}: {error.strerror}"

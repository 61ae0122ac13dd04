"""Listening on both loopback addresses with granian, which by itself listens on one address only.

The only file that knows granian's insides: its server asks for a socket before it starts workers, and for a worker by
number. Here each worker gets an address of its own.
"""

import socket
from collections.abc import Callable
from typing import Any

from flask import Flask
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.common import SocketSpec  # type: ignore[attr-defined] # granian exports it for itself only
from granian.server.mp import MPServer, WorkerProcess

from resourceserver.settings import Settings

# A request's line and headers have to fit; the limits that we promise are lower, and checked by the application.
MAX_BUFFER = 65_536


class PortInUseError(Exception):
    """The address to listen on cannot be had."""


def listen(settings: Settings, load: Callable[[], Flask]) -> None:
    """Serve the application that `load` builds in each worker, until SIGINT or SIGTERM."""
    addresses = addresses_of(settings.host)
    server = _Server(
        "resourceserver",
        address=addresses[0],
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=len(addresses),
        blocking_threads=settings.threads,
        http1_settings=HTTP1Settings(header_read_timeout=10_000, max_buffer_size=MAX_BUFFER),
        log_level=LogLevels.critical,
        websockets=False,
        workers_kill_timeout=10,
    )
    server.addresses = tuple(addresses)
    server.serve(target_loader=load, wrap_loader=False)


def addresses_of(host: str) -> list[str]:
    """Return the addresses to listen on: for localhost both loopback addresses, as far as the machine has them."""
    if host != "localhost":
        return [host]
    return [address for address in ("127.0.0.1", "::1") if _can_bind(address, 0)] or ["127.0.0.1"]


def check_free(settings: Settings) -> None:
    """Raise PortInUseError when something listens already.

    granian shares ports between processes (SO_REUSEPORT), so a second server would start in silence beside the first.
    """
    for address in addresses_of(settings.host):
        if not _can_bind(address, settings.port):
            raise PortInUseError(f"cannot listen on {address} port {settings.port}: it is in use or not to be had")


def _can_bind(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError:
        return False
    return True


class _Server(MPServer):
    addresses: tuple[str, ...] = ()

    def _init_shared_socket(self) -> None:
        super()._init_shared_socket()  # type: ignore[no-untyped-call]
        self._specs = [SocketSpec(address, self.bind_port, self.backlog) for address in self.addresses]

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any) -> WorkerProcess:  # type: ignore[override]
        self._ssp = self._specs[idx]  # type: ignore[assignment]
        return super()._spawn_worker(idx, target, callback_loader)

"""The command `bff serve`."""

import logging
import multiprocessing
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

import click

from bff.settings import BffSettings, SettingsError, load_settings

if TYPE_CHECKING:
    from flask import Flask

_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR")


@click.group()
def main() -> None:
    """Serve a backend for a browser's front end: an OpenID Connect client that keeps tokens on the server."""


@main.command()
@click.option("--host", help="Address to listen on; localhost means 127.0.0.1 and ::1.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")
def serve(host: str | None, port: int | None) -> None:
    """Answer requests until SIGTERM or Ctrl-C; settings come from the environment (BFF_*)."""
    # The worker reads the settings anew, so an option is handed on as the setting that it stands for.
    if host is not None:
        os.environ["BFF_HOST"] = host
    if port is not None:
        os.environ["BFF_PORT"] = str(port)
    try:
        settings = load_settings()
    except SettingsError as error:
        raise click.ClickException(f"the settings are not usable:\n{error}") from None
    addresses = _addresses(settings)
    context = multiprocessing.get_context("spawn")
    servers = [
        context.Process(target=_listen, args=(address, settings.port, settings.threads)) for address in addresses
    ]
    for server in servers:
        server.start()
    click.echo(f"bff: {settings.public_url} (listening on {', '.join(addresses)}, port {settings.port})")
    sys.exit(_wait(servers))


def application() -> "Flask":
    """Make the application inside a server's worker, and leave nothing of the environment behind.

    Granian copies the environment into every request's own: a secret would be in reach of any view, and a variable
    named HTTP_X_CSRF would pass for a header.
    """
    from bff.app import create_app

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = load_settings()
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    os.environ.clear()
    os.environ.update(kept)
    _end_with_parent()
    return create_app(settings)


def _addresses(settings: BffSettings) -> list[str]:
    """Give the free addresses to listen on; raises ClickException when the port is taken."""
    wanted = ["127.0.0.1", "::1"] if settings.host == "localhost" else [settings.host]
    usable = []
    for address in wanted:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, settings.port))
                # Without this two servers could share the port and take turns unnoticed (SO_REUSEPORT).
                probe.listen(1)
        except OSError:
            if address == "::1":
                continue
            raise click.ClickException(f"port {settings.port} on {address} is not free") from None
        usable.append(address)
    return usable


def _listen(address: str, port: int, threads: int) -> None:
    from granian import Granian
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    # A terminal's Ctrl-C reaches a server and its worker, too; granian's hangs when it is told to end a second time.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    _end_with_parent()
    Granian(
        "bff.cli:application",
        address=address,
        port=port,
        interface=Interfaces.WSGI,
        factory=True,
        websockets=False,
        workers=1,
        blocking_threads=threads,
        backlog=1024,
        http1_settings=HTTP1Settings(max_buffer_size=32 * 1024),
        log_access=False,
        log_level=LogLevels.critical,
    ).serve()


def _wait(servers: Sequence[BaseProcess]) -> int:
    """Wait until a signal comes or a server ends, then end them all."""
    # A queue of this kind may be used by a handler that interrupts its user; an event may not.
    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: told.put(number))
    status = 1
    while status and all(server.is_alive() for server in servers):
        with suppress(queue.Empty):
            told.get(timeout=0.5)
            status = 0
    for number in (signal.SIGINT, signal.SIGTERM):
        # Whoever ends may be told to end again: that changes nothing now.
        signal.signal(number, signal.SIG_IGN)
    for server in servers:
        if server.is_alive():
            server.terminate()
    for server in servers:
        server.join(10)
        if server.is_alive():
            server.kill()
    return status


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, however it went."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
        os._exit(1)

    threading.Thread(target=watch, name="bff-parent", daemon=True).start()

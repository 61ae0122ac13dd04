"""The command `bff serve`."""

import logging
import os
import sys
from contextlib import suppress
from functools import partial
from typing import Final

import click

from bff.settings import BffSettings, SettingsError, load_settings
from resourceserver.serving import processes
from resourceserver.serving.addresses import AddressError, free_addresses
from resourceserver.serving.processes import Life

log = logging.getLogger("bff.serve")

_HEAD: Final = 32 * 1024  # bytes of a head
_GRACE: Final = 10.0  # seconds that requests under way have to finish when the server ends


@click.group()
def main() -> None:
    """Serve a backend for a browser's front end: an OpenID Connect client that keeps tokens on the server."""


@main.command()
@click.option("--host", help="Address to listen on; localhost means 127.0.0.1 and ::1.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")
def serve(host: str | None, port: int | None) -> None:
    """Answer requests until SIGTERM, SIGHUP or Ctrl-C; settings come from the environment (BFF_*)."""
    given = {"BFF_HOST": host, "BFF_PORT": port and str(port)}
    try:
        settings = load_settings({**os.environ, **{name: value for name, value in given.items() if value}})
        addresses = free_addresses(settings.host, settings.port, "BFF_PORT")
    except SettingsError as error:
        raise click.ClickException(f"the settings are not usable:\n{error}") from None
    except AddressError as error:
        raise click.ClickException(str(error)) from None
    import bff.app  # noqa: F401 - here, once, so that the forked worker shares it

    processes.keep_ordinary()
    work, announce = partial(_work, settings, addresses), partial(_announce, settings, addresses)
    sys.exit(processes.run([work], grace=_GRACE, log=log, announce=announce))


def _announce(settings: BffSettings, addresses: tuple[str, ...]) -> None:
    with suppress(OSError):  # nobody reads, and that is no reason not to serve
        click.echo(f"bff: {settings.public_url} (listening on {', '.join(addresses)}, port {settings.port})")


def _work(settings: BffSettings, addresses: tuple[str, ...], life: Life) -> None:
    """Build the application, listen on every address, end when told to."""
    from bff.app import create_app
    from resourceserver.serving.listeners import Listeners

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    listeners = Listeners(create_app(settings), addresses, settings.port, threads=settings.threads, head=_HEAD)
    life.ready()
    life.wait()
    listeners.stop()

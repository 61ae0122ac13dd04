"""The command `resourceserver`."""

import logging
import os
import sys
from functools import partial
from typing import Final

import click

from resourceserver.app import create_app
from resourceserver.notes import NoteStore, NotesUnavailableError
from resourceserver.serving import processes
from resourceserver.serving.addresses import AddressError, free_addresses
from resourceserver.serving.processes import Life
from resourceserver.settings import PREFIX, Settings, SettingsError, load_settings

log = logging.getLogger("resourceserver")

# A request's line and headers have to fit; the limits that we promise are lower, and checked by the application.
HEAD: Final = 65_536

_GRACE: Final = 10.0  # seconds that requests under way have to finish when the server ends


@click.group()
def main() -> None:
    """Run the resource server of this suite."""


@main.command()
@click.option("--host", help="Address to listen on; localhost means 127.0.0.1 and ::1.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port to listen on.")
def serve(host: str | None, port: int | None) -> None:
    """Serve until SIGTERM, SIGHUP or Ctrl-C. Settings come from RESOURCESERVER_ variables (docs/resource-server.md)."""
    environ = dict(os.environ)
    if host is not None:
        environ[PREFIX + "HOST"] = host
    if port is not None:
        environ[PREFIX + "PORT"] = str(port)
    configure_log("info")
    try:
        settings = load_settings(environ)
        configure_log(settings.log_level)
        # What is wrong is said before anything listens. Nothing opened here may live on in a forked worker.
        settings.secret()
        NoteStore(settings.database_url, most_per_owner=settings.notes_per_owner).close()
        addresses = free_addresses(settings.host, settings.port, f"{PREFIX}PORT")
    except (SettingsError, NotesUnavailableError, AddressError) as wrong:
        raise click.ClickException(str(wrong) or "the database cannot be opened") from None
    processes.keep_ordinary()
    work, announce = partial(_work, settings, addresses), partial(_announce, settings, addresses)
    sys.exit(processes.run([work], grace=_GRACE, log=log, announce=announce))


def configure_log(level: str) -> None:
    """Write the log to standard error, one line per record."""
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    # The HTTP client's own log would show URLs and headers.
    logging.getLogger("httpcore2").setLevel(logging.WARNING)


def _announce(settings: Settings, addresses: tuple[str, ...]) -> None:
    log.info("resource server at %s, listening on %s", settings.url, " and ".join(addresses))


def _work(settings: Settings, addresses: tuple[str, ...], life: Life) -> None:
    """Build the application, listen on every address, end when told to."""
    from resourceserver.serving.listeners import Listeners

    configure_log(settings.log_level)
    listeners = Listeners(create_app(settings), addresses, settings.port, threads=settings.threads, head=HEAD)
    life.ready()
    life.wait()
    listeners.stop()

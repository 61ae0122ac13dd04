"""The command `resourceserver`."""

import logging
import os
import signal
import sys
import threading
import time
from functools import partial

import click
from flask import Flask

from resourceserver.app import create_app
from resourceserver.cli.listen import PortInUseError, check_free, listen
from resourceserver.notes import NoteStore, NotesUnavailableError
from resourceserver.settings import PREFIX, Settings, SettingsError, load_settings

# granian copies the whole environment into what every request can read, and a variable named HTTP_… would even look
# like a header of the request. So a worker starts with no more than these.
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH")


@click.group()
def main() -> None:
    """Run the resource server of this suite."""


@main.command()
@click.option("--host", help="Address to listen on; localhost means 127.0.0.1 and ::1.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port to listen on.")
def serve(host: str | None, port: int | None) -> None:
    """Serve until SIGINT or SIGTERM. Settings come from RESOURCESERVER_ variables (docs/resource-server.md)."""
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
        check_free(settings)
    except (SettingsError, NotesUnavailableError, PortInUseError) as wrong:
        raise click.ClickException(str(wrong) or "the database cannot be opened") from None
    for name in set(os.environ) - set(KEPT_ENVIRONMENT):
        del os.environ[name]
    logging.getLogger("resourceserver").info("resource server at %s", settings.url)
    listen(settings, partial(_load, settings, os.getpid()))


def configure_log(level: str) -> None:
    """Write the log to standard error, one line per record."""
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    # The HTTP client's own log would show URLs and headers.
    logging.getLogger("httpcore2").setLevel(logging.WARNING)


def _load(settings: Settings, parent: int) -> Flask:
    """Build the application inside a worker, which ends when the process that started it is gone."""
    # A terminal's Ctrl-C reaches a worker, too; granian's hangs when it is told to end a second time.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    configure_log(settings.log_level)
    threading.Thread(target=_end_with, args=(parent,), daemon=True, name="watch-parent").start()
    return create_app(settings)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)

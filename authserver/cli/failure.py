"""Every error of the command line is one sentence on standard error, and an exit status that says whose fault it is."""

from typing import IO, Any

import click


class Failure(click.ClickException):
    """Ends the command with a sentence, and status 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the sentence; each mistake of several on its own line."""
        for line in self.message.splitlines() or [""]:
            click.echo(f"authserver: {line}", file=file, err=file is None)


class WrongSettings(Failure):
    """Ends the command before anything has begun, with status 2."""

    exit_code = 2


class Commands(click.Group):
    """The top of the command line: turns what the rooms below raise into a sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            failure = _failure(error)
            if failure is None:
                raise
            raise failure from None


def _failure(error: Exception) -> Failure | None:
    from authserver.keys import KeyRingError
    from authserver.manage.errors import ManageError
    from authserver.settings import SettingsError
    from authserver.store import Busy, StoreError, Unavailable

    if isinstance(error, SettingsError):
        return WrongSettings(str(error))
    if isinstance(error, Busy):
        return Failure("the database is busy; try again")
    if isinstance(error, Unavailable):
        return Failure("the database or Redis cannot be reached")
    if isinstance(error, ManageError | KeyRingError | StoreError):
        return Failure(str(error))
    if isinstance(error, OSError) and error.filename is not None:
        return Failure(f"{error.strerror}: {error.filename}")
    return None

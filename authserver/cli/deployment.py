"""What most commands open: the settings, the store and the sealer; and how they read and print JSON."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import click

from authserver.cli.failure import Failure

if TYPE_CHECKING:
    from authserver.crypto import Sealer
    from authserver.identity.passwords import Passwords
    from authserver.settings import Settings
    from authserver.store import Store

_LONGEST = 1024 * 1024


class Deployment(NamedTuple):
    """One deployment, opened for a command."""

    settings: "Settings"
    store: "Store"

    @property
    def sealer(self) -> "Sealer":
        """Encryption at rest; raises SettingsError when there is no secret key."""
        from authserver.crypto import Sealer

        return Sealer(self.settings.secret(), self.settings.previous_secrets())

    @property
    def passwords(self) -> "Passwords":
        """The hasher of passwords, at the cost that the settings say."""
        from authserver.identity.passwords import Passwords

        return Passwords(self.settings.passwords)

    @property
    def actor(self) -> str:
        """Who the audit trail names."""
        return f"cli:{os.environ.get('SUDO_USER') or os.environ.get('USER') or os.getuid()}"


def read_settings() -> "Settings":
    """Read the settings for a command that does not serve: an http issuer on loopback is no mistake there."""
    from authserver.settings import SettingsError, load_settings

    try:
        return load_settings()
    except SettingsError as error:
        mistakes = error
    try:
        return load_settings(development=True)
    except SettingsError as error:
        # The wrong one of the two ways adds a sentence of its own.
        raise min(mistakes, error, key=lambda mistake: len(str(mistake))) from None


@contextmanager
def opened(*, upgraded: bool = True) -> Iterator[Deployment]:
    """Open the deployment; refuse a database whose schema is not current, unless the command is about that."""
    from authserver.store import open_store

    settings = read_settings()
    store = open_store(settings)
    try:
        if upgraded and not store.is_current():
            raise Failure("the database schema is not current: run 'authserver db upgrade'")
        yield Deployment(settings, store)
    finally:
        store.close()


def read_json(file: IO[bytes]) -> dict[str, Any]:
    """Read one JSON object, strictly: no member twice, no NaN."""
    data = file.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        raise Failure("the JSON is longer than 1 MiB")
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise Failure(f"this is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Failure("this is not a JSON object")
    return value


def print_json(value: Any) -> None:
    """Print JSON for a program."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def print_record(record: Mapping[str, Any]) -> None:
    """Print a record for people, a member a line."""
    from authserver.log import one_line

    width = max(map(len, record), default=0)
    for name, value in record.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        click.echo(f"{name:<{width}}  {one_line(text)}")


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows for people; the first is the heading."""
    from authserver.log import one_line

    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def minute(seconds: int | None) -> str:
    """Return a time for a column of a table, to the minute (UTC)."""
    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) != len(pairs):
        raise ValueError("a member stands twice")
    return whole


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")

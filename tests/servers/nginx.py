"""The nginx of this machine, with the configuration that is shipped: only names, files and ports are changed."""

import os
import shutil
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import ServerProcess, ServerUnavailableError, give_away, make_folder

SHIPPED = Path(__file__).parents[2] / "docs" / "nginx" / "authserver.conf"
PLACES = ("/usr/sbin/nginx", "/usr/local/sbin/nginx", "/opt/homebrew/bin/nginx")

_AROUND = """
pid nginx.pid;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {shipped}
}}
"""


def find_nginx() -> Path:
    """Find the program: the environment's ``NGINX``, the one on PATH, or where it usually is.

    Raises:
        ServerUnavailableError: there is none.
    """
    for name in (os.environ.get("NGINX", ""), "nginx", *PLACES):
        found = shutil.which(name) if name else None
        if found:
            return Path(found)
    raise ServerUnavailableError("there is no nginx on PATH (name one with NGINX=…)")


@contextmanager
def running_nginx(changes: Mapping[str, str], files: Mapping[str, str], port: int) -> Iterator[Path]:
    """Run nginx with the shipped configuration; ``changes`` are texts of it and what stands there instead.

    ``files`` are made in its folder, which is yielded and to which paths in ``changes`` are relative. It has started
    when it speaks TLS on ``port``.

    Raises:
        ServerUnavailableError: there is none, or it does not start.
    """
    program = find_nginx()
    folder = make_folder("nginx")
    shipped = SHIPPED.read_text()
    for text, instead in changes.items():
        assert text in shipped, f"{SHIPPED.name} has no {text!r}"
        shipped = shipped.replace(text, instead)
    (folder / "nginx.conf").write_text(_AROUND.format(shipped=shipped))
    for name, content in files.items():
        (folder / name).write_text(content)
    give_away(folder)
    command = [str(program), "-p", f"{folder}/", "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off;"]
    server = ServerProcess(folder, command, answers=lambda: _speaks_tls(port))
    try:
        server.start()
        yield folder
    finally:
        server.close()


def _speaks_tls(port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 5) as plain,
            context.wrap_socket(plain, server_hostname="localhost"),
        ):
            return True
    except OSError:
        return False

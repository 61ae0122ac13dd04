"""The nginx of this machine, with the configuration that is shipped: only names, files and ports are changed."""

import os
import shutil
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
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


def on_loopback(server: int, ports: Sequence[int], alias: str) -> dict[str, str]:
    """Return changes that put the configuration in front of ``server`` on loopback.

    ``ports`` are those of https, of plain http, and one more of https for ``alias``, the host name for certificates:
    not every client can name a host that does not resolve. The certificate is in ``site.pem`` and ``site-key.pem``.
    """
    https, http, other = ports
    return {
        "127.0.0.1:9000": f"127.0.0.1:{server}",
        "listen 80;": f"listen 127.0.0.1:{http};",
        "listen [::]:80;": f"listen [::1]:{http};",
        "listen 443 ssl;": f"listen 127.0.0.1:{https} ssl;",
        "listen [::]:443 ssl;": f"listen [::1]:{https} ssl;",
        "server_name mtls.login.example.com;": f"server_name {alias}; listen 127.0.0.1:{other} ssl;",
        "mtls.login.example.com;": f"{alias};",
        "login.example.com": "localhost",
        "https://localhost$": f"https://localhost:{https}$",
        "/etc/authserver/tls/fullchain.pem": "site.pem",
        "/etc/authserver/tls/privkey.pem": "site-key.pem",
        "/var/log/nginx/authserver.log": "access.log",
    }


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

"""The server on a free port of 127.0.0.1, for clients that cannot call it in this process."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from pytest_authserver.server import AuthServer


class _Silent(WSGIRequestHandler):
    """Logs nothing: the server writes its own access log."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write no line."""


@contextmanager
def answering(app: Flask, listener: socket.socket) -> Iterator[None]:
    """Answer for an application on a listening socket, in threads that end with the block or with the process."""
    address, port = listener.getsockname()[:2]
    served = make_server(address, port, app, threaded=True, request_handler=_Silent, fd=listener.fileno())
    thread = Thread(target=served.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        served.shutdown()
        thread.join()
        served.server_close()


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[AuthServer]:
    """Serve on a free port of 127.0.0.1; the issuer is the address of the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        server = AuthServer(folder, issuer=f"http://127.0.0.1:{port}", **settings)
        try:
            with answering(server.app, listener):
                yield server
        finally:
            server.close()

"""The listener that asks for client certificates (RFC 8705 5): granian checks a certificate and then drops it.

Of gunicorn it uses the threaded worker alone: no master, no configuration file, no control socket. Idle connections
hold no thread there, but handshakes and requests do, and they wait for a client without end; here a watch ends what
takes too long. It serves only the endpoints at which a certificate means something, so no browser is ever asked.
"""

import logging
import os
import selectors
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final
from weakref import WeakSet

from gunicorn import util
from gunicorn.config import Config
from gunicorn.http import errors
from gunicorn.workers.gthread import TConn, ThreadWorker

from authserver.cli.failure import WrongSettings
from authserver.feed import LONGEST
from authserver.oauth.mtls import ALIASED
from authserver.oauth.server import Server
from authserver.settings import Settings
from authserver.web.protocol import STREAMS
from authserver.web.proxy import CERTIFICATE
from resourceserver.serving.processes import Life

log = logging.getLogger("authserver.tls")

_CIPHERS: Final = (  # RFC 9325 4.2; those of TLS 1.3 are all good
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
)
_BACKLOG: Final = 1024
_REQUEST: Final = 30.0  # seconds for handshake, request and answer together
_LINGER: Final = 0.5  # seconds in which a client may still read what it was answered
_IDLE: Final = 5  # seconds that a connection may be idle between two requests
_PAUSE: Final = 0.1
_STATUS: Final = {errors.LimitRequestLine: 414, errors.LimitRequestHeaders: 431}

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def make_context(settings: Settings) -> ssl.SSLContext:
    """Return how the listener speaks TLS; raises WrongSettings when one of its files cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    # A resumed session tells of a handshake of long ago.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_OPTIONAL
    # An authority of the file counts by itself, as it does where the certificate is checked again (oauth/mtls.py).
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    files = settings.mtls
    try:
        # Without a password OpenSSL would ask the terminal for one.
        context.load_cert_chain(str(files.certificate_file), str(files.key_file), password="")
    except (OSError, ValueError) as error:
        name = type(error).__name__
        raise WrongSettings(f"AUTHSERVER_MTLS__CERTIFICATE_FILE or __KEY_FILE cannot be used: {name}") from None
    try:
        context.load_verify_locations(str(files.ca_file))
    except (OSError, ValueError) as error:
        raise WrongSettings(f"AUTHSERVER_MTLS__CA_FILE cannot be used: {type(error).__name__}") from None
    return context


def serve(application: Application, server: Server, addresses: Iterable[str], grace: float, life: Life) -> None:
    """Answer requests until told to end."""
    settings, context = server.settings, make_context(server.settings)
    config = Config()
    for name, value in {
        "certfile": str(settings.mtls.certificate_file),
        "keyfile": str(settings.mtls.key_file),
        "ssl_context": lambda _config, _default: context,
        "threads": settings.threads,
        "worker_connections": _BACKLOG,
        "keepalive": _IDLE,
        "graceful_timeout": max(1, int(grace) - 1),
        "limit_request_line": 8190,
        "limit_request_fields": 50,
        "limit_request_field_size": 8190,
        # WSGI cannot tell a name with an underscore from one with a dash.
        "header_map": "refuse",
        "forwarded_allow_ips": "",
        "http_protocols": "h1",
        "post_worker_init": partial(_begin, life),
    }.items():
        config.set(name, value)
    sockets = [_listen(address, settings.mtls.port) for address in addresses]
    _Worker(0, os.getppid(), sockets, _Served(application, server, life), 0, config, _Log()).init_process()


def _begin(life: Life, worker: "_Worker") -> None:
    life.ready()
    if life.over:
        # Told before gunicorn's handlers stood.
        worker.handle_exit(signal.SIGTERM, None)


class _Served:
    """The application as gunicorn asks for it, with the certificate of each connection."""

    def __init__(self, application: Application, server: Server, life: Life) -> None:
        self._application = application
        self.life = life
        self.feed = server.feed
        self.streams: WeakSet[socket.socket] = WeakSet()
        """Connections on which an answer is going out that takes its time."""
        aliased = [path for name, path, *_ in server.registry.ENDPOINTS if name in ALIASED]
        managed = [path for _, path, *_ in server.registry.MANAGEMENT]
        self._paths = frozenset(server.base_path + path for path in (*aliased, *managed))

    def wsgi(self) -> Application:
        return self.answer

    def answer(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] not in self._paths:
            start_response("404 Not Found", [("Content-Length", "0"), ("Cache-Control", "no-store")])
            return []
        # Set in every case: a header never counts at this listener.
        environ[CERTIFICATE] = environ["gunicorn.socket"].getpeercert(binary_form=True)
        environ["wsgi.input"] = _Body(environ["wsgi.input"])
        answer = self._application(environ, start_response)
        if environ.get(STREAMS):
            self.streams.add(environ["gunicorn.socket"])
        return answer


class _Body:
    """The body of a request; one that is not well-formed is one that does not come to its end."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, size: int) -> bytes:
        try:
            data: bytes = self._body.read(size)
        except errors.ParseException as error:
            raise OSError(type(error).__name__) from None
        return data


class _Connection(TConn):  # type: ignore[misc] # gunicorn has no types
    def close(self, graceful: bool = False) -> None:  # noqa: FBT002 - gunicorn's signature
        """Close at once: gunicorn would wait for the client here, and accept nobody meanwhile."""
        del graceful
        util.close(self.sock)


class _Worker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._busy: dict[_Connection, float] = {}

    def init_signals(self) -> None:
        """Leave to the master what a terminal sends to the whole group."""
        super().init_signals()
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Finish what is under way; streams have no end of their own.

        The main loop ends them: this handler may have interrupted whoever holds a lock that closing the feed needs.
        """
        if self.alive:
            self.app.life.limit()
            self.method_queue.defer(self.app.feed.close)
        super().handle_exit(sig, frame)

    def accept(self, listener: socket.socket) -> None:
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            log.warning("no connection accepted: %s", error.strerror)
            time.sleep(_PAUSE)
            return
        self.nr_conns += 1
        # To the poller first: gunicorn would have a thread wait for the first octets.
        conn = _Connection(self.cfg, client, address, listener.getsockname())
        conn.set_timeout()
        self.pending_conns.append(conn)
        self.poller.register(client, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def handle(self, conn: _Connection) -> Any:
        self._busy[conn] = time.monotonic() + _REQUEST
        try:
            kept = super().handle(conn)
            if kept is False:
                util.close_graceful(conn.sock, _LINGER)
            return kept
        finally:
            del self._busy[conn]
            self.app.streams.discard(conn.sock)

    def murder_pending(self) -> None:
        """End what takes too long, each second: a thread that reads gets the end of its connection."""
        super().murder_pending()
        moment = time.monotonic()
        for conn, ends in list(self._busy.items()):
            if ends + (LONGEST if conn.sock in self.app.streams else 0) < moment:
                with suppress(OSError):
                    # Of the socket below TLS, which the thread is using at this moment.
                    socket.socket.shutdown(conn.sock, socket.SHUT_RDWR)

    def handle_error(self, _request: Any, client: socket.socket, _address: Any, error: Exception) -> None:
        """Answer what is no HTTP or no TLS, without a word of it."""
        if isinstance(error, ssl.SSLError):
            log.info("connection refused: %s", error.reason)
            return
        refused = isinstance(error, errors.ParseException)
        if not refused:
            log.error("unexpected failure at the listener for certificates", exc_info=error)
        status = _STATUS.get(type(error), 400) if refused else 500
        with suppress(OSError):
            client.sendall(b"HTTP/1.1 %d Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % status)


class _Log:
    """What gunicorn tells goes to our own log; requests are logged where they are answered."""

    def __getattr__(self, name: str) -> Any:
        return getattr(log, name)

    def silent(self, *_arguments: Any) -> None:
        return

    # What it says at these levels repeats what clients have sent.
    debug = info = access = close_on_exec = silent


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=_BACKLOG, reuse_port=True)

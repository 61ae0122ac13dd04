"""Our own listener for client certificates (RFC 8705 5): what it asks for, hands on, refuses and survives."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from authserver.cli.failure import WrongSettings
from authserver.cli.tls import make_context
from authserver.extension_sections import Mtls
from authserver.records import User
from authserver.settings import Settings
from pytest_authserver import RegisteredClient
from tests.certificates import Certificate
from tests.following import streaming
from tests.run.conftest import Group, until
from tests.servers.process import free_port
from tests.tls.conftest import EXPIRED, HEADER, ITSELF, LEAF, OTHER, SELF, SITE, STRANGER, Site, cnf
from tests.world import API


def ask(
    site: Site,
    client: RegisteredClient,
    certificate: Certificate | None = LEAF,
    headers: dict[str, str] | None = None,
    **more: str,
) -> httpx2.Response:
    parameters = {**ITSELF, "client_id": client.client_id, **more}
    return site.post(f"{site.own}/token", certificate, headers, **parameters)


def test_the_certificate_of_the_handshake_authenticates_and_binds(site: Site, known: RegisteredClient):
    answer = ask(site, known)
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    said = site.post(f"{site.own}/introspect", LEAF, token=token, client_id=known.client_id)
    assert cnf(said) == {"x5t#S256": LEAF.x5t}
    bound = site.post(f"{site.own}/introspect", OTHER, token=token, client_id=known.client_id)
    assert cnf(bound) == {"x5t#S256": LEAF.x5t}


def test_a_connection_may_be_used_again(site: Site, known: RegisteredClient):
    with site.http(LEAF) as http:
        for _ in range(5):
            answer = http.post(f"{site.own}/token", data={**ITSELF, "client_id": known.client_id})
            assert answer.status_code == 200, answer.text
        time.sleep(1)
        assert http.post(f"{site.own}/token", data={**ITSELF, "client_id": known.client_id}).status_code == 200


def test_userinfo_holds_a_token_to_the_connection(site: Site, carla: User):
    client = site.by_subject()
    allowed = site.world.allow(client, carla)
    answer = site.post(
        f"{site.own}/token",
        LEAF,
        grant_type="authorization_code",
        code=allowed.code,
        redirect_uri=allowed.redirect_uri,
        code_verifier=allowed.pkce.verifier if allowed.pkce else "",
        client_id=client.client_id,
    )
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    for certificate, status in ((LEAF, 200), (OTHER, 401), (None, 401)):
        with site.http(certificate) as http:
            assert http.get(f"{site.own}/userinfo", headers=bearer).status_code == status


def test_the_management_api_holds_a_token_to_the_connection(site: Site):
    assert site.manages(site.own) == [200, 401, 401]


def test_without_a_certificate_one_may_come_in_and_is_nobody(site: Site, known: RegisteredClient):
    answer = ask(site, known, None)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    free = site.world.client()
    with site.http() as http:
        assert http.post(f"{site.own}/token", auth=free.basic, data=ITSELF).status_code == 200


@pytest.mark.parametrize("certificate", [STRANGER, SELF, EXPIRED], ids=["another authority", "itself", "expired"])
def test_a_certificate_that_is_not_trusted_ends_the_handshake(
    site: Site, known: RegisteredClient, certificate: Certificate
):
    with pytest.raises(httpx2.TransportError):
        ask(site, known, certificate)


@pytest.mark.parametrize("name", [HEADER, "Client-Cert", "X-SSL-Client-Cert", "X-Client-Cert"])
def test_a_header_never_counts_here(site: Site, known: RegisteredClient, name: str):
    for value in (LEAF.escaped, LEAF.field, "rubbish"):
        assert ask(site, known, None, {name: value}).status_code == 401
        assert ask(site, known, LEAF, {name: value}).status_code == 200


@pytest.mark.parametrize("name", ["SSL_Client_Cert", "Client_Cert", "X_Forwarded_For", "SCRIPT_NAME", "PATH_INFO"])
def test_a_name_with_an_underscore_is_refused(site: Site, known: RegisteredClient, name: str):
    assert ask(site, known, LEAF, {name: "x"}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/authorize",
        "/login",
        "/account",
        "/jwks",
        "/health/live",
        "/metrics",
        "/token/",
        "//token",
        "/TOKEN",
        "/.well-known/openid-configuration",
        "/static/authserver.css",
    ],
)
def test_nothing_else_is_served(site: Site, path: str):
    with site.http(LEAF) as http:
        answer = http.get(f"{site.own}{path}")
    assert (answer.status_code, answer.content) == (404, b"")


def raw(site: Site, sent: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """Send octets over TLS and return what comes back."""
    with (
        socket.create_connection(("127.0.0.1", site.ports.own), 30) as plain,
        (context or site.context(LEAF)).wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        wrapped.sendall(sent)
        answer = b""
        try:
            while piece := wrapped.recv(65536):
                answer += piece
        except OSError:
            pass
        return answer


HEAD = b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"rubbish\r\n\r\n", 400),
        (b"GET /userinfo HTTP/9.9\r\n\r\n", 400),
        (b"GET /userinfo HTTP/1.1\r\nA b: c\r\n\r\n", 400),
        (b"GET /userinfo HTTP/1.1\r\nA : c\r\n\r\n", 400),
        (b"GET /userinfo HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET /userinfo HTTP/1.1\r\nA: " + b"b" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 414),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", 400),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Length: 70000\r\n\r\n" + b"a" * 70_000, 413),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
    ],
)
def test_what_is_no_good_http_is_refused_without_a_word_of_it(site: Site, sent: bytes, status: int):
    answer = raw(site, sent)
    assert answer.startswith(b"HTTP/1.1 %d" % status), answer[:200]
    assert b"gunicorn" not in answer.partition(b"\r\n\r\n")[2]


def test_plain_http_is_no_way_in(site: Site):
    with socket.create_connection(("127.0.0.1", site.ports.own), 30) as plain:
        plain.sendall(b"POST /token HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in plain.recv(4096)


# RFC 9325 3.1, 4.2.


def handshake(context: ssl.SSLContext, port: int) -> str:
    with (
        socket.create_connection(("127.0.0.1", port), 30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        return f"{wrapped.version()} {wrapped.cipher()}"


def test_old_tls_and_suites_without_aead_are_refused(site: Site):
    refuses_old_tls(site, site.ports.own)


def refuses_old_tls(site: Site, port: int) -> None:
    """Check what a port speaks; tests/tls/test_nginx.py asks the same of nginx."""
    assert handshake(site.context(), port).startswith("TLSv1.3")
    only = site.context()
    only.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(only, port).startswith("TLSv1.2")
    for suite in ("ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "AES128-SHA", "DHE-RSA-AES128-SHA"):
        weak = site.context()
        weak.maximum_version = ssl.TLSVersion.TLSv1_2
        weak.set_ciphers(f"{suite}:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError):
            handshake(weak, port)
    for version in ("-tls1", "-tls1_1"):
        assert b"Cipher is (NONE)" in _old_client(version, port)


def _old_client(version: str, port: int) -> bytes:
    """Return what a client says that speaks an old version alone; Python's own hesitates to."""
    command = ["openssl", "s_client", version, "-cipher", "ALL:@SECLEVEL=0", "-connect", f"127.0.0.1:{port}"]
    return subprocess.run(command, input=b"", capture_output=True, timeout=30, check=False).stdout


def test_the_old_client_of_these_tests_does_speak_old_versions(site: Site):
    pair = ["-cert", str(site.folder / "site.pem"), "-key", str(site.folder / "site-key.pem")]
    for version in ("-tls1", "-tls1_1"):
        port = free_port()
        command = ["openssl", "s_server", version, *pair, "-cipher", "ALL:@SECLEVEL=0", "-accept", f"127.0.0.1:{port}"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            until(lambda out=server.stdout: "ACCEPT" in out.readline())
            said = _old_client(version, port)
            server.kill()
        assert b"Cipher is ECDHE" in said


# Slow and broken clients.


def _half_a_handshake(site: Site) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", site.ports.own), 30)
    plain.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    return plain


def _half_a_body(site: Site) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", site.ports.own), 30)
    wrapped = site.context().wrap_socket(plain, server_hostname="localhost")
    wrapped.sendall(HEAD + b"Content-Length: 99\r\n\r\ngrant_type=")
    return wrapped


@pytest.mark.slow
def test_half_handshakes_and_half_bodies_hold_their_threads_for_a_bounded_time(tmp_path: Path):
    made = Site(tmp_path)
    code = "from authserver.cli import main, tls; tls._REQUEST = 3.0; main()"
    group = Group([sys.executable, "-c", code, "serve"], tmp_path, {**made.environ, "AUTHSERVER_THREADS": "8"})
    try:
        group.says("asking for client certificates on")
        client = made.by_subject(resource_server_for=[API])
        with made.http(LEAF) as http, streaming(http, made.own, client_id=client.client_id) as stream:
            assert stream.read() is not None
            for half in (_half_a_handshake, _half_a_body):
                held = [half(made) for _ in range(8)]
                # Idle ones hold no thread at all.
                silent = [socket.create_connection(("127.0.0.1", made.ports.own), 30) for _ in range(50)]
                assert ask(made, client).status_code == 200
                for connection in (*held, *silent):
                    connection.close()
            # What is still being answered after that time is not what keeps others waiting.
            made.world.store.tokens.revoke_jti("told", 2**60)
            assert [told.description for told in stream.next()] == [{"jti": "told"}]
        assert "Traceback" not in group.output, group.output
    finally:
        group.close()
        made.world.close()


def test_clients_that_read_nothing_and_never_leave_do_not_hold_up_the_others(site: Site, known: RegisteredClient):
    held = []
    for _ in range(20):
        plain = socket.create_connection(("127.0.0.1", site.ports.own), 30)
        wrapped = site.context().wrap_socket(plain, server_hostname="localhost")
        wrapped.sendall(HEAD + b"Connection: close\r\nContent-Length: 1\r\n\r\na")
        held.append(wrapped)
    started = time.monotonic()
    assert ask(site, known).status_code == 200
    assert time.monotonic() - started < 10
    for connection in held:
        connection.close()


# The processes.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_its_processes_end_with_the_others(tmp_path: Path, number: signal.Signals):
    made = Site(tmp_path)
    group = made.serve(AUTHSERVER_MTLS__WORKERS="2")
    try:
        client = made.by_subject()
        assert ask(made, client).status_code == 200
        assert len(group.members()) == 4
        follower = made.by_subject(resource_server_for=[API])
        with made.http(LEAF) as http, streaming(http, made.own, client_id=follower.client_id) as stream:
            stream.read()
            os.killpg(group.pid, number)
            stream.end()  # which is no cut
        assert group.wait() == 0, group.output
        group.is_gone()
        assert "Traceback" not in group.output
    finally:
        group.close()
        made.world.close()


def test_they_end_with_their_master_and_are_replaced_when_they_die(tmp_path: Path):
    made = Site(tmp_path)
    code = (
        "from authserver.cli import main\nfrom resourceserver.serving import processes\nprocesses._YOUNG = 0.0\nmain()"
    )
    group = Group([sys.executable, "-c", code, "serve"], tmp_path, made.environ)
    try:
        group.says("asking for client certificates on")
        client = made.by_subject()
        before = {process.pid for process in group.members()}
        os.kill(max(before), signal.SIGKILL)
        until(lambda: len(group.members()) == 3 and {process.pid for process in group.members()} != before)
        until(lambda: _answers(made, client))
        os.kill(group.pid, signal.SIGKILL)
        group.is_gone()
    finally:
        group.close()
        made.world.close()


def _answers(site: Site, client: RegisteredClient) -> bool:
    try:
        return ask(site, client).status_code == 200
    except httpx2.TransportError:
        return False


def _refused(tmp_path: Path, environ: dict[str, str], command: list[str] | None = None) -> str:
    group = Group(command or [sys.executable, "-m", "authserver", "serve"], tmp_path, environ)
    try:
        assert group.wait() in {1, 2}
        assert "Traceback" not in group.output
        return group.output
    finally:
        group.close()


def test_what_it_needs_and_has_not_is_a_sentence(tmp_path: Path):
    made = Site(tmp_path)
    made.world.close()
    code = "import sys; sys.modules['gunicorn'] = None; from authserver.cli import main; main()"
    without = _refused(tmp_path, made.environ, [sys.executable, "-c", code, "serve"])
    assert "authserver[mtls]" in without
    missing = _refused(tmp_path, {**made.environ, "AUTHSERVER_MTLS__CA_FILE": "/nowhere.pem"})
    assert "AUTHSERVER_MTLS__CA_FILE cannot be used" in missing
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "AUTHSERVER_MTLS__PORT" in _refused(tmp_path, {**made.environ, "AUTHSERVER_MTLS__PORT": port})


@pytest.mark.parametrize("name", ["certificate_file", "key_file", "ca_file"])
def test_every_file_is_looked_at_before_anything_starts(site: Site, tmp_path: Path, name: str):
    bad = [tmp_path / "nowhere.pem", tmp_path, tmp_path / "empty.pem", tmp_path / "sealed.pem", tmp_path / "other.pem"]
    bad[2].touch()
    sealed = SITE.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    bad[3].write_bytes(sealed)
    bad[4].write_text(LEAF.key_pem)
    for file in bad:
        settings = Settings(
            issuer=site.issuer, trusted_proxies=("127.0.0.1",), mtls=Mtls(**{**site.mtls, name: str(file)})
        )
        with pytest.raises(WrongSettings) as refused:
            make_context(settings)
        assert "cannot be used" in refused.value.message
    with pytest.raises(ValueError, match="MTLS__PORT needs"):
        Settings(issuer=site.issuer, mtls=Mtls(**{**site.mtls, "certificate_header": "", name: None}))


def test_switched_off_it_does_not_listen(tmp_path: Path):
    made = Site(tmp_path)
    made.world.close()
    environ = {**made.environ, "AUTHSERVER_FEATURES__MTLS": "false", "AUTHSERVER_MTLS__PORT": str(free_port())}
    group = Group([sys.executable, "-m", "authserver", "serve"], tmp_path, environ)
    try:
        group.says("listening on")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(environ["AUTHSERVER_MTLS__PORT"])))
        assert "asking for client certificates" not in group.output
    finally:
        group.close()

"""What is fetched and what is refused; loopback listeners and a stubbed resolver only."""

import gzip
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from authserver import outbound
from authserver.outbound import Outbound, OutboundError, is_public
from authserver.settings import Settings, SettingsError
from tests.listener import KEYS, Listener, endless, says, sends, silent, tls

NAME = "keys.client.test"
PUBLIC = "192.0.9.1"  # public by its number; nothing connects to it, see Net

INSIDE = [
    *("127.0.0.1", "127.255.255.254", "0.1.2.3", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "100.100.100.200", "192.0.0.1", "192.0.0.9", "192.0.2.1", "198.18.0.1", "198.51.100.1"),
    *("203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.88.99.1", "168.63.129.16"),
    *("::", "::1", "::7f00:1", "::ffff:7f00:1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808"),
    *("64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::", "2001::1", "2001:db8::1", "3fff::1", "5f00::1", "100::1"),
    *("fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "ff0e::1", "4000::1"),
]


class Net:
    """The resolver and the dialler of a test: names answer as told, public addresses lead to a listener."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.dialled: list[str] = []
        self.leads_to = 0
        self._getaddrinfo, self._connect = socket.getaddrinfo, socket.create_connection
        monkeypatch.setattr(socket, "getaddrinfo", self._resolve)
        monkeypatch.setattr(socket, "create_connection", self._dial)

    def _resolve(self, host: str, port: int, *args: int, **kwargs: int) -> object:
        answers = self.names.get(host)
        if answers is None:
            return self._getaddrinfo(host, port, *args, **kwargs)
        self.asked.append(host)
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(0, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    def _dial(self, address: tuple[str, int], *args: float, **kwargs: object) -> socket.socket:
        self.dialled.append(address[0])
        if address[0] == PUBLIC:
            address = ("127.0.0.1", self.leads_to)
        return self._connect(address, *args, **kwargs)


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    return Net(monkeypatch)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "DEADLINE", 0.3)


@pytest.fixture
def local() -> Outbound:
    return client("127.0.0.1")


@pytest.fixture
def certified(net: Net) -> Iterator[Listener]:
    with tls("server.pem", says(b"good")) as listener:
        net.leads_to = listener.port
        yield listener


def client(*allow: str) -> Outbound:
    return Outbound(
        Settings(issuer="https://as.example", outbound_allow=allow, outbound_ca_file=KEYS / "authority.pem")
    )


# Addresses


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_with_an_address_inside_is_refused(net: Net, address: str) -> None:
    net.names[NAME] = [[address]]
    with pytest.raises(OutboundError, match="not allowed"):
        client().fetch(f"https://{NAME}/jwks")
    assert net.dialled == []


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", PUBLIC, "2606:4700::1111", "2a00:1450::1"])
def test_an_address_of_the_public_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "[::1]", "[::ffff:7f00:1]", "[::]"],
)
def test_every_spelling_of_loopback_is_refused(net: Net, host: str) -> None:
    with pytest.raises(OutboundError):
        client().fetch(f"https://{host}/jwks")
    assert net.dialled == []


def test_one_address_inside_refuses_the_whole_name(net: Net) -> None:
    net.names[NAME] = [[PUBLIC, "10.0.0.1"]]
    with pytest.raises(OutboundError, match="not allowed"):
        client().fetch(f"https://{NAME}/")
    assert net.dialled == []


def test_the_connection_goes_to_the_address_that_was_checked(net: Net, certified: Listener) -> None:
    # DNS rebinding: the second look-up would answer loopback, but there is none.
    net.names[NAME] = [[PUBLIC], ["127.0.0.1"]]
    assert client().fetch(f"https://{NAME}/jwks") == b"good"
    assert (net.asked, net.dialled) == ([NAME], [PUBLIC])
    assert certified.connections == 1


def test_the_server_sees_the_name_and_no_secret(net: Net, certified: Listener) -> None:
    net.names[NAME] = [[PUBLIC]]
    client().fetch(f"https://{NAME}:{certified.port}/a/b?c=d")
    head = certified.heads[0].decode().lower()
    assert head.startswith("get /a/b?c=d http/1.1\r\n")
    assert f"\r\nhost: {NAME}:{certified.port}\r\n" in head
    assert not {"cookie", "authorization"} & {line.partition(":")[0] for line in head.splitlines()}


def test_an_address_that_does_not_answer_is_followed_by_the_next(net: Net, certified: Listener) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    net.names[NAME] = [["127.0.0.2", PUBLIC]]
    assert client(NAME).fetch(f"https://{NAME}:{port}/") == b"good"
    assert net.dialled == ["127.0.0.2", PUBLIC]


def test_a_name_that_does_not_exist_is_not_fetched() -> None:
    with pytest.raises(OutboundError, match="there is none"):
        client("gone.test").fetch("https://gone.test/")


# The allow-list


@pytest.mark.parametrize("entry", [NAME, NAME.upper(), "{name}:{port}"])
def test_an_allowed_host_may_be_inside(net: Net, certified: Listener, entry: str) -> None:
    net.names[NAME] = [["127.0.0.1"]]
    allow = entry.format(name=NAME, port=certified.port)
    assert client(allow).fetch(f"https://{NAME}:{certified.port}/") == b"good"


@pytest.mark.parametrize("entry", ["other.test", f"{NAME}:1", f"x.{NAME}", "client.test", "127.0.0.1"])
def test_another_entry_of_the_allow_list_does_not_count(net: Net, certified: Listener, entry: str) -> None:
    net.names[NAME] = [["127.0.0.1"]]
    with pytest.raises(OutboundError, match="not allowed"):
        client(entry).fetch(f"https://{NAME}:{certified.port}/")


def test_http_is_for_allowed_loopback_hosts(local: Outbound) -> None:
    with Listener(says(b"good")) as listener:
        assert local.fetch(listener.url) == b"good"
        with pytest.raises(OutboundError, match="http is for loopback"):
            client().fetch(listener.url)
        with pytest.raises(OutboundError, match="http is for loopback"):
            client("127.0.0.1:1").fetch(listener.url)
        assert listener.connections == 1


def test_http_is_refused_for_a_name_even_when_it_is_allowed(net: Net) -> None:
    net.names[NAME] = [["127.0.0.1"]]
    with pytest.raises(OutboundError, match="http is for loopback"):
        client(NAME).fetch(f"http://{NAME}/")
    assert net.asked == []


def test_http_is_refused_when_localhost_resolves_to_somewhere_else(net: Net) -> None:
    net.names["localhost"] = [["10.0.0.1"]]
    with pytest.raises(OutboundError, match="not allowed"):
        client("localhost").fetch("http://localhost/")
    assert net.dialled == []


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "https:",
            "https://",
            "https:///x",
            "//keys.client.test/",
            "file:///etc/passwd",
            "ftp://keys.client.test/",
        ),
        *("gopher://keys.client.test/", "HTTPS://keys.client.test/", " https://keys.client.test/"),
        *("https://a@keys.client.test/", "https://a:b@keys.client.test/", "https://keys.client.test\\@127.0.0.1/"),
        *("https://keys.client.test/#x", "https://keys.client.test/\r\nX: y", "https://keys.client.test/a b"),
        *("https://keys.client.test/\x00", "https://keys.client.test:0/", "https://keys.client.test:65536/"),
        *("https://keys.client.test:/", "https://keys.client.test:+80/", "https://keys.client.test/\u00e9"),
        *("https://k\u00e9ys.test/", "https://keys%2eclient.test/", "https://[fe80::1%25lo]/", "https://[::1/"),
        *("https://[::1]x/", "https://keys.client.test/\n", "https://\u0661.1.1.1/"),
    ],
)
def test_another_kind_of_url_is_refused_before_the_name_is_looked_up(net: Net, url: str) -> None:
    net.names = {NAME: [[PUBLIC]]}
    with pytest.raises(OutboundError, match="not a URL"):
        client(NAME).fetch(url)
    assert net.asked == []


@pytest.mark.parametrize("host", [".test", "a..test", "x" * 64 + ".test", "-", "."])
def test_a_name_that_cannot_be_one_is_refused(host: str) -> None:
    with pytest.raises(OutboundError):
        client(host).fetch(f"https://{host}/")


# Redirects, proxies, certificates


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirects_are_not_followed(local: Outbound, status: str) -> None:
    with Listener(says(b"inside")) as target, Listener(says(b"", status, f"Location: {target.url}")) as listener:
        with pytest.raises(OutboundError, match="not 200"):
            local.fetch(listener.url)
        assert (listener.connections, target.connections) == (1, 0)


@pytest.mark.parametrize("status", ["204 No Content", "206 Partial", "304 Not Modified", "404 Not Found", "500 Broken"])
def test_only_200_is_an_answer(local: Outbound, status: str) -> None:
    with Listener(says(b"", status)) as listener, pytest.raises(OutboundError, match="not 200"):
        local.fetch(listener.url)


def test_proxies_of_the_environment_are_not_used(local: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    with Listener(says(b"proxy")) as proxy, Listener(says(b"good")) as listener:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert local.fetch(listener.url) == b"good"
        assert proxy.connections == 0


def test_a_certificate_of_a_strange_authority_is_refused(net: Net) -> None:
    net.names[NAME] = [["127.0.0.1"]]
    with tls("stranger.pem", says(b"evil")) as listener:
        with pytest.raises(OutboundError, match="ConnectError"):
            client(NAME).fetch(f"https://{NAME}:{listener.port}/")
        assert listener.heads == []


def test_a_certificate_of_our_own_authority_needs_the_setting(net: Net, certified: Listener) -> None:
    net.names[NAME] = [["127.0.0.1"]]
    without = Outbound(Settings(issuer="https://as.example", outbound_allow=(NAME,)))
    with pytest.raises(OutboundError, match="ConnectError"):
        without.fetch(f"https://{NAME}:{certified.port}/")
    assert certified.heads == []


def test_a_certificate_for_another_name_is_refused(net: Net, certified: Listener) -> None:
    net.names["other.test"] = [["127.0.0.1"]]
    with pytest.raises(OutboundError, match="ConnectError"):
        client("other.test").fetch(f"https://other.test:{certified.port}/")
    assert certified.heads == []


def test_a_certificate_may_name_an_address(certified: Listener) -> None:
    assert client("127.0.0.1").fetch(f"https://127.0.0.1:{certified.port}/") == b"good"


def test_a_certificate_file_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(SettingsError, match="OUTBOUND_CA_FILE"):
            Outbound(Settings(issuer="https://as.example", outbound_ca_file=tmp_path / name))


# Size


def test_a_body_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(local: Outbound) -> None:
    for size in (outbound.MAX_BYTES, outbound.MAX_BYTES + 1):
        with Listener(says(b"x" * size)) as listener:
            if size == outbound.MAX_BYTES:
                assert len(local.fetch(listener.url)) == size
            else:
                with pytest.raises(OutboundError, match="too large"):
                    local.fetch(listener.url)


def test_the_caller_may_set_a_smaller_limit(local: Outbound) -> None:
    with Listener(says(b"x" * 6)) as listener, pytest.raises(OutboundError, match="too large"):
        local.fetch(listener.url, max_bytes=5)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", b"x" * 65536),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 4096 + b"\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
        (b"", b"\r\n" * 1000),
    ],
    ids=["no length", "100 MiB", "chunks", "tiny chunks", "headers", "early hints", "empty lines"],
)
def test_an_endless_answer_ends_at_the_limit(local: Outbound, start: bytes, piece: bytes) -> None:
    with Listener(endless(start, piece)) as listener, pytest.raises(OutboundError, match=r"too large|ProtocolError"):
        local.fetch(listener.url)


def test_a_compressed_answer_is_refused_without_unpacking(local: Outbound) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    for encoding in ("gzip", "br", "GZIP", "identity, gzip"):
        with Listener(says(bomb, "200 OK", f"Content-Encoding: {encoding}")) as listener:
            with pytest.raises(OutboundError, match="compressed"):
                local.fetch(listener.url)
            assert b"accept-encoding: identity" in listener.heads[0].lower()


# Time


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "answer",
    [
        silent,
        endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.02),
        endless(b"HTTP/1.1 200 OK\r\n", b"X", 0.02),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02),
    ],
    ids=["silence", "drip of a body", "drip of headers", "drip of interim answers"],
)
def test_a_slow_answer_ends_at_the_deadline(local: Outbound, answer: object) -> None:
    with Listener(answer) as listener, pytest.raises(OutboundError):
        local.fetch(listener.url)


@pytest.mark.usefixtures("hasty")
def test_a_handshake_that_never_ends_ends_at_the_deadline() -> None:
    with Listener(silent) as listener, pytest.raises(OutboundError):
        client("127.0.0.1").fetch(f"https://127.0.0.1:{listener.port}/")


@pytest.mark.usefixtures("hasty")
def test_a_resolver_that_never_answers_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    ending = Event()

    def resolve(*_args: object, **_kwargs: object) -> list[object]:
        ending.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    try:
        with pytest.raises(OutboundError, match="not resolved in time"):
            client().fetch(f"https://{NAME}/")
    finally:
        ending.set()


# Nonsense


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x00\x00",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n : x\r\n\r\n",
        b"\xff" * 200 + b"\r\n\r\n",
    ],
)
def test_an_answer_that_is_not_http_is_refused(local: Outbound, answer: bytes) -> None:
    with Listener(sends(answer)) as listener, pytest.raises(OutboundError):
        local.fetch(listener.url)


def test_the_http_library_is_not_loaded_before_something_is_fetched() -> None:
    program = "import sys, authserver.outbound; sys.exit(any(name in sys.modules for name in ('httpcore2', 'httpx2')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

"""Request objects by reference (RFC 9101 5.2, OpenID Connect Core 6.2): what is fetched, from where, and how much."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest

from authserver import outbound
from authserver.records import User
from pytest_authserver import AuthServer, Page, RegisteredClient
from tests.listener import Listener, endless, says, sends, silent
from tests.request_objects import claims, encrypt, jwk, sign, signed, signing_client
from tests.signing import b64
from tests.world import API, assert_refused, assert_shown, code_of

HASH = b64(bytes(32))


@pytest.fixture(scope="module")
def authserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server that may fetch from this machine."""
    made = AuthServer(tmp_path_factory.mktemp("reference"), outbound_allow=("127.0.0.1",))
    yield made
    made.close()


@pytest.fixture(scope="module")
def alice(authserver: AuthServer) -> User:
    return authserver.user("alice")


@pytest.fixture
def host() -> Iterator[Listener]:
    """Where the client keeps its request objects."""
    with Listener(says(b"")) as listener:
        yield listener


@pytest.fixture
def place(host: Listener) -> str:
    """The place of a request object."""
    return f"http://127.0.0.1:{host.port}/request.jwt"


@pytest.fixture
def client(authserver: AuthServer, place: str) -> RegisteredClient:
    """A client that signs, and has registered the place."""
    return signing_client(authserver, request_uris=[place])


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "DEADLINE", 0.3)


def _visit(at: AuthServer, client: RegisteredClient, uri: str, user: User | None = None, **outside: str) -> Page:
    return at.browser(user).visit_request({"client_id": client.client_id, "request_uri": uri, **outside})


# 5.2: what works.


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_an_object_is_fetched_from_where_it_lies_5_2_3(
    authserver: AuthServer, host: Listener, place: str, client: RegisteredClient, alice: User, algorithm: str
):
    token = sign(claims(authserver, client), algorithm)
    host.answer = says(token.encode(), "200 OK", "Content-Type: application/oauth-authz-req+jwt")
    page = _visit(authserver, client, place, alice, state="outside", scope="openid api:read")
    assert code_of(page)
    assert page.callback["state"] == "inside"
    assert host.heads[0].startswith(b"GET /request.jwt HTTP/1.1\r\n")
    assert len(host.heads) == 1


def test_it_may_be_encrypted_too(
    authserver: AuthServer, host: Listener, place: str, client: RegisteredClient, alice: User
):
    host.answer = says(encrypt(authserver, signed(authserver, client)).encode())
    assert code_of(_visit(authserver, client, place, alice))


def test_it_is_fetched_anew_each_time(
    authserver: AuthServer, host: Listener, place: str, client: RegisteredClient, alice: User
):
    for state in ("first", "second"):
        host.answer = says(signed(authserver, client, state=state).encode())
        assert _visit(authserver, client, place, alice).callback["state"] == state
    assert len(host.heads) == 2


def test_a_page_that_needs_the_person_fetches_once(
    authserver: AuthServer, host: Listener, place: str, client: RegisteredClient, alice: User
):
    for user, changes in ((None, {}), (alice, {"prompt": "login"}), (alice, {"response_mode": "form_post"})):
        host.heads.clear()
        host.answer = says(signed(authserver, client, **changes).encode())
        page = _visit(authserver, client, place, user)
        assert page.status == 200
        assert len(host.heads) == 1


@pytest.mark.parametrize("registered", ["", f"#{HASH}"])
@pytest.mark.parametrize("asked", ["", f"#{HASH}", f"#{b64(b'x' * 32)}"])
def test_the_fragment_is_a_version_and_no_part_of_the_place_core_6_2(
    authserver: AuthServer, host: Listener, place: str, alice: User, registered: str, asked: str
):
    client = signing_client(authserver, request_uris=[place + registered])
    host.answer = says(signed(authserver, client).encode())
    assert code_of(_visit(authserver, client, place + asked, alice))
    assert b"#" not in host.heads[0]


def test_the_keys_may_lie_elsewhere_too(authserver: AuthServer, host: Listener, place: str, alice: User):
    import json

    with Listener(says(json.dumps({"keys": [jwk("p256")]}).encode())) as keys:
        client = authserver.client(trusted=True, jwks_uri=keys.url, request_uris=[place])
        host.answer = says(signed(authserver, client).encode())
        assert code_of(_visit(authserver, client, place, alice))


# 10.4: where nothing is fetched from.


def test_a_place_that_is_not_registered_is_never_asked_10_4_1(
    authserver: AuthServer, host: Listener, place: str, client: RegisteredClient
):
    host.answer = says(signed(authserver, client).encode())
    root = place.removesuffix("/request.jwt")
    for uri in (
        place + "?",
        place + "?a=b",
        place + "/",
        place.replace("request", "Request"),
        place.replace("127.0.0.1", "localhost"),
        place.replace("127.0.0.1", "127.1"),
        place.replace("http://", "http://user@"),
        place.replace("http:", "HTTP:"),
        place.replace("http:", "https:"),
        f"{root}/./request.jwt",
        f"{root}/%72equest.jwt",
        root,
        API,
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "urn:ietf:params:oauth:request_uri:x",
        "data:text/plain,x",
        "x",
        "#",
    ):
        assert_shown(_visit(authserver, client, uri), "invalid_request_uri")
    assert host.connections == 0


def test_another_client_s_place_is_not_asked(authserver: AuthServer, host: Listener, place: str):
    other = signing_client(authserver)
    assert_shown(_visit(authserver, other, place), "invalid_request_uri")
    assert host.connections == 0


def test_a_place_inside_is_not_asked_though_it_is_registered(tmp_path: Path, host: Listener, place: str, alice: User):
    server = AuthServer(tmp_path)
    try:
        secure = place.replace("http:", "https:")
        client = signing_client(server, request_uris=[place, secure])
        host.answer = says(signed(server, client).encode())
        for uri in (place, secure):
            assert_shown(_visit(server, client, uri), "invalid_request_uri")
        assert host.connections == 0
    finally:
        server.close()


def test_no_place_is_asked_for_a_request_that_is_pushed_9126_2_1(
    authserver: AuthServer, host: Listener, place: str, client: RegisteredClient
):
    assert_refused(authserver.post("/par", client, request_uri=place), "invalid_request")
    nested = signed(authserver, client, request_uri=place)
    assert_refused(authserver.post("/par", client, request=nested), "invalid_request_object")
    assert host.connections == 0


# 10.4.1: what the place answers.


def test_what_does_not_come_as_it_should_is_not_taken(
    authserver: AuthServer, host: Listener, place: str, client: RegisteredClient, alice: User
):
    token = signed(authserver, client).encode()
    elsewhere = f"Location: http://127.0.0.1:{host.port}/elsewhere"
    for answer in (
        says(token, "302 Found", elsewhere),
        says(token, "301 Moved Permanently", elsewhere),
        says(token, "404 Not Found"),
        says(token, "500 Internal Server Error"),
        says(gzip.compress(bytes(10**7)), "200 OK", "Content-Encoding: gzip"),
        says(token + b"A" * 16384),
        endless(b"HTTP/1.1 200 OK\r\n\r\n", b"A" * 4096),
        endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nA\r\n"),
        sends(b"nonsense\r\n\r\n"),
        sends(b""),
    ):
        host.heads.clear()
        host.answer = answer
        assert_shown(_visit(authserver, client, place, alice), "invalid_request_uri")
        # Asked once, and nobody followed a redirect.
        assert [head.split()[1] for head in host.heads] == [b"/request.jwt"]


@pytest.mark.usefixtures("hasty")
def test_a_place_that_is_slow_is_not_waited_for(
    authserver: AuthServer, host: Listener, place: str, client: RegisteredClient
):
    for answer in (silent, endless(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b"A", 0.05)):
        host.answer = answer
        assert_shown(_visit(authserver, client, place), "invalid_request_uri")


def test_what_lies_there_and_is_no_object_of_the_client_is_refused(
    authserver: AuthServer, host: Listener, place: str, client: RegisteredClient
):
    other = signing_client(authserver)
    good = signed(authserver, client).encode()
    for body in (
        b"",
        b"x",
        good + b"\n",
        b"\xff" + good,
        "\N{SNOWMAN}".encode(),
        b"<html>",
        sign(claims(authserver, client), name="p256_other", kid="p256").encode(),
        signed(authserver, other).encode(),
        signed(authserver, client, request_uri=place).encode(),
        encrypt(authserver, "x").encode(),
    ):
        host.answer = says(body)
        assert_shown(_visit(authserver, client, place), "invalid_request_object")


def test_an_object_without_a_signature_is_refused_10_1(
    authserver: AuthServer, host: Listener, place: str, client: RegisteredClient
):
    import json

    body = json.dumps(claims(authserver, client)).encode()
    none = b64(b'{"alg":"none"}')
    host.answer = says(f"{none}.{b64(body)}.".encode())
    assert_shown(_visit(authserver, client, place), "invalid_request_object")


@pytest.mark.usefixtures("hasty")
def test_slow_places_do_not_take_every_thread_10_4_1(
    authserver: AuthServer, host: Listener, place: str, client: RegisteredClient, alice: User
):
    places = authserver.server.outbound.request_objects
    taken = [places.acquire(blocking=False) for _ in range(authserver.settings.threads // 4)]
    try:
        assert all(taken)
        assert_shown(_visit(authserver, client, place), "invalid_request_uri")
        assert host.connections == 0
    finally:
        for _ in taken:
            places.release()
    host.answer = silent
    start = Barrier(4)

    def visit() -> None:
        start.wait()
        assert_shown(_visit(authserver, client, place), "invalid_request_uri")

    threads = [Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The places are free again.
    host.answer = says(signed(authserver, client).encode())
    assert code_of(_visit(authserver, client, place, alice))

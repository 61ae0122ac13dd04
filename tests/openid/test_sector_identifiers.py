"""Sector identifiers of clients that register themselves (OpenID Connect Core 8.1, Registration 5; "Dynamic OP")."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import jwt as pyjwt
import pytest

from authserver.outbound import OutboundError, WrongAnswer
from pytest_authserver import AuthServer, RegisteredClient
from tests.listener import KEYS, Listener, endless, says, sends, silent, tls
from tests.registering import post, refusal, register
from tests.world import assert_refused

CB = "https://client.test/callback"
OTHER_CB = "https://other.test/callback"
SECTOR = "https://sector.test/uris.json"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
KEYED = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://client.test/jwks"}


class Web:
    """What lies at which URL, in the place of the internet; remembers what was fetched."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {SECTOR: [CB, OTHER_CB]}
        self.fetched: list[str] = []

    def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        page = self.pages.get(url, WrongAnswer("the answer is not 200"))
        if isinstance(page, Exception):
            raise page
        return page if isinstance(page, bytes) else json.dumps(page).encode()


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server where anybody may register, and that may fetch from this machine."""
    registration = {"mode": "open", "grant_types": ["authorization_code", "refresh_token", DEVICE]}
    server = AuthServer(
        tmp_path_factory.mktemp("sectors"),
        registration=registration,
        features={"client_id_metadata": True},
        outbound_allow=("127.0.0.1",),
        outbound_ca_file=KEYS / "authority.pem",
    )
    server.user("alice")
    yield server
    server.close()


@pytest.fixture
def web(at: AuthServer, monkeypatch: pytest.MonkeyPatch) -> Web:
    """The internet of one test."""
    fake = Web()
    monkeypatch.setattr(at.server.outbound, "fetch", fake.fetch)
    return fake


@pytest.fixture
def listener() -> Iterator[Listener]:
    """An https server on this machine; ``answer`` is for the test to set."""
    with tls("server.pem", silent) as running:
        yield running


def called(at: AuthServer, registered: dict[str, Any], redirect_uri: str = CB) -> str:
    """Return the ``sub`` of a sign-in at a client that registered itself."""
    client = RegisteredClient(registered["client_id"], registered["client_secret"], redirect_uri, registered)
    tokens = at.sign_in(client, scope="openid")
    sub: str = pyjwt.decode(tokens["id_token"], options={"verify_signature": False})["sub"]
    assert at.get("/userinfo", tokens["access_token"]).json() == {"sub": sub}
    return sub


def change(at: AuthServer, registered: dict[str, Any], **changes: Any) -> httpx2.Response:
    """Replace a registration (RFC 7592 2.2)."""
    ours = ("registration_", "client_secret_expires_at", "client_id_issued_at")
    body = {name: value for name, value in {**registered, **changes}.items() if not name.startswith(ours)}
    headers = {
        "Authorization": f"Bearer {registered['registration_access_token']}",
        "Content-Type": "application/json",
    }
    with at.http() as http:
        return http.put(registered["registration_client_uri"], content=json.dumps(body), headers=headers)


# OIDCCRegistrationSectorUri


def test_a_document_that_lists_the_redirect_uri_makes_the_sector(at: AuthServer, web: Web):
    registered = register(at, sector_identifier_uri=SECTOR)
    assert registered["sector_identifier_uri"] == SECTOR
    assert web.fetched == [SECTOR]
    assert called(at, registered)


def test_its_clients_share_a_name_for_each_user_and_nobody_else_has_it(at: AuthServer, web: Web):
    web.pages["https://sector.test/more.json"] = [CB]
    members = {"subject_type": "pairwise", "sector_identifier_uri": SECTOR}
    one = register(at, redirect_uris=[CB, OTHER_CB], **members)
    assert one["subject_type"] == "pairwise"
    same = register(at, **{**members, "sector_identifier_uri": "https://sector.test/more.json"})
    alone, public = register(at, subject_type="pairwise"), register(at)
    names = [called(at, each) for each in (one, same, alone, public)]
    assert names[0] == names[1] == called(at, one, OTHER_CB)
    assert len(set(names)) == 3


# OIDCCRegistrationSectorBad


@pytest.mark.parametrize(
    "document",
    [
        [],
        [OTHER_CB],
        [CB + "/"],
        [CB.upper()],
        {"redirect_uris": [CB]},
        [[CB]],
        [CB, 1],
        [CB, None],
        CB,
        None,
        b"",
        b"[",
        b'["https://client.test/callback",]',
        json.dumps([CB]).encode("utf-16"),
        b'["\xff", "https://client.test/callback"]',
        b"[" * 50_000,
        WrongAnswer("the answer is not 200"),
        WrongAnswer("the answer is too large"),
        OutboundError("not a public address"),
    ],
    ids=range(19),
)
@pytest.mark.parametrize("subject_type", ["public", "pairwise"])
def test_any_other_document_refuses_the_registration(at: AuthServer, web: Web, document: Any, subject_type: str):
    web.pages[SECTOR] = document
    answer = post(at, {"redirect_uris": [CB], "sector_identifier_uri": SECTOR, "subject_type": subject_type})
    assert_refused(answer, "invalid_client_metadata")
    # One sentence for all: whoever registers learns nothing of what this server can reach.
    assert answer.json()["error_description"].startswith("sector_identifier_uri must lead to a JSON array")


@pytest.mark.parametrize(
    "uri",
    [
        "http://sector.test/x",
        "https:///x",
        "https://a:b@sector.test/x",
        "https://sector.test/x#y",
        "x",
        "",
        1,
        [SECTOR],
    ],
)
def test_what_is_no_https_url_is_not_fetched(at: AuthServer, web: Web, uri: Any):
    assert refusal(at, sector_identifier_uri=uri) == "invalid_client_metadata"
    assert web.fetched == []


def test_a_registration_that_is_refused_for_another_reason_fetches_nothing(at: AuthServer, web: Web):
    assert refusal(at, sector_identifier_uri=SECTOR, application_type="x") == "invalid_client_metadata"
    assert web.fetched == []


# Core 8.1: a sector is shown, not said.


@pytest.mark.parametrize(
    "metadata",
    [
        {"redirect_uris": [CB, OTHER_CB]},
        {"redirect_uris": [CB, "https://sub.client.test/callback"]},
        {"redirect_uris": ["http://127.0.0.1/callback"]},
        {"redirect_uris": ["http://localhost:8000/callback"]},
        {"redirect_uris": ["https://localhost/callback"]},
        {"redirect_uris": ["com.example.app:/callback"]},
        {"redirect_uris": ["com.example.app://client.test/callback"]},
        {"redirect_uris": [CB, "com.example.app:/callback"], "sector_identifier_uri": SECTOR},
        {"redirect_uris": ["http://127.0.0.1/callback"], "sector_identifier_uri": SECTOR},
        # A device gets its tokens whatever its redirect URIs are: its keys have to be there, too.
        {"grant_types": ["authorization_code", DEVICE]},
        {"grant_types": ["authorization_code", DEVICE], "sector_identifier_uri": SECTOR},
        {"redirect_uris": None, "grant_types": [DEVICE], "sector_identifier_uri": SECTOR},
        {"redirect_uris": None, "grant_types": [DEVICE], **KEYED, "token_endpoint_auth_method": "client_secret_basic"},
        {"redirect_uris": [OTHER_CB], "grant_types": ["authorization_code", DEVICE], **KEYED},
        {"redirect_uris": None, "grant_types": [DEVICE], **KEYED, "sector_identifier_uri": SECTOR},
    ],
    ids=range(15),
)
def test_nobody_gets_into_the_sector_of_somebody_else(at: AuthServer, web: Web, metadata: dict[str, Any]):
    web.pages[SECTOR] = [CB, OTHER_CB, "http://127.0.0.1/callback", "com.example.app:/callback"]
    assert refusal(at, subject_type="pairwise", **metadata) == "invalid_client_metadata"


def test_a_device_shows_its_sector_by_its_keys(at: AuthServer, web: Web):
    device = {"subject_type": "pairwise", "redirect_uris": None, "grant_types": [DEVICE], **KEYED}
    assert register(at, **device)["subject_type"] == "pairwise"
    assert register(at, **{**device, "redirect_uris": [CB], "grant_types": ["authorization_code", DEVICE]})
    web.pages[SECTOR] = [KEYED["jwks_uri"]]
    assert register(at, **device, sector_identifier_uri=SECTOR)["sector_identifier_uri"] == SECTOR


def test_an_update_is_checked_like_a_registration(at: AuthServer, web: Web):
    registered = register(at, subject_type="pairwise", sector_identifier_uri=SECTOR)
    before = called(at, registered)
    assert change(at, registered, client_name="Still here").status_code == 200
    assert web.fetched == [SECTOR, SECTOR]
    web.pages[SECTOR] = [OTHER_CB]
    for changes in ({"client_name": "Here"}, {"sector_identifier_uri": "https://sector.test/none.json"}):
        assert_refused(change(at, registered, **changes), "invalid_client_metadata")
    both = {"redirect_uris": [CB, OTHER_CB], "sector_identifier_uri": None}
    assert_refused(change(at, registered, **both), "invalid_client_metadata")
    at.server.forget()
    assert called(at, registered) == before
    # Another sector is another name.
    assert change(at, registered, sector_identifier_uri=None).status_code == 200
    at.server.forget()
    assert called(at, registered) not in {before, called(at, register(at))}


def test_few_documents_are_read_at_once(at: AuthServer, web: Web):
    places = at.server.outbound.sector_documents
    taken = 0
    while places.acquire(blocking=False):
        taken += 1
    try:
        answer = post(at, {"redirect_uris": [CB], "sector_identifier_uri": SECTOR})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert web.fetched == []
    finally:
        places.release(taken)
    register(at, sector_identifier_uri=SECTOR)


def test_an_administrator_is_taken_at_their_word(at: AuthServer, web: Web):
    elsewhere = at.client(subject_type="pairwise", sector_identifier_uri="https://unheard-of.test/uris.json")
    native = at.client(
        subject_type="pairwise",
        sector_identifier_uri="https://unheard-of.test/uris.json",
        redirect_uris=["http://127.0.0.1/callback"],
        grant_types=["authorization_code", DEVICE],
    )
    assert web.fetched == []
    assert elsewhere.registration["subject_type"] == native.registration["subject_type"] == "pairwise"


# Clients that a document describes: their sector is its host.


def test_a_described_client_has_the_host_of_its_document(at: AuthServer, monkeypatch: pytest.MonkeyPatch):
    home = "https://app.example"
    described = {
        "client_id": f"{home}/client.json",
        "redirect_uris": [f"{home}/callback"],
        "token_endpoint_auth_method": "none",
        "subject_type": "pairwise",
        "sector_identifier_uri": SECTOR,
    }
    json_type = {"content-type": "application/json"}
    fetched: list[str] = []

    def fetch(url: str, *_: Any) -> tuple[bytes, dict[str, str]]:
        fetched.append(url)
        return json.dumps(described).encode(), json_type

    monkeypatch.setattr(at.server.outbound, "fetch_document", fetch)
    client = RegisteredClient(described["client_id"], "", f"{home}/callback", {})
    tokens = at.sign_in(client, scope="openid")
    sub = pyjwt.decode(tokens["id_token"], options={"verify_signature": False})["sub"]
    registered = register(at, subject_type="pairwise", redirect_uris=[f"{home}/other"])
    assert called(at, registered, f"{home}/other") == sub
    assert fetched == [described["client_id"]]


# Over real connections.


def test_the_document_is_fetched_from_the_place_itself(at: AuthServer, listener: Listener):
    uri = f"https://127.0.0.1:{listener.port}/uris.json"
    listener.answer = says(json.dumps([CB]).encode())
    assert called(at, register(at, subject_type="pairwise", sector_identifier_uri=uri))
    assert listener.heads[0].startswith(b"GET /uris.json HTTP/1.1\r\n")
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    for answer in (
        says(b"", "302 Found", f"Location: {uri}?again"),
        says(json.dumps([CB]).encode(), "404 Not Found"),
        sends(head, b"["),
        endless(head, b" " * 4096),
    ):
        listener.answer, before = answer, listener.connections
        assert refusal(at, sector_identifier_uri=uri) == "invalid_client_metadata"
        assert listener.connections == before + 1


def test_what_is_inside_is_not_fetched(at: AuthServer):
    for host in ("10.0.0.1", "169.254.169.254", "[::1]", "127.0.0.2", "2130706433", "localhost"):
        assert refusal(at, sector_identifier_uri=f"https://{host}/uris.json") == "invalid_client_metadata"

"""Logos of clients (RFC 7591 2, 2.2, 5; OpenID Connect Registration 1.0, 2): how pages get them, and nobody else."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from html import unescape
from itertools import islice
from pathlib import Path
from threading import Event, Semaphore
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from authserver.clock import SECOND
from authserver.manage import clients
from authserver.oauth import client_logo
from authserver.oauth.client_logo import FRESH, KEPT, RETRY, Logos
from authserver.outbound import OutboundError, WrongAnswer
from authserver.pictures import MEDIA_TYPES
from pytest_authserver import AuthServer, Page, RegisteredClient
from tests.drawing import gif, jpeg, png, webp

LOGO = "https://client.test/logo.png"
PICTURE = png()


class Web:
    """What lies at which URL, in the place of the internet; counts what is fetched."""

    def __init__(self) -> None:
        self.pictures: dict[str, bytes | Exception] = {LOGO: PICTURE}
        self.fetched: list[str] = []
        self.held: Event | None = None
        self.begun = Semaphore(0)

    def fetch_document(self, url: str, max_bytes: int, accept: str) -> tuple[bytes, dict[str, str]]:
        assert (max_bytes, accept) == (64 * 1024, ", ".join(MEDIA_TYPES))
        self.fetched.append(url)
        self.begun.release()
        if self.held is not None:
            self.held.wait(20)
        found = self.pictures.get(url, WrongAnswer("the answer is not 200"))
        if isinstance(found, Exception):
            raise found
        return found, {"content-type": "text/html"}


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    server = AuthServer(tmp_path_factory.mktemp("logos"))
    yield server
    server.close()


@pytest.fixture
def web(at: AuthServer, monkeypatch: pytest.MonkeyPatch) -> Web:
    """The internet of one test; nothing is remembered from another one."""
    fake, server = Web(), at.server
    monkeypatch.setattr(server.outbound, "fetch_document", fake.fetch_document)
    monkeypatch.setattr(server, "logos", Logos(server.outbound, server.limits, server.settings.threads))
    return fake


def sign_in_page(at: AuthServer, client: RegisteredClient, **parameters: Any) -> Page:
    return at.browser().visit_request(at.request(client, at.pkce(), **parameters))


def address(page: Page) -> str | None:
    """Return where the page says that the logo is."""
    found = re.search(r'<img src="([^"]+)" alt=""', page.text)
    return unescape(found[1]) if found else None


def logo_of(at: AuthServer, client: RegisteredClient, **parameters: Any) -> str:
    found = address(sign_in_page(at, client, **parameters))
    assert found is not None
    return found


def named(place: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(place).query).items()}


# RFC 7591 2: what the page shows.


def test_the_page_shows_the_picture_from_here_beside_the_name(at: AuthServer, web: Web):
    page = sign_in_page(at, at.client(client_name="Notebook", logo_uri=LOGO))
    place = address(page)
    assert place is not None
    assert place.startswith("/clients/logo?")
    assert "client.test/logo" not in page.text
    assert "Notebook" in page.text
    assert "img-src 'self' data:" in page.headers["content-security-policy"]
    assert web.fetched == []
    answer = at.get(place)
    assert (answer.status_code, answer.content) == (200, PICTURE)


def test_a_client_without_a_logo_has_none(at: AuthServer, web: Web):
    assert address(sign_in_page(at, at.client())) is None
    assert web.fetched == []


def test_the_answer_can_be_nothing_but_a_picture_of_this_page(at: AuthServer, web: Web):
    answer = at.get(logo_of(at, at.client(logo_uri=LOGO)))
    policies = answer.headers.get_list("content-security-policy")
    assert policies[0] == "default-src 'none'; sandbox"
    expected = {
        "content-type": "image/png",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "public, max-age=86400",
    }
    assert {name: answer.headers[name] for name in expected} == expected
    assert "set-cookie" not in answer.headers
    again = at.get(str(answer.request.url), **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert web.fetched == [LOGO]


@pytest.mark.parametrize(
    ("data", "kind"),
    [(png(), "image/png"), (jpeg(), "image/jpeg"), (gif(), "image/gif"), (webp(), "image/webp")],
)
def test_the_bytes_say_what_it_is_whatever_the_header_says(at: AuthServer, web: Web, data: bytes, kind: str):
    web.pictures[LOGO] = data
    assert at.get(logo_of(at, at.client(logo_uri=LOGO))).headers["content-type"] == kind


@pytest.mark.parametrize(
    "found",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<!doctype html><script>alert(1)</script>",
        png(4000, 1),
        WrongAnswer("the answer is too large"),
        OutboundError("the address is not allowed, or there is none"),
    ],
)
def test_what_is_no_picture_is_not_there_for_a_while(at: AuthServer, web: Web, found: bytes | Exception):
    web.pictures[LOGO] = found
    place = logo_of(at, at.client(logo_uri=LOGO))
    for _ in range(3):
        answer = at.get(place)
        assert (answer.status_code, answer.content) == (404, b"")
        assert answer.headers["cache-control"] == "no-store"
    assert web.fetched == [LOGO]
    web.pictures[LOGO] = PICTURE
    with at.later(RETRY // SECOND):
        assert at.get(place).status_code == 200


def test_a_picture_is_fetched_once_a_day(at: AuthServer, web: Web):
    client = at.client(logo_uri=LOGO)
    place = logo_of(at, client)
    for _ in range(3):
        assert at.get(place).status_code == 200
    # Another client with the same picture, and another page.
    assert at.get(logo_of(at, at.client(logo_uri=LOGO))).status_code == 200
    assert web.fetched == [LOGO]
    web.pictures[LOGO] = gif()
    with at.later(FRESH // SECOND):
        assert at.get(place).content == gif()


# RFC 7591 2.2: in several languages.


def test_a_logo_may_be_another_one_in_another_language(at: AuthServer, web: Web):
    german = "https://client.test/zeichen.gif"
    web.pictures[german] = gif()
    client = at.client(**{"logo_uri": LOGO, "logo_uri#de": german})
    assert at.get(logo_of(at, client, ui_locales="de-AT")).content == gif()
    assert at.get(logo_of(at, client, ui_locales="fr")).content == PICTURE


# RFC 7591 5: what others make of it.


def test_nobody_but_a_page_names_a_logo(at: AuthServer, web: Web):
    client, other = at.client(logo_uri=LOGO), at.client(logo_uri=LOGO)
    given = named(logo_of(at, client))
    name = given["logo"]
    for wrong in (
        {"client_id": client.client_id},
        {"logo": name},
        {"client_id": other.client_id, "logo": name},
        {"client_id": client.client_id, "logo": name[:-1]},
        {"client_id": client.client_id, "logo": name[:22]},
        {"client_id": client.client_id, "logo": ("B" if name[0] == "A" else "A") + name[1:]},
        {"client_id": "https://strange.test/client.json", "logo": name},
        {"client_id": client.client_id, "logo": LOGO},
        {"client_id": client.client_id, "logo": "\N{SNOWMAN}" * 43},
        {},
    ):
        assert at.get(f"{client_logo.PATH}?{urlencode(wrong)}").status_code == 404, wrong
    assert at.get(f"{client_logo.PATH}?logo={name}&client_id=a&client_id=b").status_code == 400
    assert at.get(f"{client_logo.PATH}?logo=%ff").status_code == 400
    assert at.post(client_logo.PATH, **given).status_code == 405
    assert web.fetched == []


def test_what_the_client_has_no_more_is_not_fetched(at: AuthServer, web: Web):
    client = at.client(client_name="Changing", logo_uri=LOGO)
    place = logo_of(at, client)
    changed = {"redirect_uris": [client.redirect_uri], "logo_uri": "https://client.test/new.png"}
    clients.update(at.store, at.sealer, client.client_id, changed, actor="test")
    at.server.forget()
    assert at.get(place).status_code == 404
    assert web.fetched == []


def test_a_client_that_was_switched_off_or_removed_has_no_logo(at: AuthServer, web: Web):
    client = at.client(logo_uri=LOGO)
    place = logo_of(at, client)
    assert at.get(place).status_code == 200
    clients.set_disabled(at.store, client.client_id, disabled=True, actor="test")
    at.server.forget()
    assert at.get(place).status_code == 404
    clients.remove(at.store, client.client_id, actor="test")
    at.server.forget()
    assert at.get(place).status_code == 404
    assert web.fetched == [LOGO]


def test_many_at_once_are_one_fetch_and_few_of_them_wait(at: AuthServer, web: Web):
    place, web.held = logo_of(at, at.client(logo_uri=LOGO)), Event()
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(at.get, place) for _ in range(20)]
        # One fetches, eight wait for it; the others have their answer while the fetch is still running.
        early = [answer.result().status_code for answer in islice(as_completed(answers, timeout=20), 11)]
        web.held.set()
        found = [answer.result().status_code for answer in answers]
    assert web.fetched == [LOGO]
    assert early == [404] * 11
    assert sorted(found) == [200] * 9 + [404] * 11


def test_one_client_and_one_host_are_asked_so_often_and_not_more(at: AuthServer, web: Web):
    logos = at.server.logos
    for number in range(70):
        logos.find("one client", f"https://client-{number}.test/logo.png")
        logos.find(f"client {number}", f"https://victim.test/{number}.png")
    assert sum("victim.test" in url for url in web.fetched) == 60
    assert sum("client-" in url for url in web.fetched) == 60


def test_one_host_is_one_however_it_is_written(at: AuthServer, web: Web):
    spellings = ("spelled.test", "SPELLED.test", "spelled.test:443", "spelled.test.", "spelled.test:8443")
    for number in range(70):
        at.server.logos.find(f"writer {number}", f"https://{spellings[number % len(spellings)]}/{number}.png")
    assert len(web.fetched) == 60


def test_slow_hosts_of_others_use_up_nobodys_share(at: AuthServer, web: Web):
    logos = at.server.logos
    places, web.held = max(2, at.settings.threads // 8), Event()
    with ThreadPoolExecutor(places) as pool:
        slow = [pool.submit(logos.find, f"slow {number}", f"https://slow.test/{number}") for number in range(places)]
        assert all(web.begun.acquire(timeout=20) for _ in range(places))
        for _ in range(70):
            assert logos.find("patient", LOGO) is None
        web.held.set()
        assert [answer.result() for answer in slow] == [None] * places
    assert logos.find("patient", LOGO) is not None


def test_memory_for_pictures_is_bounded(at: AuthServer, web: Web):
    logos = at.server.logos
    for number in range(KEPT + 1):
        uri = f"https://host-{number}.test/logo.png"
        web.pictures[uri] = PICTURE
        assert logos.find(f"client-{number}", uri) is not None
    assert logos.find("client-1", "https://host-1.test/logo.png") is not None
    assert len(web.fetched) == KEPT + 1
    assert logos.find("client-0", "https://host-0.test/logo.png") is not None
    assert len(web.fetched) == KEPT + 2


def test_what_is_not_fetched_pushes_no_picture_out(at: AuthServer, web: Web):
    logos = at.server.logos
    assert logos.find("keeper", LOGO) is not None
    for number in range(60 + KEPT):
        logos.find("pusher", f"https://pusher-{number}.test/logo.png")
    assert logos.find("keeper", LOGO) is not None
    assert web.fetched.count(LOGO) == 1


def test_the_logo_of_an_unverified_client_stands_beside_the_notice_only(at: AuthServer, web: Web):
    metadata = {"redirect_uris": ["https://self.test/cb"], "client_name": "Self", "scope": "openid", "logo_uri": LOGO}
    answer = clients.register(at.store, at.sealer, metadata, actor="", origin="registration")
    page = sign_in_page(at, RegisteredClient(answer["client_id"], "", "https://self.test/cb", answer), scope="openid")
    notice = page.text.partition('id="unverified"')[2].partition("</div>")[0]
    assert "Nobody has checked this application" in notice
    assert "/clients/logo?" in notice
    assert page.text.count("/clients/logo?") == 1


def test_switched_off_there_is_neither_picture_nor_place(tmp_path: Path):
    server = AuthServer(tmp_path, features={"client_logos": False})
    client = server.client(logo_uri=LOGO)
    assert address(sign_in_page(server, client)) is None
    assert server.get(f"{client_logo.PATH}?client_id=a&logo=b").status_code == 404
    server.close()

"""mozilla-django-oidc with the files of docs/django.md, in a process of its own."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from authserver.manage import sessions
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests import documented
from tests.clients.django_site import PAGE, Site
from tests.clients.visitor import Visitor
from tests.run.conftest import until
from tests.servers.process import free_port


@contextmanager
def _site(folder: Path, server: AuthServer, *more: str, **metadata: Any) -> Iterator[tuple[Site, str]]:
    port = free_port()
    (registration,) = documented.blocks(PAGE, "json")
    members = json.loads(registration.replace("https://album.example.com", f"http://127.0.0.1:{port}"))
    site = Site(folder, server, server.client(**{**members, **metadata}), *more)
    with site.serving(port) as at:
        yield site, at


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, server: AuthServer) -> Iterator[tuple[Site, str]]:
    """The site as it is documented."""
    with _site(tmp_path_factory.mktemp("django"), server) as site:
        yield site


@pytest.fixture
def person(server: AuthServer, request: pytest.FixtureRequest) -> User:
    """Somebody new."""
    return server.user(f"django-{request.node.name[5:35]}", name="Alice Liddell")


@contextmanager
def _visitor(server: AuthServer, user: User) -> Iterator[Visitor]:
    with httpx2.Client(trust_env=False) as http:
        yield Visitor(http, server.issuer, user)


def _asked(visitor: Visitor) -> dict[str, str]:
    (url,) = (url for url in visitor.sent_to if "/authorize?" in url)
    return dict(parse_qsl(urlsplit(url).query))


def _users(site: Site) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(site.folder / "album" / "django.db")) as database:
        return database.execute("SELECT username, email FROM auth_user").fetchall()


def test_a_user_is_made_from_the_claims_once(server: AuthServer, album: tuple[Site, str], person: User):
    site, at = album
    for _ in range(2):
        with _visitor(server, person) as visitor:
            page = visitor.open(f"{at}/photos")
            assert str(page.url) == f"{at}/photos"
            assert f"Alice Liddell ({person.username}@example.test)" in page.text
            asked = _asked(visitor)
            assert asked["code_challenge_method"] == "S256"
            assert asked["nonce"]
    assert [user for user in _users(site) if user[0] == person.sub] == [(person.sub, f"{person.username}@example.test")]


def test_an_id_token_for_another_client_is_refused(server: AuthServer, album: tuple[Site, str], person: User):
    site, _ = album
    mine = RegisteredClient(
        site.environment["CLIENT_ID"], site.environment["CLIENT_SECRET"], f"{album[1]}/oidc/callback/", {}
    )
    for client, answer in (
        (mine, mine.client_id),
        (server.client(), "an ID token of somebody else, or for somebody else"),
    ):
        assert site.told_of(server.tokens(client, person, scope="openid")["id_token"]) == answer


def test_who_signs_out_here_is_signed_out_at_the_server(server: AuthServer, album: tuple[Site, str], person: User):
    _, at = album
    with _visitor(server, person) as visitor:
        page = visitor.open(f"{at}/photos")
        (token,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        del visitor.sent_to[:]
        page = visitor.post(f"{at}/oidc/logout/", {"csrfmiddlewaretoken": token})
        assert visitor.sent_to[0].startswith(f"{server.issuer}/logout?id_token_hint=")
        assert str(page.url) == f"{at}/"
        assert "Sign in" in page.text
        assert visitor.logins == 1
        visitor.open(f"{at}/photos")
        assert visitor.logins == 2


def test_the_session_is_renewed_without_a_page_for_as_long_as_the_server_has_one(
    server: AuthServer, tmp_path: Path, person: User
):
    with (
        _site(tmp_path, server, "OIDC_RENEW_ID_TOKEN_EXPIRY_SECONDS = 1") as (_, at),
        _visitor(server, person) as visitor,
    ):
        visitor.open(f"{at}/photos")
        until(lambda: "Alice" in visitor.open(f"{at}/").text and "prompt=none" in "".join(visitor.sent_to))
        assert visitor.logins == 1
        sessions.end_all(server.store, person.sub, actor="test")
        until(lambda: "Sign in" in visitor.open(f"{at}/").text)
        assert "error=login_required" in "".join(visitor.sent_to)


def test_without_pkce_a_client_has_to_be_registered_so(server: AuthServer, tmp_path: Path, person: User):
    more = ("OIDC_USE_PKCE = False", "OIDC_TOKEN_USE_BASIC_AUTH = False")
    with _site(tmp_path, server, *more, profile="oidc") as (_, at), _visitor(server, person) as visitor:
        assert "Alice" in visitor.open(f"{at}/photos").text
        assert "code_challenge" not in _asked(visitor)

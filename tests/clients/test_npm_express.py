"""express-openid-connect from npm in Node: the applications of docs/javascript.md, with Chromium in front of them."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from authserver.manage import sessions
from authserver.records import User
from pytest_authserver import AuthServer
from pytest_authserver.live import serving
from pytest_authserver.server import PASSWORD
from tests import documented
from tests.clients.conftest import public_key
from tests.servers.process import ended, free_port
from tests.signing import pem

if TYPE_CHECKING:
    from playwright.sync_api import Page

NewPage = Callable[..., "Page"]

PAGE = "javascript.md"
CODE, KEYED, AS_IT_COMES = documented.blocks(PAGE, "js")[-3:]
CODE_CLIENT, OLD_CLIENT = documented.blocks(PAGE, "json")[-2:]
# The only way to see a refresh before the token is over.
_REFRESH = """
app.get("/refresh", oidc.requiresAuth(), async (req, res) => {
  const { access_token: before } = req.oidc.accessToken;
  const { access_token: after } = await req.oidc.accessToken.refresh();
  res.json({ renewed: before !== after, user: (await req.oidc.fetchUserInfo()).name });
});
"""
_PATIENCE = 10  # seconds


@dataclass(frozen=True)
class Album:
    """An application that runs, and the server that it relies on."""

    at: AuthServer
    url: str

    def person(self, username: str) -> User:
        """Add somebody who has allowed nothing yet."""
        return self.at.user(username, name="Alice Liddell")

    def sessions(self, user: User) -> set[str]:
        return {session.sid for session in sessions.of_user(self.at.store, self.at.settings, user.sub)}

    def end(self, sid: str) -> None:
        """End a session of the person, and wait until whom it concerns has been told."""
        sessions.end(self.at.store, sid, actor="test")
        self.at.server.deliveries.run()
        self.at.server.deliveries.wait(_PATIENCE)


@contextmanager
def _album(source: str, metadata: str, host: str, folder: Path, node_modules: Path, **settings: Any) -> Iterator[Album]:
    """Run an application of the documentation, as the client of the documentation, at a server with these settings."""
    url = f"http://{host}:{free_port()}"
    with serving(folder, outbound_allow=("127.0.0.1", "localhost"), **settings) as at:
        client = at.client(**json.loads(metadata.replace("https://album.example", url)))
        environment = {
            "PATH": os.environ["PATH"],
            "ISSUER_BASE_URL": at.issuer,
            "BASE_URL": url,
            "CLIENT_ID": client.client_id,
            "SECRET": "a secret for cookies and nothing else",
            "PRIVATE_KEY": pem("rsa"),
        }
        if client.client_secret:
            environment["CLIENT_SECRET"] = client.client_secret
        with _running(source, folder, environment, node_modules):
            yield Album(at, url)


def _with(client: str, **metadata: Any) -> str:
    """Return the client with this metadata, too."""
    return json.dumps(json.loads(client) | metadata)


@contextmanager
def _running(source: str, folder: Path, environment: dict[str, str], node_modules: Path) -> Iterator[None]:
    (folder / "node_modules").symlink_to(node_modules)
    (folder / "app.mjs").write_text(source)
    command = [shutil.which("node") or "node", "app.mjs"]
    with (
        subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process,
        ended(process),
    ):
        assert process.stdout is not None
        assert "ready\n" in iter(process.stdout.readline, "")
        yield


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, node_modules: Path) -> Iterator[Album]:
    """The application that gets a code, at a server with the default features."""
    folder = tmp_path_factory.mktemp("album")
    with _album(CODE + _REFRESH, CODE_CLIENT, "127.0.0.1", folder, node_modules) as running:
        yield running


@pytest.fixture(scope="module")
def old_album(tmp_path_factory: pytest.TempPathFactory, node_modules: Path) -> Iterator[Album]:
    """The application that gets an ID token in a form, on another site than the server."""
    folder, features = tmp_path_factory.mktemp("old"), {"hybrid": True}
    client = _with(OLD_CLIENT, application_type="native")
    with _album(AS_IT_COMES, client, "localhost", folder, node_modules, features=features) as running:
        yield running


def _sign_in(page: "Page", album: Album, user: User, button: str | None = "#consent-allow") -> str:
    """Ask for a page that only people see; return the session of the server that was begun for it."""
    known = album.sessions(user)
    page.goto(f"{album.url}/profile")
    page.fill("#username", user.username)
    page.fill("#password", PASSWORD)
    page.click("#login-submit")
    if button is not None:
        page.click(button)
    page.wait_for_url(f"{album.url}/*")
    (begun,) = album.sessions(user) - known
    return begun


def _json(page: "Page") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(page.inner_text("body"))
    return document


def _who(page: "Page", album: Album) -> str:
    page.goto(album.url)
    return page.inner_text("body")


def test_an_application_pushes_its_request_and_gets_a_code_tokens_userinfo_and_newer_tokens(
    album: Album, new_page: NewPage
):
    page = new_page()
    with page.expect_request(lambda request: urlsplit(request.url).path == "/authorize") as asked:
        _sign_in(page, album, album.person("alice"))
    assert parse_qs(urlsplit(asked.value.url).query).keys() == {"client_id", "request_uri"}
    assert page.url == f"{album.url}/profile"
    assert (_json(page)["name"], _json(page)["email"]) == ("Alice Liddell", "alice@example.test")
    page.goto(f"{album.url}/refresh")
    assert _json(page) == {"renewed": True, "user": "Alice Liddell"}


def test_a_logout_at_the_application_is_one_at_the_server(album: Album, new_page: NewPage):
    page, berta = new_page(), album.person("berta")
    _sign_in(page, album, berta)
    page.goto(f"{album.url}/logout")
    assert (page.url, page.inner_text("body")) == (f"{album.url}/", "nobody")
    assert album.sessions(berta) == set()
    page.goto(f"{album.url}/profile")
    page.wait_for_selector("#username")


def test_the_application_is_told_of_an_end_elsewhere_and_ends_that_session_alone(album: Album, new_page: NewPage):
    page, other, carla = new_page(), new_page(), album.person("carla")
    sid = _sign_in(page, album, carla)
    _sign_in(other, album, carla, None)
    assert (_who(page, album), _who(other, album)) == ("somebody", "somebody")
    album.end(sid)
    assert (_who(page, album), _who(other, album)) == ("nobody", "somebody")


def test_an_application_with_a_key_signs_its_requests_and_needs_no_secret(
    tmp_path: Path, node_modules: Path, new_page: NewPage
):
    source = CODE.replace("    idpLogout: true,\n", f"    idpLogout: true,\n{KEYED}")
    assert source != CODE
    client = _with(
        CODE_CLIENT,
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [public_key("rsa")]},
        require_signed_request_object=True,
    )
    with _album(source, client, "127.0.0.1", tmp_path, node_modules) as album:
        page = new_page()
        _sign_in(page, album, album.person("alice"))
        assert _json(page)["name"] == "Alice Liddell"


def test_the_application_as_it_comes_gets_an_id_token_by_form_from_another_site(old_album: Album, new_page: NewPage):
    page = new_page()
    with page.expect_request(f"{old_album.url}/callback") as brought:
        _sign_in(page, old_album, old_album.person("alice"))
    assert brought.value.method == "POST"
    assert parse_qs(brought.value.post_data or "").keys() == {"id_token", "state", "iss"}
    assert page.url == f"{old_album.url}/profile"
    # There is no access token, so the claims of the scope are here.
    assert (_json(page)["name"], _json(page)["email"]) == ("Alice Liddell", "alice@example.test")
    page.goto(f"{old_album.url}/logout")
    assert (page.url, page.inner_text("body")) == (f"{old_album.url}/", "nobody")


def test_the_library_itself_ends_all_sessions_of_the_person(old_album: Album, new_page: NewPage):
    page, other, berta = new_page(), new_page(), old_album.person("berta")
    sid = _sign_in(page, old_album, berta)
    _sign_in(other, old_album, berta, None)
    old_album.end(sid)
    assert (_who(page, old_album), _who(other, old_album)) == ("nobody", "nobody")


def test_a_refusal_reaches_the_application_by_its_code(album: Album, old_album: Album, new_page: NewPage):
    for each in (album, old_album):
        page, dora = new_page(), each.person("dora")
        with page.expect_response(lambda response: urlsplit(response.url).path == "/callback") as answered:
            _sign_in(page, each, dora, "#consent-deny")
        assert (answered.value.status, page.inner_text("body")) == (400, "access_denied")

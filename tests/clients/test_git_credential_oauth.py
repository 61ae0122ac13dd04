"""git with git-credential-oauth, a Debian package in Go on golang.org/x/oauth2: the code grant of a native application.

Its version there knows no device flow, and no other package of the distribution has one in Go.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from pytest_authserver import AuthServer, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.clients.conftest import OPAQUE
from tests.servers.fixtures import give_up

_PATIENCE = 60  # seconds

# What opens the person's browser, and the person. A browser does not keep the program waiting that opened it.
OPEN = f"""#!{sys.executable}
import os, sys
import httpx2
from pytest_authserver.browser import Browser

with httpx2.Client(trust_env=False) as http:
    url = sys.argv[1]
    browser = Browser(http, url.partition("/authorize?")[0])
    page = browser.allow(browser.log_in(browser.visit(url), "alice", {PASSWORD!r}))
    if os.fork() == 0:
        httpx2.get(page.location, trust_env=False)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a browser in it, for git and its helper."""
    if shutil.which("git-credential-oauth") is None:
        give_up("there is no git-credential-oauth on PATH (Debian: apt-get install git-credential-oauth)")
    for name in ("open", "xdg-open"):
        (tmp_path / name).write_text(OPEN)
        (tmp_path / name).chmod(0o700)
    return tmp_path


def _git(home: Path, *arguments: str, text: str = "") -> str:
    environment = {
        "HOME": str(home),
        "PATH": f"{home}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "NO_PROXY": "*",
    }
    command = ["git", *arguments]
    done = subprocess.run(
        command, cwd=home, env=environment, input=text, capture_output=True, text=True, check=False, timeout=_PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _configure(home: Path, at: AuthServer, client: RegisteredClient) -> None:
    settings = {
        "oauthClientId": client.client_id,
        "oauthClientSecret": client.client_secret,
        "oauthScopes": "openid notes:read",
        "oauthAuthURL": "/authorize",
        "oauthTokenURL": "/token",
    }
    _git(home, "config", "--global", "credential.helper", "oauth")
    for name, value in settings.items():
        if value:
            _git(home, "config", "--global", f"credential.{at.issuer}.{name}", value)


@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
def test_git_signs_in_through_the_browser(server: AuthServer, home: Path, method: str):
    # Any port of loopback is taken (RFC 8252 7.3). Without a secret the library tries an empty one by Basic first, and
    # the same code again in the body: the first try spends nothing.
    client = server.client(
        application_type="native",
        redirect_uris=["http://127.0.0.1"],
        token_endpoint_auth_method=method,
        grant_types=["authorization_code"],
        scope="openid notes:read",
    )
    _configure(home, server, client)
    answer = _git(home, "credential", "fill", text=f"protocol=http\nhost={urlsplit(server.issuer).netloc}\n\n")
    credential = dict(line.split("=", 1) for line in answer.splitlines())
    token = credential["password"]
    bearer = {"Authorization": f"Bearer {token}"}
    userinfo = httpx2.get(f"{server.issuer}/userinfo", headers=bearer).raise_for_status().json()
    service = server.client(resource_server_for=[OPAQUE], grant_types=[], redirect_uris=None)
    told = server.introspect(service, token)
    # It names no resource, so the token is for the default one.
    assert (told["client_id"], told["scope"], told["aud"]) == (client.client_id, "openid notes:read", server.issuer)
    assert told["sub"] == userinfo["sub"]

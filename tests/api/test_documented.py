"""The worked examples of docs/management-api.md, run against the server as they stand there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from authserver.api.endpoint import OPERATIONS
from authserver.api.metadata import SCOPES
from pytest_authserver import AuthServer
from pytest_authserver.live import serving
from tests import documented

PAGE = "management-api.md"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[AuthServer]:
    """A server behind a port, with the management API."""
    with serving(tmp_path, features={"management_api": True}) as live:
        yield live


@pytest.fixture
def environment(at: AuthServer, tmp_path: Path) -> dict[str, str]:
    """What the examples find in their environment: the client that the page registers, above all."""
    registration = documented.blocks(PAGE, "json")[0].replace("https://login.example", at.issuer)
    client = at.client(**{"redirect_uris": None, **json.loads(registration)})
    return {
        "ISSUER": at.issuer,
        "CLIENT_ID": client.client_id,
        "CLIENT_SECRET": client.client_secret,
        "FOLDER": str(tmp_path),
        "ACCOUNT": "alice",
    }


def test_managing_with_curl(at: AuthServer, environment: dict[str, str], tmp_path: Path):
    documented.run_shell(documented.blocks(PAGE, "sh")[0], **environment)
    added, before, after, disabled = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("added", "before", "after", "disabled")
    )
    assert documented_members() <= added.keys()
    assert before["metadata"]["client_name"] == "Photo album"
    assert after["metadata"]["client_name"] == "Photo album and more"
    assert (after["disabled"], disabled["disabled"]) == (False, True)
    assert at.store.clients.get("photo-album") is None


def test_managing_with_python(at: AuthServer, environment: dict[str, str]):
    alice, client = at.user("alice"), at.client(trusted=True)
    token = at.tokens(client, alice)["access_token"]
    printed = documented.run_python(documented.blocks(PAGE, "python")[0], **environment)
    assert printed == f"api:{environment['CLIENT_ID']} revoked every token of {alice.sub}"
    assert at.get("/userinfo", token).status_code == 401


def test_the_page_names_every_scope_and_path_that_exists_and_no_other_one():
    text = (documented.DOCS / PAGE).read_text()
    assert set(re.findall(r"`(manage:[a-z:]+)`", text)) == set(SCOPES)
    paths = {f"/manage{operation.path}" for operation in OPERATIONS}
    assert set(re.findall(r"(/manage/[a-z/-]+)", text)) <= paths


def documented_members() -> set[str]:
    """Return the members of the answer that the page shows."""
    members: dict[str, str] = json.loads(documented.blocks(PAGE, "json")[1])
    return set(members)

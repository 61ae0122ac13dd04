"""The Model Context Protocol's SDK for TypeScript against an MCP server that is guarded by `resourceserver`.

https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization; the SDK leaves `state` and `iss` of the
answer to the program around it, so the script compares them.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.clients.conftest import Visit
from tests.notes_over_mcp import CALLBACK, SCOPES, TOOLS, Notes, notes

__all__ = ["notes"]

RunNode = Callable[..., dict[str, Any]]
DISCOVERED = ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server"]


@pytest.mark.parametrize("how", ["document", "registration"])
def test_the_sdk_goes_from_a_401_to_a_tool_and_on_with_a_refreshed_token(
    notes: Notes, run_node: RunNode, visit_at: Visit, how: str
):
    asked: dict[str, str] = {}
    visit = visit_at(notes.at)

    def answer(url: str) -> str:
        asked.update(parse_qsl(urlsplit(url).query))
        return visit(url)

    # Those that register do it with localhost, too, and do not say that they are native.
    callback = CALLBACK if how == "document" else CALLBACK.replace("127.0.0.1", "localhost")
    told = {"resource": notes.resource, "redirect_uri": callback, "text": f"with a {how}"}
    report = run_node("mcp.mjs", told | ({"document": notes.document} if how == "document" else {}), answer)
    assert report["unauthorized"] is True
    registration = [] if how == "document" else ["/register"]
    assert _paths(report["first"]) == [*DISCOVERED, *registration, "/token"]
    assert (report["client_id"] == notes.document) is (how == "document")
    assert (asked["resource"], asked["redirect_uri"]) == (notes.resource, callback)
    assert (asked["code_challenge_method"], asked["scope"]) == ("S256", " ".join(SCOPES))
    assert report["scope"] == " ".join(SCOPES)
    assert (report["tools"], report["added"]) == (TOOLS, "kept")
    # It adds no offline_access, and gets a refresh token all the same.
    assert _paths(report["second"]) == ["/token"]
    assert report["notes"][-1] == f"with a {how}"
    forms = [each["form"] for part in ("first", "second") for each in report[part] if each["path"] == "/token"]
    assert [form["grant_type"] for form in forms] == ["authorization_code", "refresh_token"]
    assert [form["resource"] for form in forms] == [notes.resource] * 2
    old, new = report["tokens"]
    assert old["refresh_token"] != new["refresh_token"]
    for token in (old, new):
        assert notes.told(token["access_token"])["aud"] == notes.resource


def _paths(requests: list[dict[str, Any]]) -> list[str]:
    """Return where it went, calls of the MCP server left out."""
    return [each["path"] for each in requests if each["path"] != "/mcp"]

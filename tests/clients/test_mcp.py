"""The Model Context Protocol's SDK for Python against an MCP server that is guarded by `resourceserver` (docs/mcp.md).

https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization
"""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from tests import documented, event_loop
from tests.clients.conftest import Answer, Visit
from tests.notes_over_mcp import CALLBACK, OTHER, PAGE, SCOPES, TOOLS, Notes, notes

__all__ = ["notes"]

PROTECTED, AUTHORIZATION = "/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server"


class Program:
    """An MCP client as its author would write it: it keeps what it gets, and opens the person's browser."""

    def __init__(self, notes: Notes, visit: Answer, document: str | None = None) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None
        self.asked: dict[str, str] = {}
        self.sent: list[httpx2.Request] = []
        self._resource = notes.resource
        self._visit = visit
        self._callback = ""
        self.provider = OAuthClientProvider(
            notes.resource,
            OAuthClientMetadata(client_name="Notes client", redirect_uris=[CALLBACK]),
            self,
            self._open,
            self._returned,
            client_metadata_url=document,
        )

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info

    async def _open(self, url: str) -> None:
        self.asked = dict(parse_qsl(urlsplit(url).query))
        self._callback = await asyncio.to_thread(self._visit, url)

    async def _returned(self) -> AuthorizationCodeResult:
        assert self._callback.startswith(f"{CALLBACK}?")
        return AuthorizationCodeResult(**dict(parse_qsl(urlsplit(self._callback).query)))

    def use(self, *tools: tuple[str, dict[str, str]]) -> list[Any]:
        """Connect, call the tools, and return what they answered; the names of all tools are the first answer."""
        return event_loop.run(self._use(*tools))

    async def _use(self, *tools: tuple[str, dict[str, str]]) -> list[Any]:
        async def remember(request: httpx2.Request) -> None:
            self.sent.append(request)

        async with create_mcp_http_client(auth=self.provider) as http:
            http.event_hooks = {"request": [remember]}
            async with Client(streamable_http_client(self._resource, http_client=http)) as client:
                answers: list[Any] = [sorted(tool.name for tool in (await client.list_tools()).tools)]
                for name, arguments in tools:
                    result = await client.call_tool(name, arguments)
                    assert not result.is_error, result
                    answers.append(result.structured_content["result"])
                return answers

    @property
    def paths(self) -> list[str]:
        """Where it went, calls of the MCP server left out but for the first."""
        paths = [urlsplit(str(request.url)).path for request in self.sent]
        return [path for number, path in enumerate(paths) if number == 0 or path != "/mcp"]

    def posted(self, path: str) -> dict[str, list[str]]:
        """Return the form of its last request to a path."""
        (*_, request) = [request for request in self.sent if urlsplit(str(request.url)).path == path]
        return parse_qs(request.content.decode())


@pytest.mark.parametrize("how", ["document", "registration"])
def test_the_sdk_goes_from_a_401_to_a_tool_and_on_with_a_refreshed_token(notes: Notes, visit_at: Visit, how: str):
    program = Program(notes, visit_at(notes.at), notes.document if how == "document" else None)
    assert program.use(("add_note", {"text": how})) == [TOOLS, "kept"]
    registration = [] if how == "document" else ["/register"]
    assert program.paths == ["/mcp", PROTECTED, AUTHORIZATION, *registration, "/token"]
    _check_request(program, notes)
    first = program.tokens
    told = notes.told(first.access_token)
    assert (told["active"], told["aud"], told["client_id"]) == (True, notes.resource, program.client.client_id)
    assert (program.client.client_id == notes.document) is (how == "document")
    # Its own idea of the token's end is put behind: it refreshes by itself, and nobody is asked.
    program.provider.context.token_expiry_time = 1
    program.asked, program.sent = {}, []
    assert how in program.use(("list_notes", {}))[1]
    assert program.paths == ["/token"]
    assert program.posted("/token")["grant_type"] == ["refresh_token"]
    assert program.posted("/token")["resource"] == [notes.resource]
    assert program.asked == {}
    assert program.tokens.refresh_token != first.refresh_token
    assert notes.told(program.tokens.access_token)["aud"] == notes.resource


def _check_request(program: Program, notes: Notes) -> None:
    asked, form = program.asked, program.posted("/token")
    assert asked["resource"] == notes.resource
    assert form["resource"] == [notes.resource]
    assert (asked["code_challenge_method"], len(asked["code_challenge"])) == ("S256", 43)
    assert len(form["code_verifier"][0]) == 128
    # The scope of the challenge, and what a refresh token needs, since the server knows it.
    assert asked["scope"].split() == [*SCOPES, "offline_access"]
    assert program.tokens.scope.split() == asked["scope"].split()


def test_the_sdk_asks_for_more_where_its_token_is_not_enough(notes: Notes, visit_at: Visit):
    program = Program(notes, visit_at(notes.at), notes.document)
    program.use()
    small = httpx2.post(
        f"{notes.at.issuer}/token",
        data={
            "grant_type": "refresh_token",
            "refresh_token": program.tokens.refresh_token,
            "client_id": notes.document,
            "scope": "notes:read",
        },
    ).json()
    assert small["scope"] == "notes:read"
    later = Program(notes, visit_at(notes.at), notes.document)
    later.tokens, later.client = OAuthToken.model_validate(small), program.client
    assert later.use() == [TOOLS]
    assert later.asked["scope"].split()[:2] == ["notes:read", "notes:write"]
    assert set(later.tokens.scope.split()) >= set(SCOPES)


def _call(notes: Notes, token: str | None) -> httpx2.Response:
    headers = {"Accept": "application/json, text/event-stream"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    return httpx2.post(notes.resource, json=asked, headers=headers)


def test_the_mcp_server_refuses_what_is_not_meant_for_it(notes: Notes):
    at, scope = notes.at, " ".join(SCOPES)
    alice = at.store.users.by_login("alice")
    web = at.client(trusted=True, scope=f"openid {scope}")
    good = at.tokens(web, alice, scope=scope, resource=notes.resource)["access_token"]
    assert _call(notes, good).status_code == 200
    elsewhere = at.tokens(web, alice, scope=scope, resource=OTHER)["access_token"]
    small = at.tokens(web, alice, scope="notes:read", resource=notes.resource)["access_token"]
    for token, status, error in ((elsewhere, 401, "invalid_token"), (small, 403, "insufficient_scope")):
        answer = _call(notes, token)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
        challenge = answer.headers["www-authenticate"]
        assert f'error="{error}"' in challenge
        assert f'resource_metadata="{notes.resource.replace("/mcp", PROTECTED)}"' in challenge


def test_looking_at_it_with_curl(notes: Notes):
    (source,) = documented.blocks(PAGE, "sh")
    metadata = notes.resource.replace("/mcp", PROTECTED)
    head, _, document = documented.run_shell(source, RESOURCE=notes.resource, METADATA=metadata).partition("\n\n")
    port = urlsplit(notes.resource).port
    shown = documented.blocks(PAGE, "json")[0].replace("http://localhost:9000", notes.at.issuer)
    assert json.loads(document) == json.loads(shown.replace(":8000/", f":{port}/"))
    assert head.startswith("HTTP/1.1 401")
    assert f'www-authenticate: Bearer scope="{" ".join(SCOPES)}", resource_metadata="{metadata}"' in head

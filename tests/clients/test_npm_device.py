"""openid-client from npm on a device without a browser (RFC 8628)."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from pytest_authserver import AuthServer, Browser
from pytest_authserver.server import PASSWORD
from tests.clients.conftest import Answer
from tests.devices import device_client

RunNode = Callable[..., dict[str, Any]]
SCRIPT = "openid_client_device.mjs"
SCOPE = "openid profile offline_access"


@pytest.fixture
def press(server: AuthServer) -> Iterator[Callable[[str], Answer]]:
    """A function that gives a function that opens the link of a device, signs in, and presses this button."""
    with ExitStack() as stack:

        def with_button(button: str) -> Answer:
            def visit(url: str) -> str:
                browser = Browser(stack.enter_context(httpx2.Client(trust_env=False)), server.issuer)
                page = browser.log_in(browser.submit(browser.visit(url), "device-submit"), "alice", PASSWORD)
                return browser.submit(page, button).url

            return visit

        yield with_button


def _asked(server: AuthServer, **more: Any) -> dict[str, Any]:
    return {"issuer": server.issuer, "client_id": device_client(server).client_id, "scope": SCOPE, **more}


@pytest.mark.parametrize("dpop", [False, True])
def test_openid_client_connects_a_device(
    server: AuthServer, run_node: RunNode, press: Callable[[str], Answer], *, dpop: bool
):
    report = run_node(SCRIPT, _asked(server, dpop=dpop), press("device-allow"))
    assert report["userinfo"]["name"] == "Alice Liddell"
    assert report["userinfo"]["sub"] == report["claims"]["sub"]
    assert (report["scope"], report["type"]) == (SCOPE, "dpop" if dpop else "bearer")


def test_openid_client_understands_a_denial(server: AuthServer, run_node: RunNode, press: Callable[[str], Answer]):
    assert run_node(SCRIPT, _asked(server), press("device-deny"))["error"] == "access_denied"

"""pytest-authserver: the real authorization server as a fixture for people who write OAuth clients."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_authserver.browser import Browser, Form, Page
    from pytest_authserver.live import serving
    from pytest_authserver.records import Allowed, Pkce, RegisteredClient
    from pytest_authserver.server import AuthServer

__all__ = ["Allowed", "AuthServer", "Browser", "Form", "Page", "Pkce", "RegisteredClient", "serving"]

_ROOMS = {
    "AuthServer": "server",
    "Browser": "browser",
    "Form": "browser",
    "Page": "browser",
    "serving": "live",
}


def __getattr__(name: str) -> Any:
    """Import when asked: pytest loads this package in every run, also in those that need no server."""
    if name in __all__:
        return getattr(import_module(f"pytest_authserver.{_ROOMS.get(name, 'records')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

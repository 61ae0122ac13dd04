"""pytest-authserver: the real authorization server as a fixture for people who write OAuth clients."""

from pytest_authserver.browser import Browser, Page
from pytest_authserver.server import AuthServer, RegisteredClient

__all__ = ["AuthServer", "Browser", "Page", "RegisteredClient"]

"""Keeps the suite on this machine: names do not resolve, only loopback is reached, protocol tests open no socket."""

import ipaddress
import socket
import sys

import pytest

SILENT = ("tests/oauth/", "tests/oidc/")
"""Folders whose tests speak to functions, never to sockets."""

_silent = False


class NetworkUsedError(BaseException):
    """A test reached for the network; not an Exception, so that no handler of the product swallows it."""


def _literal(host: str) -> bool:
    try:
        # Takes the old spellings too (127.1, 0x7f000001): they are numbers to the resolver, so nobody is asked.
        socket.inet_aton(host)
    except OSError:
        try:
            ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
    return True


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0]
        if isinstance(host, str) and host not in ("", "localhost") and not _literal(host):
            raise socket.gaierror(socket.EAI_NONAME, "names do not resolve in tests")
    elif event in ("socket.connect", "socket.sendto", "socket.bind"):
        address = arguments[1]
        if not isinstance(address, tuple):
            return
        if _silent:
            raise NetworkUsedError(f"a test of {' or '.join(SILENT)} opened a socket")
        if not _loopback(str(address[0])):
            raise NetworkUsedError("a test reached for an address that is not on loopback")


sys.addaudithook(_watch)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> object:
    global _silent  # noqa: PLW0603 - an audit hook cannot be removed, only told
    _silent = item.nodeid.startswith(SILENT)
    try:
        return (yield)
    finally:
        _silent = False

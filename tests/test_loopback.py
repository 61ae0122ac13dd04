"""The guard around the suite, tried from inside."""

import socket

import pytest

from tests.loopback import NetworkUsedError


def test_names_do_not_resolve_in_tests() -> None:
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("authserver.example", 443)


def test_numbers_and_localhost_still_do() -> None:
    assert socket.getaddrinfo("localhost", 80)
    assert socket.getaddrinfo("192.0.2.1", 80)


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_other_addresses_are_not_reached(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as client, pytest.raises(NetworkUsedError):
        client.connect((address, 9))


def test_loopback_is_open_to_tests() -> None:
    with socket.socket() as listener, socket.socket() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
        accepted, address = listener.accept()
        accepted.close()
        assert address == client.getsockname()


def test_protocol_tests_open_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.loopback._silent", True)
    with socket.socket() as listener, pytest.raises(NetworkUsedError):
        listener.bind(("127.0.0.1", 0))

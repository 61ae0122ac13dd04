"""Whose address a request has: forwarded headers count only from configured proxies (RFC 7239 8.1)."""

import pytest

from authserver.settings import Settings
from authserver.web.proxy import client_address

PROXY, OTHER, CLIENT, LIAR = "192.0.2.1", "192.0.2.77", "203.0.113.9", "198.51.100.66"


def _address(forwarded: str | None, *, peer: str = PROXY, trusted: str = "192.0.2.0/24") -> str:
    environ = {"REMOTE_ADDR": peer}
    if forwarded is not None:
        environ["HTTP_X_FORWARDED_FOR"] = forwarded
    return client_address(environ, Settings(development=True, trusted_proxies=trusted))


def test_without_a_configured_proxy_the_header_means_nothing():
    assert _address(CLIENT, trusted="") == PROXY


def test_from_a_stranger_the_header_means_nothing():
    assert _address(CLIENT, peer=LIAR) == LIAR


def test_a_configured_proxy_names_the_client():
    assert _address(CLIENT) == CLIENT


def test_of_several_proxies_each_is_passed():
    assert _address(f"{CLIENT}, {OTHER}") == CLIENT


def test_what_the_client_itself_wrote_is_not_believed():
    assert _address(f"{LIAR}, {CLIENT}") == CLIENT
    assert _address(f"{LIAR},{CLIENT} , {OTHER}") == CLIENT


@pytest.mark.parametrize("forwarded", [None, "", " ", ",", ", ,"])
def test_without_a_value_the_peer_is_the_client(forwarded: str | None):
    assert _address(forwarded) == PROXY


@pytest.mark.parametrize("forwarded", ["x", "unknown", "_hidden", "\xff", "1.2.3.4.5", "a" * 5000, "203.0.113.9:1234"])
def test_what_is_no_address_is_nobodys_proxy_and_no_failure(forwarded: str):
    assert _address(forwarded) == forwarded.strip()


def test_version_6_works_alike():
    assert _address("2001:db8::9", peer="2001:db8:1::1", trusted="2001:db8:1::/48") == "2001:db8::9"
    assert _address("2001:db8::9", peer="192.0.2.1", trusted="2001:db8:1::/48") == "192.0.2.1"

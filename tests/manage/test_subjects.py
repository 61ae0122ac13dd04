"""What a client may register about the subject of its certificate (RFC 8705 2.1.2)."""

from typing import Any

import pytest

from authserver.manage.errors import InvalidMetadata
from authserver.manage.subjects import distinguished_name, dns_name, email, ip, uri
from authserver.oauth.mtls import CLIENT_METADATA
from tests.manage.conftest import Register, refusal
from tests.manage.test_jwks import EC

DN = "tls_client_auth_subject_dn"
METHOD = {"token_endpoint_auth_method": "tls_client_auth", "members": CLIENT_METADATA}


@pytest.mark.parametrize(
    ("member", "given", "stored"),
    [
        ("subject_dn", "CN=client,O=Example,C=NZ", None),
        ("subject_dn", "cn=client+uid=7,dc=example,dc=test", None),
        ("subject_dn", "2.5.4.3=client", None),
        ("subject_dn", "CN=Sm\N{LATIN SMALL LETTER O WITH STROKE}r,O=a\\, b", None),
        ("san_dns", "Client.Example.test", "client.example.test"),
        ("san_dns", "localhost", None),
        ("san_uri", "spiffe://example.test/client", None),
        ("san_ip", "192.0.2.7", None),
        ("san_ip", "2001:DB8:0:0::7", "2001:db8::7"),
        ("san_email", "client@example.test", None),
    ],
)
def test_one_subject_is_registered(register: Register, member: str, given: str, stored: str | None):
    name = f"tls_client_auth_{member}"
    assert register(**METHOD, **{name: given})[name] == (stored or given)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "client",
        "CN",
        "CN=",
        "CN=a, O=b",
        "CN=a;O=b",
        "/CN=a/O=b",
        "CN=a,",
        ",CN=a",
        "CN = a",
        'CN="a"',
        "XX=a",
        "CN=#0c0161",
        "CN=#040161",
        "CN=a\\",
        "CN=a\\00",
        "CN=a\\0A",
        "CN=a\n",
        "CN=\\ff",
        "C=NZL",
        "CN=" + "a" * 2000,
        None,
        1,
        True,
        ["CN=a"],
        {"CN": "a"},
    ],
)
def test_what_is_no_distinguished_name_is_refused(value: Any):
    with pytest.raises(InvalidMetadata) as refused:
        distinguished_name(DN, value)
    assert refused.value.member == DN


@pytest.mark.parametrize(
    "value", ["", "*.example.test", "a b", "a..b", ".a", "a.", "a/b", "a" * 64, "\N{SNOWMAN}.test", 1]
)
def test_what_is_no_dns_name_is_refused(value: Any):
    with pytest.raises(InvalidMetadata):
        dns_name("tls_client_auth_san_dns", value)


@pytest.mark.parametrize("value", ["", "client", "://x", "urn: x", "urn:\N{SNOWMAN}", "urn:a\n", 1])
def test_what_is_no_uri_is_refused(value: Any):
    with pytest.raises(InvalidMetadata):
        uri("tls_client_auth_san_uri", value)


@pytest.mark.parametrize(
    "value", ["", "127.1", "0x7f.1.1.1", "192.0.2.0/24", "192.0.2.07", "::1%eth0", "[::1]", "a", 1]
)
def test_what_is_no_address_is_refused(value: Any):
    with pytest.raises(InvalidMetadata):
        ip("tls_client_auth_san_ip", value)


@pytest.mark.parametrize("value", ["", "client", "@example.test", "a@", "a@b@c", "a b@c", "a@b c", "a@b\n", 1])
def test_what_is_no_email_address_is_refused(value: Any):
    with pytest.raises(InvalidMetadata):
        email("tls_client_auth_san_email", value)


@pytest.mark.parametrize(
    ("members", "named"),
    [
        (METHOD, DN),
        ({**METHOD, DN: "CN=a", "tls_client_auth_san_dns": "a.test"}, DN),
        ({**METHOD, "tls_client_auth_san_ip": "::1", "tls_client_auth_san_dns": "a.test"}, "tls_client_auth_san_ip"),
        ({**METHOD, "token_endpoint_auth_method": "client_secret_basic", DN: "CN=a"}, DN),
        (
            {**METHOD, "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": {"keys": [EC]}, DN: "CN=a"},
            DN,
        ),
        ({**METHOD, "token_endpoint_auth_method": "self_signed_tls_client_auth"}, "jwks"),
    ],
)
def test_exactly_one_subject_stands_beside_its_method(register: Register, members: dict[str, Any], named: str):
    assert refusal(register, **members).member == named


def test_a_client_with_a_certificate_has_no_secret(register: Register):
    assert "client_secret" not in register(**METHOD, **{DN: "CN=a"})
    keys = {"token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": {"keys": [EC]}}
    assert "client_secret" not in register(**keys)
    assert "client_secret" not in register(**{**keys, "jwks": None, "jwks_uri": "https://client.example/jwks"})

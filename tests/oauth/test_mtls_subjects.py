"""The subject of a certificate against what the client has registered (RFC 8705 2.1.2; RFC 4514, RFC 5280 4.2.1.6)."""

from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from pytest_authserver import AuthServer, RegisteredClient
from tests.certificates import Certificate, issue, key
from tests.mtls import CA, SUBJECT, assert_known, assert_unknown, by_subject, pki, server

__all__ = ["pki", "server"]


@pytest.mark.parametrize(
    ("registered", "subject"),
    [
        (SUBJECT, SUBJECT),
        ("cn=client,ou=Machines,o=Example,c=NZ", SUBJECT),
        (r"CN=\63lient,OU=Machines,O=Example,C=NZ", SUBJECT),
        ("2.5.4.3=client,2.5.4.11=Machines,2.5.4.10=Example,2.5.4.6=NZ", SUBJECT),
        ("CN=a+OU=b,O=c", "OU=b+CN=a,O=c"),
        (r"CN=Sm\C3\B8rrebr\C3\B8d\2C Inc.,O=c", r"CN=Smørrebrød\, Inc.,O=c"),
        ("serialNumber=4711,organizationIdentifier=PSDNZ-X-1,CN=a", "2.5.4.5=4711,2.5.4.97=PSDNZ-X-1,CN=a"),
        ("emailAddress=a@b.test,CN=a", "1.2.840.113549.1.9.1=a@b.test,CN=a"),
    ],
)
def test_a_distinguished_name_is_compared_part_by_part(server: AuthServer, registered: str, subject: str):
    client = by_subject(server, tls_client_auth_subject_dn=registered)
    assert_known(server, client, issue(subject, key(2), CA))


@pytest.mark.parametrize(
    "subject",
    [
        "C=NZ,O=Example,OU=Machines,CN=client",
        "OU=Machines,CN=client,O=Example,C=NZ",
        "CN=client,O=Example,C=NZ",
        "CN=client,OU=Machines,O=Example,C=NZ,DC=test",
        "DC=test,CN=client,OU=Machines,O=Example,C=NZ",
        "CN=client,OU=Machines,OU=Machines,O=Example,C=NZ",
        "CN=client+OU=Machines,O=Example,C=NZ",
        "CN=Client,OU=Machines,O=Example,C=NZ",
        "CN=client\\ ,OU=Machines,O=Example,C=NZ",
        "CN=\\ client,OU=Machines,O=Example,C=NZ",
        "CN=client\\00,OU=Machines,O=Example,C=NZ",
        "CN=client\\,OU\\=Machines\\,O\\=Example\\,C\\=NZ",
        "CN=client\\,OU\\=Machines,O=Example,C=NZ",
        "O=client,OU=Machines,CN=Example,C=NZ",
        "CN=cl\N{CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I}ent,OU=Machines,O=Example,C=NZ",
        "CN=cli\u200bent,OU=Machines,O=Example,C=NZ",
        "",
    ],
)
def test_any_other_distinguished_name_is_another_subject(server: AuthServer, pki: RegisteredClient, subject: str):
    assert_unknown(server, pki, issue(subject, key(2), CA))


@pytest.mark.parametrize("kind", [_ASN1Type.UTF8String, _ASN1Type.PrintableString, _ASN1Type.BMPString])
def test_the_type_of_a_text_in_a_name_does_not_count(server: AuthServer, kind: _ASN1Type):
    client = by_subject(server, tls_client_auth_subject_dn="CN=client,O=Example")
    parts = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example", kind),
        x509.NameAttribute(NameOID.COMMON_NAME, "client", kind),
    ]
    assert_known(server, client, issue(x509.Name(parts), key(2), CA))


SANS = [
    ("dns", "client.test", x509.DNSName("client.test")),
    ("dns", "CLIENT.test", x509.DNSName("client.TEST")),
    ("uri", "spiffe://test/client?a=1", x509.UniformResourceIdentifier("spiffe://test/client?a=1")),
    ("uri", "urn:example:client", x509.UniformResourceIdentifier("urn:example:client")),
    ("ip", "192.0.2.7", x509.IPAddress(ip_address("192.0.2.7"))),
    ("ip", "2001:DB8:0::7", x509.IPAddress(ip_address("2001:db8::7"))),
    ("email", "client@example.test", x509.RFC822Name("client@example.test")),
]


@pytest.mark.parametrize(("member", "value", "name"), SANS)
def test_an_alternative_name_is_compared_in_full(server: AuthServer, member: str, value: str, name: x509.GeneralName):
    client = by_subject(server, **{f"tls_client_auth_san_{member}": value})
    assert_known(server, client, issue("CN=any", key(2), CA, names=[x509.DNSName("first.test"), name]))
    assert_unknown(server, client, issue(f"CN={value.partition(':')[0]}", key(2), CA))
    assert_unknown(server, client, issue("CN=any", key(2), CA, names=[x509.DNSName("first.test")]))


@pytest.mark.parametrize(
    ("member", "value", "name"),
    [
        ("dns", "client.test", x509.DNSName("other.test")),
        ("dns", "client.test", x509.DNSName("*.test")),
        ("dns", "client.test", x509.DNSName("client.test.evil.test")),
        ("dns", "client.test", x509.DNSName("my.client.test")),
        ("dns", "client.test", x509.DNSName("client.test.")),
        ("dns", "client.test", x509.UniformResourceIdentifier("client.test")),
        ("dns", "client.test", x509.RFC822Name("client.test")),
        ("uri", "https://client.test/", x509.UniformResourceIdentifier("https://client.test")),
        ("uri", "https://client.test/", x509.UniformResourceIdentifier("HTTPS://client.test/")),
        ("uri", "https://client.test/", x509.DNSName("client.test")),
        ("ip", "192.0.2.7", x509.IPAddress(ip_address("192.0.2.8"))),
        ("ip", "192.0.2.7", x509.IPAddress(ip_address("::ffff:192.0.2.7"))),
        ("ip", "192.0.2.7", x509.DNSName("192.0.2.7")),
        ("email", "client@example.test", x509.RFC822Name("Client@example.test")),
        ("email", "client@example.test", x509.RFC822Name("other@example.test")),
    ],
)
def test_any_other_alternative_name_is_another_subject(
    server: AuthServer, member: str, value: str, name: x509.GeneralName
):
    client = by_subject(server, **{f"tls_client_auth_san_{member}": value})
    assert_unknown(server, client, issue(SUBJECT, key(2), CA, names=[name]))


@pytest.mark.filterwarnings("ignore:Attribute's length:UserWarning")
@pytest.mark.parametrize(
    "parts",
    [
        [(NameOID.COMMON_NAME, "x" * 3000)],
        [(NameOID.COMMON_NAME, "")],
        [(NameOID.COUNTRY_NAME, "NZL")],
        [(NameOID.COMMON_NAME, "client\0.evil")],
        [(NameOID.COMMON_NAME, "client")] * 300,
    ],
)
def test_a_strange_subject_is_another_one(
    server: AuthServer, pki: RegisteredClient, parts: list[tuple[x509.ObjectIdentifier, str]]
):
    name = x509.Name([x509.NameAttribute(oid, text, _validate=False) for oid, text in parts])
    assert_unknown(server, pki, issue(name, key(2), CA))


def test_a_subject_that_cannot_be_read_names_nobody(server: AuthServer, pki: RegisteredClient):
    leaf = issue("CN=0client", key(2), CA)
    # The common name as a BIT STRING, which no library writes; signed again by ecdsa-with-SHA256.
    signed = leaf.x509.tbs_certificate_bytes.replace(b"\x0c\x070client", b"\x03\x07\0client")
    signature = b"\0" + CA.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    content = signed + algorithm + bytes([3, len(signature)]) + signature
    der = b"\x30\x82" + len(content).to_bytes(2) + content
    assert_unknown(server, pki, Certificate(x509.load_der_x509_certificate(der), leaf.key))


def test_alternative_names_that_cannot_be_read_name_nobody(server: AuthServer):
    client = by_subject(server, tls_client_auth_san_dns="client.test")
    san = x509.ObjectIdentifier("2.5.29.17")
    for octets in (
        b"",
        b"\x30\x00",
        b"\x30\x03\x82\x01",
        b"\x30\x03\x82\x01\xff",
        b"\x30\x03\x87\x01\x01",
        b"\x05\x00",
    ):
        leaf = issue("CN=any", key(2), CA, more=[(x509.UnrecognizedExtension(san, octets), False)])
        assert_unknown(server, client, leaf)

"""Client authentication by a certificate of a known authority (RFC 8705 2.1; RFC 5280 6.1)."""

from base64 import b64encode
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from authserver.settings import SettingsError
from pytest_authserver import AuthServer, RegisteredClient
from tests.certificates import SERVER_AUTH, Certificate, authority, issue, key, numbered
from tests.mtls import (
    CA,
    DAY,
    LEAF,
    OTHER,
    SUBJECT,
    ask,
    assert_known,
    assert_unknown,
    by_subject,
    make,
    pki,
    server,
)
from tests.signing import pem
from tests.world import assert_refused

__all__ = ["pki", "server"]

OTHER_CA = authority(number=4)


def test_the_subject_of_a_known_authority_authenticates(server: AuthServer, pki: RegisteredClient):
    for certificate in (LEAF, OTHER, issue(SUBJECT, key(2), CA, purposes=())):
        assert_known(server, pki, certificate)


def test_an_intermediate_authority_counts_where_it_is_in_the_file(tmp_path: Path):
    between = issue("CN=Between", key(5), CA, authority=True)
    leaf = issue(SUBJECT, key(2), between)
    for bundle, good in (([CA], False), ([between], True), ([CA, between], True)):
        folder = tmp_path / str(len(bundle)) / str(good)
        folder.mkdir(parents=True)
        file = folder / "more.pem"
        file.write_text("".join(each.pem for each in bundle))
        made = make(folder, mtls={"ca_file": file})
        client = by_subject(made, tls_client_auth_subject_dn=SUBJECT)
        (assert_known if good else assert_unknown)(made, client, leaf)
        made.close()


def _weak() -> Certificate:
    return issue(SUBJECT, load_pem_private_key(pem("rsa_short").encode(), None), CA)


def _strange() -> Certificate:
    return issue(SUBJECT, ec.derive_private_key(4711, ec.SECP256K1()), CA)


UNTRUSTED = {
    "another authority of the same name": lambda: issue(SUBJECT, key(2), OTHER_CA),
    "itself": lambda: issue(SUBJECT, key(2)),
    "a leaf as the issuer": lambda: issue(SUBJECT, key(3), LEAF),
    "an authority itself": lambda: issue(SUBJECT, key(2), CA, authority=True),
    "expired": lambda: issue(SUBJECT, key(2), CA, days=(-9, -0.001)),
    "not yet valid": lambda: issue(SUBJECT, key(2), CA, days=(0.01, 9)),
    "for servers only": lambda: issue(SUBJECT, key(2), CA, purposes=(SERVER_AUTH,)),
    "with a critical extension that nobody knows": lambda: issue(
        SUBJECT,
        key(2),
        CA,
        more=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)],
    ),
    "a key of 1024 bits": _weak,
    "a curve that is not accepted": _strange,
}


@pytest.mark.parametrize("name", UNTRUSTED)
def test_the_right_subject_is_not_enough_7_4(server: AuthServer, pki: RegisteredClient, name: str):
    assert_unknown(server, pki, UNTRUSTED[name]())


def test_a_certificate_and_its_authority_run_out(server: AuthServer, pki: RegisteredClient):
    with server.later(29 * DAY):
        assert_known(server, pki, LEAF)
    with server.later(31 * DAY):
        assert_unknown(server, pki, LEAF)
        assert_unknown(server, pki, issue(SUBJECT, key(2), CA, days=(-1, 90)))


def test_a_name_constraint_of_the_authority_holds(tmp_path: Path):
    constraint = x509.NameConstraints([x509.DNSName("good.test")], None)
    narrow = issue("CN=Narrow", key(6), authority=True, more=[(constraint, True)])
    file = tmp_path / "narrow.pem"
    file.write_text(narrow.pem)
    made = make(tmp_path, mtls={"ca_file": file})
    for host, good in (("client.good.test", True), ("client.bad.test", False)):
        client = by_subject(made, tls_client_auth_san_dns=host)
        leaf = issue("CN=x", key(2), narrow, names=[x509.DNSName(host)])
        (assert_known if good else assert_unknown)(made, client, leaf)
    made.close()


@pytest.mark.parametrize(
    "value",
    numbered(
        "rubbish",
        "-----BEGIN%20CERTIFICATE-----",
        f"{LEAF.escaped},{LEAF.escaped}",
        f"{LEAF.field}, {LEAF.field}",
        LEAF.escaped + LEAF.escaped,
    ),
)
def test_a_header_that_cannot_be_read_refuses_the_request(server: AuthServer, pki: RegisteredClient, value: str):
    assert_refused(ask(server, pki, value), "invalid_request")


def test_a_damaged_certificate_is_unknown(server: AuthServer, pki: RegisteredClient):
    # Its length differs from signature to signature, so the positions cannot be cases of their own.
    for position in range(4, len(LEAF.der), 7):
        der = bytearray(LEAF.der)
        der[position] ^= 0x55
        assert_unknown(server, pki, f":{b64encode(der).decode()}:")


def test_both_forms_of_the_header_are_read(server: AuthServer, pki: RegisteredClient):
    for value in (LEAF.escaped, LEAF.field):
        assert ask(server, pki, value).status_code == 200


def test_without_authorities_nobody_is_known_by_a_subject(tmp_path: Path):
    made = make(tmp_path, mtls={"ca_file": None})
    client = by_subject(made, tls_client_auth_subject_dn=SUBJECT)
    assert_unknown(made, client, LEAF)
    document = made.get("/.well-known/oauth-authorization-server").json()
    for endpoint in ("token", "introspection", "revocation"):
        assert "tls_client_auth" not in document[f"{endpoint}_endpoint_auth_methods_supported"]
        assert "self_signed_tls_client_auth" in document[f"{endpoint}_endpoint_auth_methods_supported"]
    made.close()


@pytest.mark.parametrize(
    "content", [None, "", "rubbish", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_authorities_that_cannot_be_read_keep_the_server_from_starting(tmp_path: Path, content: str | None):
    file = tmp_path / "bad.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match="AUTHSERVER_MTLS__CA_FILE"):
        make(tmp_path, mtls={"ca_file": file})

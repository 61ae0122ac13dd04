"""Certificates in headers (RFC 9440 2, nginx), thumbprints and bindings (RFC 8705 3)."""

from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from resourceserver import AccessToken, DPoP, Evidence, ProxyCertificates, Verifier, protect
from resourceserver.app import create_app
from resourceserver.errors import InvalidTokenError
from resourceserver.mtls import (
    MAX_CERTIFICATE,
    CertificateError,
    is_bound_to,
    read_certificate,
    thumbprint,
)
from resourceserver.settings import SettingsError, load_settings
from tests.certificates import Certificate, authority, issue, key, numbered
from tests.resourceserver.conftest import AUDIENCE, Mint
from tests.resourceserver.stub_issuer import StubIssuer

CA = authority()
LEAF = issue("CN=client", key(2), CA)
OTHER = issue("CN=client", key(3), CA)


def environ(value: str | None = None, peer: str = "127.0.0.1", name: str = "HTTP_CLIENT_CERT") -> dict[str, Any]:
    return {"REMOTE_ADDR": peer, **({} if value is None else {name: value})}


def from_proxy(value: str | None, peer: str = "127.0.0.1", proxies: tuple[str, ...] = ("127.0.0.1",)) -> bytes | None:
    return ProxyCertificates("Client-Cert", proxies).read(environ(value, peer))


# RFC 9440 2.1, 2.2: Client-Cert.


def test_a_byte_sequence_is_read():
    assert read_certificate(LEAF.field) == LEAF.der


def _without(text: str, position: int) -> str:
    return text[:position] + text[position + 1 :]


@pytest.mark.parametrize(
    "value",
    numbered(
        "",
        ":",
        "::",
        ":AAAA:",
        LEAF.x5c,
        LEAF.field[1:],
        LEAF.field[:-1],
        f" {LEAF.field}",
        f"{LEAF.field} ",
        f"{LEAF.field};a=1",
        f"{LEAF.field}, {LEAF.field}",
        f"{LEAF.field},{OTHER.field}",
        f'"{LEAF.x5c}"',
        _without(LEAF.field, 10),
        f"{LEAF.field[:-1]}=:",
        f"{LEAF.field[:-1]}AAAA:",
        f":{b64encode(LEAF.der[:-1]).decode()}:",
        f":{b64encode(LEAF.der + b'x').decode()}:",
        f":{b64encode(LEAF.der + LEAF.der).decode()}:",
        f":{b64encode(b'0' * 300).decode()}:",
        f":{LEAF.x5c[:40]}\n{LEAF.x5c[40:]}:",
        f":{LEAF.x5c[:40]} {LEAF.x5c[40:]}:",
        f":{LEAF.x5c[:40]}-_{LEAF.x5c[42:]}:",
        f":{LEAF.x5c[:40]}\N{SNOWMAN}{LEAF.x5c[41:]}:",
        f":{'A' * 100_000}:",
        "(null)",
        "\0",
    ),
)
def test_anything_else_is_refused(value: str):
    with pytest.raises(CertificateError):
        read_certificate(value)


def test_a_second_spelling_of_the_same_octets_is_refused():
    # RFC 4648 3.5: the bits behind the last octet can be anything.
    padded = next(made for number in range(50) if (made := issue(f"CN=client {number}", key(2), CA)).x5c.endswith("="))
    last = len(padded.x5c.rstrip("=")) - 1
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = alphabet[alphabet.index(padded.x5c[last]) + 1]
    assert read_certificate(padded.field) == padded.der
    with pytest.raises(CertificateError):
        read_certificate(f":{padded.x5c[:last]}{other}{padded.x5c[last + 1 :]}:")


def test_a_certificate_is_at_most_8_kib():
    for size, good in ((MAX_CERTIFICATE, True), (MAX_CERTIFICATE + 1, False)):
        der = b"\x30\x82" + (size - 4).to_bytes(2) + bytes(size - 4)
        value = f":{b64encode(der).decode()}:"
        if good:
            assert read_certificate(value) == der
        else:
            with pytest.raises(CertificateError):
                read_certificate(value)


# nginx: $ssl_client_escaped_cert.


def test_escaped_pem_is_read():
    assert read_certificate(LEAF.escaped) == LEAF.der
    assert read_certificate(LEAF.escaped.removesuffix("%0A")) == LEAF.der


def _pem(certificate: Certificate = LEAF, label: str = "CERTIFICATE") -> str:
    return certificate.pem.replace("CERTIFICATE", label)


@pytest.mark.parametrize(
    "value",
    numbered(
        LEAF.pem,
        LEAF.pem.replace("\n", " "),
        LEAF.pem.replace("\n", "\t"),
        f"{LEAF.escaped}{OTHER.escaped}",
        f"{LEAF.escaped},{LEAF.escaped}",
        LEAF.escaped[:-10],
        LEAF.escaped[10:],
        LEAF.escaped.lower(),
        LEAF.escaped.replace("%2B", "+").replace("%2F", "/") + "+",
        LEAF.escaped.replace("%0A", "%0D%0A"),
        LEAF.escaped.replace("%0A", "%0A%0A", 1),
        LEAF.escaped.replace("%0A", "", 1),
        LEAF.escaped.replace("%0A", "%0Aa%3A%20b%0A%0A", 1),
        LEAF.escaped + "x",
        quote(_pem(label="TRUSTED CERTIFICATE"), safe=""),
        quote(_pem(label="PUBLIC KEY"), safe=""),
        quote(LEAF.key_pem, safe=""),
        quote(quote(LEAF.pem, safe=""), safe=""),
        "-----BEGIN%20CERTIFICATE-----",
        "-----BEGIN%20CERTIFICATE-----%0A-----END%20CERTIFICATE-----%0A",
        "-----BEGIN%20CERTIFICATE-----%0AA%3D%3D%0AA%3D%3D%0A-----END%20CERTIFICATE-----%0A",
        "-",
        "-" * 100_000,
    ),
)
def test_other_pem_is_refused(value: str):
    with pytest.raises(CertificateError):
        read_certificate(value)


# RFC 9440 4, RFC 8705 6.5: whose header counts.


@pytest.mark.parametrize(
    ("peer", "proxies"),
    [
        ("127.0.0.1", ("127.0.0.1",)),
        ("10.1.2.3", ("192.0.2.1", "10.0.0.0/8")),
        ("2001:db8::1", ("2001:db8::/32",)),
        ("::1", ("127.0.0.1", "::1")),
    ],
)
def test_the_header_of_a_proxy_counts(peer: str, proxies: tuple[str, ...]):
    assert from_proxy(LEAF.field, peer, proxies) == LEAF.der


@pytest.mark.parametrize("peer", ["127.0.0.2", "::1", "::ffff:127.0.0.1", "", "localhost", "127.0.0.1, 10.0.0.1", "x"])
def test_the_header_of_anybody_else_is_not_looked_at(peer: str):
    assert from_proxy(LEAF.field, peer) is None
    assert from_proxy("rubbish", peer) is None


@pytest.mark.parametrize("value", [None, ""])
def test_no_certificate_is_none(value: str | None):
    assert from_proxy(value) is None


def test_rubbish_of_a_proxy_is_an_error():
    with pytest.raises(CertificateError):
        from_proxy("rubbish")


def test_other_headers_are_not_looked_at():
    reads = ProxyCertificates("SSLClientCert", ("127.0.0.1",))
    for name in ("HTTP_CLIENT_CERT", "HTTP_X_SSL_CLIENT_CERT", "HTTP_SSL_CLIENT_CERT", "HTTP_CLIENT_CERT_CHAIN"):
        assert reads.read(environ(LEAF.field, name=name)) is None
    assert reads.read(environ(LEAF.field, name="HTTP_SSLCLIENTCERT")) == LEAF.der


@pytest.mark.parametrize(
    ("name", "proxies"),
    [
        ("", ("127.0.0.1",)),
        ("Client_Cert", ("127.0.0.1",)),
        ("Client Cert", ("127.0.0.1",)),
        ("Client-Cert", ()),
        ("Client-Cert", ("proxy.example",)),
        ("Client-Cert", "127.0.0.1"),
    ],
)
def test_a_header_needs_a_name_and_proxies(name: str, proxies: Any):
    with pytest.raises(ValueError):
        ProxyCertificates(name, proxies)


# RFC 8705 3.1: the thumbprint.


def test_the_thumbprint_is_that_of_the_whole_certificate():
    digest = urlsafe_b64encode(sha256(LEAF.der).digest()).rstrip(b"=").decode()
    assert thumbprint(LEAF.der) == digest
    assert len(digest) == 43


def test_a_token_is_bound_to_one_certificate():
    assert is_bound_to(LEAF.x5t, LEAF.der)
    assert not is_bound_to(LEAF.x5t, OTHER.der)
    assert not is_bound_to(LEAF.x5t, None)
    assert not is_bound_to(LEAF.x5t, b"")


@pytest.mark.parametrize(
    "expected", numbered(None, "", LEAF.x5t + "=", LEAF.x5t[:-1], 1, True, [LEAF.x5t], {}, "\ud800")
)
def test_what_is_not_a_thumbprint_is_bound_to_nothing(expected: Any):
    assert not is_bound_to(expected, LEAF.der)


# RFC 8705 3: a token at a resource.


def shown(certificate: Certificate | None) -> Evidence:
    return Evidence(certificate=None if certificate is None else certificate.der)


def test_a_bound_token_counts_over_a_connection_with_its_certificate(by_keys: Verifier, mint: Mint):
    token = mint(cnf={"x5t#S256": LEAF.x5t})
    assert by_keys.verify(f"Bearer {token}", shown(LEAF)).cnf == {"x5t#S256": LEAF.x5t}
    for certificate in (None, OTHER, issue("CN=client", key(2), CA)):
        with pytest.raises(InvalidTokenError) as refused:
            by_keys.verify(f"Bearer {token}", shown(certificate))
        assert (refused.value.status, refused.value.error) == (401, "invalid_token")
    # What was found once is asked anew of each connection.
    assert by_keys.verify(f"Bearer {token}", shown(LEAF)).client_id
    with pytest.raises(InvalidTokenError):
        by_keys.check(token)


def test_a_bound_token_that_the_issuer_was_asked_about_is_held_to_it_too(issuer: StubIssuer, by_asking: Verifier):
    issuer.answers["bound"] = issuer.active(AUDIENCE, cnf={"x5t#S256": LEAF.x5t})
    assert by_asking.verify("Bearer bound", shown(LEAF)).subject
    for certificate in (None, OTHER):
        with pytest.raises(InvalidTokenError):
            by_asking.verify("Bearer bound", shown(certificate))


def test_a_free_token_counts_with_and_without_a_certificate(by_keys: Verifier, mint: Mint):
    for certificate in (None, LEAF):
        assert by_keys.verify(f"Bearer {mint()}", shown(certificate)).cnf is None


@pytest.mark.parametrize(
    "cnf", numbered({}, {"x5t#S256": None}, {"x5t#S256": 1}, {"x5t": LEAF.x5t}, {"x5t#S256": [LEAF.x5t]}, {"kid": "a"})
)
def test_a_binding_that_nobody_can_read_is_never_met(by_keys: Verifier, mint: Mint, cnf: dict[str, Any]):
    with pytest.raises(InvalidTokenError):
        by_keys.verify(f"Bearer {mint(cnf=cnf)}", shown(LEAF))


def test_a_token_that_is_bound_twice_needs_both(by_keys: Verifier, mint: Mint):
    twice = mint(cnf={"x5t#S256": LEAF.x5t, "jkt": "a" * 43})
    by_keys.dpop = DPoP("https://api.example")
    with pytest.raises(InvalidTokenError):
        by_keys.verify(f"Bearer {twice}", shown(LEAF))
    with pytest.raises(InvalidTokenError):
        by_keys.verify(f"Bearer {mint(cnf={'x5t#S256': LEAF.x5t, 'strange': 1})}", shown(LEAF))


def api(verifier: Verifier, token: str, peer: str = "127.0.0.1", **headers: str) -> TestResponse:
    app = Flask(__name__)

    @app.get("/things")
    @protect(verifier)
    def things(found: AccessToken) -> object:
        return found.subject

    sent = {"Authorization": f"Bearer {token}", **headers}
    return app.test_client().get("/things", headers=sent, environ_overrides={"REMOTE_ADDR": peer})


def test_flask_reads_the_header_of_the_proxy_alone(by_keys: Verifier, mint: Mint):
    by_keys.certificates = ProxyCertificates("SSLClientCert", ["127.0.0.1"])
    bound, free = mint(cnf={"x5t#S256": LEAF.x5t}), mint()
    for value in (LEAF.escaped, LEAF.field):
        assert api(by_keys, bound, SSLClientCert=value).status_code == 200
        assert api(by_keys, bound, "192.0.2.1", SSLClientCert=value).status_code == 401
    for value in (OTHER.escaped, "rubbish", f"{LEAF.escaped},{LEAF.escaped}", ""):
        answer = api(by_keys, bound, SSLClientCert=value)
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_token")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    for name in ("Client-Cert", "X-SSL-Client-Cert", "SSL-Client-Cert"):
        assert api(by_keys, bound, **{name: LEAF.escaped}).status_code == 401
    assert api(by_keys, free).status_code == 200
    assert api(by_keys, free, SSLClientCert=OTHER.escaped).status_code == 200
    assert api(by_keys, free, SSLClientCert="rubbish").status_code == 401


def test_without_a_source_no_header_counts(by_keys: Verifier, mint: Mint):
    for name in ("SSLClientCert", "Client-Cert"):
        assert api(by_keys, mint(cnf={"x5t#S256": LEAF.x5t}), **{name: LEAF.escaped}).status_code == 401
        assert api(by_keys, mint(), **{name: "rubbish"}).status_code == 200


def settings(tmp_path: Any, **more: str) -> dict[str, str]:
    prefixed = {f"RESOURCESERVER_{name.upper()}": value for name, value in more.items()}
    database = f"sqlite:///{tmp_path}/rs.db"
    return {"RESOURCESERVER_DATABASE_URL": database, "RESOURCESERVER_CLIENT_SECRET": "secret", **prefixed}


def test_the_separate_server_reads_it_where_its_settings_say_so(issuer: StubIssuer, mint: Mint, tmp_path: Any):
    chosen = {"certificate_header": "SSLClientCert", "trusted_proxies": "192.0.2.7, 127.0.0.1"}
    environ = settings(tmp_path, issuer=issuer.url, **chosen)
    client = create_app(load_settings(environ)).test_client()
    audience = "http://localhost:9001/almanac"
    token = mint(aud=audience, scope="almanac:read", cnf={"x5t#S256": LEAF.x5t})
    bearer = {"Authorization": f"Bearer {token}"}
    assert client.get("/almanac", headers={**bearer, "SSLClientCert": LEAF.escaped}).status_code == 200
    assert client.get("/almanac", headers={**bearer, "SSLClientCert": OTHER.escaped}).status_code == 401
    assert client.get("/almanac", headers=bearer).status_code == 401
    document = client.get("/.well-known/oauth-protected-resource/almanac").json
    assert document["tls_client_certificate_bound_access_tokens"] is True


def test_the_metadata_is_silent_without_a_source(tmp_path: Any):
    client = create_app(load_settings(settings(tmp_path))).test_client()
    document = client.get("/.well-known/oauth-protected-resource/almanac").json
    assert "tls_client_certificate_bound_access_tokens" not in document


@pytest.mark.parametrize(
    ("name", "value"),
    [("certificate_header", "Client_Cert"), ("trusted_proxies", "VALUE"), ("certificate_header", "A")],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path: Any, name: str, value: str):
    with pytest.raises(SettingsError) as refused:
        load_settings(settings(tmp_path, **{name: value}))
    assert "VALUE" not in str(refused.value)

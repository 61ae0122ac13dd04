"""Behind a real nginx with the configuration that is shipped: https, forwarded headers, client certificates."""

import http.client
import json
import re
import socket
import ssl
from urllib.parse import urlsplit

import httpx2
import pytest

from authserver.records import User
from pytest_authserver import Browser, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.certificates import Certificate
from tests.openid.deployed import EVIL, LIES
from tests.servers.nginx import SHIPPED
from tests.tls.conftest import ALIAS, EXPIRED, HEADER, ITSELF, LEAF, OTHER, SELF, STRANGER, Site, cnf
from tests.tls.test_listener import refuses_old_tls


def ask(
    site: Site,
    client: RegisteredClient,
    certificate: Certificate | None = LEAF,
    headers: dict[str, str] | None = None,
    at: str | None = None,
) -> httpx2.Response:
    return site.post(f"{at or site.alias}/token", certificate, headers, **ITSELF, client_id=client.client_id)


# The https run.


def test_discovery_names_https_alone(proxied: Site):
    with proxied.http() as http:
        for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
            document = http.get(f"{proxied.issuer}{path}").json()
            assert document["issuer"] == proxied.issuer
            assert "http://" not in json.dumps(document)
            assert http.get(document["jwks_uri"]).json()["keys"]


def test_plain_http_is_sent_to_https(proxied: Site):
    with httpx2.Client(trust_env=False) as http:
        answer = http.get(f"http://127.0.0.1:{proxied.ports.http}/authorize?client_id=x")
    assert answer.status_code == 301
    assert answer.headers["location"] == f"{proxied.issuer}/authorize?client_id=x"


def test_a_person_signs_in_over_https(proxied: Site, browser: Browser, carla: User):
    client = proxied.world.client()
    pkce = proxied.world.pkce()
    page = browser.authorize(proxied.world.request(client, pkce), username=carla.username, password=PASSWORD)
    assert page.location is not None, page.error_code
    assert page.callback["iss"] == proxied.issuer
    sent = {"grant_type": "authorization_code", "code": page.callback["code"], "redirect_uri": client.redirect_uri}
    with proxied.http() as http:
        form = {**sent, "code_verifier": pkce.verifier}
        tokens = http.post(f"{proxied.issuer}/token", auth=client.basic, data=form).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert http.get(f"{proxied.issuer}/userinfo", headers=bearer).json()["sub"] == carla.sub


def test_the_cookie_is_bound_to_the_host_and_to_https(proxied: Site, browser: Browser, carla: User):
    client = proxied.world.client()
    with proxied.http() as http:
        url = f"{proxied.issuer}/authorize"
        answer = http.get(url, params=proxied.world.request(client, proxied.world.pkce()))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith((f"{proxied.issuer}/", "/"))
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-authserver=")
    parts = {part.strip().partition("=")[0].lower() for part in cookie.split(";")[1:]}
    assert {"secure", "httponly", "path", "samesite"} <= parts
    assert "domain" not in parts
    assert answer.headers["strict-transport-security"]


@pytest.mark.parametrize("lies", [{"Host": EVIL}, dict(LIES)], ids=["host", "proxies"])
def test_what_a_request_says_of_its_own_way_changes_nothing_through_nginx_and_past_it(
    proxied: Site, lies: dict[str, str]
):
    client = proxied.world.client()
    request = proxied.world.request(client, proxied.world.pkce())
    with proxied.http() as http:
        truth = http.get(f"{proxied.issuer}/.well-known/openid-configuration").content
    # 127.0.0.1 is the proxy that the server trusts, ::1 is anybody.
    for place in (proxied.issuer, *(f"http://{name}:{proxied.ports.plain}" for name in ("127.0.0.1", "[::1]"))):
        with proxied.http(base_url=place, headers=lies) as http:
            assert http.get("/.well-known/openid-configuration").content == truth
            sent = http.get("/authorize", params=request)
            assert sent.status_code == 303
            assert sent.headers["location"].startswith((f"{proxied.issuer}/login?", "/login?"))
            for answer in (sent, http.get("/login"), http.get("/authorize", params={"client_id": "nobody"})):
                assert EVIL not in f"{answer.headers}{answer.text}"
                assert "http://" not in f"{answer.headers.get('location')}{answer.text}"
                assert answer.headers["strict-transport-security"]
                cookies = answer.headers.get_list("set-cookie")
                assert all(cookie.startswith("__Host-") and "; Secure" in cookie for cookie in cookies)


def test_the_address_of_a_client_is_what_nginx_has_seen(proxied: Site):
    # 20 wrong secrets a minute per client and address: whoever could choose an address would have no limit.
    client = proxied.world.client()
    with proxied.http(auth=(client.client_id, "wrong")) as http:
        statuses = [
            http.post(
                f"{proxied.issuer}/token", data=ITSELF, headers={"X-Forwarded-For": f"203.0.113.{number}"}
            ).status_code
            for number in range(22)
        ]
    assert statuses[:20] == [401] * 20
    assert statuses[-1] == 429


def test_forwarded_headers_of_anybody_else_do_not_count(proxied: Site):
    # Straight to the server, which trusts 127.0.0.1 alone: from ::1 nobody speaks for others.
    client = proxied.world.client()
    auth = httpx2.BasicAuth(client.client_id, "wrong")
    with httpx2.Client(trust_env=False, auth=auth) as http:
        statuses = [
            http.post(
                f"http://[::1]:{proxied.ports.plain}/token",
                data=ITSELF,
                headers={"X-Forwarded-For": f"203.0.113.{number}"},
            ).status_code
            for number in range(22)
        ]
    assert statuses[-1] == 429


def test_old_tls_and_suites_without_aead_are_refused(proxied: Site):
    refuses_old_tls(proxied, proxied.ports.https)
    refuses_old_tls(proxied, proxied.ports.alias)


def test_metrics_are_not_for_the_world(proxied: Site):
    with proxied.http() as http:
        for path in ("/metrics", "//metrics", "/./metrics", "/%6detrics"):
            assert http.get(f"{proxied.issuer}{path}").status_code == 404


def test_the_log_holds_no_query(proxied: Site):
    with proxied.http() as http:
        http.get(f"{proxied.issuer}/authorize?client_id=a-secret-hint&login_hint=a-secret-hint")
        http.get(f"{proxied.issuer}/login?a-secret-hint")
    assert proxied.logs is not None
    logged = (proxied.logs / "access.log").read_text()
    assert "GET /authorize 4" in logged
    assert "a-secret-hint" not in logged


# Client certificates.


def test_every_alias_is_a_location_of_the_shipped_file(proxied: Site):
    with proxied.http() as http:
        document = http.get(f"{proxied.issuer}/.well-known/openid-configuration").json()
    paths = {urlsplit(url).path for url in document["mtls_endpoint_aliases"].values()}
    assert paths <= set(re.findall(r"location = (\S+) \{ proxy_pass", SHIPPED.read_text()))


def test_nobody_is_asked_for_a_certificate_where_pages_are(proxied: Site):
    for port, asked in ((proxied.ports.https, False), (proxied.ports.alias, True)):
        context = proxied.context(LEAF)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert _is_asked(context, port) is asked


def _is_asked(context: ssl.SSLContext, port: int) -> bool:
    """Say whether the server's first flight holds a CertificateRequest (RFC 5246 7.4.4)."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", port), 30) as plain:
        with pytest.raises(ssl.SSLWantReadError):
            talk.do_handshake()
        plain.sendall(outgoing.read())
        flight = b""
        while b"\x0e\x00\x00\x00" not in flight:  # ServerHelloDone
            flight += plain.recv(65536)
    types, position = [], 0
    records = b""
    while position < len(flight):
        size = int.from_bytes(flight[position + 3 : position + 5])
        records += flight[position + 5 : position + 5 + size]
        position += 5 + size
    position = 0
    while position < len(records):
        types.append(records[position])
        position += 4 + int.from_bytes(records[position + 1 : position + 4])
    return 13 in types


def test_a_certificate_of_a_known_authority_authenticates_and_binds(proxied: Site, known: RegisteredClient):
    answer = ask(proxied, known)
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    said = proxied.post(f"{proxied.alias}/introspect", LEAF, token=token, client_id=known.client_id)
    assert cnf(said) == {"x5t#S256": LEAF.x5t}


def test_a_self_signed_certificate_authenticates_its_client(proxied: Site, known: RegisteredClient):
    client = proxied.by_key_set(SELF)
    assert ask(proxied, client, SELF).status_code == 200
    for certificate in (None, LEAF, STRANGER):
        assert ask(proxied, client, certificate).status_code == 401
    assert ask(proxied, known, SELF).status_code == 401


def test_the_subject_of_another_authority_is_refused_by_the_server_itself(proxied: Site, known: RegisteredClient):
    # nginx lets it through: optional_no_ca.
    answer = ask(proxied, known, STRANGER)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_an_expired_certificate_gets_nowhere(proxied: Site, known: RegisteredClient):
    assert ask(proxied, known, EXPIRED).status_code in {400, 401}


def test_userinfo_holds_a_token_to_the_connection(proxied: Site, carla: User):
    client = proxied.by_subject()
    allowed = proxied.world.allow(client, carla)
    sent = {"grant_type": "authorization_code", "code": allowed.code, "redirect_uri": allowed.redirect_uri}
    sent |= {"code_verifier": allowed.pkce.verifier if allowed.pkce else "", "client_id": client.client_id}
    token = proxied.post(f"{proxied.alias}/token", LEAF, **sent).json()["access_token"]
    for at, certificate, status in (
        (proxied.alias, LEAF, 200),
        (proxied.alias, OTHER, 401),
        (proxied.alias, None, 401),
        (proxied.issuer, LEAF, 401),
    ):
        with proxied.http(certificate) as http:
            answer = http.get(f"{at}/userinfo", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status


SPELLINGS = [HEADER, HEADER.lower(), "Client-Cert", "Client-Cert-Chain", "X-SSL-Client-Cert", "X-SSL-Cert"]
UNDERSCORES = ["SSL_Client_Cert", "SSLClient_Cert", "Client_Cert", "X_SSL_Client_Cert"]


@pytest.mark.parametrize("name", [*SPELLINGS, *UNDERSCORES])
def test_a_header_that_the_client_sends_itself_does_not_count(proxied: Site, known: RegisteredClient, name: str):
    for at in (proxied.alias, proxied.issuer):
        for value in (LEAF.escaped, LEAF.field):
            assert ask(proxied, known, None, {name: value}, at).status_code == 401
    # Beside the true one it changes nothing.
    assert ask(proxied, known, OTHER, {name: STRANGER.escaped}).status_code == 200
    assert ask(proxied, known, STRANGER, {name: LEAF.escaped}).status_code == 401


def test_the_header_sent_twice_does_not_count(proxied: Site, known: RegisteredClient):
    target = urlsplit(proxied.alias)
    connection = http.client.HTTPSConnection(target.hostname or "", target.port, context=proxied.context(STRANGER))
    body = f"grant_type=client_credentials&client_id={known.client_id}"
    connection.putrequest("POST", "/token")
    connection.putheader("Content-Type", "application/x-www-form-urlencoded")
    connection.putheader("Content-Length", str(len(body)))
    for _ in range(2):
        connection.putheader(HEADER, LEAF.escaped)
    connection.endheaders(body.encode())
    assert connection.getresponse().status == 401
    connection.close()


@pytest.mark.parametrize("name", UNDERSCORES)
def test_straight_to_the_server_an_underscore_is_another_name(proxied: Site, known: RegisteredClient, name: str):
    # 127.0.0.1 is the address of the proxy: this is a proxy that lets everything through.
    url, data = f"http://127.0.0.1:{proxied.ports.plain}/token", {**ITSELF, "client_id": known.client_id}
    with httpx2.Client(trust_env=False) as http:
        assert http.post(url, data=data, headers={name: LEAF.escaped}).status_code == 401
        assert http.post(url, data=data, headers={HEADER: LEAF.escaped}).status_code == 200


def test_another_address_is_no_proxy(proxied: Site, known: RegisteredClient):
    url, data = f"http://[::1]:{proxied.ports.plain}/token", {**ITSELF, "client_id": known.client_id}
    with httpx2.Client(trust_env=False) as http:
        assert http.post(url, data=data, headers={HEADER: LEAF.escaped}).status_code == 401


def test_a_request_for_the_alias_over_a_connection_to_the_other_host_is_misdirected(
    proxied: Site, known: RegisteredClient
):
    # RFC 9110 15.5.20: no certificate was asked for in that handshake.
    for names, statuses in (
        (("localhost", ALIAS), {421}),
        ((ALIAS, "localhost"), {401}),
        ((ALIAS, ALIAS), {200}),
    ):
        assert _status(proxied, known, *names) in statuses, names


def _status(site: Site, client: RegisteredClient, server_name: str, host: str) -> int:
    body = f"grant_type=client_credentials&scope=api:read&client_id={client.client_id}"
    head = f"POST /token HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", site.ports.https), 30) as plain,
        site.context(LEAF).wrap_socket(plain, server_hostname=server_name) as wrapped,
    ):
        wrapped.sendall(f"{head}{body}".encode())
        return int(wrapped.recv(4096).split()[1])


def test_the_management_api_holds_a_token_to_the_connection(proxied: Site):
    assert proxied.manages(proxied.alias) == [200, 401, 401]


def test_nothing_but_the_aliases_is_served_where_certificates_are_asked_for(proxied: Site):
    with proxied.http(LEAF) as http:
        for path in (
            "/",
            "/authorize",
            "/login",
            "/jwks",
            "/health/live",
            "/.well-known/openid-configuration",
            "/TOKEN",
        ):
            assert http.get(f"{proxied.alias}{path}").status_code == 404

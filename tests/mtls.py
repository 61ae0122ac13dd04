"""A server behind a proxy that hands on certificates, clients that are known by theirs, and requests over them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.assertions import jwk
from tests.certificates import Certificate, authority, issue, key
from tests.world import API, JWT_API, assert_refused

CA = authority()
SUBJECT = "CN=client,OU=Machines,O=Example,C=NZ"
LEAF = issue(SUBJECT, key(2), CA)
OTHER = issue(SUBJECT, key(3), CA)
SELF = issue("CN=itself", key(2))
ITSELF = {"grant_type": "client_credentials", "scope": "api:read"}
MTLS = "https://mtls.test"
HEADER = "SSLClientCert"
DAY = 86_400


def settings(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return the settings of a server behind such a proxy."""
    bundle = folder / "authorities.pem"
    bundle.write_text(CA.pem)
    mtls = {"certificate_header": HEADER, "ca_file": bundle, "base_url": MTLS, **changes.pop("mtls", {})}
    return {"trusted_proxies": ("127.0.0.1",), "mtls": mtls, **changes}


def make(folder: Path, **changes: Any) -> AuthServer:
    """Make a server behind such a proxy."""
    made = AuthServer(folder, **settings(folder, **changes))
    made.resource(API, "api:read", "api:write")
    made.resource(JWT_API, "jwt:read", token_format="jwt")
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server behind such a proxy."""
    made = make(tmp_path_factory.mktemp("mtls"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def anna(server: AuthServer) -> User:
    """An account."""
    return server.user("anna")


@pytest.fixture(scope="module")
def pki(server: AuthServer) -> RegisteredClient:
    """A client that is known by its subject, and whose tokens are bound."""
    return by_subject(server, tls_client_auth_subject_dn=SUBJECT, tls_client_certificate_bound_access_tokens=True)


@pytest.fixture(scope="module")
def self_signed(server: AuthServer) -> RegisteredClient:
    """A client that has registered its certificate."""
    return by_key_set(server, jwk(SELF.key, x5c=[SELF.x5c]))


@pytest.fixture(scope="module")
def secret(server: AuthServer) -> RegisteredClient:
    """A client with a secret, whose tokens are bound."""
    return server.client(tls_client_certificate_bound_access_tokens=True, trusted=True)


@pytest.fixture(scope="module")
def bare(server: AuthServer) -> RegisteredClient:
    """A client without credentials, whose tokens are bound."""
    return server.public_client(tls_client_certificate_bound_access_tokens=True, trusted=True)


def by_subject(server: AuthServer, **metadata: Any) -> RegisteredClient:
    """Register a client for tls_client_auth."""
    return server.client(token_endpoint_auth_method="tls_client_auth", trusted=True, **metadata)


def by_key_set(server: AuthServer, *keys: dict[str, Any], **metadata: Any) -> RegisteredClient:
    """Register a client for self_signed_tls_client_auth."""
    named = [{**each, "kid": str(number)} for number, each in enumerate(keys)]
    members = {"jwks": {"keys": named} if named else None, "trusted": True, **metadata}
    return server.client(token_endpoint_auth_method="self_signed_tls_client_auth", **members)


def send(
    server: AuthServer, path: str, certificate: Certificate | str | None = None, auth: Any = None, **parameters: Any
) -> httpx2.Response:
    """Post a form over a connection with this certificate, as the proxy passes it on."""
    value = certificate.escaped if isinstance(certificate, Certificate) else certificate
    headers = {"Content-Type": "application/x-www-form-urlencoded", **({} if value is None else {HEADER: value})}
    body = urlencode({name: sent for name, sent in parameters.items() if sent is not None})
    with server.http(auth=auth) as http:
        return http.post(path, content=body, headers=headers)


def ask(
    server: AuthServer, client: RegisteredClient, certificate: Certificate | str | None = LEAF, **parameters: Any
) -> httpx2.Response:
    """Ask for a token for the client itself, named by its client_id."""
    return send(server, "/token", certificate, **{"client_id": client.client_id, **ITSELF, **parameters})


def assert_known(server: AuthServer, client: RegisteredClient, certificate: Certificate) -> None:
    answer = ask(server, client, certificate)
    assert answer.status_code == 200, answer.text


def assert_unknown(server: AuthServer, client: RegisteredClient, certificate: Certificate | str | None) -> None:
    assert_refused(ask(server, client, certificate), "invalid_client", 401)


def redeem(
    server: AuthServer, client: RegisteredClient, user: User, certificate: Certificate | None, **asked: Any
) -> httpx2.Response:
    """Redeem the code of a request that the user has allowed."""
    allowed = server.allow(client, user, **asked)
    sent = {"grant_type": "authorization_code", "code": allowed.code, "redirect_uri": allowed.redirect_uri}
    sent |= {"code_verifier": allowed.pkce.verifier if allowed.pkce else ""}
    return send(
        server, "/token", certificate, client.basic if client.client_secret else None, **sent, **name_of(client)
    )


def refresh(
    server: AuthServer, client: RegisteredClient, text: str, certificate: Certificate | None
) -> httpx2.Response:
    """Use a refresh token."""
    sent = {"grant_type": "refresh_token", "refresh_token": text, **name_of(client)}
    return send(server, "/token", certificate, client.basic if client.client_secret else None, **sent)


def name_of(client: RegisteredClient) -> dict[str, str]:
    """Return the parameter by which a client without a secret names itself."""
    return {} if client.client_secret else {"client_id": client.client_id}


def confirmation(server: AuthServer, client: RegisteredClient, token: str, certificate: Certificate) -> Any:
    """Return what introspection says the token is bound to."""
    answer = send(server, "/introspect", certificate, token=token, client_id=client.client_id).json()
    assert answer["active"] is True
    return answer.get("cnf")

"""openid-client and oauth4webapi from npm behind the real proxy: FAPI 2.0 with client certificates."""

from collections.abc import Callable
from typing import Any

import pytest

from authserver.records import User
from pytest_authserver import Browser, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.assertions import jwk
from tests.clients.conftest import run_node
from tests.signing import pem
from tests.tls.conftest import LEAF, SELF, SITE_CA, SUBJECT, Site

__all__ = ["run_node"]

pytestmark = pytest.mark.clients

CALLBACK = "https://client.test/callback"
CERTIFICATES = {"tls_client_auth": LEAF, "self_signed_tls_client_auth": SELF}
RunNode = Callable[..., dict[str, Any]]


def _client(site: Site, method: str, binding: str) -> RegisteredClient:
    known_by = (
        {"tls_client_auth_subject_dn": SUBJECT}
        if method == "tls_client_auth"
        else {"jwks": {"keys": [jwk(SELF.key, x5c=[SELF.x5c])]}}
    )
    return site.world.client(
        profile="fapi2",
        redirect_uris=[CALLBACK],
        token_endpoint_auth_method=method,
        tls_client_certificate_bound_access_tokens=binding == "mtls",
        dpop_bound_access_tokens=binding == "dpop",
        scope="openid profile",
        trusted=True,
        **known_by,
    )


@pytest.mark.parametrize("script", ["openid_client_fapi.mjs", "oauth4webapi_fapi.mjs"])
@pytest.mark.parametrize("method", sorted(CERTIFICATES))
@pytest.mark.parametrize("binding", ["mtls", "dpop"])
def test_fapi_2_with_certificates(
    proxied: Site, browser: Browser, carla: User, run_node: RunNode, script: str, method: str, binding: str
):
    client, certificate = _client(proxied, method, binding), CERTIFICATES[method]

    def answer(url: str) -> str:
        page = browser.log_in(browser.visit(url), carla.username, PASSWORD)
        assert page.location is not None, page.error_code
        return page.location

    asked = {
        "issuer": proxied.issuer,
        "client_id": client.client_id,
        "private_key": pem("p256"),
        "method": method,
        "redirect_uri": CALLBACK,
        "scope": "openid profile",
        "id_token_alg": "ES256",
        "discovery": "oidc",
        "par": True,
        "dpop": "ES256" if binding == "dpop" else None,
        "tls": {"ca": SITE_CA.pem, "cert": certificate.pem, "key": certificate.key_pem},
    }
    report = run_node(script, asked, answer)
    assert report["type"] == ("dpop" if binding == "dpop" else "bearer")
    assert report["introspected"]["active"] is True
    assert report["introspected"]["cnf"].keys() == {"jkt" if binding == "dpop" else "x5t#S256"}

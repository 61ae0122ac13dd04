"""The worked example of docs/mutual-tls.md, run as it stands there, through nginx."""

import json
from pathlib import Path

from tests import documented
from tests.tls.conftest import Site

PAGE = "mutual-tls.md"


def test_the_example_of_the_page_works(proxied: Site, tmp_path: Path):
    environment = {
        "CERTIFICATE": str(tmp_path / "client.pem"),
        "KEY": str(tmp_path / "client.key"),
        "ISSUER": proxied.issuer,
        "MTLS": proxied.alias,
        "CURL_CA_BUNDLE": str(proxied.folder / "site-ca.pem"),
        "REQUESTS_CA_BUNDLE": str(proxied.folder / "site-ca.pem"),
        "HOME": str(tmp_path),
    }
    make_certificate, ask = documented.blocks(PAGE, "sh")
    make_key_set, use = documented.blocks(PAGE, "python")
    documented.run_shell(make_certificate, **environment)
    client = proxied.world.client(
        token_endpoint_auth_method="self_signed_tls_client_auth",
        tls_client_certificate_bound_access_tokens=True,
        jwks=json.loads(documented.run_python(make_key_set, **environment)),
    )
    environment["CLIENT_ID"] = client.client_id
    assert json.loads(documented.run_shell(ask, **environment))["token_type"] == "Bearer"
    assert documented.run_python(use, **environment)


def test_the_registration_of_the_page_is_taken(site: Site):
    (members,) = [json.loads(block) for block in documented.blocks(PAGE, "json")]
    client = site.world.client(**{"redirect_uris": None, **members})
    assert client.registration["tls_client_auth_subject_dn"] == "CN=reports,O=Example,C=NZ"

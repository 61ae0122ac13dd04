"""The server and the clients of the FAPI 2.0 tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_authserver import AuthServer
from tests import signing
from tests.assertions import jwk
from tests.certificates import authority, issue
from tests.certificates import key as certificate_key
from tests.fapi import CERTIFICATE, SCOPE, Party

_AUTHORITY = authority()
METHODS = ("private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth")
COMBINATIONS = [(method, binding) for method in METHODS for binding in ("dpop", "mtls")]


@contextmanager
def fapi_server(folder: Path, **settings: Any) -> Iterator[AuthServer]:
    """A server behind a proxy on loopback that hands certificates on."""
    authorities = folder / "authorities.pem"
    authorities.write_text(_AUTHORITY.pem)
    mtls = {"certificate_header": CERTIFICATE, "ca_file": authorities, "base_url": "https://mtls.test"}
    limits = {"pushed_requests": 10_000, **settings.pop("limits", {})}
    server = AuthServer(folder, limits=limits, trusted_proxies=("127.0.0.1",), mtls=mtls, **settings)
    yield server
    server.close()


def party(
    server: AuthServer,
    method: str,
    binding: str,
    *,
    number: int = 1,
    key: str = "p256",
    algorithm: str = "ES256",
    profile: str = "fapi2",
    **metadata: Any,
) -> Party:
    """Register a client of the profile; of ``number`` 2 every key and certificate is another one."""
    chosen = "p256_third" if number == 2 and key == "p256" else key
    subject = f"CN=client {number},O=Example"
    private = certificate_key(number + 1)
    self_signed = method == "self_signed_tls_client_auth"
    certificate = issue(subject, private) if self_signed else issue(subject, private, _AUTHORITY)
    keys = [signing.key(chosen, kid=chosen, use="sig").as_dict(private=False)]
    if self_signed:
        keys.append(jwk(private, kid="certificate", x5c=[certificate.x5c]))
    members: dict[str, Any] = {
        "redirect_uris": ["https://client.test/callback"],
        "token_endpoint_auth_method": method,
        "jwks": {"keys": keys},
        **({"tls_client_auth_subject_dn": subject} if method == "tls_client_auth" else {}),
        **({"tls_client_certificate_bound_access_tokens": True} if binding == "mtls" else {}),
        "trusted": True,
        "scope": SCOPE,
        **metadata,
    }
    client = server.client(profile=profile, **members)
    proof_key = "ed25519" if number == 2 else "p256_other"
    shown = certificate if "tls" in method or binding == "mtls" else None
    return Party(
        server, client, method, binding, key=chosen, algorithm=algorithm, proof_key=proof_key, certificate=shown
    )

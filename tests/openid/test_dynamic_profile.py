"""Dynamic OP: clients that register themselves, with keys, redirect URIs and pages of their own."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from authserver.manage import keys
from authserver.records import User
from pytest_authserver import AuthServer
from tests import assertions, request_objects
from tests.listener import Listener, says, silent, tls
from tests.openid.party import CB, Party, Variant, assert_page, assert_tokens
from tests.registering import refusal


class Site:
    """Where a client publishes its documents: path to what lies there."""

    def __init__(self, listener: Listener) -> None:
        self.base = f"https://127.0.0.1:{listener.port}"
        self.pages: dict[str, bytes] = {}
        listener.answer = self._answer

    def publish(self, path: str, document: Any) -> str:
        self.pages[path] = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.base + path

    def _answer(self, listener: Listener, connection: socket.socket) -> None:
        path = listener.heads[-1].split(b" ")[1].decode()
        says(self.pages[path])(listener, connection)


@pytest.fixture
def site() -> Iterator[Site]:
    with tls("server.pem", silent) as listener:
        yield Site(listener)


@pytest.fixture(scope="module")
def rsa(provider: AuthServer) -> Party:
    """A party that authenticates by its key, and signs by RS256."""
    method = {"token_endpoint_auth_method": "private_key_jwt"}
    uris = [CB, f"{CB}?page=two", "https://other.test/callback"]
    return Party(provider, Variant(), redirect_uris=uris, jwks={"keys": [request_objects.jwk("rsa")]}, **method)


def prove(party: Party, key: Any = assertions.KEY, **header: str) -> dict[str, str]:
    """Return a client assertion, which is for the issuer."""
    return assertions.signed(assertions.claims(party.provider, party.client), key, **header)


# OIDCCRegistrationJwksUri, OIDCCEnsureClientAssertionWithIssAudSucceeds, OIDCCRefreshTokenRPKeyRotation
def test_a_client_publishes_its_keys_and_changes_them(provider: AuthServer, berta: User, site: Site):
    first, second = assertions.jwk(kid="first"), assertions.jwk(assertions.OTHER_KEY, kid="second")
    party = Party(
        provider,
        Variant(grant_types=("authorization_code", "refresh_token")),
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri=site.publish("/jwks", {"keys": [first]}),
    )
    asked = party.request(scope="openid offline_access", prompt="consent")
    done = party.finish(party.browser(berta).authorize(asked), asked, **prove(party, kid="first"))
    site.publish("/jwks", {"keys": [second]})
    again = {"grant_type": "refresh_token", "refresh_token": done.tokens["refresh_token"]}
    assert_tokens(provider.post("/token", **again, **prove(party, assertions.OTHER_KEY, kid="second")))


# OIDCCEnsureRedirectUriInAuthorizationRequest
def test_a_redirect_uri_is_never_guessed(rsa: Party, berta: User):
    assert_page(rsa.ask(rsa.browser(berta), redirect_uri=None))


# OIDCCRedirectUriQueryOK, OIDCCRedirectUriQueryMismatch, OIDCCRedirectUriQueryAdded
def test_the_query_of_a_redirect_uri_is_part_of_it_and_is_kept(rsa: Party, berta: User):
    page = rsa.ask(rsa.browser(berta), redirect_uri=f"{CB}?page=two")
    assert page.location is not None
    assert page.location.startswith(f"{CB}?page=two&")
    assert page.callback["code"]
    for other in (f"{CB}?page=three", f"{CB}?page=two&more=1", "https://other.test/callback?page=two"):
        assert_page(rsa.ask(rsa.browser(berta), redirect_uri=other))


# OIDCCRedirectUriRegFrag
def test_a_redirect_uri_with_a_fragment_is_not_registered(provider: AuthServer):
    assert refusal(provider, redirect_uris=[f"{CB}#fragment"]) == "invalid_redirect_uri"


# OIDCCDiscoveryEndpointVerification
def test_what_dynamic_clients_look_for_is_announced(provider: AuthServer):
    document = provider.get("/.well-known/openid-configuration").json()
    assert {"code", "id_token", "token id_token"} <= set(document["response_types_supported"])
    assert {"authorization_code", "implicit"} <= set(document["grant_types_supported"])
    assert document["registration_endpoint"] == f"{provider.issuer}/register"


# OIDCCRegistrationPolicyUri, OIDCCRegistrationTosUri
def test_the_login_page_leads_to_policy_and_terms(provider: AuthServer):
    links = {"policy_uri": "https://client.test/policy", "tos_uri": "https://client.test/terms"}
    party = Party(provider, Variant(), client_name="Notebook", **links)
    page = party.browser().visit_request(party.request())
    assert "Notebook" in page.text
    assert all(f'href="{place}"' in page.text for place in links.values())


# OIDCC3rdPartyInitLogin, OIDCC3rdPartyInitLoginNonHttps (3rd Party-Init OP)
def test_where_others_may_start_a_login_is_registered_and_read_again(provider: AuthServer):
    made = Party(provider, Variant(), initiate_login_uri="https://client.test/login").registration
    assert made["initiate_login_uri"] == "https://client.test/login"
    path = made["registration_client_uri"].removeprefix(provider.issuer)
    read = provider.get(path, made["registration_access_token"])
    assert (read.status_code, read.headers["content-type"]) == (200, "application/json")
    assert read.json()["initiate_login_uri"] == "https://client.test/login"
    assert refusal(provider, initiate_login_uri="http://client.test/login") == "invalid_client_metadata"


# OIDCCRequestUriUnsigned is skipped where "none" is not announced. OIDCCRequestUriSignedRS256
def test_a_signed_request_is_fetched_from_where_it_was_registered(provider: AuthServer, berta: User, site: Site):
    place = site.publish("/request.jwt", b"")
    members = {"request_uris": [place], "request_object_signing_alg": "RS256"}
    party = Party(provider, Variant(), jwks={"keys": [request_objects.jwk("rsa")]}, **members)
    inside = request_objects.claims(provider, party.client, nonce="of the object")
    inside = {name: value for name, value in inside.items() if not name.startswith("code_challenge")}
    site.publish("/request.jwt", request_objects.sign(inside, "RS256").encode())
    # OpenID Connect Core 6.1: what OAuth needs stands beside it, too.
    asked = party.request(request_uri=place, nonce="of the URL", state="outside")
    page = party.browser(berta).authorize(asked)
    party.finish(page, {**inside, "response_type": "code"})
    assert page.callback["state"] == "inside"


# OIDCCServerRotateKeys
def test_after_a_rotation_old_and_new_keys_are_published(provider: AuthServer):
    before, settings = published(provider), provider.settings
    keys.rotate(provider.store, provider.sealer, settings, soon=True, compromised=False, actor="test")
    provider.server.keys.load()  # as every process does once in a while
    assert published(provider) > before


def published(provider: AuthServer) -> set[str]:
    return {key["kid"] for key in provider.get("/jwks").json()["keys"] if key["use"] == "sig"}

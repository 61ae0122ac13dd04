"""Dynamic OP: clients that register themselves, with keys, redirect URIs and pages of their own."""

import json
import re
import socket
from collections.abc import Iterator
from html import unescape
from typing import Any

import jwt
import pytest

from authserver.manage import keys
from authserver.records import User
from pytest_authserver import AuthServer
from tests import assertions, drawing, request_objects
from tests.listener import Listener, says, silent, tls
from tests.openid.party import CB, Party, Variant, assert_page, assert_tokens
from tests.registering import refusal
from tests.world import assert_refused


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
    fresh = assert_tokens(provider.post("/token", **again, **prove(party, assertions.OTHER_KEY, kid="second")))
    # What the client no longer publishes proves nothing any more.
    again["refresh_token"] = fresh["refresh_token"]
    assert_refused(provider.post("/token", **again, **prove(party, kid="first")), "invalid_client", 401)


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


# OIDCCRegistrationLogoUri
def test_the_login_page_shows_the_logo(provider: AuthServer, site: Site):
    picture = drawing.png()
    party = Party(provider, Variant(), client_name="Notebook", logo_uri=site.publish("/logo.png", picture))
    page = party.browser().visit_request(party.request())
    found = re.search(r'<img src="(/clients/logo[^"]+)"', page.text)
    assert found is not None
    assert "Notebook" in page.text
    shown = provider.get(unescape(found[1]))
    assert (shown.status_code, shown.headers["content-type"], shown.content) == (200, "image/png", picture)


# OIDCCRegistrationPolicyUri, OIDCCRegistrationTosUri
def test_the_login_page_leads_to_policy_and_terms(provider: AuthServer):
    links = {"policy_uri": "https://client.test/policy", "tos_uri": "https://client.test/terms"}
    party = Party(provider, Variant(), client_name="Notebook", **links)
    page = party.browser().visit_request(party.request())
    assert "Notebook" in page.text
    assert all(f'href="{place}"' in page.text for place in links.values())


# OIDCCRegistrationSectorUri, OIDCCRegistrationSectorBad
def test_the_redirect_uris_of_a_sector_are_those_that_its_document_lists(provider: AuthServer, berta: User, site: Site):
    place = site.publish("/sector.json", [CB, "https://other.test/callback"])
    pairwise = {"sector_identifier_uri": place, "subject_type": "pairwise"}
    parties = [
        Party(provider, Variant(), redirect_uris=[uri], **pairwise) for uri in (CB, "https://other.test/callback")
    ]
    done = [each.sign_in(each.browser(berta)) for each in parties]
    assert done[0].claims["sub"] == done[1].claims["sub"] != berta.sub
    assert refusal(provider, redirect_uris=[CB, f"{CB}/more"], **pairwise) == "invalid_client_metadata"


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
def test_after_a_rotation_the_new_key_signs_and_the_old_one_is_still_published(provider: AuthServer, berta: User):
    before, settings, party = published(provider), provider.settings, Party(provider, Variant())
    asked = party.request()
    old = party.finish(party.browser(berta).authorize(asked), asked).tokens["id_token"]
    keys.rotate(provider.store, provider.sealer, settings, soon=True, compromised=False, actor="test")
    provider.server.keys.load()  # as every process does once in a while
    assert published(provider) > before
    party.claims(old, asked)
    with provider.later(600):
        page = party.ask(party.browser(berta))
        fresh = assert_tokens(party.redeem(party.answer(page)))["id_token"]
        assert jwt.get_unverified_header(fresh)["kid"] in published(provider) - before
        assert published(provider) > before


def published(provider: AuthServer) -> set[str]:
    return {key["kid"] for key in provider.get("/jwks").json()["keys"] if key["use"] == "sig"}

"""Client certificates are optional: the profiles with one and without, over https behind nginx (RFC 8705 2.2, 3, 5)."""

import json
from typing import Any

import pytest

from authserver.records import User
from tests.assertions import jwk
from tests.openid.conftest import DEPLOYED
from tests.openid.deployed import EVIL, LIES, Deployed, assert_outside
from tests.openid.party import Party, Variant, assert_tokens
from tests.tls.conftest import LEAF, SELF
from tests.world import assert_refused

pytestmark = pytest.mark.parametrize("provider", [DEPLOYED], indirect=True, scope="session")


def urls(value: Any) -> list[str]:
    """Return every URL in a document, however deep."""
    if isinstance(value, dict | list):
        return [url for entry in (value.values() if isinstance(value, dict) else value) for url in urls(entry)]
    return [value] if isinstance(value, str) and "://" in value else []


def test_every_url_of_discovery_is_https_at_the_issuer_or_where_certificates_are_asked_for(provider: Deployed):
    for kind in ("openid-configuration", "oauth-authorization-server"):
        document = provider.get(f"/.well-known/{kind}").json()
        aliases = document.pop("mtls_endpoint_aliases")
        assert aliases
        assert all(url.startswith(f"{provider.alias}/") for url in aliases.values())
        assert all(url == provider.issuer or url.startswith(f"{provider.issuer}/") for url in urls(document))
        assert len(urls(document)) > 10


def test_the_lies_are_told_and_change_nothing_even_straight_to_the_server(provider: Deployed):
    # 127.0.0.1 is the trusted proxy: one that lets through whatever it is sent.
    with provider.straight() as http:
        for path in ("/.well-known/openid-configuration", "/jwks", "/login", "/logout", "/check-session"):
            answer, truth = http.get(path, headers=LIES), provider.get(path)
            assert_outside(provider, answer)
            assert (answer.status_code, answer.headers.get("location")) == (
                truth.status_code,
                truth.headers.get("location"),
            )
        document = http.get("/.well-known/openid-configuration", headers={"Host": EVIL})
        assert document.json() == provider.get("/.well-known/openid-configuration").json()


def test_a_client_without_a_certificate_is_asked_for_none_and_one_with_is_not_either(provider: Deployed, berta: User):
    party = Party(provider, Variant())
    asked = party.request()
    answer = party.answer(party.browser(berta).authorize(asked))
    form = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": party.redirect_uri}
    with provider.showing(LEAF) as http:
        tokens = assert_tokens(http.post(f"{provider.issuer}/token", data=form, auth=party.client.basic))
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert http.get(f"{provider.issuer}/userinfo", headers=bearer).status_code == 200
    assert "cnf" not in provider.introspect(party.client, tokens["access_token"])
    party.claims(tokens["id_token"], asked)


def test_a_client_may_prove_itself_by_its_certificate_and_its_tokens_are_bound_to_it(provider: Deployed, berta: User):
    party = Party(
        provider,
        Variant(),
        token_endpoint_auth_method="self_signed_tls_client_auth",
        tls_client_certificate_bound_access_tokens=True,
        jwks={"keys": [jwk(SELF.key, x5c=[SELF.x5c])]},
    )
    asked = party.request()
    answer = party.answer(party.browser(berta).authorize(asked))
    form = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": party.redirect_uri}
    form["client_id"] = party.client.client_id
    places = provider.get("/.well-known/openid-configuration").json()["mtls_endpoint_aliases"]
    with provider.showing(LEAF) as another, provider.http() as nobody, provider.showing(SELF) as own:
        for http in (another, nobody):
            assert_refused(http.post(places["token_endpoint"], data=form), "invalid_client", 401)
        assert_refused(own.post(f"{provider.issuer}/token", data=form), "invalid_client", 401)
        tokens = assert_tokens(own.post(places["token_endpoint"], data=form))
        party.claims(tokens["id_token"], asked)
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        told = own.get(places["userinfo_endpoint"], headers=bearer)
        assert (told.status_code, json.loads(told.text)["sub"]) == (200, berta.sub)
        for http in (another, nobody):
            assert http.get(places["userinfo_endpoint"], headers=bearer).status_code == 401
        assert own.get(f"{provider.issuer}/userinfo", headers=bearer).status_code == 401

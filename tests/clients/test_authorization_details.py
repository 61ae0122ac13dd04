"""Rich authorization requests (RFC 9396) of requests-oauth2client from PyPI, at an API that our library guards."""

import json
from pathlib import Path
from typing import Any

import pytest
from requests_oauth2client import BearerToken, OAuth2Client
from requests_oauth2client.exceptions import EndpointError

from pytest_authserver import AuthServer
from pytest_authserver.live import serving
from resourceserver import IntrospectionClient, Verifier
from tests.clients.conftest import CALLBACK, Answer, Visit
from tests.details import BANK, FILES, JWT_BANK, METADATA, PAYMENT, READ_AND_WRITE, TYPES, changed

SIGNED = changed(PAYMENT, type="signed_payment")


def _prepared(at: AuthServer) -> OAuth2Client:
    """Put a person, three APIs and a client at the server; let the library read the metadata."""
    at.user("alice")
    at.resource(BANK)
    at.resource(JWT_BANK, token_format="jwt")
    at.resource(FILES)
    client = at.client(**METADATA | {"scope": "openid", "trusted": False, "redirect_uris": [CALLBACK]})
    auth = (client.client_id, client.client_secret)
    return OAuth2Client.from_discovery_endpoint(issuer=at.issuer, auth=auth, redirect_uri=CALLBACK, testing=True)


def _ask(client: OAuth2Client, answer: Answer, *details: Any) -> BearerToken:
    request = client.authorization_request(scope=None, nonce=None, authorization_details=json.dumps(details))
    callback = answer(str(client.pushed_authorization_request(request)))
    return client.authorization_code(request.validate_callback(callback), validate=False)


def test_a_client_gets_what_was_allowed_and_the_api_sees_it(tmp_path: Path, visit_at: Visit):
    with serving(tmp_path, authorization_details_types=TYPES) as at:
        client = _prepared(at)
        guard = at.client(resource_server_for=[BANK], grant_types=[], redirect_uris=None)
        by_asking = IntrospectionClient(at.issuer, client_id=guard.client_id, client_secret=guard.client_secret)
        for audience, detail in ((BANK, PAYMENT), (JWT_BANK, SIGNED)):
            tokens = _ask(client, visit_at(at), detail)
            assert tokens.authorization_details == [detail]
            verifier = Verifier(at.issuer, audience, introspection=by_asking)
            seen = verifier.verify(f"Bearer {tokens.access_token}", details=(detail["type"],))
            assert [dict(one)["creditor"] for one in seen.details(detail["type"])] == ["Merchant A"]


def test_a_client_asks_for_less_and_is_refused_more(tmp_path: Path, visit_at: Visit):
    with serving(tmp_path, authorization_details_types=TYPES) as at:
        client = _prepared(at)
        tokens = _ask(client, visit_at(at), READ_AND_WRITE)
        read = [changed(READ_AND_WRITE, actions=["read"])]
        less = client.refresh_token(tokens, authorization_details=json.dumps(read))
        assert less.authorization_details == read
        for wanted in (changed(READ_AND_WRITE, actions=["delete"]), changed(PAYMENT, type="unknown")):
            with pytest.raises(EndpointError) as refusal:
                client.refresh_token(less, authorization_details=json.dumps([wanted]))
            assert refusal.value.error == "invalid_authorization_details"
        assert client.refresh_token(less).authorization_details == [READ_AND_WRITE]

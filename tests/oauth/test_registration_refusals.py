"""What dynamic client registration refuses or leaves out (RFC 7591 3.2.2, 5)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authserver import registry
from authserver.manage.client_metadata import flag
from authserver.records import Event
from pytest_authserver import AuthServer, RegisteredClient
from tests.registering import CB, anybody, invitation, post, refusal, register
from tests.signing import key
from tests.world import assert_refused

__all__ = ["anybody"]


# 3.2.2, 5: what is refused.


@pytest.mark.parametrize(
    "uris",
    [
        [],
        None,
        CB,
        17,
        {"0": CB},
        [None],
        [17],
        [[CB]],
        [CB, {}],
        [CB] + [f"https://client.test/{number}" for number in range(1000)],
        *(
            [uri]
            for uri in (
                "",
                "/cb",
                "client.test/cb",
                "https://",
                "https:///cb",
                "https://client.test/cb#x",
                "https://client.test/cb#",
                "https://user@client.test/cb",
                "https://user:password@client.test/cb",
                "https://*.client.test/cb",
                "https://client.test/*",
                "https://client.test/cb?code=x",
                "http://client.test/cb",
                "http://localhost.client.test/cb",
                "https://10.0.0.1/cb",
                "https://[fd00::1]/cb",
                "https://169.254.169.254/",
                "https://127.1/cb",
                "https://client.test:0/cb",
                "https://client.test\\@evil.test/cb",
                "https://client.test/c b",
                "https://client.test/\u00e9",
                "https://client.test/cb\n",
                "javascript:alert(1)",
                "JavaScript:alert(1)//x.y",
                "data:text/html,x",
                "file:///etc/passwd",
                "myapp:/cb",
                "urn:ietf:wg:oauth:2.0:oob",
                "https://client.test/" + "x" * 2048,
            )
        ),
    ],
    ids=range(40),
)
def test_a_redirect_uri_that_answers_could_be_stolen_at_is_refused_3_2_2(anybody: AuthServer, uris: Any):
    assert refusal(anybody, redirect_uris=uris) == "invalid_redirect_uri"


@pytest.mark.parametrize("uri", [CB, "http://127.0.0.1/cb", "http://[::1]:8000/cb", "http://localhost/cb", "a.b:/cb"])
def test_ordinary_redirect_uris_are_taken(anybody: AuthServer, uri: str):
    assert register(anybody, redirect_uris=[uri])["redirect_uris"] == [uri]


@pytest.mark.parametrize(
    "metadata",
    [
        {"token_endpoint_auth_method": "password"},
        {"token_endpoint_auth_method": ["none"]},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://client.test/jwks"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://10.0.0.1/jwks"},
        {"jwks": {"keys": [key("p256").as_dict(private=False)]}, "jwks_uri": "https://client.test/jwks"},
        {"jwks": {"keys": [{**key("p256").as_dict(private=False), "d": "AAAA"}]}},
        {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
        {"jwks": {"keys": [{**key("p256").as_dict(private=False), "use": []}]}},
        {"jwks": {"keys": [{**key("p256").as_dict(private=False), "other": 10**30}]}},
        {"jwks": {"keys": []}},
        {"jwks": []},
        {"jwks": "x"},
        {"grant_types": "authorization_code"},
        {"grant_types": [17]},
        {"grant_types": [["authorization_code"]]},
        {"response_types": ["token"]},
        {"response_types": ["code id_token"]},
        {"scope": ["openid"]},
        {"scope": "x" * 5000},
        {"client_name": ""},
        {"client_name": 17},
        {"client_name": "x\u202ey"},
        {"client_name": "\u3164"},
        {"client_name": "Your\u034f Bank"},
        {"client_name": "x" * 600},
        {"client_name#de": "x\ny"},
        {"client_name#de": "Notizen", "client_name#DE": "Merkzettel"},
        {f"client_name#x{chr(97 + number)}": "Notes" for number in range(21)},
        {"client_uri#de": "javascript:alert(1)"},
        {"logo_uri#de": "http://client.test/logo.png"},
        {"tos_uri#fr-CA": ""},
        {"client_uri": "javascript:alert(1)"},
        {"logo_uri": "data:image/png;base64,x"},
        {"policy_uri": "http://client.test/"},
        {"contacts": "me"},
        {"default_max_age": "1"},
        {"default_max_age": -1},
        {"require_auth_time": "true"},
        {"subject_type": "secret"},
        {"id_token_signed_response_alg": "none"},
        {"initiate_login_uri": "http://client.test/login"},
        {"initiate_login_uri": "http://localhost/login"},
        {"post_logout_redirect_uris": ["http://client.test/bye"]},
        {"post_logout_redirect_uris": ["javascript:x"]},
        {"post_logout_redirect_uris": "https://client.test/bye"},
        {"require_pushed_authorization_requests": "yes"},
    ],
    ids=range(47),
)
def test_metadata_that_cannot_be_is_refused_3_2_2(anybody: AuthServer, metadata: dict[str, Any]):
    assert refusal(anybody, **metadata) == "invalid_client_metadata"


def test_a_refusal_repeats_nothing_of_what_was_sent(anybody: AuthServer):
    for metadata in ({"redirect_uris": ["https://evil.test/<script>"]}, {"client_name": "<evil>\n"}):
        answer = post(anybody, {"redirect_uris": [CB], **metadata})
        assert answer.status_code == 400
        assert "evil" not in answer.text


def test_what_an_administrator_decides_is_dropped_5(anybody: AuthServer):
    wanted = {
        "trusted": True,
        "skip_consent": True,
        "profile": "legacy",
        "resources": ["https://api.test/"],
        "resource_server_for": ["https://api.test/"],
        "introspects_all": True,
        "auth_method_pinned": True,
        "web_origins": ["https://evil.test"],
        "access_token_format": "jwt",
        "require_pkce": False,
        "refresh_rotation": False,
        "grace_seconds": 300,
        "id_token_claims": True,
        "origin": "administrator",
        "disabled_at": 1,
        "demonstration": True,
        "document_expires_at": 2**40,
        "anything": ["else"],
    }
    answer = register(anybody, **wanted)
    stored = anybody.store.clients.get(answer["client_id"])
    assert stored is not None
    assert (stored.origin, stored.profile, stored.trusted, stored.require_pkce) == (
        "registration",
        "oauth21",
        False,
        True,
    )
    assert not {name for name in wanted if name in answer} - {
        "profile",
        "require_pkce",
        "refresh_rotation",
        "auth_method_pinned",
    }
    assert (answer["profile"], answer["require_pkce"], answer["refresh_rotation"]) == ("oauth21", True, True)
    assert stored.metadata.items() >= {name: value for name, value in answer.items() if name in stored.metadata}.items()


def test_a_member_of_an_extension_is_an_administrators_unless_it_is_known_to_be_the_clients(
    anybody: AuthServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(anybody.server.registry.CLIENT_METADATA, "may_impersonate", flag)
    answer = register(anybody, may_impersonate=True, require_pushed_authorization_requests=True)
    assert "may_impersonate" not in answer
    assert answer["require_pushed_authorization_requests"] is True
    assert "may_impersonate" not in registry.CLIENT_METADATA


@pytest.mark.parametrize(
    "more",
    [
        "client_credentials",
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:openid:params:grant-type:ciba",
    ],
)
def test_grants_beyond_the_policy_are_left_out_5(anybody: AuthServer, more: str):
    answer = register(anybody, grant_types=["authorization_code", more])
    assert answer["grant_types"] == ["authorization_code"]
    client = RegisteredClient(answer["client_id"], answer["client_secret"], CB, answer)
    refused = anybody.token(client, grant_type=more).json()["error"]
    assert refused in {"unauthorized_client", "unsupported_grant_type"}
    assert refusal(anybody, grant_types=[more], response_types=[]) == "invalid_client_metadata"


def test_the_grant_that_is_meant_by_none_is_beyond_the_policy_too_5(tmp_path: Path):
    device = "urn:ietf:params:oauth:grant-type:device_code"
    server = AuthServer(tmp_path, registration={"mode": "open", "grant_types": device})
    assert refusal(server) == refusal(server, grant_types=None) == "invalid_client_metadata"
    assert register(server, grant_types=[device])["grant_types"] == [device]
    server.close()


def test_a_grant_that_the_settings_allow_can_be_registered(tmp_path: Path):
    device = "urn:ietf:params:oauth:grant-type:device_code"
    settings = {"mode": "open", "grant_types": f"authorization_code,{device}"}
    server = AuthServer(tmp_path, registration=settings)
    assert register(server, grant_types=["authorization_code", device])["grant_types"] == [
        "authorization_code",
        device,
    ]
    server.close()


def test_scope_beyond_the_policy_is_left_out_5(anybody: AuthServer):
    assert register(anybody, scope="openid admin:all notes:read email")["scope"] == "openid notes:read"
    assert refusal(anybody, scope="admin:all") == "invalid_client_metadata"
    assert register(anybody, scope="")["scope"] == ""


def test_an_api_of_which_no_scope_is_in_the_policy_is_out_of_reach_5(tmp_path: Path):
    bank, notes = "https://bank.test/", "https://notes.test/"
    kind = {"description": "Pay", "resources": [bank], "json_schema": {"type": "object", "additionalProperties": False}}
    settings = {"mode": "open", "scopes": "openid notes:read"}
    server = AuthServer(tmp_path, registration=settings, authorization_details_types={"payment": kind})
    server.resource(bank, "pay")
    server.resource(notes, "notes:read", "notes:write")
    server.resource("https://bare.test/")
    answer = register(server, authorization_details_types=["payment"])
    client = RegisteredClient(answer["client_id"], answer["client_secret"], CB, answer)
    assert server.push(client, server.pkce(), scope="openid", resource=notes).status_code == 201
    for place in (bank, "https://bare.test/", [notes, bank]):
        assert_refused(server.push(client, server.pkce(), scope="openid", resource=place), "invalid_target")
    asked = server.push(client, server.pkce(), scope=None, authorization_details='[{"type":"payment"}]')
    assert_refused(asked, "invalid_authorization_details")
    # What an administrator says of it afterwards counts.
    known = server.store.clients.get(client.client_id)
    assert known is not None
    chosen = replace(known, resources=(bank,), metadata={**known.metadata, "resources": [bank]})
    server.store.clients.update(chosen, Event("client.updated", "test"))
    server.server.forget()
    assert server.push(client, server.pkce(), scope="openid", resource=bank).status_code == 201
    server.close()


@pytest.fixture(scope="module")
def particular(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server that takes answers to few places only."""
    settings = {"mode": "open", "redirects": "https", "redirect_hosts": "client.test, .apps.test"}
    server = AuthServer(tmp_path_factory.mktemp("particular"), registration=settings)
    yield server
    server.close()


@pytest.mark.parametrize("uri", [CB, "https://CLIENT.test/x", "https://a.apps.test/cb", "https://client.test:8443/cb"])
def test_the_settings_say_where_answers_may_go(particular: AuthServer, uri: str):
    assert register(particular, redirect_uris=[uri], post_logout_redirect_uris=[uri])["redirect_uris"] == [uri]


@pytest.mark.parametrize(
    "uri",
    [
        "https://other.test/cb",
        "https://xclient.test/cb",
        "https://a.client.test/cb",
        "https://apps.test/cb",
        "https://evilapps.test/cb",
        "http://127.0.0.1/cb",
        "https://localhost/cb",
        "com.example.app:/cb",
    ],
)
def test_the_settings_say_where_answers_may_not_go(particular: AuthServer, uri: str):
    assert refusal(particular, redirect_uris=[CB, uri]) == "invalid_redirect_uri"
    assert refusal(particular, post_logout_redirect_uris=[uri]) == "invalid_client_metadata"


def test_the_profile_of_the_settings_counts(tmp_path: Path):
    server = AuthServer(tmp_path, registration={"mode": "open", "profile": "fapi2"})
    keys = {"keys": [key("p256").as_dict(private=False)]}
    assert refusal(server, token_endpoint_auth_method="client_secret_basic") == "invalid_client_metadata"
    answer = register(server, token_endpoint_auth_method="private_key_jwt", jwks=keys)
    assert answer["require_pushed_authorization_requests"] is True
    assert answer["dpop_bound_access_tokens"] is True
    server.close()


def test_ten_clients_an_hour_come_from_one_address_5(tmp_path: Path):
    server = AuthServer(tmp_path, registration={"mode": "open"}, limits={}, trusted_proxies=["127.0.0.1"])

    def come(address: str) -> httpx2.Response:
        return post(server, {"redirect_uris": [CB]}, **{"X-Forwarded-For": address})

    assert [come("203.0.113.1").status_code for _ in range(10)] == [201] * 10
    answer = come("203.0.113.1")
    assert_refused(answer, "invalid_request", 429)
    assert int(answer.headers["retry-after"]) > 0
    # Refused ones count, too; one subscriber holds a whole /64; and an invitation is counted by itself.
    assert [come(f"2001:db8:0:1::{number}").status_code for number in range(11)] == [201] * 10 + [429]
    assert come("203.0.113.2").status_code == 201
    assert post(server, {"redirect_uris": [CB]}, invitation(server)).status_code == 201
    with server.later(3600):
        assert come("203.0.113.1").status_code == 201
    server.close()

"""Authorization server metadata (RFC 8414) and the key set (RFC 7517)."""

from pathlib import Path

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from pytest_authserver import AuthServer
from tests.world import JWT_API

PATH = "/.well-known/oauth-authorization-server"
NAMES = {
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "userinfo_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "end_session_endpoint",
    "scopes_supported",
    "claims_supported",
    "response_types_supported",
    "response_modes_supported",
    "grant_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "revocation_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_methods_supported",
    "code_challenge_methods_supported",
    "authorization_response_iss_parameter_supported",
    "prompt_values_supported",
    "request_parameter_supported",
    "request_uri_parameter_supported",
    "claims_parameter_supported",
}


def test_the_document_is_json_that_may_be_kept_for_a_while_3_2(authserver: AuthServer):
    answer = authserver.get(PATH)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["access-control-allow-origin"] == "*"


def test_the_issuer_is_the_exact_string_without_a_slash_3_3(authserver: AuthServer):
    assert authserver.get(PATH).json()["issuer"] == "http://localhost:9000"


def test_everything_that_steers_a_client_is_there_2(authserver: AuthServer):
    document = authserver.get(PATH).json()
    assert NAMES - document.keys() == set()
    assert document["response_types_supported"] == ["code"]
    assert {"query", "fragment", "form_post"} <= set(document["response_modes_supported"])
    assert set(document["grant_types_supported"]) == {
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    }
    assert document["code_challenge_methods_supported"] == ["S256"]


def test_it_passes_the_check_of_another_library(authserver: AuthServer):
    document = authserver.get(PATH).json()
    # The library demands https; nothing else about the document may be wrong.
    checked = AuthorizationServerMetadata(
        {
            name: value.replace("http://localhost:9000", "https://as.test") if isinstance(value, str) else value
            for name, value in document.items()
        }
    )
    checked.validate()
    assert checked.issuer == "https://as.test"
    for required in ("issuer", "authorization_endpoint", "token_endpoint", "response_types_supported"):
        with pytest.raises(ValueError, match=required):
            AuthorizationServerMetadata({**checked, required: None}).validate()


def test_every_endpoint_that_it_names_exists(authserver: AuthServer):
    document = authserver.get(PATH).json()
    for name, url in document.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert url.startswith(authserver.issuer + "/")
            assert authserver.get(url).status_code != 404, name


def test_nothing_is_null_or_empty(authserver: AuthServer):
    assert [name for name, value in authserver.get(PATH).json().items() if value is None or value in ([], "")] == []


def test_a_copy_that_is_still_good_is_not_sent_again(authserver: AuthServer):
    for path in (PATH, "/.well-known/openid-configuration", "/jwks"):
        first = authserver.get(path)
        again = authserver.get(path, **{"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert authserver.get(path, **{"If-None-Match": '"other"'}).status_code == 200


def test_head_is_answered_without_a_body(authserver: AuthServer):
    with authserver.http() as http:
        for path in (PATH, "/.well-known/openid-configuration", "/jwks"):
            answer = http.head(path)
            assert (answer.status_code, answer.content) == (200, b"")
            assert answer.headers["content-length"] == http.get(path).headers["content-length"]


@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
def test_an_issuer_with_a_path_has_its_documents_at_both_places_3_1(tmp_path: Path, name: str):
    server = AuthServer(tmp_path, issuer="http://localhost:9000/tenant")
    for url in (f"http://localhost:9000/.well-known/{name}/tenant", f"http://localhost:9000/tenant/.well-known/{name}"):
        answer = server.get(url)
        assert answer.status_code == 200
        assert answer.json()["issuer"] == "http://localhost:9000/tenant"
        assert answer.json()["token_endpoint"] == "http://localhost:9000/tenant/token"
    for url in (f"http://localhost:9000/.well-known/{name}", f"http://localhost:9000/.well-known/{name}/tenant/"):
        assert server.get(url).status_code == 404
    server.close()


def test_a_new_resource_is_announced(authserver: AuthServer):
    before = authserver.get(PATH)
    authserver.resource("https://announced.test/", "announced:read")
    after = authserver.get(PATH)
    assert "announced:read" in after.json()["scopes_supported"]
    assert after.headers["etag"] != before.headers["etag"]


# The names of hosts and clients in requests change nothing.


def test_a_forged_host_changes_nothing(authserver: AuthServer):
    forged = {
        "Host": "evil.test",
        "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Proto": "https",
        "Forwarded": "host=evil.test",
    }
    assert authserver.get(PATH, **forged).content == authserver.get(PATH).content


# RFC 7517: the key set.


def test_every_key_has_a_name_an_algorithm_and_a_use(tmp_path: Path):
    # Of its own: other tests have clients that want keys of further algorithms.
    at = AuthServer(tmp_path)
    answer = at.get("/jwks")
    at.close()
    assert answer.headers["content-type"] in {"application/json", "application/jwk-set+json"}
    assert "max-age=" in answer.headers["cache-control"]
    keys = answer.json()["keys"]
    assert [(key["alg"], key["kty"], key["use"]) for key in keys] == [
        ("RS256", "RSA", "sig"),
        ("ES256", "EC", "sig"),
        ("RSA-OAEP-256", "RSA", "enc"),
        ("ECDH-ES", "EC", "enc"),
    ]
    assert len({key["kid"] for key in keys}) == len(keys)


def test_no_private_or_shared_key_is_in_it(authserver: AuthServer):
    for key in authserver.get("/jwks").json()["keys"]:
        assert key.keys().isdisjoint({"d", "p", "q", "dp", "dq", "qi", "k", "oth"})
        assert key["kty"] != "oct"


def test_the_names_of_keys_outlive_a_restart(tmp_path: Path):
    first = AuthServer(tmp_path)
    kids = [key["kid"] for key in first.get("/jwks").json()["keys"]]
    first.close()
    second = AuthServer(tmp_path)
    assert [key["kid"] for key in second.get("/jwks").json()["keys"]] == kids
    second.close()


def test_a_key_that_signs_is_in_the_set(authserver: AuthServer):
    import jwt

    client = authserver.client(grant_types=["client_credentials"], redirect_uris=None, scope="jwt:read")
    parameters = {"grant_type": "client_credentials", "resource": JWT_API}
    token = authserver.token(client, **parameters).json()["access_token"]
    kids = [key["kid"] for key in authserver.get("/jwks").json()["keys"]]
    assert jwt.get_unverified_header(token)["kid"] in kids

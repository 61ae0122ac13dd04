"""OpenID Connect Discovery 1.0; what the certification profile "Config OP" looks at."""

import re

from pytest_authserver import AuthServer

PATH = "/.well-known/openid-configuration"


def test_it_is_the_document_of_rfc_8414_at_its_own_address(authserver: AuthServer):
    answer = authserver.get(PATH)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == authserver.get("/.well-known/oauth-authorization-server").content


def test_everything_that_is_required_is_there_3(authserver: AuthServer):
    document = authserver.get(PATH).json()
    assert document["issuer"] == authserver.issuer
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"):
        assert document[name].startswith(authserver.issuer + "/")
    assert "code" in document["response_types_supported"]
    assert set(document["subject_types_supported"]) <= {"public", "pairwise"}
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert "openid" in document["scopes_supported"]


def test_nothing_is_announced_that_does_not_work(authserver: AuthServer):
    document = authserver.get(PATH).json()
    assert "none" not in document["id_token_signing_alg_values_supported"]
    assert "none" not in document["request_object_signing_alg_values_supported"]
    for name in ("registration_endpoint", "check_session_iframe"):
        assert name not in document


def test_scopes_and_locales_are_well_formed(authserver: AuthServer):
    document = authserver.get(PATH).json()
    for scope in document["scopes_supported"]:
        assert re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope)
    for locale in document["ui_locales_supported"]:
        assert re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]+)*", locale)


def test_a_browser_of_any_origin_may_read_it(authserver: AuthServer):
    for path in (PATH, "/.well-known/oauth-authorization-server", "/jwks"):
        answer = authserver.get(path, Origin="https://anybody.test")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers

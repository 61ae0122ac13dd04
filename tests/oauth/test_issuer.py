"""Issuer identification in authorization responses (RFC 9207)."""

from pathlib import Path

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import ask, assert_sent_back, code_of


def test_it_is_announced_3(authserver: AuthServer):
    document = authserver.get("/.well-known/oauth-authorization-server").json()
    assert document["authorization_response_iss_parameter_supported"] is True


def test_success_and_error_carry_the_very_issuer_of_the_metadata_2(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    issuer = authserver.get("/.well-known/oauth-authorization-server").json()["issuer"]
    page = ask(authserver, client, alice)
    assert code_of(page)
    assert page.callback["iss"] == issuer
    for parameters in ({"prompt": "none"}, {"response_type": "x"}, {"scope": "\t"}, {"response_mode": "x"}):
        assert ask(authserver, client, **parameters).callback["iss"] == issuer


def test_a_parameter_of_that_name_in_the_request_is_no_part_of_the_answer(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    page = ask(authserver, client, alice, iss="https://evil.test")
    assert page.location is not None
    assert page.location.count("iss=") == 1
    assert page.callback["iss"] == authserver.issuer
    assert_sent_back(ask(authserver, client, iss="https://evil.test", prompt="none"), "login_required", client)


def test_an_issuer_with_a_path_is_named_whole(tmp_path: Path):
    server = AuthServer(tmp_path, issuer="http://localhost:9000/tenant/one")
    client = server.client(trusted=True)
    page = server.browser(server.user()).authorize(server.request(client, server.pkce()))
    assert page.callback["iss"] == "http://localhost:9000/tenant/one"
    server.close()

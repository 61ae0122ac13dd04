"""The seam over Authlib: what its upgrades could change unseen (docs/architecture.md, Authlib)."""

import inspect
import logging
from importlib.metadata import version
from pathlib import Path

import pytest
from authlib.oauth2 import rfc6749
from authlib.oauth2.rfc6749 import grants

from authserver import registry
from authserver.manage import clients
from authserver.oauth.request import Request
from authserver.oauth.server import Issuing, Server
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import ask, assert_refused, assert_shown, code_of


def test_authlib_is_of_the_line_that_was_looked_at():
    assert version("authlib").startswith("1.9.")


def test_the_methods_that_are_replaced_are_still_there():
    replaced = {
        grants.AuthorizationCodeGrant: "validate_token_request query_authorization_code authenticate_user "
        "generate_token save_token delete_authorization_code create_token_response",
        grants.RefreshTokenGrant: "validate_token_request _validate_request_token authenticate_refresh_token "
        "authenticate_user issue_token save_token revoke_old_credential create_token_response",
        grants.ClientCredentialsGrant: "validate_token_request generate_token save_token create_token_response",
        rfc6749.AuthorizationServer: "authenticate_client get_token_grant query_client send_signal",
        rfc6749.OAuth2Payload: "data datalist client_id response_type grant_type redirect_uri scope state",
    }
    for owner, names in replaced.items():
        assert [name for name in names.split() if not hasattr(owner, name)] == [], owner.__name__


def test_every_grant_runs_through_the_seam():
    for grant in registry.GRANTS:
        assert issubclass(grant, Issuing)
        assert grant.__mro__.index(Issuing) < grant.__mro__.index(rfc6749.BaseGrant)


def test_a_code_is_read_by_authlib_once_and_only_after_the_client_is_proven(
    authserver: AuthServer, client: RegisteredClient, alice: User, monkeypatch: pytest.MonkeyPatch
):
    taken: list[str] = []
    redeem = authserver.store.grants.redeem

    def watched(code_digest: bytes, client_id: str, cnf: str | None) -> object:
        taken.append(client_id)
        return redeem(code_digest, client_id, cnf)

    monkeypatch.setattr(authserver.store.grants, "redeem", watched)
    allowed = authserver.allow(client, alice)
    wrong = RegisteredClient(client.client_id, "wrong", "", {})
    assert_refused(authserver.redeem(wrong, allowed), "invalid_client", 401)
    assert taken == []
    assert authserver.redeem(client, allowed).status_code == 200
    assert taken == [client.client_id]


def test_the_transport_is_not_checked_by_an_environment_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AUTHLIB_INSECURE_TRANSPORT", raising=False)
    source = inspect.getsource(Request.__init__)
    assert "super().__init__" not in source


def test_client_text_in_an_error_is_neither_raised_nor_repeated(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    # Authlib's own descriptions quote redirect_uri and response_type, and refuse a quote or a letter beyond ASCII.
    for text in ('"', "\\", "\N{SNOWMAN}", "\n", "<script>"):
        assert ask(authserver, client, alice, response_type=text).callback["error"] == "unsupported_response_type"
        assert_shown(ask(authserver, client, alice, redirect_uri=text))
        assert_refused(authserver.token(client, grant_type=text), "unsupported_grant_type")
        allowed = authserver.allow(client, alice)
        assert_refused(authserver.redeem(client, allowed, redirect_uri=text), "invalid_grant")


def test_authlib_stays_above_debug_because_it_logs_tokens():
    assert logging.getLogger("authlib").getEffectiveLevel() > logging.DEBUG


def test_a_client_is_remembered_for_a_second_and_no_longer(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True)
    code_of(ask(authserver, client, alice))
    clients.set_disabled(authserver.store, client.client_id, disabled=True, actor="test")
    with authserver.later(1):
        assert_shown(ask(authserver, client, alice), "invalid_client")


def test_an_unknown_client_is_not_remembered(authserver: AuthServer):
    server: Server = authserver.server
    assert server.query_client("not-yet") is None
    client = authserver.client(client_id="not-yet")
    assert server.query_client("not-yet") is not None
    assert authserver.token(client, grant_type="client_credentials", scope="api:read").status_code == 200


def test_a_clock_that_goes_back_makes_nothing_be_remembered_longer(authserver: AuthServer):
    client = authserver.client()
    with authserver.later(3600):
        assert authserver.token(client, grant_type="client_credentials", scope="api:read").status_code == 200
    clients.set_disabled(authserver.store, client.client_id, disabled=True, actor="test")
    answer = authserver.token(client, grant_type="client_credentials", scope="api:read")
    assert_refused(answer, "invalid_client", 401)


def names(steps: tuple[object, ...]) -> list[str]:
    """Return what steps are called in the registry."""
    return [f"{step.__module__.rpartition('.')[2]}.{step.__name__}" for step in steps]  # type: ignore[attr-defined]


def test_a_signed_request_behind_the_scenes_is_opened_first():
    assert names(registry.CIBA_CHECK) == [
        "ciba_request.unpack",
        "rar.check",
        "scope.check",
        "ciba_request.openid",
        "resource.check",
        "rar.add_resources",
        "step_up.acr_values",
        "ciba_request.notification_token",
        "ciba_request.binding_message",
        "ciba_request.user_code",
        "ciba_request.requested_expiry",
        "id_token.check_key",
    ]


def test_the_steps_of_authorization_run_in_this_order():
    # The order is the security property: a change of it has to show in review.
    assert names(registry.AUTHORIZE_RESOLVE) == [
        "client_id_metadata.resolve",
        "par.load",
        "jar.unpack",
        "redirect_uri.check",
    ]
    assert names(registry.AUTHORIZE_CHECK) == [
        "hybrid.place",
        "response_modes.check",
        "jarm.check",
        "parameters.single",
        "par.require",
        "jar.require",
        "authorization_code.check_state",
        "authentication_request.unsupported",
        "authorization_code.check_response_type",
        "rar.check",
        "scope.check",
        "pkce.challenge",
        "resource.check",
        "rar.add_resources",
        "dpop.code_binding",
        "authentication_request.nonce",
        "authentication_request.prompt",
        "authentication_request.max_age",
        "step_up.acr_values",
        "authentication_request.hints",
        "claims_request.check",
        "claims_locales.check",
        "user_registration.check",
        "hybrid.check",
        "id_token.check_key",
    ]
    assert names(registry.AUTHORIZE_FINISH) == ["par.complete"]
    assert names(registry.AUTHORIZE_GRANT) == ["client_id_metadata.keep"]
    assert names(registry.AUTHORIZE_RESPOND) == ["issuer.add", "jarm.sign"]
    assert names(registry.PUSH_PREPARE) == ["dpop.proof"]


def test_the_steps_of_tokens_run_in_this_order():
    assert names(registry.DEVICE_CHECK) == [
        "rar.check",
        "scope.check",
        "resource.check",
        "rar.add_resources",
        "id_token.check_key",
    ]
    assert names(registry.TOKEN_PREPARE) == ["dpop.proof", "dpop.require", "mtls.certificate", "rar.check"]
    assert names(registry.TOKEN_CHECK) == [
        "pkce.verify",
        "rar.narrow",
        "resource.narrow",
        "rar.limit",
        "dpop.binding",
        "mtls.binding",
        "id_token.check_key",
    ]
    assert names(registry.TOKEN_CLAIMS) == [
        "access_token.session",
        "access_token.confirmation",
        "rar.claim",
        "token_exchange.actor",
        "status_list.reference",
    ]
    assert names(registry.TOKEN_RESPOND) == ["rar.echo", "id_token.add"]
    assert names(registry.USERINFO_CHECK) == ["dpop.resource_proof", "mtls.shown"]


def test_an_introspection_answer_is_signed_when_nothing_changes_it_any_more():
    assert names(registry.INTROSPECTION_RESPOND) == ["subject.introspected", "introspection_jwt.sign"]
    assert names(registry.REGISTRATION_CHECK) == ["subject.check_sector"]


def test_both_ways_into_the_protocol_answer_alike(tmp_path: Path):
    short, flask = AuthServer(tmp_path / "a"), AuthServer(tmp_path / "b", gateway=False)
    for path, parameters in (
        ("/token", {"grant_type": "client_credentials"}),
        ("/token", {"grant_type": ["a", "b"]}),
        ("/introspect", {"token": "x"}),
        ("/revoke", {}),
        ("/userinfo", {"access_token": "x"}),
    ):
        answers = [server.post(path, **parameters) for server in (short, flask)]
        assert answers[0].status_code == answers[1].status_code
        assert answers[0].content == answers[1].content
        for name in ("content-type", "cache-control", "www-authenticate"):
            assert answers[0].headers.get(name) == answers[1].headers.get(name)
    for path in ("/.well-known/openid-configuration", "/jwks"):
        assert short.get(path).json().keys() == flask.get(path).json().keys()
    for server in (short, flask):
        user, client = server.user(), server.client(trusted=True)
        assert server.get("/userinfo", server.tokens(client, user)["access_token"]).json()["sub"] == user.sub
        assert "code" in server.browser(user).authorize(server.request(client, server.pkce())).callback
        server.close()

"""Authorization code grant (RFC 6749 4.1; RFC 9700 2.1.1, 4.5)."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import MetaData, select

from authserver.identity import accounts, passwords
from authserver.manage import clients, grants, users
from authserver.records import Event, User
from pytest_authserver import Allowed, AuthServer, RegisteredClient
from tests.world import JWT_API, SCOPE, ask, assert_refused, assert_sent_back, code_of, is_alive


def _is_alive(authserver: AuthServer, client: RegisteredClient, tokens: dict[str, Any]) -> list[bool]:
    """Say where the tokens of an answer are still taken: introspection twice, userinfo, refresh."""
    return [
        is_alive(authserver, client, tokens["access_token"]),
        is_alive(authserver, client, tokens["refresh_token"]),
        authserver.get("/userinfo", tokens["access_token"]).status_code == 200,
        authserver.refresh(client, tokens["refresh_token"]).status_code == 200,
    ]


# 4.1.1, 4.1.2: the authorization request and its answer.


def test_the_answer_is_the_code_the_state_and_the_issuer_4_1_2(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    state = "  a=b+c/d&e%20\N{SNOWMAN}#?"
    page = ask(authserver, client, alice, state=state)
    assert page.callback.keys() == {"code", "state", "iss"}
    assert page.callback["state"] == state
    assert page.callback["iss"] == authserver.issuer


def test_no_state_is_returned_where_none_was_sent_4_1_2(authserver: AuthServer, client: RegisteredClient, alice: User):
    assert ask(authserver, client, alice, state=None).callback.keys() == {"code", "iss"}


def test_codes_are_long_and_different(authserver: AuthServer, client: RegisteredClient, alice: User):
    browser = authserver.browser(alice)
    codes = {browser.authorize(authserver.request(client, authserver.pkce())).callback["code"] for _ in range(10)}
    assert len(codes) == 10
    assert min(map(len, codes)) >= 43


@pytest.mark.parametrize(
    ("response_type", "error"),
    [
        (None, "invalid_request"),
        ("", "invalid_request"),
        ("token", "unsupported_response_type"),
        ("id_token", "unsupported_response_type"),
        ("id_token token", "unsupported_response_type"),
        ("code token", "unsupported_response_type"),
        ("code id_token", "unsupported_response_type"),
        ("Code", "unsupported_response_type"),
        ("code code", "unsupported_response_type"),
        ("none", "unsupported_response_type"),
        ("\N{SNOWMAN}'\"", "unsupported_response_type"),
    ],
)
def test_only_the_response_type_code_exists_3_1_1(
    authserver: AuthServer, client: RegisteredClient, alice: User, response_type: str | None, error: str
):
    page = ask(authserver, client, alice, response_type=response_type, state="s")
    assert_sent_back(page, error, client, state="s")


def test_a_client_without_the_code_grant_gets_no_code(authserver: AuthServer, alice: User):
    itself = authserver.client(grant_types=["client_credentials"], trusted=True)
    assert_sent_back(ask(authserver, itself, alice), "unauthorized_client", itself)


# 4.1.3, 4.1.4: the token request.


def test_a_code_from_the_browser_becomes_tokens_4_1_3(authserver: AuthServer, client: RegisteredClient, alice: User):
    pkce = authserver.pkce()
    page = ask(authserver, client, alice, code_challenge=pkce.challenge)
    parameters = {"code": code_of(page), "redirect_uri": client.redirect_uri, "code_verifier": pkce.verifier}
    tokens = authserver.token(client, grant_type="authorization_code", **parameters).json()
    assert is_alive(authserver, client, tokens["access_token"])


def test_a_client_that_has_not_registered_the_refresh_grant_gets_no_refresh_token(authserver: AuthServer, alice: User):
    without = authserver.client(grant_types=["authorization_code"])
    assert "refresh_token" not in authserver.tokens(without, alice, scope="openid")
    assert "refresh_token" not in authserver.tokens(without, alice, scope="openid offline_access")


def test_a_missing_code_is_an_invalid_request_4_1_3(authserver: AuthServer, client: RegisteredClient):
    assert_refused(authserver.token(client, grant_type="authorization_code"), "invalid_request")
    assert_refused(authserver.token(client, grant_type="authorization_code", code=""), "invalid_request")


def test_a_code_twice_in_one_request_is_refused_and_kept(authserver: AuthServer, client: RegisteredClient, alice: User):
    allowed = authserver.allow(client, alice)
    assert_refused(authserver.redeem(client, allowed, code=[allowed.code, allowed.code]), "invalid_request")
    assert authserver.redeem(client, allowed).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda code: code[:-1],
        lambda code: code[:-7],
        lambda code: code + "A",
        lambda code: code + "=",
        lambda code: code + "\0",
        lambda code: " " + code,
        lambda code: code + " ",
        lambda code: code + "\n",
        lambda code: code.swapcase(),
        lambda code: code[:4] + code[4:].upper(),
        lambda code: code.replace("asc_", "asa_"),
        lambda code: code.removeprefix("asc_"),
        lambda code: code[:20] + "\N{SNOWMAN}" + code[20:],
        lambda code: "x",
        lambda code: "x" * 60_000,
        lambda code: "' OR 1=1 --",
    ],
)
def test_a_code_that_was_tampered_with_opens_nothing_and_stays_good(
    authserver: AuthServer, client: RegisteredClient, alice: User, change: Callable[[str], str]
):
    allowed = authserver.allow(client, alice)
    assert_refused(authserver.redeem(client, allowed, code=change(allowed.code)), "invalid_grant")
    assert authserver.redeem(client, allowed).status_code == 200


def test_other_handles_are_no_codes(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens = authserver.tokens(client, alice)
    for handle in (tokens["access_token"], tokens["refresh_token"], tokens["id_token"], client.client_secret):
        answer = authserver.token(client, grant_type="authorization_code", code=handle)
        assert_refused(answer, "invalid_grant")
    assert _is_alive(authserver, client, tokens) == [True] * 4


def test_a_code_lives_for_sixty_seconds_4_1_2(authserver: AuthServer, client: RegisteredClient, alice: User):
    in_time, too_late = authserver.allow(client, alice), authserver.allow(client, alice)
    with authserver.later(58):
        assert authserver.redeem(client, in_time).status_code == 200
    with authserver.later(61):
        assert_refused(authserver.redeem(client, too_late), "invalid_grant")
    assert authserver.redeem(client, too_late).status_code == 200, "an expired code was not used up"


# 4.1.2, 10.5: once only.


@pytest.mark.parametrize("seconds", [0, 30, 61, 3600])
def test_a_second_use_revokes_everything_that_was_issued_4_1_2(
    authserver: AuthServer, client: RegisteredClient, alice: User, seconds: int
):
    allowed = authserver.allow(client, alice, scope=SCOPE)
    tokens = authserver.redeem(client, allowed).json()
    refreshed = authserver.refresh(client, tokens["refresh_token"]).json()
    with authserver.later(seconds):
        assert_refused(authserver.redeem(client, allowed), "invalid_grant")
    assert _is_alive(authserver, client, tokens) == [False] * 4
    assert _is_alive(authserver, client, refreshed) == [False] * 4


def test_a_second_use_revokes_jwt_access_tokens_too(authserver: AuthServer, client: RegisteredClient, alice: User):
    allowed = authserver.allow(client, alice, scope="openid jwt:read", resource=JWT_API)
    token = authserver.redeem(client, allowed).json()["access_token"]
    assert token.count(".") == 2
    assert is_alive(authserver, client, token)
    assert_refused(authserver.redeem(client, allowed), "invalid_grant")
    assert not is_alive(authserver, client, token)
    assert authserver.get("/userinfo", token).status_code == 401


def test_a_second_use_leaves_other_grants_alone(authserver: AuthServer, client: RegisteredClient, alice: User):
    other = authserver.tokens(client, alice)
    allowed = authserver.allow(client, alice)
    authserver.redeem(client, allowed)
    authserver.redeem(client, allowed)
    assert _is_alive(authserver, client, other) == [True] * 4


def test_a_second_use_is_written_to_the_audit_trail(authserver: AuthServer, client: RegisteredClient, alice: User):
    allowed = authserver.allow(client, alice)
    authserver.redeem(client, allowed)
    before = len(authserver.store.audit.list(0, 100_000, "code.reused"))
    authserver.redeem(client, allowed)
    lines = authserver.store.audit.list(0, 100_000, "code.reused")[before:]
    assert [(line.event.client_id, line.event.sub) for line in lines] == [(client.client_id, alice.sub)]


# A stranger's attempt changes nothing.


def test_the_attempt_of_another_client_is_inert(
    authserver: AuthServer, client: RegisteredClient, stranger: RegisteredClient, public: RegisteredClient, alice: User
):
    allowed = authserver.allow(client, alice)
    for other in (stranger, public):
        assert_refused(authserver.redeem(other, allowed), "invalid_grant")
    tokens = authserver.redeem(client, allowed).json()
    for other in (stranger, public):
        assert_refused(authserver.redeem(other, allowed), "invalid_grant")
    assert _is_alive(authserver, client, tokens) == [True] * 4


def test_a_failed_client_authentication_does_not_use_up_the_code(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    # Go's x/oauth2 tries Basic with an empty secret first, then the body, with the same code.
    allowed = authserver.allow(client, alice)
    secrets = ("", "wrong", client.client_secret[:-1], client.client_secret + "x")
    for secret in secrets:
        wrong = RegisteredClient(client.client_id, secret, client.redirect_uri, {})
        assert_refused(authserver.redeem(wrong, allowed), "invalid_client", 401)
    in_body = {"client_id": client.client_id, "client_secret": client.client_secret}
    answer = authserver.post(
        "/token",
        grant_type="authorization_code",
        code=allowed.code,
        code_verifier=allowed.pkce.verifier if allowed.pkce else None,
        redirect_uri=allowed.redirect_uri,
        **in_body,
    )
    assert answer.status_code == 200


# 4.1.3: the redirect URI is repeated.


def test_the_redirect_uri_may_be_left_out_where_pkce_binds_the_code(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    assert authserver.redeem(client, authserver.allow(client, alice), redirect_uri=None).status_code == 200


@pytest.mark.parametrize("redirect_uri", ["https://client.test/callback/", "https://evil.test/", "x", "\N{SNOWMAN}"])
def test_a_redirect_uri_that_differs_burns_the_code_4_1_3(
    authserver: AuthServer, client: RegisteredClient, alice: User, redirect_uri: str
):
    allowed = authserver.allow(client, alice)
    assert_refused(authserver.redeem(client, allowed, redirect_uri=redirect_uri), "invalid_grant")
    assert_refused(authserver.redeem(client, allowed), "invalid_grant")


@pytest.mark.parametrize("profile", ["legacy", "oidc"])
def test_the_redirect_uri_is_needed_where_nothing_else_binds_the_code_4_1_3(
    authserver: AuthServer, alice: User, profile: str
):
    unbound = authserver.client(profile=profile)
    allowed = authserver.allow(unbound, alice, code_challenge=None)
    assert_refused(authserver.redeem(unbound, allowed, redirect_uri=None), "invalid_grant")
    assert_refused(authserver.redeem(unbound, allowed), "invalid_grant")
    assert authserver.redeem(unbound, authserver.allow(unbound, alice, code_challenge=None)).status_code == 200


def test_the_profile_legacy_always_needs_the_redirect_uri(authserver: AuthServer, alice: User):
    legacy = authserver.client(profile="legacy")
    allowed = authserver.allow(legacy, alice)
    assert_refused(authserver.redeem(legacy, allowed, redirect_uri=None), "invalid_grant")


# What may happen between authorization and redemption.


def _disable_user(authserver: AuthServer, user: User, client: RegisteredClient, allowed: Allowed) -> None:
    users.set_disabled(authserver.store, user, disabled=True, actor="test")


def _change_password(authserver: AuthServer, user: User, client: RegisteredClient, allowed: Allowed) -> None:
    event = Event("password.changed", user.sub, sub=user.sub)
    authserver.store.credentials.replace(user.sub, passwords.KIND, "hash", event)


def _withdraw_consent(authserver: AuthServer, user: User, client: RegisteredClient, allowed: Allowed) -> None:
    accounts.withdraw(authserver.server, user.sub, client.client_id)


def _end_session(authserver: AuthServer, user: User, client: RegisteredClient, allowed: Allowed) -> None:
    authserver.store.sessions.end([allowed.session.sid], "logout", Event("session.ended", user.sub, sub=user.sub))


def _revoke_grants(authserver: AuthServer, user: User, client: RegisteredClient, allowed: Allowed) -> None:
    grants.revoke_all(authserver.store, sub=user.sub, actor="test")


@pytest.mark.parametrize("happens", [_disable_user, _change_password, _withdraw_consent, _end_session, _revoke_grants])
def test_a_code_is_dead_when_what_it_stands_on_is_gone(
    authserver: AuthServer, client: RegisteredClient, happens: Callable[..., None]
):
    user = authserver.user(f"code{happens.__name__}")
    allowed, issued = authserver.allow(client, user), authserver.tokens(client, user)
    happens(authserver, user, client, allowed)
    assert_refused(authserver.redeem(client, allowed), "invalid_grant")
    if happens is not _end_session:
        assert _is_alive(authserver, client, issued) == [False] * 4


@pytest.mark.parametrize("happens", [_disable_user, _change_password])
@pytest.mark.parametrize("scope", ["openid", "openid offline_access"])
def test_a_code_that_was_on_its_way_when_its_session_became_outdated_is_dead(
    authserver: AuthServer, client: RegisteredClient, happens: Callable[..., None], scope: str
):
    user = authserver.user(f"late{happens.__name__}{len(scope)}")
    before = authserver.allow(client, user, scope=scope)
    happens(authserver, user, client, before)
    # Whoever had read the session before goes on and opens a grant after.
    late = authserver.allow(client, user, scope=scope, session=before.session)
    users.set_disabled(authserver.store, user, disabled=False, actor="test")
    assert_refused(authserver.redeem(client, late), "invalid_grant")


def test_a_code_for_offline_access_outlives_the_session(authserver: AuthServer, client: RegisteredClient, bob: User):
    allowed = authserver.allow(client, bob, scope="openid offline_access")
    _end_session(authserver, bob, client, allowed)
    assert authserver.redeem(client, allowed).status_code == 200


def test_a_scope_that_was_taken_away_since_is_not_in_the_tokens(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True, scope="openid email offline_access")
    allowed = authserver.allow(client, alice, scope="openid email offline_access")
    metadata = {**authserver.store.clients.get(client.client_id).metadata, "scope": "openid"}
    clients.update(authserver.store, authserver.sealer, client.client_id, metadata, actor="test")
    authserver.server.forget()
    tokens = authserver.redeem(client, allowed).json()
    assert tokens["scope"] == "openid"
    assert authserver.introspect(client, tokens["access_token"])["scope"] == "openid"
    assert_refused(authserver.refresh(client, tokens["refresh_token"]), "invalid_grant")


def test_a_code_of_a_disabled_client_is_dead(authserver: AuthServer, alice: User):
    client = authserver.client()
    allowed = authserver.allow(client, alice)
    clients.set_disabled(authserver.store, client.client_id, disabled=True, actor="test")
    # The client itself may be remembered for a second; the statement that redeems joins its state.
    assert authserver.redeem(client, allowed).json()["error"] in {"invalid_client", "invalid_grant"}
    with authserver.later(1):
        assert_refused(authserver.redeem(client, allowed), "invalid_client", 401)


# RFC 6749 10.3 to 10.5: nothing in the database opens anything.


def test_a_dump_of_the_database_holds_nothing_that_can_be_used(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True)
    shared = authserver.client(token_endpoint_auth_method="client_secret_jwt")
    browser, waiting = authserver.browser(alice), authserver.allow(client, alice)
    browser.visit("/authorize")
    tokens = authserver.tokens(client, alice)
    refreshed = authserver.refresh(client, tokens["refresh_token"]).json()
    used = [waiting.code, client.client_secret, shared.client_secret, *browser.http.cookies.values()]
    used += [answer[name] for answer in (tokens, refreshed) for name in ("access_token", "refresh_token", "id_token")]
    rows = []
    with authserver.store.database.engine.connect() as connection:
        tables = MetaData()
        tables.reflect(connection)
        for table in tables.sorted_tables:
            rows += [repr(tuple(row)) for row in connection.execute(select(table))]
    dump = "\n".join(rows)
    assert client.client_id in dump
    assert [value for value in used if value in dump or value[4:47] in dump] == []
    assert "PRIVATE KEY" not in dump


def test_a_state_is_returned_whole_or_refused(authserver: AuthServer, client: RegisteredClient, alice: User):
    long = "s" * 4096
    assert ask(authserver, client, alice, state=long, scope="openid").callback["state"] == long
    answer = ask(authserver, client, alice, state=long + "s", scope="openid").callback
    assert answer["error"] == "invalid_request"
    assert not {"code", "state"} & answer.keys()


def test_a_redirect_uri_that_was_taken_away_redeems_nothing(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True, redirect_uris=["https://a.test/1", "https://a.test/2"])
    pkce = authserver.pkce()
    code = code_of(authserver.browser(alice).visit_request(authserver.request(client, pkce)))
    metadata = {**authserver.store.clients.get(client.client_id).metadata, "redirect_uris": ["https://a.test/2"]}
    clients.update(authserver.store, authserver.sealer, client.client_id, metadata, actor="test")
    authserver.server.forget()
    answer = authserver.token(
        client, grant_type="authorization_code", code=code, redirect_uri="https://a.test/1", code_verifier=pkce.verifier
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")

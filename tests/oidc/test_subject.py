"""Subject identifiers, public and pairwise (OpenID Connect Core 1.0, 8, 8.1)."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import jwt as pyjwt
import pytest

from authserver import keys
from authserver.identity import sessions
from authserver.manage import clients, users
from authserver.oidc import subject
from authserver.records import User
from pytest_authserver import AuthServer, Page, RegisteredClient
from tests import backchannel, devices, exchanges
from tests.world import API, JWT_API, SCOPE, assert_refused, assert_sent_back, code_of, node

__all__ = ["node"]

KEYED = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://keys.example/jwks"}
_numbers = count()


def pairwise(at: AuthServer, host: str | None = None, **metadata: Any) -> RegisteredClient:
    """Register a client of a sector, of its own when none is named."""
    host = host or f"app{next(_numbers)}.test"
    members = {"trusted": True, "scope": SCOPE, "redirect_uris": [f"https://{host}/callback"], **metadata}
    return at.client(subject_type="pairwise", **members)


@pytest.fixture
def user(authserver: AuthServer) -> User:
    """An account of the test's own."""
    return authserver.user(f"pia{next(_numbers)}")


@pytest.fixture
def app(authserver: AuthServer) -> RegisteredClient:
    """A client with a sector of its own."""
    return pairwise(authserver)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server with CIBA and token exchange on."""
    server = backchannel.make(tmp_path_factory.mktemp("pairwise"))
    yield server
    server.close()


def claims(tokens: dict[str, Any]) -> dict[str, Any]:
    """Return the claims of the ID token."""
    read: dict[str, Any] = pyjwt.decode(tokens["id_token"], options={"verify_signature": False})
    return read


def called(at: AuthServer, client: RegisteredClient, user: User, **parameters: Any) -> str:
    """Return what the client calls the user."""
    sub: str = claims(at.tokens(client, user, scope="openid", **parameters))["sub"]
    return sub


# 8: types.


def test_both_types_are_announced(authserver: AuthServer):
    document = authserver.get("/.well-known/openid-configuration").json()
    assert document["subject_types_supported"] == ["public", "pairwise"]


def test_without_a_word_of_the_client_the_subject_is_public(authserver: AuthServer, user: User):
    for type_ in (None, "public"):
        client = authserver.client(trusted=True, subject_type=type_)
        tokens = authserver.tokens(client, user)
        assert claims(tokens)["sub"] == authserver.introspect(client, tokens["access_token"])["sub"] == user.sub


def test_each_sector_has_another_name_for_each_user(authserver: AuthServer, user: User, bob: User):
    apps = [pairwise(authserver) for _ in range(2)]
    names = [called(authserver, app, each) for app in apps for each in (user, bob)]
    assert len({*names, user.sub, bob.sub}) == 6
    for name in names:
        assert name.isascii()
        assert len(name) <= 255
        assert user.username not in name


def test_the_clients_of_a_sector_have_one_name_for_a_user_8_1(authserver: AuthServer, user: User):
    host = f"shared{next(_numbers)}.test"
    named = f"https://{host}/sector.json"
    members: tuple[dict[str, Any], ...] = (
        {"host": host},
        {"host": host.upper()},
        {"redirect_uris": [f"https://{host}:8443/cb", f"https://{host}/other"]},
        {"redirect_uris": ["https://one.test/cb", "https://two.test/cb"], "sector_identifier_uri": named},
    )
    assert len({called(authserver, pairwise(authserver, **each), user) for each in members}) == 1
    # A sector is the host, not what belongs to it: somebody else may have the domain above.
    assert called(authserver, pairwise(authserver, f"sub.{host}"), user) != called(
        authserver, pairwise(authserver, host), user
    )


def test_the_name_is_the_same_wherever_the_client_reads_it_5_3_2(
    authserver: AuthServer, app: RegisteredClient, user: User
):
    for parameters in ({}, {"scope": "openid jwt:read offline_access", "resource": JWT_API, "prompt": "consent"}):
        tokens = authserver.tokens(app, user, **parameters)
        sub = claims(tokens)["sub"]
        assert sub != user.sub
        assert authserver.get("/userinfo", tokens["access_token"]).json()["sub"] == sub
        assert authserver.introspect(app, tokens["access_token"])["sub"] == sub
        assert authserver.introspect(app, tokens["refresh_token"])["sub"] == sub
        # Core 12.2: the same in the ID token of a refresh.
        refreshed = authserver.refresh(app, tokens["refresh_token"]).json()
        assert claims(refreshed)["sub"] == sub


def test_so_it_is_for_a_device(authserver: AuthServer, user: User):
    # An administrator says which sector it is of, or its keys do.
    devices.device_client(authserver, subject_type="pairwise", **KEYED)
    named = "https://screens.test/all"
    screen = devices.device_client(authserver, subject_type="pairwise", sector_identifier_uri=named)
    sub = claims(devices.tokens(authserver, screen, user, scope="openid"))["sub"]
    assert sub == called(authserver, pairwise(authserver, "screens.test"), user) != user.sub


def test_so_it_is_for_who_is_asked_elsewhere_ciba_4(own: AuthServer):
    user = own.user(f"elsewhere{next(_numbers)}")
    till = backchannel.asking_client(own, subject_type="pairwise", sector_identifier_uri="https://till.test/all")
    tokens = backchannel.tokens(own, till, user)
    sub = claims(tokens)["sub"]
    assert sub != user.sub
    assert own.get("/userinfo", tokens["access_token"]).json()["sub"] == sub
    # 7.1: the ID token is a hint, too, of its own client.
    hinted = backchannel.ask(own, till, id_token_hint=tokens["id_token"])
    assert hinted.status_code == 200
    backchannel.decide(own, user)
    again = backchannel.poll(own, till, hinted.json()).json()
    assert claims(again)["sub"] == sub
    other = backchannel.asking_client(own, subject_type="pairwise", sector_identifier_uri="https://till.test/all")
    assert_refused(backchannel.ask(own, other, id_token_hint=tokens["id_token"]), "invalid_request")


def test_sessions_are_called_otherwise_in_each_sector_too(authserver: AuthServer, user: User):
    host = f"sid{next(_numbers)}.test"
    one, same, other = pairwise(authserver, host), pairwise(authserver, host), pairwise(authserver)
    session = authserver.allow(one, user).session
    told = [claims(authserver.tokens(each, user, session=session))["sid"] for each in (one, same, other)]
    assert told[0] == told[1]
    assert len({*told, session.sid}) == 3
    tokens = authserver.tokens(one, user, session=session)
    assert authserver.introspect(one, tokens["access_token"])["sid"] == told[0]
    assert claims(authserver.refresh(one, tokens["refresh_token"]).json())["sid"] == told[0]
    assert claims(authserver.tokens(one, user))["sid"] != told[0]


# Access tokens speak to resource servers, in the name that all of them know.


def test_a_resource_server_is_told_the_public_subject(
    authserver: AuthServer, app: RegisteredClient, service: RegisteredClient, user: User
):
    token = authserver.tokens(app, user, scope="openid api:read", resource=API)["access_token"]
    assert authserver.introspect(service, token)["sub"] == user.sub
    jwt = authserver.tokens(app, user, scope="openid jwt:read", resource=JWT_API)["access_token"]
    assert pyjwt.decode(jwt, options={"verify_signature": False})["sub"] == user.sub


def test_so_is_a_pairwise_client_that_is_the_resource_server(authserver: AuthServer, user: User):
    both = pairwise(authserver, resource_server_for=[API])
    token = authserver.tokens(both, user, scope="openid api:read", resource=API)["access_token"]
    assert authserver.introspect(both, token)["sub"] == user.sub
    elsewhere = authserver.tokens(both, user, scope="openid jwt:read", resource=JWT_API)["access_token"]
    assert authserver.introspect(both, elsewhere)["sub"] == called(authserver, both, user)


def test_who_may_see_all_sees_tokens_of_others_as_they_are(
    authserver: AuthServer, client: RegisteredClient, user: User
):
    auditor = pairwise(authserver, introspects_all=True)
    assert authserver.introspect(auditor, authserver.tokens(client, user)["access_token"])["sub"] == user.sub


def test_a_signed_answer_has_the_same_name(authserver: AuthServer, app: RegisteredClient, user: User):
    tokens = authserver.tokens(app, user)
    accept = {"Accept": "application/token-introspection+jwt"}
    answer = authserver.post("/introspect", app, headers=accept, token=tokens["access_token"])
    told = pyjwt.decode(answer.text, options={"verify_signature": False})["token_introspection"]
    assert (told["active"], told["sub"]) == (True, claims(tokens)["sub"])


def test_what_is_dead_stays_silent(authserver: AuthServer, app: RegisteredClient):
    assert authserver.introspect(app, "x") == {"active": False}


def test_a_client_that_acts_for_itself_keeps_its_name(authserver: AuthServer, app: RegisteredClient):
    token = authserver.token(app, grant_type="client_credentials", scope="api:read", resource=API).json()
    assert authserver.introspect(app, token["access_token"])["sub"] == app.client_id


def test_actors_are_called_as_the_client_calls_them_rfc_8693_4_1(own: AuthServer):
    user = own.user(f"acting{next(_numbers)}")
    desk = pairwise(own, grant_types=["authorization_code", exchanges.GRANT], exchange_audiences=[API])
    tokens = own.tokens(desk, user, scope="openid api:read", resource=API)
    acting = {"actor_token": tokens["id_token"], "actor_token_type": exchanges.ID_TOKEN}
    answer = exchanges.exchange(own, desk, tokens["access_token"], resource=API, **acting)
    assert answer.status_code == 200, answer.text
    told = own.introspect(desk, answer.json()["access_token"])
    assert told["sub"] == told["act"]["sub"] == claims(tokens)["sub"]


# The way back: a client names users as it calls them, and only so.


def _ask(at: AuthServer, client: RegisteredClient, user: User | None, **parameters: str) -> Page:
    request = at.request(client, at.pkce(), scope="openid", prompt="none", **parameters)
    return at.browser(user).visit_request(request)


def _demand(sub: str) -> str:
    return json.dumps({"id_token": {"sub": {"value": sub}}})


def test_an_id_token_hint_names_its_user_3_1_2_1(authserver: AuthServer, app: RegisteredClient, user: User, bob: User):
    hint = authserver.tokens(app, user)["id_token"]
    assert code_of(_ask(authserver, app, user, id_token_hint=hint))
    assert_sent_back(_ask(authserver, app, bob, id_token_hint=hint), "login_required", app)
    stranger = pairwise(authserver)
    assert_sent_back(_ask(authserver, stranger, user, id_token_hint=hint), "invalid_request", stranger)


def test_a_demanded_subject_is_one_of_the_clients_own_names_5_5_1(
    authserver: AuthServer, app: RegisteredClient, user: User, bob: User
):
    sub = called(authserver, app, user)
    assert code_of(_ask(authserver, app, user, claims=_demand(sub)))
    assert_sent_back(_ask(authserver, app, bob, claims=_demand(sub)), "login_required", app)
    # No client learns from an answer who is behind the name of another sector, or the public one.
    for foreign in (called(authserver, pairwise(authserver), user), user.sub, "", "\0", "x" * 900):
        assert_sent_back(_ask(authserver, app, user, claims=_demand(foreign)), "login_required", app)
    public = authserver.client(trusted=True)
    assert_sent_back(_ask(authserver, public, user, claims=_demand(sub)), "login_required", public)


def test_two_ways_to_name_a_user_have_to_agree(authserver: AuthServer, app: RegisteredClient, user: User, bob: User):
    hint = authserver.tokens(app, user)["id_token"]
    agreed = _demand(called(authserver, app, user))
    assert code_of(_ask(authserver, app, user, id_token_hint=hint, claims=agreed))
    for other in (called(authserver, app, bob), user.sub):
        page = _ask(authserver, app, user, id_token_hint=hint, claims=_demand(other))
        assert_sent_back(page, "invalid_request", app)


def test_who_signs_in_has_to_be_who_was_named(authserver: AuthServer, app: RegisteredClient, user: User, bob: User):
    request = authserver.request(app, authserver.pkce(), claims=_demand(called(authserver, app, user)))
    for username, answered in ((user.username, "code"), (bob.username, "error")):
        page = authserver.browser().authorize(request, username=username, password="correct horse battery staple")
        assert answered in page.callback


def test_a_logout_with_a_hint_ends_the_session_of_its_user(authserver: AuthServer, user: User, bob: User):
    leaving = pairwise(authserver, post_logout_redirect_uris=["https://leaving.test/bye"])
    browser, pkce = authserver.browser(user), authserver.pkce()
    code = code_of(browser.visit_request(authserver.request(leaving, pkce)))
    hint = authserver.token(leaving, grant_type="authorization_code", code=code, code_verifier=pkce.verifier).json()
    query = f"/logout?id_token_hint={hint['id_token']}&post_logout_redirect_uri=https://leaving.test/bye"
    # 2: about somebody else than who is here, so that person is asked.
    assert authserver.browser(bob).visit(query).location is None
    assert browser.visit(query).location == "https://leaving.test/bye"
    page = browser.visit_request(authserver.request(leaving, authserver.pkce(), prompt="none"))
    assert page.callback["error"] == "login_required"


def test_an_id_token_is_exchanged_in_the_public_name(own: AuthServer):
    user = own.user(f"wiki{next(_numbers)}")
    chat = {"https://chat.test": {"client_id": "wiki", "scope": "chat.read"}}
    wiki = pairwise(own, grant_types=["authorization_code", exchanges.GRANT], id_jag_audiences=chat)
    asked = {
        "requested_token_type": "urn:ietf:params:oauth:token-type:id-jag",
        "audience": "https://chat.test",
        "subject_token_type": exchanges.ID_TOKEN,
    }
    answer = exchanges.exchange(own, wiki, own.tokens(wiki, user)["id_token"], **asked)
    assert answer.status_code == 200, answer.text
    assertion = pyjwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert assertion["sub"] == user.sub
    allowed = own.allow(wiki, user)
    identity = own.redeem(wiki, allowed).json()["id_token"]
    sessions.end_by_id(own.server, user.sub, allowed.session.sid, "user")
    assert_refused(exchanges.exchange(own, wiki, identity, **asked), "invalid_request")


# 8.1: what may change without changing what anybody is called.


def test_names_outlast_processes_and_keys(authserver: AuthServer, tmp_path: Path):
    first = AuthServer(tmp_path)
    user, app = first.user("lasting"), pairwise(first)
    before = claims(first.tokens(app, user, session=(session := first.allow(app, user).session)))
    keys.rotate(first.store, first.sealer, first.settings, actor="test", compromised=True)
    first.close()
    secrets = {"secret_key": "another secret key, for tests and nothing else"}
    second = AuthServer(tmp_path, secret_key_previous="a secret key for tests and nothing else", **secrets)
    after = claims(second.tokens(app, user, session=session))
    second.close()
    assert (after["sub"], after["sid"]) == (before["sub"], before["sid"])
    # They are drawn, so that nobody who knows all the rest can make them again.
    elsewhere = pairwise(authserver, app.redirect_uri.split("/")[2])
    users.add(authserver.store, user, None, actor="test")
    assert called(authserver, elsewhere, user) != before["sub"]


def test_all_nodes_use_the_same_names(authserver: AuthServer, node: AuthServer, app: RegisteredClient, user: User):
    assert called(node, app, user) == called(authserver, app, user)


def test_a_process_keeps_only_so_many(
    authserver: AuthServer, app: RegisteredClient, user: User, bob: User, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(subject, "_KEPT", 1)
    subjects = subject.Subjects(authserver.server)
    client = authserver.store.clients.get(app.client_id)
    assert client is not None
    names = [subjects.of(client, each.sub) for each in (user, bob, user)]
    assert names[0] == names[2] != names[1]
    assert len(subjects._kept) == 1


def test_whoever_is_gone_is_not_called_by_the_public_name(authserver: AuthServer, app: RegisteredClient):
    client, subjects = authserver.store.clients.get(app.client_id), authserver.server.subjects
    assert client is not None
    assert subjects.of(client, "gone") != "gone"
    assert subjects.session_of(client, "gone", "sid") != "sid"
    # An actor may be a client, which all know by one name (RFC 8693 4.1).
    other = pairwise(authserver).client_id
    assert subjects.of(client, other) == other


def test_who_does_not_use_it_does_not_pay_for_it(
    authserver: AuthServer, client: RegisteredClient, user: User, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(authserver.store, "subjects", None)
    monkeypatch.setattr(authserver.server, "subjects", subject.Subjects(authserver.server))
    tokens = authserver.tokens(client, user)
    assert authserver.get("/userinfo", tokens["access_token"]).status_code == 200
    assert authserver.introspect(client, tokens["access_token"])["active"] is True
    assert code_of(_ask(authserver, client, user, id_token_hint=tokens["id_token"]))


# Registration 2: the sector of a client.


@pytest.mark.parametrize(
    "metadata",
    [
        {"redirect_uris": ["https://one.test/cb", "https://two.test/cb"]},
        {"redirect_uris": ["com.example.app:/cb"], "application_type": "native"},
        {"redirect_uris": ["com.example.app://one.test/cb"], "application_type": "native"},
        {"redirect_uris": ["https://one.test/cb", "com.example.app:/cb"]},
        {"redirect_uris": None, "grant_types": [devices.GRANT_TYPE]},
        {"redirect_uris": None, "grant_types": ["client_credentials"], "scope": "api:read"},
        {"sector_identifier_uri": "http://one.test/sector.json"},
        {"sector_identifier_uri": "https://user@one.test/sector.json"},
        {"sector_identifier_uri": "https://one.test/sector.json#x"},
        {"sector_identifier_uri": ["https://one.test/sector.json"]},
        {"sector_identifier_uri": "one.test"},
    ],
)
def test_without_one_host_there_is_no_pairwise_client(authserver: AuthServer, metadata: dict[str, Any]):
    with pytest.raises(clients.InvalidMetadata) as refused:
        pairwise(authserver, **metadata)
    assert refused.value.member == "sector_identifier_uri"
    assert refused.value.error == "invalid_client_metadata"


def test_an_administrator_changes_the_sector_and_the_trail_says_so(authserver: AuthServer, user: User):
    app = pairwise(authserver)
    before = called(authserver, app, user)
    uri = "https://moved.test/callback"
    for type_, sector in (("pairwise", "moved.test"), ("pairwise", None), ("public", "")):
        metadata = {"client_name": "Moved", "redirect_uris": [uri], "subject_type": type_, "trusted": True}
        clients.update(authserver.store, authserver.sealer, app.client_id, metadata, actor="test")
        line = max(authserver.store.audit.list(0, 100_000), key=lambda each: each.number)
        assert (line.event.name, line.event.facts.get("sector")) == ("client.updated", sector)
        authserver.server.forget()
        app = RegisteredClient(app.client_id, app.client_secret, uri, {})
        assert called(authserver, app, user) != before
    assert called(authserver, app, user) == user.sub

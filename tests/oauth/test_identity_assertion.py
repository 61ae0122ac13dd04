"""Identity Assertion JWT Authorization Grant (ID-JAG, draft): given by token exchange, taken as a JWT bearer grant."""

import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import jwt as pyjwt
import pytest

from authserver.manage import users
from authserver.records import Event, User
from pytest_authserver import AuthServer, RegisteredClient
from tests.proofs import Prover
from tests.signing import claims_of, key, token
from tests.world import assert_refused

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ID_TOKEN, ACCESS_TOKEN, ID_JAG, REFRESH_TOKEN = (
    f"urn:ietf:params:oauth:token-type:{name}" for name in ("id_token", "access_token", "id-jag", "refresh_token")
)
IDP, CHAT, API, FILES = "https://idp.test", "https://chat.test/", "https://api.chat.test/", "https://files.chat.test/"
WIKI = "wiki-at-chat"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """One server on both sides: a provider for the chat, and an authorization server that trusts a provider."""
    folder = tmp_path_factory.mktemp("id-jag")
    (folder / "jwks.json").write_text(json.dumps({"keys": [key("p256", kid="ec").as_dict(private=False)]}))
    trusted = {"issuer": IDP, "typ": "oauth-id-jag+jwt", "jwks_file": folder / "jwks.json", "subject_claim": "aud_sub"}
    running = AuthServer(folder, trusted_issuers=[trusted])
    running.resource(API, "chat.read", "chat.history")
    running.resource(FILES, "files.read")
    yield running
    running.close()


@pytest.fixture(scope="module")
def user(server: AuthServer) -> User:
    """Somebody who is known on both sides."""
    return server.user("alice", email="alice@test.example", email_verified=True)


@pytest.fixture(scope="module")
def wiki(server: AuthServer) -> RegisteredClient:
    """The application in which people sign in, and which may call the chat for them."""
    return asking(server)


@pytest.fixture(scope="module")
def caller(server: AuthServer) -> RegisteredClient:
    """The same application as the other side knows it."""
    scope = "openid chat.read chat.history files.read"
    return server.client(grant_types=[BEARER], redirect_uris=None, scope=scope)


def asking(server: AuthServer, **metadata: Any) -> RegisteredClient:
    """Register an application that may ask for assertions."""
    policy = {"client_id": WIKI, "scope": "chat.read chat.history", "resources": [API, FILES]}
    members = {
        "trusted": True,
        "grant_types": ["authorization_code", "refresh_token", EXCHANGE],
        "id_jag_audiences": {CHAT: policy},
        **metadata,
    }
    return server.client(**members)


def ask(server: AuthServer, client: RegisteredClient, id_token: str, **parameters: Any) -> httpx2.Response:
    """Ask for an assertion."""
    asked = {
        "grant_type": EXCHANGE,
        "requested_token_type": ID_JAG,
        "audience": CHAT,
        "subject_token": id_token,
        "subject_token_type": ID_TOKEN,
        **parameters,
    }
    return server.post("/token", client, **asked)


def said(answer: httpx2.Response) -> dict[str, Any]:
    """Return the claims of the assertion in an answer."""
    assert answer.status_code == 200, answer.text
    return claims_of(answer.json()["access_token"])


def claims(server: AuthServer, caller: RegisteredClient, user: User, **changes: Any) -> dict[str, Any]:
    """Return the claims of a good assertion of the trusted provider with changes; None takes one away."""
    moment = int(time.time())
    made = {
        "iss": IDP,
        "sub": "U019488227",
        "aud_sub": user.sub,
        "aud": server.issuer,
        "client_id": caller.client_id,
        "jti": secrets.token_urlsafe(12),
        "iat": moment,
        "exp": moment + 300,
        "scope": "chat.read chat.history",
        "resource": API,
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def bring(server: AuthServer, client: RegisteredClient, payload: Any, **parameters: Any) -> httpx2.Response:
    """Bring an assertion of the trusted provider."""
    assertion = token("ES256", payload, typ="oauth-id-jag+jwt", kid="ec")
    return server.post("/token", client, **{"grant_type": BEARER, "assertion": assertion, **parameters})


# Token Exchange: the provider gives an assertion.


def test_an_id_token_is_exchanged_for_an_assertion(server: AuthServer, wiki: RegisteredClient, user: User):
    own = server.tokens(wiki, user, scope="openid")
    answer = ask(server, wiki, own["id_token"], scope="chat.read", resource=API)
    body, made = answer.json(), said(answer)
    assert {name: body[name] for name in body if name != "access_token"} == {
        "issued_token_type": ID_JAG,
        "token_type": "N_A",
        "expires_in": 300,
        "scope": "chat.read",
    }
    known = claims_of(own["id_token"])
    assert made == {
        "iss": server.issuer,
        "sub": user.sub,
        "aud": CHAT,
        "client_id": WIKI,
        "jti": made["jti"],
        "iat": made["iat"],
        "exp": made["iat"] + 300,
        "auth_time": known["auth_time"],
        "acr": known["acr"],
        "amr": known["amr"],
        "scope": "chat.read",
        "resource": API,
        "email": user.email,
        "email_verified": True,
    }
    assert pyjwt.get_unverified_header(body["access_token"])["typ"] == "oauth-id-jag+jwt"
    published = pyjwt.PyJWKSet.from_dict(server.get("/jwks").json())
    kid = pyjwt.get_unverified_header(body["access_token"])["kid"]
    pyjwt.decode(body["access_token"], published[kid], algorithms=["RS256"], audience=CHAT, issuer=server.issuer)


def test_without_scope_and_resource_all_that_is_allowed_is_named(
    server: AuthServer, wiki: RegisteredClient, user: User
):
    answer = ask(server, wiki, server.tokens(wiki, user)["id_token"])
    assert (said(answer)["scope"], said(answer)["resource"]) == ("chat.read chat.history", [API, FILES])
    bare = asking(server, id_jag_audiences={CHAT: {"client_id": WIKI}}, scope="openid")
    answer = ask(server, bare, server.tokens(bare, user, scope="openid")["id_token"])
    assert said(answer).keys().isdisjoint({"scope", "resource", "email"})
    assert "scope" not in answer.json()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "chat.write"}, "invalid_scope"),
        ({"scope": "chat.read chat.write"}, "invalid_scope"),
        ({"resource": "https://nobody.test/"}, "invalid_target"),
        ({"resource": [API, "https://nobody.test/"]}, "invalid_target"),
        ({"audience": "https://nobody.test/"}, "invalid_target"),
        ({"audience": CHAT.rstrip("/")}, "invalid_target"),
        ({"audience": [CHAT, CHAT]}, "invalid_target"),
        ({"audience": None}, "invalid_request"),
        ({"subject_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"subject_token_type": REFRESH_TOKEN}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
        ({"actor_token": "x", "actor_token_type": ID_TOKEN}, "invalid_request"),
        ({"authorization_details": '[{"type":"x"}]'}, "invalid_authorization_details"),
    ],
)
def test_what_the_administrator_has_not_allowed_is_refused(
    server: AuthServer, wiki: RegisteredClient, user: User, changes: dict[str, Any], error: str
):
    assert_refused(ask(server, wiki, server.tokens(wiki, user)["id_token"], **changes), error)


def test_only_clients_with_such_an_audience_ask(server: AuthServer, user: User):
    for other in (
        asking(server, id_jag_audiences=None),
        asking(server, id_jag_audiences={}),
        server.client(trusted=True),
    ):
        id_token = server.tokens(other, user)["id_token"]
        assert_refused(ask(server, other, id_token), "unauthorized_client")


def test_an_assertion_for_ourselves_is_not_given(server: AuthServer, user: User):
    own = asking(server, id_jag_audiences={server.issuer: {"client_id": "x"}})
    answer = ask(server, own, server.tokens(own, user)["id_token"], audience=server.issuer)
    assert_refused(answer, "invalid_target")


def test_what_is_no_id_token_of_the_client_in_force_is_refused(server: AuthServer, wiki: RegisteredClient, user: User):
    own = server.tokens(wiki, user)
    others = server.tokens(asking(server), user)["id_token"]
    jag = ask(server, wiki, own["id_token"]).json()["access_token"]
    forged = token("ES256", claims_of(own["id_token"]))
    for text in (own["access_token"], own["refresh_token"], others, jag, forged, own["id_token"][:-2], "x"):
        assert_refused(ask(server, wiki, text), "invalid_request")
    with server.later(601):
        assert_refused(ask(server, wiki, own["id_token"]), "invalid_request")
    with server.later(500):
        assert ask(server, wiki, own["id_token"]).json()["expires_in"] <= 100


def test_nobody_who_has_left_is_vouched_for(server: AuthServer, wiki: RegisteredClient):
    user = server.user("leaving")
    allowed = server.allow(wiki, user)
    id_token = server.redeem(wiki, allowed).json()["id_token"]
    assert ask(server, wiki, id_token).status_code == 200
    server.store.sessions.end([allowed.session.sid], "test", Event("session.ended", "test"))
    assert_refused(ask(server, wiki, id_token), "invalid_request")
    other = server.tokens(wiki, user)["id_token"]
    users.set_disabled(server.store, user, disabled=True, actor="test")
    assert_refused(ask(server, wiki, other), "invalid_request")


def test_an_assertion_is_bound_to_the_key_that_was_proven(server: AuthServer, wiki: RegisteredClient, user: User):
    prover = Prover()
    sent = {
        "grant_type": EXCHANGE,
        "requested_token_type": ID_JAG,
        "audience": CHAT,
        "subject_token": server.tokens(wiki, user)["id_token"],
        "subject_token_type": ID_TOKEN,
    }
    headers = {"DPoP": prover.proof(url=f"{server.issuer}/token")}
    answer = server.http().post("/token", data=sent, headers=headers, auth=wiki.basic)
    assert (said(answer)["cnf"], answer.json()["token_type"]) == ({"jkt": prover.jkt}, "N_A")


# Access Token Request: the other side takes one.


def test_an_assertion_opens_what_it_names(server: AuthServer, caller: RegisteredClient, user: User):
    answer = bring(server, caller, claims(server, caller, user))
    assert answer.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
    known = server.introspect(caller, answer.json()["access_token"])
    assert (known["sub"], known["aud"], known["scope"]) == (user.sub, API, "chat.read chat.history")


def test_the_client_may_ask_for_less_and_not_for_more(server: AuthServer, caller: RegisteredClient, user: User):
    both = {"resource": [API, FILES], "scope": "chat.read files.read"}
    answer = bring(server, caller, claims(server, caller, user, **both), resource=FILES, scope="files.read")
    assert answer.json()["scope"] == "files.read"
    for asked, error in (
        ({}, "invalid_target"),
        ({"resource": "https://nobody.test/"}, "invalid_target"),
        ({"resource": API, "scope": "chat.read chat.history"}, "invalid_scope"),
        ({"resource": API, "scope": "openid"}, "invalid_scope"),
    ):
        assert_refused(bring(server, caller, claims(server, caller, user, **both), **asked), error)
    assert_refused(bring(server, caller, claims(server, caller, user), resource=FILES), "invalid_target")
    unknown = claims(server, caller, user, resource="https://nobody.test/")
    assert_refused(bring(server, caller, unknown), "invalid_target")


def test_what_the_client_may_not_have_is_left_out(server: AuthServer, caller: RegisteredClient, user: User):
    asked = claims(server, caller, user, scope="chat.read admin offline_access")
    assert bring(server, caller, asked).json()["scope"] == "chat.read"
    for nothing in ("admin", "offline_access"):
        assert_refused(bring(server, caller, claims(server, caller, user, scope=nothing)), "invalid_scope")


def test_without_scope_and_resource_the_clients_registration_decides(
    server: AuthServer, caller: RegisteredClient, user: User
):
    bare = claims(server, caller, user, scope=None, resource=None)
    assert bring(server, caller, bare, resource=API, scope="chat.read").json()["scope"] == "chat.read"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": WIKI},
        {"client_id": ["x"]},
        {"aud": "http://localhost:9000/token"},
        {"aud": "http://localhost:9000/"},
        {"aud": ["http://localhost:9000", "http://localhost:9000/token"]},
        {"aud": ["http://localhost:9000", "http://localhost:9000"]},
        {"aud": []},
        {"iat": None},
        {"exp": None},
        {"jti": None},
        {"sub": None},
        {"sub": ["U019488227"]},
        {"aud_sub": None},
        {"aud_sub": "nobody"},
        {"scope": ["chat.read"]},
        {"scope": 1},
        {"resource": 1},
        {"resource": []},
        {"resource": [1]},
        {"act": {"sub": "agent"}},
        {"authorization_details": [{"type": "x"}]},
        {"tenant": "acme"},
        {"cnf": {"jkt": "x"}},
        {"iss": "https://nobody.test"},
    ],
)
def test_an_assertion_that_says_anything_else_is_refused(
    server: AuthServer, caller: RegisteredClient, user: User, changes: dict[str, Any]
):
    assert_refused(bring(server, caller, claims(server, caller, user, **changes)), "invalid_grant")


def test_one_audience_in_an_array_is_good(server: AuthServer, caller: RegisteredClient, user: User):
    assert bring(server, caller, claims(server, caller, user, aud=[server.issuer])).status_code == 200


def test_control_characters_in_what_is_named_go_nowhere(server: AuthServer, caller: RegisteredClient, user: User):
    for changes in ({"resource": [API, "a\0b"]}, {"resource": "a\0b"}, {"scope": "a\0b"}, {"aud_sub": "a\0b"}):
        answer = bring(server, caller, claims(server, caller, user, **changes), resource=API)
        assert answer.status_code in {200, 400}


def test_an_assertion_is_of_its_type_and_good_once(server: AuthServer, caller: RegisteredClient, user: User):
    payload = claims(server, caller, user)
    for typ in ("JWT", None, "at+jwt"):
        plain = token("ES256", payload, typ=typ, kid="ec")
        assert_refused(server.post("/token", caller, grant_type=BEARER, assertion=plain), "invalid_grant")
    assert bring(server, caller, payload).status_code == 200
    assert_refused(bring(server, caller, payload), "invalid_grant")


def test_an_assertion_of_our_own_is_not_taken(server: AuthServer, wiki: RegisteredClient, user: User):
    own = ask(server, wiki, server.tokens(wiki, user)["id_token"]).json()["access_token"]
    both = server.client(grant_types=[BEARER], redirect_uris=None, scope="chat.read", client_id=WIKI)
    assert_refused(server.post("/token", both, grant_type=BEARER, assertion=own), "invalid_grant")


# Metadata, and switching off.


def test_both_sides_are_announced(server: AuthServer):
    document = server.get("/.well-known/oauth-authorization-server").json()
    assert document["identity_chaining_requested_token_types_supported"] == [ID_JAG]
    assert document["authorization_grant_profiles_supported"] == ["urn:ietf:params:oauth:grant-profile:id-jag"]
    assert {EXCHANGE, BEARER} <= set(document["grant_types_supported"])


def test_nothing_is_left_when_it_is_switched_off(server: AuthServer, tmp_path_factory: pytest.TempPathFactory):
    off = AuthServer(
        tmp_path_factory.mktemp("off"),
        trusted_issuers=server.settings.trusted_issuers,
        features={"id_jag": False},
    )
    user, client = off.user(), asking(off)
    assert_refused(ask(off, client, off.tokens(client, user)["id_token"]), "invalid_request")
    caller = off.client(grant_types=[BEARER], redirect_uris=None, scope="api:read")
    assert_refused(bring(off, caller, claims(off, caller, user)), "invalid_grant")
    document = off.get("/.well-known/oauth-authorization-server").json()
    assert document.keys().isdisjoint(
        {"identity_chaining_requested_token_types_supported", "authorization_grant_profiles_supported"}
    )
    off.close()

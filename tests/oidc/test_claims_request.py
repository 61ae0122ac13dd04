"""The claims parameter (OpenID Connect Core 1.0, 5.5): single claims, in userinfo or in the ID token."""

import json
from itertools import count
from typing import Any

import jwt as pyjwt
import pytest

from authserver.manage import clients
from authserver.records import User
from pytest_authserver import AuthServer, Page, Pkce, RegisteredClient
from tests import request_objects
from tests.authenticator import enrol
from tests.exchanges import ACCESS_TOKEN, GRANT
from tests.world import assert_sent_back, code_of

PWD, MFA = "urn:authserver:pwd", "urn:authserver:mfa"
ADDRESS = {"street_address": "1 Wonder Lane", "country": "GB"}
_numbers = count()


@pytest.fixture
def user(authserver: AuthServer) -> User:
    """An account of the test's own, of which much is known."""
    number = next(_numbers)
    return authserver.user(
        f"dora{number}", email=f"dora{number}@example.test", name="Dora", nickname="Dee", address=ADDRESS, locale="de"
    )


def _ask(
    authserver: AuthServer, client: RegisteredClient, user: User | None, claims: Any, **parameters: str
) -> tuple[Page, Pkce]:
    pkce = authserver.pkce()
    text = claims if isinstance(claims, str) else json.dumps(claims)
    request = authserver.request(client, pkce, **{"scope": "openid", "claims": text, **parameters})
    return authserver.browser(user).visit_request(request), pkce


def _tokens(authserver: AuthServer, client: RegisteredClient, page: Page, pkce: Pkce) -> dict[str, Any]:
    answer: dict[str, Any] = authserver.token(
        client, grant_type="authorization_code", code=code_of(page), code_verifier=pkce.verifier
    ).json()
    return answer


def _told(authserver: AuthServer, tokens: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what userinfo and the ID token say of the person."""
    protocol = {"iss", "aud", "exp", "iat", "auth_time", "acr", "amr", "at_hash", "sid", "nonce", "sub"}
    identity = pyjwt.decode(tokens["id_token"], options={"verify_signature": False})
    userinfo = authserver.get("/userinfo", tokens["access_token"]).json()
    del userinfo["sub"]
    return userinfo, {name: value for name, value in identity.items() if name not in protocol}


@pytest.fixture
def trusted(authserver: AuthServer) -> RegisteredClient:
    """A client of which nobody is asked."""
    return authserver.client(trusted=True, scope="openid profile email address offline_access")


# 5.5: what is asked for comes from where it is asked for.


def test_a_claim_comes_from_where_it_was_asked_for_5_5(authserver: AuthServer, trusted: RegisteredClient, user: User):
    asked = {"userinfo": {"name": None, "address": {"essential": True}}, "id_token": {"email": {"essential": False}}}
    tokens = _tokens(authserver, trusted, *_ask(authserver, trusted, user, asked))
    assert _told(authserver, tokens) == ({"name": "Dora", "address": ADDRESS}, {"email": user.email})
    assert tokens["scope"] == "openid"


def test_the_parameter_adds_to_the_scope_5_5(authserver: AuthServer, trusted: RegisteredClient, user: User):
    page, pkce = _ask(authserver, trusted, user, {"userinfo": {"nickname": None}}, scope="openid email")
    userinfo, identity = _told(authserver, _tokens(authserver, trusted, page, pkce))
    assert userinfo == {"nickname": "Dee", "email": user.email, "email_verified": False}
    assert identity == {}


def test_in_a_request_object_it_is_an_object_6_1(authserver: AuthServer, user: User):
    client = request_objects.signing_client(authserver, scope="openid profile")
    browser = authserver.browser(user)
    for asked, told in (({"userinfo": {"name": None}}, {"name": "Dora"}), ({"userinfo": []}, None)):
        pkce = authserver.pkce()
        signed = request_objects.signed(authserver, client, pkce, scope="openid", claims=asked)
        page = browser.visit_request({"client_id": client.client_id, "request": signed})
        if told is None:
            assert_sent_back(page, "invalid_request", client, state="inside")
        else:
            assert _told(authserver, _tokens(authserver, client, page, pkce))[0] == told


def test_a_jwt_access_token_opens_the_same_5_5(authserver: AuthServer, user: User):
    client = authserver.client(trusted=True, scope="openid profile", access_token_format="jwt")
    tokens = _tokens(authserver, client, *_ask(authserver, client, user, {"userinfo": {"name": None}}))
    assert tokens["access_token"].count(".") == 2
    assert _told(authserver, tokens)[0] == {"name": "Dora"}


def test_what_was_asked_for_holds_after_a_refresh_12_2(authserver: AuthServer, trusted: RegisteredClient, user: User):
    asked = {"userinfo": {"name": None}, "id_token": {"locale": None}}
    tokens = _tokens(authserver, trusted, *_ask(authserver, trusted, user, asked, scope="openid offline_access"))
    again = authserver.refresh(trusted, tokens["refresh_token"]).json()
    assert _told(authserver, again) == ({"name": "Dora"}, {"locale": "de"})


def test_what_is_not_known_is_left_out_even_if_essential_5_5_1(
    authserver: AuthServer, trusted: RegisteredClient, user: User
):
    asked = {"userinfo": {"birthdate": {"essential": True}, "https://example.test/loyalty": None, "_claim_names": None}}
    assert _told(authserver, _tokens(authserver, trusted, *_ask(authserver, trusted, user, asked))) == ({}, {})


def test_nobody_learns_more_than_by_the_scopes_they_may_have(authserver: AuthServer, user: User):
    client = authserver.client(trusted=True, scope="openid email")
    asked = {"userinfo": {"name": None, "email": None, "phone_number": None}, "id_token": {"address": None}}
    assert _told(authserver, _tokens(authserver, client, *_ask(authserver, client, user, asked))) == (
        {"email": user.email},
        {},
    )


def test_what_a_client_may_not_have_any_more_is_told_no_more(authserver: AuthServer, user: User):
    scope, kept = "openid email profile offline_access", "openid profile offline_access"
    client = authserver.client(trusted=True, scope=scope)
    asked = {"userinfo": {"email": None, "name": None}, "id_token": {"email": None, "name": None}}
    page, pkce = _ask(authserver, client, user, asked, scope="openid offline_access")
    tokens = _tokens(authserver, client, page, pkce)
    members = authserver.server.registry.CLIENT_METADATA
    given = {name: client.registration[name] for name in ("redirect_uris", "grant_types")} | {"scope": kept}
    clients.update(authserver.store, authserver.sealer, client.client_id, given, actor="test", members=members)
    with authserver.later(2):
        again = authserver.refresh(client, tokens["refresh_token"]).json()
        assert _told(authserver, again) == ({"name": "Dora"}, {"name": "Dora"})


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_who_got_a_token_by_exchange_is_not_told_what_another_client_asked_for(
    authserver: AuthServer, user: User, kind: str
):
    # The person has answered the other client; what is exchanged is never more than its scope (RFC 8693).
    api = f"https://claims-{kind}.test/"
    authserver.resource(api, f"read-{kind}")
    scope = f"openid email read-{kind}"
    client = authserver.client(trusted=True, scope=scope)
    page, pkce = _ask(
        authserver, client, user, {"userinfo": {"email": None}}, scope=f"openid read-{kind}", resource=api
    )
    token = _tokens(authserver, client, page, pkce)["access_token"]
    assert authserver.get("/userinfo", token).json() == {"sub": user.sub, "email": user.email}
    service = authserver.client(
        grant_types=[GRANT],
        redirect_uris=None,
        scope=scope,
        resource_server_for=[api],
        exchange_audiences=[api],
        access_token_format=kind,
    )
    exchanged = authserver.token(
        service, grant_type=GRANT, subject_token=token, subject_token_type=ACCESS_TOKEN, audience=api
    ).json()["access_token"]
    assert authserver.get("/userinfo", exchanged).json() == {"sub": user.sub}


@pytest.mark.parametrize(
    ("wish", "answered"),
    [
        ({"value": "de"}, True),
        ({"values": ["fr", "de"]}, True),
        ({"value": "fr"}, False),
        ({"values": []}, False),
        ({"essential": True, "value": {"x": 1}}, False),
        ({"purpose": "to greet you"}, True),
    ],
)
def test_a_claim_with_another_value_is_not_what_was_asked_for_5_5_1(
    authserver: AuthServer, trusted: RegisteredClient, user: User, wish: dict[str, Any], *, answered: bool
):
    tokens = _tokens(authserver, trusted, *_ask(authserver, trusted, user, {"userinfo": {"locale": wish}}))
    assert _told(authserver, tokens)[0] == ({"locale": "de"} if answered else {})


@pytest.mark.parametrize(
    "asked", ["{}", '{"userinfo":{}}', '{"other":{"name":null}}', '{"id_token":{"auth_time":null}}']
)
def test_what_is_not_understood_is_ignored_5_5(
    authserver: AuthServer, trusted: RegisteredClient, user: User, asked: str
):
    assert _told(authserver, _tokens(authserver, trusted, *_ask(authserver, trusted, user, asked))) == ({}, {})


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "null",
        "[]",
        "{",
        '{"userinfo":null}',
        '{"userinfo":[]}',
        '{"userinfo":{"name":true}}',
        '{"userinfo":{"name":{"essential":"yes"}}}',
        '{"userinfo":{"name":{"values":"de"}}}',
        '{"userinfo":{"name":null},"userinfo":{}}',
        '{"userinfo":{"name":NaN}}',
        '{"userinfo":{"name":{"value":' + "[" * 300 + "]" * 300 + "}}}",
        '{"userinfo":{"name":{"values":[' + ",".join(["1"] * 21) + "]}}}",
        json.dumps({"userinfo": {"x" * 5000: None}}),
        '{"userinfo":{"name":{"value":"\\ud800"}}}',
        '{"userinfo":{"name":{"value":18446744073709551616}}}',
        '{"id_token":{"sub":{"value":1}}}',
        '{"id_token":{"sub":{"values":["a","b"]}}}',
        '{"id_token":{"sub":{"value":"a"}},"userinfo":{"sub":{"value":"b"}}}',
    ],
)
def test_what_is_malformed_is_refused_5_5(authserver: AuthServer, trusted: RegisteredClient, user: User, asked: str):
    page, _ = _ask(authserver, trusted, user, asked)
    if asked:
        assert_sent_back(page, "invalid_request", trusted)
    else:
        assert code_of(page)  # RFC 6749 3.1: a parameter without a value counts as omitted


# The user is asked for what goes beyond the scope.


def test_the_page_says_what_is_asked_for_and_remembers_it(authserver: AuthServer, user: User):
    client = authserver.client(scope="openid profile email")
    asked = {"userinfo": {"nickname": None}, "id_token": {"email": None}}
    page, _ = _ask(authserver, client, user, asked)
    assert "See your nickname" in page.text
    assert "See your e-mail address" in page.text
    assert "your profile" not in page.text
    browser, pkce = authserver.browser(user), authserver.pkce()
    request = authserver.request(client, pkce, scope="openid", claims=json.dumps(asked))
    assert code_of(browser.allow(browser.visit_request(request)))
    assert code_of(browser.visit_request(request))
    more = {"userinfo": {"nickname": None, "birthdate": None}}
    page = browser.visit_request({**request, "claims": json.dumps(more)})
    assert "See your date of birth" in page.text
    assert "See your nickname" in browser.visit("/account/apps").text


def test_what_a_grant_tells_is_seen_where_no_consent_is_remembered(authserver: AuthServer, user: User):
    client = authserver.client(trusted=True, scope="openid profile")
    page, _ = _ask(authserver, client, user, {"id_token": {"nickname": None}})
    assert code_of(page)
    assert "See your nickname" in authserver.browser(user).visit("/account/apps").text


def test_a_scope_that_covers_a_claim_says_it_already(authserver: AuthServer, user: User):
    client = authserver.client(scope="openid profile")
    page, _ = _ask(authserver, client, user, {"userinfo": {"name": None}}, scope="openid profile")
    assert "See your profile" in page.text
    assert "See your name" not in page.text


# 5.5.1: sub.


def test_only_the_demanded_user_answers_5_5_1(authserver: AuthServer, trusted: RegisteredClient, user: User, bob: User):
    for place in ("userinfo", "id_token"):
        asked = {place: {"sub": {"value": user.sub}}}
        assert code_of(_ask(authserver, trusted, user, asked, prompt="none")[0])
        page, _ = _ask(authserver, trusted, bob, asked, prompt="none")
        assert_sent_back(page, "login_required", trusted)


# 5.5.1.1: acr.


def test_an_essential_class_that_is_not_known_cannot_be_met_5_5_1_1(
    authserver: AuthServer, trusted: RegisteredClient, user: User
):
    asked = {"id_token": {"acr": {"essential": True, "values": ["urn:other:gold"]}}}
    page, _ = _ask(authserver, trusted, user, asked)
    assert_sent_back(page, "unmet_authentication_requirements", trusted)


def test_who_goes_on_without_the_essential_class_gets_no_code_5_5_1_1(
    authserver: AuthServer, trusted: RegisteredClient, user: User
):
    asked = {"id_token": {"acr": {"essential": True, "value": MFA}}}
    silent, _ = _ask(authserver, trusted, user, asked, prompt="none")
    assert_sent_back(silent, "unmet_authentication_requirements", trusted)
    browser = authserver.browser(user)
    request = authserver.request(trusted, authserver.pkce(), scope="openid", claims=json.dumps(asked))
    page = browser.submit(browser.visit_request(request), "offer-without")
    assert_sent_back(page, "unmet_authentication_requirements", trusted)


def test_a_wished_class_is_a_wish_5_5_1_1(authserver: AuthServer, trusted: RegisteredClient, user: User):
    asked = {"id_token": {"acr": {"values": [MFA, "urn:other:gold"]}}}
    assert code_of(_ask(authserver, trusted, user, asked, prompt="none")[0])


def test_the_essential_class_is_what_the_tokens_tell_5_5_1_1(
    authserver: AuthServer, trusted: RegisteredClient, user: User
):
    browser = authserver.browser(user)
    app = enrol(authserver, browser)
    for demanded in (MFA, PWD):
        pkce = authserver.pkce()
        asked = {"id_token": {"acr": {"essential": True, "value": demanded}}}
        request = authserver.request(trusted, pkce, scope="openid", claims=json.dumps(asked))
        page = browser.visit_request(request)
        if page.location is None:
            page = browser.submit(page, "second-factor-submit", code=app.code())
        tokens = _tokens(authserver, trusted, page, pkce)
        assert pyjwt.decode(tokens["id_token"], options={"verify_signature": False})["acr"] == demanded


# Discovery.


def test_the_parameter_is_announced(authserver: AuthServer):
    document = authserver.get("/.well-known/openid-configuration").json()
    assert document["claims_parameter_supported"] is True
    assert document["claim_types_supported"] == ["normal"]

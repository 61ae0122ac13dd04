"""Claims in several languages and scripts (OpenID Connect Core 1.0, 5.2)."""

import json
from dataclasses import replace
from itertools import count
from typing import Any

import jwt as pyjwt
import pytest

from authserver.records import Event, User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import code_of

NAMES = {
    "name": "Hanako Yamada",
    "name#ja-Hani-JP": "山田花子",
    "name#ja-Kana-JP": "ヤマダハナコ",
    "name#de": "Hanako Yamada (DE)",
    "website": "https://yamada.example",
    "website#de": "https://yamada.example/de",
}
_numbers = count()


@pytest.fixture
def user(authserver: AuthServer) -> User:
    """An account whose name is written in several scripts."""
    return authserver.user(f"hanako{next(_numbers)}", **NAMES)


@pytest.fixture
def trusted(authserver: AuthServer) -> RegisteredClient:
    return authserver.client(trusted=True, scope="openid profile email offline_access")


def _tokens(authserver: AuthServer, client: RegisteredClient, user: User, **parameters: Any) -> dict[str, Any]:
    pkce = authserver.pkce()
    request = authserver.request(client, pkce, **{"scope": "openid profile", **parameters})
    code = code_of(authserver.browser(user).visit_request(request))
    answer = authserver.token(client, grant_type="authorization_code", code=code, code_verifier=pkce.verifier)
    tokens: dict[str, Any] = answer.json()
    return tokens


def _told(authserver: AuthServer, tokens: dict[str, Any]) -> dict[str, Any]:
    """Return the names and websites that userinfo tells."""
    answer = authserver.get("/userinfo", tokens["access_token"]).json()
    return {name: value for name, value in answer.items() if name.partition("#")[0] in {"name", "website"}}


PLAIN = {name: NAMES[name] for name in ("name", "website")}


# 5.2: Claims Languages and Scripts.


def test_nobody_hears_of_other_languages_who_does_not_ask_5_2(
    authserver: AuthServer, trusted: RegisteredClient, user: User
) -> None:
    assert _told(authserver, _tokens(authserver, trusted, user)) == PLAIN


@pytest.mark.parametrize(
    ("wish", "members"),
    [
        ("de", ["name#de", "website#de"]),
        ("de-AT", ["name#de", "website#de"]),
        ("ja", ["name#ja-Hani-JP", "name#ja-Kana-JP"]),
        ("ja-kana-jp fr", ["name#ja-Kana-JP"]),
        ("j", []),
        ("ja-Hira", []),
        ("../../de # \u00e9 d" + "e" * 40, []),
    ],
)
def test_what_is_asked_for_comes_beside_the_claim_without_a_tag_5_2(
    authserver: AuthServer, trusted: RegisteredClient, user: User, wish: str, members: list[str]
) -> None:
    told = _told(authserver, _tokens(authserver, trusted, user, claims_locales=wish))
    assert told == PLAIN | {member: NAMES[member] for member in members}


def test_it_opens_no_claim_that_the_scope_does_not_5_2(
    authserver: AuthServer, trusted: RegisteredClient, user: User
) -> None:
    tokens = _tokens(authserver, trusted, user, scope="openid email", claims_locales="de ja")
    assert _told(authserver, tokens) == {}


def test_the_id_token_says_the_same_where_it_has_the_claims_5_2(authserver: AuthServer, user: User) -> None:
    client = authserver.client(trusted=True, scope="openid profile", id_token_claims=True)
    tokens = _tokens(authserver, client, user, claims_locales="de")
    identity = pyjwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert (identity["name"], identity["name#de"]) == (NAMES["name"], NAMES["name#de"])
    assert "name#ja-Hani-JP" not in identity


def test_an_ordinary_id_token_stays_without_any_5_2(
    authserver: AuthServer, trusted: RegisteredClient, user: User
) -> None:
    tokens = _tokens(authserver, trusted, user, claims_locales="de")
    identity = pyjwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert [name for name in identity if name.startswith("name")] == []


def test_the_wish_holds_for_the_grant_5_2(authserver: AuthServer, trusted: RegisteredClient, user: User) -> None:
    scope = "openid profile offline_access"
    tokens = _tokens(authserver, trusted, user, scope=scope, claims_locales="de")
    fresh = authserver.refresh(trusted, tokens["refresh_token"]).json()
    assert _told(authserver, fresh)["name#de"] == NAMES["name#de"]


def test_endless_wishes_are_cut_short_5_2(authserver: AuthServer, trusted: RegisteredClient, user: User) -> None:
    tokens = _tokens(authserver, trusted, user, claims_locales="xx " * 2000 + "de")
    assert _told(authserver, tokens) == PLAIN


def test_which_languages_there_are_is_not_announced_5_2(authserver: AuthServer) -> None:
    assert "claims_locales_supported" not in authserver.get("/.well-known/openid-configuration").json()


# 5.5.2: Languages and Scripts for Individual Claims.


def test_one_claim_may_be_asked_for_in_a_language_5_5_2(
    authserver: AuthServer, trusted: RegisteredClient, user: User
) -> None:
    claims = json.dumps({"userinfo": {"name#ja-Kana-JP": None, "email#de": None, "sub#de": None}})
    tokens = _tokens(authserver, trusted, user, scope="openid", claims=claims)
    assert _told(authserver, tokens) == {"name#ja-Kana-JP": NAMES["name#ja-Kana-JP"]}


def test_a_claim_that_the_client_may_not_have_is_closed_in_every_language_5_5_2(
    authserver: AuthServer, user: User
) -> None:
    client = authserver.client(trusted=True, scope="openid email")
    claims = json.dumps({"userinfo": {"name#de": {"essential": True}, "name": None}})
    assert _told(authserver, _tokens(authserver, client, user, scope="openid", claims=claims)) == {}


def test_people_hear_of_a_claim_in_a_language_as_of_the_claim_5_5_2(authserver: AuthServer, user: User) -> None:
    client = authserver.client(scope="openid profile")
    claims = json.dumps({"userinfo": {"name#de": None}})
    request = authserver.request(client, authserver.pkce(), scope="openid", claims=claims)
    page = authserver.browser(user).visit_request(request)
    plain = authserver.browser(user).visit_request({**request, "claims": json.dumps({"userinfo": {"name": None}})})
    sentences = [shown.text.partition('<ul class="scopes">')[2].partition("</ul>")[0] for shown in (page, plain)]
    assert sentences[0] == sentences[1] != ""


def test_what_was_stored_before_it_was_checked_and_is_no_text_is_left_out(
    authserver: AuthServer, trusted: RegisteredClient, user: User
) -> None:
    authserver.store.users.update(replace(user, claims={**user.claims, "name#de": 5}), Event("user.updated", "test"))
    told = _told(authserver, _tokens(authserver, trusted, user, claims_locales="de"))
    assert told == {**PLAIN, "website#de": NAMES["website#de"]}

"""What people read about scopes and claims, in their language (OpenID Connect Core 1.0, 5.4; RFC 7591 2.2)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authserver.language import LANGUAGES
from authserver.manage import resources
from authserver.manage.errors import ManageError
from authserver.oidc import claims_request, sentences
from authserver.settings import SettingsError, load_settings
from authserver.tagged import MOST
from pytest_authserver import AuthServer, Page
from tests.world import API

ENGLISH, GERMAN, FRENCH = (LANGUAGES[name] for name in ("en", "de", "fr"))
WORK = {
    "title": "Work",
    "title#de": "Arbeit",
    "description": "See where you work",
    "description#de": "Sehen, wo Sie arbeiten",
    "claims": ["department"],
}
PHOTOS = {
    "title": "Photos",
    "description": "See your photos",
    "title#de-CH": "Fotos",
    "description#de-CH": "Ihre Fotos ansehen",
}


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server with a scope of its own in two languages, and an API with some of each kind."""
    scopes = {"work": WORK}
    server = AuthServer(tmp_path_factory.mktemp("sentences"), claim_scopes=scopes)
    given = {"photos": PHOTOS, "albums": "Add photos to your albums", "prints": {"title": "Prints"}}
    resources.add(server.store, {"identifier": API, "scopes": given}, actor="test")
    server.server.forget()
    yield server
    server.close()


def consent_page(at: AuthServer, name: str, **parameters: Any) -> Page:
    client = at.client(scope="openid profile work photos albums prints")
    return at.browser(at.user(name)).visit_request(at.request(client, at.pkce(), **parameters))


# What an administrator writes.


def test_the_page_has_title_and_description_in_its_language(at: AuthServer):
    scope = "openid work photos albums"
    german = consent_page(at, "greta", scope=scope, resource=API, ui_locales="de").text
    for text in ("Arbeit", "Sehen, wo Sie arbeiten", "Fotos", "Ihre Fotos ansehen", "Add photos to your albums"):
        assert f"<bdi>{text}</bdi>" in german
    for text in ("See where you work", "See your photos"):
        assert text not in german
    french = consent_page(at, "fleur", scope=scope, resource=API, ui_locales="fr").text
    for text in ("Work", "See where you work", "Photos", "See your photos"):
        assert f"<bdi>{text}</bdi>" in french


def test_a_claim_by_itself_has_the_description_of_its_scope(at: AuthServer):
    asked = json.dumps({"userinfo": {"department": None}})
    text = consent_page(at, "carl", scope="openid", claims=asked, ui_locales="de").text
    assert "Sehen, wo Sie arbeiten" in text
    assert "Arbeit</bdi>" not in text
    both = sentences.of_people(at.server, GERMAN)
    assert both[claims_request.PREFIX + "department"] == ("", both["work"].description)


def test_a_scope_without_a_description_is_shown_by_its_value(at: AuthServer):
    words = sentences.of_all(at.server, ENGLISH)
    assert words["prints"] == ("Prints", "prints")
    assert words["albums"] == ("", "Add photos to your albums")


def test_what_has_another_title_is_shown_though_it_is_described_alike(at: AuthServer):
    alike = {
        "look": {"title": "Look", "description": "Everything"},
        "wipe": {"title": "Wipe", "description": "Everything"},
    }
    resources.add(at.store, {"identifier": "urn:alike", "scopes": alike}, actor="test")
    at.server.forget()
    client, user = at.client(scope="openid look wipe"), at.user("adam")
    parameters = at.request(client, at.pkce(), scope="openid look wipe", resource="urn:alike")
    text = at.browser(user).visit_request(parameters).text
    for title in ("Look", "Wipe"):
        assert f"<bdi>{title}</bdi>" in text


def test_what_two_resources_call_alike_is_told_as_the_one_that_is_meant_calls_it(tmp_path: Path):
    """Without a resource that is the default one."""
    server, said = AuthServer(tmp_path, default_resource="urn:b"), {}
    for identifier, words in (("urn:a", "See the calendar"), ("urn:b", "Delete everything"), ("urn:c", "Print")):
        resources.add(server.store, {"identifier": identifier, "scopes": {"manage": words}}, actor="test")
    server.server.forget()
    for resource in ("urn:a", "urn:c", None):
        client, browser = server.client(scope="openid manage"), server.browser(server.user(f"reader{len(said)}"))
        page = browser.visit_request(server.request(client, server.pkce(), scope="openid manage", resource=resource))
        browser.allow(page)
        said[resource] = [
            [words for words in ("See the calendar", "Delete everything", "Print") if f"<bdi>{words}</bdi>" in text]
            for text in (page.text, browser.visit("/account/apps").text)
        ]
    assert said == {
        "urn:a": [["See the calendar"]] * 2,
        "urn:c": [["Print"]] * 2,
        None: [["Delete everything"]] * 2,
    }
    server.close()


def test_what_is_told_of_a_resource_can_be_sent_back(at: AuthServer):
    shown = resources.describe(resources.existing(at.store, API))["scopes"]
    assert shown == {
        "photos": PHOTOS,
        "albums": "Add photos to your albums",
        "prints": {"title": "Prints", "description": "prints"},
    }
    resources.update(at.store, {"identifier": API, "scopes": shown}, actor="test")
    assert resources.describe(resources.existing(at.store, API))["scopes"] == shown
    listed = [{"name": "photos", **PHOTOS}, {"name": "albums"}]
    assert resources.make_resource({"identifier": API, "scopes": listed}).scopes[0].texts == {
        name: text for name, text in PHOTOS.items() if name != "description"
    }


@pytest.mark.parametrize(
    "said",
    [
        {"titel": "Photos"},
        {"title": ""},
        {"title": 1},
        {"title#": "Photos"},
        {"title#d": "Photos"},
        {"title#de": "Fo\u202etos"},
        {"description#de": "x" * 513},
        {"description#de": "Fotos", "description#DE": "Bilder"},
        {f"title#x{chr(97 + number)}": "Photos" for number in range(MOST + 1)},
        {"claims": ["name"]},
        ["Photos"],
        None,
    ],
)
def test_what_cannot_be_said_of_a_scope_is_refused(said: Any):
    with pytest.raises(ManageError, match="scopes must"):
        resources.make_resource({"identifier": API, "scopes": {"photos": said}})


@pytest.mark.parametrize(
    "said",
    [
        {"titel": "Work"},
        {"title": ""},
        {"title#": "Work"},
        {"claims#de": "Work"},
        {"title#de": 1},
        {"description#de": "Arbeit", "description#DE": "Arbeit"},
    ],
)
def test_a_scope_of_the_settings_is_refused_for_the_same(said: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    scope = {"description": "See where you work", "claims": ["department"], **said}
    monkeypatch.setenv("AUTHSERVER_CLAIM_SCOPES", json.dumps({"work": scope}))
    with pytest.raises(SettingsError, match="CLAIM_SCOPES"):
        load_settings()


# What is ours.


def test_scopes_of_openid_connect_have_words_for_everybody(at: AuthServer):
    words = sentences.of_people(at.server, ENGLISH)
    assert set(at.server.personal_scopes) - set(words) == {"offline_access"}
    for scope in sentences.SCOPES:
        assert words[scope].title
        assert words[scope].description
    assert words["openid"].description == "Confirm who you are"


def test_an_administrators_words_are_not_looked_up_in_a_catalogue(at: AuthServer):
    """What they have written is what people read, also where a text of ours says the same."""
    text = "Sign in"
    added = resources.add(at.store, {"identifier": "urn:same", "scopes": {"same": text}}, actor="test")
    assert sentences.of_resource(added, GERMAN)["same"].description == text

from collections.abc import Iterator

import pytest

from authserver.store.clients import make_client
from authserver.web.client import client_view, name_of, place_of
from pytest_authserver import AuthServer

ELSEWHERE = "https://a.example/"


@pytest.fixture(autouse=True)
def page(authserver: AuthServer) -> Iterator[None]:
    """A page that is being made, in German."""
    with authserver.app.test_request_context(headers={"Accept-Language": "de"}):
        yield


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("https://photos.example/callback", "photos.example"),
        ("https://photos.example:8443/cb", "photos.example:8443"),
        ("http://127.0.0.1:5000/cb", "127.0.0.1:5000"),
    ],
)
def test_the_place_of_the_answer_is_named(uri: str, place: str) -> None:
    assert place_of(uri) == place


def test_the_scheme_of_an_app_is_named() -> None:
    assert "com.example.app:" in place_of("com.example.app:/cb")


def test_a_client_without_a_name_is_called_by_its_id() -> None:
    assert client_view(make_client("abc", {}), ELSEWHERE).name == "abc"


def test_a_client_is_called_as_it_is_in_the_language_of_the_page() -> None:
    """OpenID Connect Registration 1.0, 2.1."""
    said = {
        "client_name": "Notes",
        "client_name#de-CH": "Notizen",
        "client_name#fr": "Notes de",
        "policy_uri#de": ELSEWHERE,
    }
    client = make_client("abc", said)
    assert name_of(client) == "Notizen"
    view = client_view(client, ELSEWHERE)
    assert (view.name, view.policy_uri, view.tos_uri) == ("Notizen", ELSEWHERE, None)


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "data:text/html,x", " https://a.example", "//a.example", 5, None]
)
def test_a_link_of_a_client_that_is_no_web_page_is_not_shown(uri: object) -> None:
    members = ("client_uri", "policy_uri", "tos_uri", "client_uri#de", "policy_uri#de", "tos_uri#de")
    view = client_view(make_client("abc", dict.fromkeys(members, uri)), ELSEWHERE)
    assert (view.client_uri, view.policy_uri, view.tos_uri) == (None, None, None)


@pytest.mark.parametrize(
    ("origin", "verified"), [("administrator", True), ("registration", False), ("document", False)]
)
def test_only_an_administrator_vouches_for_a_client(origin: str, *, verified: bool) -> None:
    assert client_view(make_client("abc", {}, origin=origin), ELSEWHERE).verified is verified

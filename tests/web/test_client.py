import pytest

from authserver.store.clients import make_client
from authserver.web.client import client_view, place_of


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("https://photos.example/callback", "photos.example"),
        ("https://photos.example:8443/cb", "photos.example:8443"),
        ("http://127.0.0.1:5000/cb", "127.0.0.1:5000"),
        ("com.example.app:/cb", "an app on this device (com.example.app:)"),
    ],
)
def test_the_place_of_the_answer_is_named(uri: str, place: str) -> None:
    assert place_of(uri) == place


def test_a_client_without_a_name_is_called_by_its_id() -> None:
    assert client_view(make_client("abc", {}), "https://a.example/").name == "abc"


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "data:text/html,x", " https://a.example", "//a.example", 5, None]
)
def test_a_link_of_a_client_that_is_no_web_page_is_not_shown(uri: object) -> None:
    view = client_view(make_client("abc", {"policy_uri": uri, "tos_uri": uri}), "https://a.example/")
    assert (view.policy_uri, view.tos_uri) == (None, None)


@pytest.mark.parametrize(
    ("origin", "verified"), [("administrator", True), ("registration", False), ("document", False)]
)
def test_only_an_administrator_vouches_for_a_client(origin: str, *, verified: bool) -> None:
    assert client_view(make_client("abc", {}, origin=origin), "https://a.example/").verified is verified

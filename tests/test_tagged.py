"""Members in several languages (RFC 7591 2.2): their names, how many there may be, which of them somebody gets."""

import pytest

from authserver.tagged import MOST, crowded, in_language, untagged


@pytest.mark.parametrize("tag", ["de", "zh-Hans", "ja-Hani-JP", "de-CH-1996", "es-419", "ast", "a" * 8])
def test_a_tag_is_not_part_of_the_name(tag: str) -> None:
    assert untagged(f"client_name#{tag}") == "client_name"


@pytest.mark.parametrize(
    "name",
    [
        "client_name",
        *(
            f"client_name#{tag}"
            for tag in ("", "d", "de_CH", "de-", "-de", "de#fr", "\N{CYRILLIC SMALL LETTER DE}e", "de\n", "123")
        ),
        *(f"client_name#{tag}" for tag in ("de-" * 20 + "x", "abcdefghi")),
    ],
)
def test_what_is_no_tag_belongs_to_the_name(name: str) -> None:
    assert untagged(name) == name


def test_a_member_is_said_once_in_a_language_and_in_so_many_languages() -> None:
    assert crowded(["client_name", "client_name#de", "client_name#fr", "logo_uri#de", "x#d", "x#d"]) is None
    assert crowded(["client_name#de-CH", "client_name#de-ch"]) == "client_name"
    many = [f"client_name#x{chr(97 + number)}" for number in range(MOST)]
    assert crowded(many) is None
    assert crowded([*many, "client_name#de"]) == "client_name"


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("de", "deutsch"),
        ("DE", "deutsch"),
        ("de-AT", "deutsch"),
        ("fr", "francais du Canada"),
        ("zh-Hans", "jianti"),
        ("es", "plain"),
        ("", "plain"),
    ],
)
def test_the_language_goes_first_then_a_wider_one_then_a_narrower_one_then_what_has_no_tag(tag: str, said: str) -> None:
    members = {
        "name": "plain",
        "name#de": "deutsch",
        "name#de-CH": "schwyzerdeutsch",
        "name#fr-CA": "francais du Canada",
        "name#zh-Hant": "fanti",
        "name#zh-Hans": "jianti",
        "names#es": "of another member",
    }
    assert in_language(members, "name", tag) == said


def test_what_is_not_said_at_all_is_nothing() -> None:
    assert in_language({}, "name", "de") is None
    assert in_language({"name#fr": "nom"}, "name", "de") is None

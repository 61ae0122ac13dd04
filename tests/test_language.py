import gettext
from datetime import UTC, datetime
from time import process_time

import pytest
from babel import Locale

from authserver import language
from authserver.language import LANGUAGES

ALL = tuple(LANGUAGES)
WHEN = datetime(2026, 3, 5, 7, 9, tzinfo=UTC)


def _spoken(wishes: str = "", accept_language: str = "", offered: tuple[str, ...] = ALL) -> str:
    return language.negotiate(language.tags(wishes), accept_language, offered).name


def test_a_wish_goes_before_what_the_browser_accepts() -> None:
    assert _spoken("de", "fr") == "de"
    assert _spoken("", "fr") == "fr"


def test_of_several_wishes_the_first_counts_that_can_be_met() -> None:
    assert _spoken("eo tlh es de", "fr") == "es"
    assert _spoken("eo", "fr") == "fr"


@pytest.mark.parametrize(
    ("wish", "name"),
    [("de-AT", "de"), ("DE-at", "de"), ("fr-CA", "fr"), ("zh-Hans-CN", "zh"), ("zh-TW", "zh"), ("ar-u-nu-latn", "ar")],
)
def test_a_narrower_language_is_the_wider_one_that_there_is(wish: str, name: str) -> None:
    assert _spoken(wish) == name


def test_without_a_language_that_there_is_it_is_the_first_offered() -> None:
    assert _spoken("eo", "tlh;q=0.9, *;q=0.1") == "en"
    assert _spoken("", "", ("fr", "de")) == "fr"


def test_only_what_is_offered_is_spoken() -> None:
    assert _spoken("de", "ar, fr;q=0.5", ("en", "fr")) == "fr"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("de;q=0.2, es;q=0.8, fr;q=0.5", "es"),
        ("de;q=0, fr;q=0.1", "fr"),
        ("de ; q=0.7,\tfr", "fr"),
        ("de;q=high, es;q=0.1", "es"),
        ("de;q=2, es;q=0.1", "es"),
        ("de;q=1.5, es;q=0.1", "es"),
        (",,;;,;q=1,es", "es"),
        ("*", "en"),
    ],
)
def test_weights_are_read_and_what_is_no_weight_does_not_count(header: str, name: str) -> None:
    assert _spoken(accept_language=header) == name


@pytest.mark.parametrize(
    "text", ["../../x", "/etc/passwd", "de\0", "de/../ar", "d" * 36, "%2e%2e", "de_DE", "", "-", "ar-"]
)
def test_what_is_no_language_tag_is_ignored(text: str) -> None:
    assert language.tags(text) == ()
    assert _spoken(text, text) == "en"


def test_endless_wishes_take_no_time() -> None:
    many, began = " ".join(["xx-" + "a" * 8] * 5000), process_time()
    assert len(language.tags(many)) <= 20
    assert _spoken(many, many.replace(" ", ",") + ",de") == "en"
    assert _spoken("-" * 100_000, "a-" * 100_000) == "en"
    assert process_time() - began < 1


def test_a_tag_behind_many_others_is_not_looked_at() -> None:
    assert _spoken("xx " * 5000 + "de") == "en"
    assert _spoken(accept_language="xx;q=0.1," * 5000 + "de") == "en"


def test_the_best_tag_is_the_narrowest_that_fits() -> None:
    assert language.best(["de-AT"], ["de", "DE-at", "fr"]) == "DE-at"
    assert language.best(["zh-Hant-u-co-pinyin"], ["zh", "zh-Hant"]) == "zh-Hant"
    assert language.best(["de"], ["de-AT"]) is None


@pytest.mark.parametrize("name", ALL)
def test_a_language_reads_as_cldr_says(name: str) -> None:
    spoken = LANGUAGES[name]
    assert (
        Locale.parse(spoken.locale).character_order
        == {"ltr": "left-to-right", "rtl": "right-to-left"}[spoken.direction]
    )
    assert Locale.parse(spoken.tag, sep="-").language == Locale.parse(spoken.locale).language == name


@pytest.mark.parametrize(
    ("name", "written"),
    [("en", "5 Mar 2026, 07:09 UTC"), ("de", "05.03.2026, 07:09 UTC"), ("zh", "2026年3月5日 07:09 UTC")],
)
def test_a_moment_is_written_as_people_do(name: str, written: str) -> None:
    assert language.moment(WHEN, LANGUAGES[name]) == written


def test_things_are_listed_as_people_do() -> None:
    assert language.enumeration(["a", "b", "c"], LANGUAGES["en"]) == "a, b and c"
    assert language.enumeration(["a", "b", "c"], LANGUAGES["zh"]) == "a、b和c"
    assert language.enumeration(["a"], LANGUAGES["ar"]) == "a"


@pytest.mark.parametrize("name", ALL)
def test_a_text_that_is_not_translated_is_shown_as_it_was_written(name: str) -> None:
    found = language.translations(name)
    assert isinstance(found, gettext.NullTranslations)
    assert found.gettext("Nobody has written this.") == "Nobody has written this."
    assert found is language.translations(name)


def test_no_other_catalogue_can_be_opened() -> None:
    with pytest.raises(KeyError):
        language.translations("../../de")


@pytest.mark.parametrize("name", [name for name in ALL if name != language.SOURCE])
def test_the_forms_of_a_number_are_in_the_order_of_the_manual(name: str) -> None:
    catalogue = language.translations(name)
    order = ("zero", "one", "two", "few", "many", "other")
    rule = Locale.parse(LANGUAGES[name].locale).plural_form
    form_of = {rule(number): catalogue.plural(number) for number in range(120)}  # type: ignore[attr-defined] # of GNU's
    assert sorted(form_of, key=order.index) == sorted(form_of, key=lambda word: form_of[word])

"""The languages of the pages: which there are, which of them a reader gets, and the texts of each.

The source of every text is English and stands where it is shown; ``translations/<name>/LC_MESSAGES/authserver.po`` has
its translation. Catalogues are read as they were written, when the first page in that language is made: nothing has to
be compiled, and whoever reads no page pays nothing.

What a reader wishes for is a stranger's text: a bounded part of it is looked at, it is only ever compared with the
names below, and no file is opened by it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

DOMAIN: Final = "authserver"
CATALOGUES: Final = Path(__file__).with_name("translations")
SOURCE: Final = "en"

_MAX_TAGS: Final = 20
_MAX_TAG: Final = 35  # characters (RFC 5646 4.4.1)
_MAX_LIST: Final = _MAX_TAGS * (_MAX_TAG + 10)
_TAG: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*", re.ASCII)
_QUALITY: Final = re.compile(r"[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*", re.ASCII)  # RFC 9110 12.4.2


@dataclass(frozen=True, slots=True)
class Language:
    """A language that pages can be written in."""

    name: str  # as the settings and the catalogues have it
    tag: str  # as HTML, HTTP and OpenID Connect have it (RFC 5646)
    locale: str  # how CLDR writes dates in it
    direction: Literal["ltr", "rtl"] = "ltr"


LANGUAGES: Final = {
    language.name: language
    for language in (
        Language("en", "en", "en_GB"),
        Language("de", "de", "de"),
        Language("fr", "fr", "fr"),
        Language("es", "es", "es"),
        Language("zh", "zh-Hans", "zh_Hans"),
        Language("ar", "ar", "ar", "rtl"),
    )
}


def N_(text: str) -> str:  # noqa: N802 - the name that everybody knows it by, gettext's own documentation included
    """Mark a text that is translated later, where the page is made."""
    return text


def tags(text: str) -> tuple[str, ...]:
    """Return the first language tags of a list with spaces between (``ui_locales``, OpenID Connect Core 3.1.2.1)."""
    return tuple(tag for tag in text[:_MAX_LIST].split()[:_MAX_TAGS] if _is_tag(tag))


def negotiate(wishes: Iterable[str], accept_language: str, offered: Sequence[str]) -> Language:
    """Return the language for these wishes, else for an ``Accept-Language`` (RFC 4647 3.4), else the first offered."""
    ranges = [*filter(_is_tag, list(wishes)[:_MAX_TAGS]), *_accepted(accept_language)]
    return LANGUAGES[best(ranges, offered) or offered[0]]


def best(ranges: Iterable[str], offered: Iterable[str]) -> str | None:
    """Return which of these tags is the best for these ranges, the most wanted first; None without any (RFC 4647 3.4).

    A range that nothing has is shortened until something has it: a reader from Austria gets German.
    """
    spelled = {tag.lower(): tag for tag in offered}
    for wanted in ranges:
        subtags = wanted.lower().split("-")
        while subtags:
            found = spelled.get("-".join(subtags))
            if found is not None:
                return found
            subtags.pop()
            if subtags and len(subtags[-1]) == 1:
                subtags.pop()
    return None


@cache
def translations(name: str) -> NullTranslations:
    """Return the texts of one of ``LANGUAGES``."""
    if name == SOURCE:
        return NullTranslations()
    from babel.messages.mofile import write_mo  # noqa: PLC0415 - whoever makes no page needs none of it
    from babel.messages.pofile import read_po  # noqa: PLC0415 - as above

    compiled = BytesIO()
    with (CATALOGUES / LANGUAGES[name].name / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as catalogue:
        write_mo(compiled, read_po(catalogue, domain=DOMAIN))
    compiled.seek(0)
    return GNUTranslations(compiled)


def moment(when: datetime, language: Language) -> str:
    """Write a moment of UTC as people do who speak this language."""
    from babel.dates import format_date, format_time, get_datetime_format  # noqa: PLC0415 - as above

    order = str(get_datetime_format("medium", language.locale)).replace("'", "")
    date, time = format_date(when, "medium", language.locale), format_time(when, "short", locale=language.locale)
    return f"{order.format(time, date)} UTC"


def enumeration(items: Sequence[str], language: Language) -> str:
    """Write things one after the other as people do who speak this language: "a, b and c"."""
    from babel.lists import format_list  # noqa: PLC0415 - as above

    return format_list(items, locale=language.locale)


def _is_tag(text: str) -> bool:
    return len(text) <= _MAX_TAG and _TAG.fullmatch(text) is not None


def _accepted(header: str) -> list[str]:
    """Return the language ranges of ``Accept-Language``, the most wanted first (RFC 9110 12.5.4)."""
    found = []
    for part in header[:_MAX_LIST].split(",")[:_MAX_TAGS]:
        tag, weighed, parameter = part.strip(" \t").partition(";")
        quality = _QUALITY.fullmatch(parameter) if weighed else None
        weight = float(quality[1]) if quality else float(not weighed)
        if weight > 0 and _is_tag(tag.rstrip(" \t")):
            found.append((-weight, tag.rstrip(" \t")))
    return [tag for _, tag in sorted(found, key=lambda one: one[0])]

"""Brings the catalogues of authserver/translations up to the sources: ``make translations``.

Every text that pages show is collected in reading order. A catalogue keeps its translation of a text that stands
unchanged, gets an empty place for a new one, and loses what nobody shows any more. Nothing of it depends on the day or
on line numbers, so that a run without changes changes nothing.
"""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from babel.messages import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.pofile import generate_po, read_po

from authserver.language import CATALOGUES, DOMAIN, LANGUAGES, SOURCE, Language
from tools.pages import Pages, write
from tools.sources import ROOT, shipped

TEMPLATES = ROOT / "authserver" / "web" / "templates"
COMMENT = "Translators:"
# As the templates are rendered (web/language.py, web/pages.py): what is looked up has to be what was collected.
JINJA = {"trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
# In the order of gettext's manual, which translators know; Babel has the last two the other way round.
_ARABIC = "n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5"
PLURALS = {"ar": f"nplurals=6; plural=({_ARABIC});"}


class Text(NamedTuple):
    """A text of the pages: one sentence, or its forms for one thing and for several."""

    id: str | tuple[str, ...]
    files: tuple[str, ...]
    comments: tuple[str, ...]


def texts() -> list[Text]:
    """Collect every text, each once, in the order in which the files and their lines are read."""
    found: dict[str | tuple[str, ...], tuple[dict[str, None], dict[str, None]]] = {}
    for where, message, comments in _extracted():
        files, notes = found.setdefault(message, ({}, {}))
        files[where] = None
        notes.update(dict.fromkeys(comments))
    return [Text(message, tuple(files), tuple(notes)) for message, (files, notes) in found.items()]


def path_of(name: str) -> Path:
    """Return where the catalogue of a language is."""
    return CATALOGUES / name / "LC_MESSAGES" / f"{DOMAIN}.po"


def stored(name: str) -> Catalog:
    """Read the catalogue of a language as it is; an empty one where there is none yet."""
    path = path_of(name)
    if not path.exists():
        return Catalog()
    with path.open("rb") as catalogue:
        return read_po(catalogue, domain=DOMAIN, abort_invalid=True)


def catalogues() -> Pages:
    """Return every catalogue as it has to be."""
    collected = texts()
    return {
        path_of(name).relative_to(ROOT).as_posix(): _written(language, collected)
        for name, language in LANGUAGES.items()
    }


def _extracted() -> Iterator[tuple[str, str | tuple[str, ...], list[str]]]:
    for template in sorted(TEMPLATES.rglob("*.html")):
        yield from _of_file(template, "jinja2.ext:babel_extract", JINJA)
    for source in sorted(shipped(), key=lambda source: source.where):
        if source.name.startswith("authserver.") and ("N_(" in source.text or "gettext(" in source.text):
            yield from _of_file(source.path, "python", {})


def _of_file(
    path: Path, method: str, options: dict[str, str]
) -> Iterator[tuple[str, str | tuple[str, ...], list[str]]]:
    with path.open("rb") as file:
        for found in extract(method, file, DEFAULT_KEYWORDS, [COMMENT], options, strip_comment_tags=True):
            yield path.relative_to(ROOT).as_posix(), found[1], list(found[2])


def _written(language: Language, collected: list[Text]) -> str:
    old, new = stored(language.name), Catalog(language.locale)
    for text in collected:
        known = old.get(text.id)
        same = known is not None and isinstance(known.id, tuple) == isinstance(text.id, tuple)
        new.add(
            text.id,
            known.string if known is not None and same else None,
            locations=[(file, 0) for file in text.files],
            flags=known.flags if known is not None and same else (),
            auto_comments=text.comments,
            user_comments=known.user_comments if known is not None else (),
        )
    body = StringIO()
    body.writelines(generate_po(new, omit_header=True, include_lineno=False, width=0))
    return _head(language, new) + body.getvalue().rstrip("\n") + "\n"


def _head(language: Language, catalogue: Catalog) -> str:
    lines = {
        "Language": language.locale,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": PLURALS.get(language.name, catalogue.plural_forms),
    }
    about = (
        "The source is English: a text without a translation is shown as it is here."
        if language.name == SOURCE
        else f"{language.tag}: translations of the texts that the pages show."
    )
    head = "".join(f'"{name}: {value}\\n"\n' for name, value in lines.items())
    return f'# {about}\n# `make translations` brings this file up to the sources.\nmsgid ""\nmsgstr ""\n{head}\n'


if __name__ == "__main__":
    write(catalogues)

"""Every text that people see is in every catalogue, and nothing that is translated can break a page."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages import Catalog
from babel.messages.catalog import Message
from jinja2 import Environment, nodes

from authserver.language import LANGUAGES, SOURCE
from tools import translations
from tools.sources import shipped

TRANSLATED = [name for name in LANGUAGES if name != SOURCE]
PLACE = re.compile(r"%\((\w+)\)[sd]")
TAG = re.compile(r"<[^>]*>")
TEMPLATES = sorted(translations.TEMPLATES.rglob("*.html"))
# The name of the product, which is the same everywhere.
NAMES = re.compile(r"\bauth(server)?\b|\bserver\b")
# Blocks that fill an attribute of layout.html, and attributes that a macro is called with.
CLASSES = {"kind", "surface"}
ATTRIBUTES = re.compile(r'[a-z-]+="[^"]*"\s*')
TRANSLATE = {"_", "gettext", "ngettext", "pgettext", "npgettext"}
READ_ALOUD = {"alt", "aria-description", "aria-label", "placeholder", "title"}
SENTENCE = re.compile(r"[A-Z](?=.* ).*[.?!]", re.DOTALL)
MARKS = {"N_", "gettext", "ngettext"}


@pytest.fixture(scope="module")
def texts() -> list[translations.Text]:
    return translations.texts()


@pytest.fixture(scope="module", params=LANGUAGES)
def catalogue(request: pytest.FixtureRequest) -> Catalog:
    return translations.stored(str(request.param))


@pytest.fixture(scope="module", params=TRANSLATED)
def translated(request: pytest.FixtureRequest) -> list[Message]:
    return [message for message in translations.stored(str(request.param)) if message.id]


def test_catalogues_have_the_texts_of_the_pages_and_no_others(
    catalogue: Catalog, texts: list[translations.Text]
) -> None:
    stored, shown = {message.id for message in catalogue if message.id}, {text.id for text in texts}
    assert sorted(map(_first, shown - stored)) == [], "run `make translations`"
    assert sorted(map(_first, stored - shown)) == [], "run `make translations`"


def test_every_text_is_translated(translated: list[Message]) -> None:
    missing = [_first(message.id) for message in translated if not all(_forms(message)) or message.fuzzy]
    assert missing == []


def test_every_number_has_its_form(catalogue: Catalog) -> None:
    counted = [message for message in catalogue if isinstance(message.id, tuple)]
    assert [_first(message.id) for message in counted if len(_forms(message)) != catalogue.num_plurals] == []


def test_translations_are_filled_in_with_what_the_source_is_filled_in_with(translated: list[Message]) -> None:
    wrong = [_first(message.id) for message in translated if not _same_places(message)]
    assert wrong == []


def test_translations_have_the_tags_of_the_source_and_no_others(translated: list[Message]) -> None:
    # A translation is HTML where its source is: what it may hold is what stands there in English.
    wrong = [
        _first(message.id)
        for message in translated
        for source, form in _pairs(message)
        if Counter(TAG.findall(form)) != Counter(TAG.findall(source)) or TAG.sub("", form).count("<")
    ]
    assert wrong == []


def test_no_translation_ends_an_attribute(translated: list[Message]) -> None:
    wrong = [
        _first(message.id)
        for message in translated
        for source, form in _pairs(message)
        if '"' in TAG.sub("", form) and '"' not in TAG.sub("", source)
    ]
    assert wrong == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.relative_to(translations.TEMPLATES).as_posix())
def test_a_template_shows_no_text_that_is_not_translated(template: Path) -> None:
    tree = _parsed(template)
    page = _Shown()
    page.feed(_page(tree))
    shown = [ATTRIBUTES.sub("", NAMES.sub("", text)) for text in page.found]
    assert [text for text in shown if re.search(r"[^\W\d_]", text)] == []
    marked = {id(each) for call in _calls(tree) for each in call.find_all(nodes.Const)}
    literal = [each.value for each in tree.find_all(nodes.Const) if id(each) not in marked]
    assert [text for text in literal if isinstance(text, str) and re.search(r"[A-Z][a-z]|[a-z] [a-z]", text)] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.relative_to(translations.TEMPLATES).as_posix())
def test_only_what_stands_in_a_template_is_translated_as_html(template: Path) -> None:
    """A translation is taken for HTML: a text that comes from a client must never be looked up as one."""
    wrong = [
        call.lineno
        for call in _calls(_parsed(template))
        if not _constant(call.args[: 2 if getattr(call.node, "name", "") == "ngettext" else 1])
    ]
    assert wrong == []


def test_sentences_for_people_are_marked() -> None:
    rooms = ("authserver.web.", "authserver.identity.", "authserver.oidc.interaction", "authserver.oidc.end_session")
    unmarked = [
        f"{source.where}:{node.lineno} {node.value!r}"
        for source in shipped()
        if source.name.startswith(rooms)
        for node in _unmarked(source.tree)
        if SENTENCE.fullmatch(str(node.value))
    ]
    assert unmarked == []


def test_catalogues_do_not_depend_on_the_day() -> None:
    stored = {name: translations.path_of(name).read_text(encoding="utf-8") for name in LANGUAGES}
    assert [name for name, text in stored.items() if re.search(r"\d{4}-\d\d-\d\d|:\d+$", text, re.MULTILINE)] == []


class _Shown(HTMLParser):
    """What a page shows and reads aloud, expressions left out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in {"script", "style"}
        self.found += [value for name, value in attrs if name in READ_ALOUD and value]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in {"script", "style"}

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data.strip())


def _parsed(template: Path) -> nodes.Template:
    jinja = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    jinja.newstyle_gettext = True  # type: ignore[attr-defined] # of the extension
    return jinja.parse(template.read_text(encoding="utf-8"))


def _calls(tree: nodes.Template) -> list[nodes.Call]:
    """Return the places where a text is translated, those of ``{% trans %}`` too."""
    calls = tree.find_all(nodes.Call)
    return [call for call in calls if isinstance(call.node, nodes.Name) and call.node.name in TRANSLATE]


def _page(tree: nodes.Template) -> str:
    """Return the template's own text, with nothing where an expression stands."""
    inside = [block for block in tree.find_all(nodes.Block) if block.name in CLASSES]
    left_out = {id(output) for block in inside for output in block.find_all(nodes.Output)}
    outputs = [output for output in tree.find_all(nodes.Output) if id(output) not in left_out]
    pieces = [piece for output in outputs for piece in output.nodes]
    return "".join(piece.data for piece in pieces if isinstance(piece, nodes.TemplateData))


def _constant(texts: list[nodes.Expr]) -> bool:
    return bool(texts) and all(isinstance(text, nodes.Const) and isinstance(text.value, str) for text in texts)


def _unmarked(tree: ast.Module) -> Iterator[ast.Constant]:
    """Go through the texts of a file that are neither marked, nor documentation, nor the protocol's, nor a log's."""
    kept = {id(node) for parent in ast.walk(tree) for node in _kept(parent)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in kept:
            yield node


def _kept(parent: ast.AST) -> Iterator[ast.AST]:
    if isinstance(parent, ast.Expr):
        yield parent.value
    if isinstance(parent, ast.Call) and ast.unparse(parent.func).split(".")[-1] in MARKS:
        yield from parent.args
    if isinstance(parent, ast.Dict):
        told = zip(parent.keys, parent.values, strict=True)
        yield from (value for key, value in told if isinstance(key, ast.Constant) and key.value == "error_description")


def _first(text: object) -> str:
    return str(text[0]) if isinstance(text, tuple | list) else str(text)


def _forms(message: Message) -> list[str]:
    return list(message.string) if isinstance(message.string, tuple | list) else [message.string or ""]


def _pairs(message: Message) -> Iterator[tuple[str, str]]:
    """Pair each form that there is with its source; every form of a counted text goes with the one for several."""
    source = message.id[-1] if isinstance(message.id, tuple | list) else message.id
    counted = isinstance(message.id, tuple | list)
    for number, form in enumerate(_forms(message)):
        if form:
            yield (message.id[0] if counted and number == 0 else str(source)), form


def _same_places(message: Message) -> bool:
    """Say whether every form is filled in as the source is; "one thing" may leave the number out."""
    if not isinstance(message.id, tuple | list):
        return all(Counter(PLACE.findall(form)) == Counter(PLACE.findall(source)) for source, form in _pairs(message))
    several = Counter(PLACE.findall(str(message.id[1])))
    return all(Counter(PLACE.findall(form)) in (several, several - Counter(["num"])) for _, form in _pairs(message))

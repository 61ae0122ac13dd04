"""What exists is documented, and what is generated is fresh."""

import importlib
import re

import click
import pytest

from tools import commands_page, endpoints_page, settings_page
from tools.pages import Pages
from tools.sources import ROOT, Source, shipped, sources

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
GENERATORS = re.findall(r"^GENERATORS := (.*)$", MAKEFILE, re.MULTILINE)[0].split()


def _page(name: str) -> str:
    path = ROOT / "docs" / name
    assert path.is_file(), f"docs/{name} is missing"
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", GENERATORS)
def test_generated_pages_are_fresh(name: str) -> None:
    pages: Pages = importlib.import_module(name).pages()
    assert pages
    stored = {where: (ROOT / where).read_text(encoding="utf-8") for where in pages if (ROOT / where).is_file()}
    assert [where for where, text in pages.items() if stored.get(where) != text] == [], "run `make docs`"


def test_every_generator_runs_under_make_docs() -> None:
    written = {
        source.name
        for path in sorted((ROOT / "tools").glob("*.py"))
        for source in [_source(path.stem)]
        if any(function.name == "pages" for function in source.functions())
    }
    assert written == set(GENERATORS)


@pytest.mark.parametrize("package", settings_page.CLASSES)
def test_every_setting_is_explained_in_a_sentence_and_listed(package: str) -> None:
    page = _page("settings.md")
    for setting in settings_page.settings(package):
        assert setting.meaning.endswith("."), f"{setting.name} has no sentence"
        assert f"`{setting.name}`" in page, f"docs/settings.md does not name {setting.name}"


@pytest.mark.parametrize("program", commands_page.PROGRAMS)
def test_every_command_says_what_it_does_and_is_listed(program: str) -> None:
    page = _page("commands.md")
    for words, command in commands_page.commands(program):
        assert command.help, f"{words} has no help"
        assert f"`{words}" in page, f"docs/commands.md does not name {words}"
        silent = [each.opts for each in command.params if isinstance(each, click.Option) and not each.help]
        assert silent == [], f"options of {words} without help"


def test_every_endpoint_is_listed() -> None:
    page = _page("endpoints.md")
    assert [each.path for each in endpoints_page.endpoints() if f"`{each.path}`" not in page] == []


def test_every_protocol_file_is_listed_with_its_specification() -> None:
    page = _page("specs.md")
    folders = ("authserver.oauth.", "authserver.oidc.")
    assert [each.where for each in shipped() if each.name.startswith(folders) and each.where not in page] == []


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\((?!https?://|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def _source(stem: str) -> Source:
    return next(source for source in sources() if source.where == f"tools/{stem}.py")

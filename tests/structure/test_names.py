"""Names say what is inside: specifications in the protocol folders, nouns elsewhere, sentences in tests."""

import re

import pytest

from tools.sources import ROOT, Source, shipped, sources

DRAWERS = {"base", "common", "helper", "helpers", "lib", "misc", "shared", "stuff", "tools", "util", "utils"}

SPECIFICATION = re.compile(r"\b(RFC \d{4}|OpenID Connect|OAuth 2\.\d|FAPI \d|JARM)\b")

# The engine under the protocol files: no single specification, and nothing for the registry to list.
ENGINE = {
    "authserver.oauth.server",
    "authserver.oauth.request",
    "authserver.oauth.errors",
    "authserver.oauth.error_codes",
    "authserver.oauth.encryption",
    "authserver.oauth.parameters",
    "authserver.oauth.issue",
    "authserver.oauth.waiting",
    "authserver.oauth.features",
    "authserver.oauth.scope",
    "authserver.oauth.redirect_uri",
    "authserver.oauth.access_token",
    "authserver.oauth.bearer",
    "authserver.oidc.claims",
    "authserver.oidc.consent",
    "authserver.oidc.interaction",
    "authserver.oidc.sentences",
}

PROTOCOL = [
    source
    for source in shipped()
    if source.name.startswith(("authserver.oauth.", "authserver.oidc.")) and source.path.name != "__init__.py"
]
REGISTRY = next(source for source in shipped() if source.name == "authserver.registry")


def _id(source: Source) -> str:
    return source.where


@pytest.mark.parametrize("source", [source for source in PROTOCOL if source.name not in ENGINE], ids=_id)
def test_a_protocol_file_begins_with_its_specification(source: Source) -> None:
    first = source.docstring.partition("\n\n")[0]
    assert SPECIFICATION.search(first), f"{source.where} begins {first!r}"
    assert "https://" in source.docstring, f"{source.where} does not link to its specification"


def test_every_protocol_file_is_in_the_registry_or_belongs_to_the_engine() -> None:
    listed = {found.target for found in REGISTRY.imports}
    assert {source.name for source in PROTOCOL} - listed - ENGINE == set()


def test_the_list_of_the_engine_names_files_that_exist() -> None:
    assert {source.name for source in PROTOCOL} >= ENGINE


def test_every_protocol_file_has_its_test() -> None:
    tests = [f"tests/{source.name.split('.')[1]}/test_{source.path.name}" for source in PROTOCOL]
    assert [test for test in tests if not (ROOT / test).is_file()] == []


def test_there_are_no_drawers() -> None:
    found = [
        source.where
        for source in sources()
        if source.where.startswith("tools/") is False
        and DRAWERS & {part.removeprefix("test_") for part in source.path.relative_to(ROOT).with_suffix("").parts}
    ]
    assert found == []


def test_every_module_begins_by_saying_what_it_is() -> None:
    silent = [source.where for source in shipped() if not source.docstring and source.text.strip()]
    assert silent == []


def test_names_of_tests_are_sentences() -> None:
    short = [
        f"{source.where}:{function.lineno} {function.name}"
        for source in sources()
        if source.path.name.startswith("test_")
        for function in source.functions()
        if function.name.startswith("test_") and function.name.count("_") < 3
    ]
    assert short == []

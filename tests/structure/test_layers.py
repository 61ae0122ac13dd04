"""Imports go down only, and each library has its rooms (docs/architecture.md)."""

from collections.abc import Iterator

import pytest

from tools.sources import SHIPPED, Import, Source, room, shipped, sources

# From top to bottom. A room imports rooms of its own line and of the lines below it; the exceptions follow.
LINES: tuple[frozenset[str], ...] = (
    frozenset({"cli", "wsgi", "__main__"}),
    frozenset({"app", "authserver"}),
    frozenset({"web", "worker"}),
    frozenset({"registry"}),
    frozenset({"oidc", "api"}),
    frozenset({"oauth"}),
    frozenset({"manage", "identity"}),
    frozenset({"courier", "deliveries"}),
    frozenset({"keys", "outbound", "mail", "audit", "limits", "feed"}),
    frozenset({"store"}),
    frozenset(
        {"records", "redirects", "crypto", "clock", "guarded", "json_schema", "jwt", "language", "log", "signing"}
        | {"pictures", "tagged"}
        | {"settings", "setting_rules", "sections", "extension_sections", "environment"}
    ),
)
LINE_OF = {name: number for number, line in enumerate(LINES) for name in line}

# Rooms that only these may import.
ONLY_FROM = {"registry": {"app"}, "app": {"cli", "wsgi", "__main__", "authserver"}}

# What a whole package may import of its siblings, by prefix.
SIBLINGS = {
    "authserver": (
        "authserver",
        "resourceserver.dpop",
        "resourceserver.errors",
        "resourceserver.mtls",
        "resourceserver.serving",
        "resourceserver.whole_request",
    ),
    "resourceserver": ("resourceserver",),
    "bff": ("bff", "resourceserver"),
    "pytest_authserver": ("pytest_authserver", "authserver", "resourceserver", "bff", "migrations"),
    "migrations": ("migrations", "authserver.store"),
}

# Library → where in our packages it may be imported, by prefix. A library that is not here may be used anywhere.
FLASK = (
    "authserver.web",
    "authserver.app",
    "authserver.cli",
    "authserver.wsgi",
    "resourceserver.app",
    "resourceserver.cli",
    "resourceserver.protect",
    "resourceserver.metadata",
    "resourceserver.resources",
    "bff.__init__",
    "bff.app",
    "bff.backend",
    "bff.cli",
    "bff.security",
    "bff.session",
    "bff.views",
    "pytest_authserver",
)
SQL = (
    "authserver.store",
    "migrations",
    "resourceserver.database",
    "resourceserver.notes",
    "resourceserver.used_proofs",
    "bff.store",
    "bff.tables",
)
ROOMS_OF = {
    "flask": FLASK,
    "werkzeug": FLASK,
    "click": ("authserver.cli", "resourceserver.cli", "bff.cli"),
    "sqlalchemy": SQL,
    "sqlite3": SQL,
    "psycopg": SQL,
    "redis": SQL,
    "alembic": ("authserver.store", "authserver.cli", "migrations", "pytest_authserver"),
    "authlib": ("authserver.oauth", "authserver.oidc"),
    "joserfc": (
        "authserver.keys",
        "authserver.jwt",
        "authserver.oauth",
        "authserver.oidc",
        "authserver.identity.federation",
        "pytest_authserver",
        # PyJWT knows no encryption, and nobody should write one.
        "resourceserver.decryption",
    ),
    "jwt": ("resourceserver", "bff", "pytest_authserver"),
    "httpx2": ("authserver.outbound", "resourceserver", "bff", "pytest_authserver"),
    "httpcore2": ("authserver.outbound", "authserver.guarded", "resourceserver", "bff"),
    "argon2": ("authserver.crypto", "authserver.identity"),
    "granian": ("resourceserver.serving",),
    "gunicorn": ("authserver.cli", "authserver.wsgi"),
}


def _imports() -> Iterator[tuple[Source, Import]]:
    for source in shipped():
        for found in source.imports:
            yield source, found


def _below(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def _full_name(source: Source) -> str:
    return f"{source.name}.__init__" if source.name in SHIPPED else source.name


def _at(source: Source, found: Import) -> str:
    return f"{source.where}:{found.line} imports {found.target}"


def test_every_room_of_authserver_has_its_line() -> None:
    rooms = {source.room for source in shipped() if source.name.split(".")[0] == "authserver"}
    assert rooms <= set(LINE_OF), f"rooms without a line: {sorted(rooms - set(LINE_OF))}"


def test_imports_go_down_only() -> None:
    wrong = [
        _at(source, found)
        for source, found in _imports()
        if source.name.startswith("authserver.")
        and found.target.startswith("authserver.")
        and LINE_OF.get(room(found.target), len(LINES)) < LINE_OF.get(source.room, -1)
    ]
    assert wrong == []


@pytest.mark.parametrize("guarded", sorted(ONLY_FROM))
def test_guarded_rooms_are_imported_by_few(guarded: str) -> None:
    wrong = [
        _at(source, found)
        for source, found in _imports()
        if source.name.split(".")[0] == "authserver"
        and found.target.startswith("authserver.")
        and room(found.target) == guarded
        and source.room not in {guarded, *ONLY_FROM[guarded]}
    ]
    assert wrong == []


def test_packages_import_only_the_siblings_they_may() -> None:
    wrong = [
        _at(source, found)
        for source, found in _imports()
        if found.target.split(".")[0] in SHIPPED and not _below(found.target, SIBLINGS[source.name.split(".")[0]])
    ]
    assert wrong == []


@pytest.mark.parametrize("library", sorted(ROOMS_OF))
def test_each_library_stays_in_its_rooms(library: str) -> None:
    wrong = [
        _at(source, found)
        for source, found in _imports()
        if found.target.split(".")[0] == library and not _below(_full_name(source), ROOMS_OF[library])
    ]
    assert wrong == []


def test_nothing_that_is_shipped_imports_tests_or_tools() -> None:
    wrong = [_at(*pair) for pair in _imports() if pair[1].target.split(".")[0] in {"tests", "tools", "benchmarks"}]
    assert wrong == []


def test_tools_and_benchmarks_take_only_servers_and_makers_from_tests() -> None:
    wrong = [
        _at(source, found)
        for source in sources()
        if source.name.split(".")[0] in {"tools", "benchmarks"}
        for found in source.imports
        if found.target.split(".")[0] == "tests" and not _below(found.target, ("tests.servers", "tests.store.makers"))
    ]
    assert wrong == []

"""The repository's Python files, parsed: what the rules of the house and the generated pages read."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("authserver", "resourceserver", "bff", "pytest_authserver", "migrations")
ALL = (*SHIPPED, "tests", "tools", "benchmarks")


@dataclass(frozen=True)
class Import:
    """One imported module: its full name, the line, and whether the program itself needs it as it loads."""

    target: str
    line: int
    at_load: bool


@dataclass(frozen=True)
class Source:
    """One file: ``name`` is its dotted module name, ``where`` its path below the root."""

    path: Path
    name: str
    text: str

    @property
    def where(self) -> str:
        """The path below the root, with slashes."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def room(self) -> str:
        """The part of its package that the file belongs to: ``oauth`` for ``authserver.oauth.pkce``."""
        return room(self.name)

    @property
    def docstring(self) -> str:
        """The docstring of the module, or an empty string."""
        return ast.get_docstring(self.tree) or ""

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.where)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Every import, those in functions and under TYPE_CHECKING too."""
        return tuple(self._imports(self.tree, at_load=True))

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Go through all functions and methods, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def _imports(self, node: ast.AST, *, at_load: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, child.lineno, at_load) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                yield from (Import(target, child.lineno, at_load) for target in self._targets(child))
            else:
                later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _for_types(child)
                yield from self._imports(child, at_load=at_load and not later)

    def _targets(self, node: ast.ImportFrom) -> Iterator[str]:
        base = node.module or ""
        if node.level:
            package = self.name.split(".")
            keep = len(package) - node.level + (self.path.name == "__init__.py")
            base = ".".join([*package[:keep], *filter(None, [node.module])])
        for alias in node.names:
            submodule = f"{base}.{alias.name}"
            yield submodule if submodule in names() else base


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def room(name: str) -> str:
    """Name the room of a module: its package, and in ``authserver`` the part directly below."""
    parts = name.split(".")
    return parts[1] if parts[0] == "authserver" and len(parts) > 1 else parts[0]


def _paths() -> Iterator[Path]:
    for top in ALL:
        yield from sorted(path for path in (ROOT / top).rglob("*.py") if "__pycache__" not in path.parts)


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Collect the dotted names of all modules and packages of the repository."""
    modules = {_name(path) for path in _paths()}
    return frozenset(modules | {module.rpartition(".")[0] for module in modules if "." in module})


@lru_cache(maxsize=1)
def sources() -> tuple[Source, ...]:
    """Read all files, in the order of their paths."""
    return tuple(Source(path, _name(path), path.read_text(encoding="utf-8")) for path in _paths())


def shipped() -> tuple[Source, ...]:
    """Select the files that the wheel holds."""
    return tuple(source for source in sources() if source.name.split(".")[0] in SHIPPED)

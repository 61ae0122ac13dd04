"""Writes docs/specs.md: each protocol file with its specification and tests, and the steps in their order."""

import ast
import re
from pathlib import Path

from authserver.sections import Features
from tools.pages import NOTICE, Pages, write
from tools.sources import ROOT, Source, shipped

PAGE = "docs/specs.md"
FOLDERS = {"authserver.oauth.": "OAuth", "authserver.oidc.": "OpenID Connect"}
STAGE = re.compile(r"GRANTS|(REGISTRATION|PUSH|AUTHORIZE|DEVICE|CIBA|TOKEN|INTROSPECTION|USERINFO)_[A-Z]+")


def _summary(source: Source) -> str:
    return " ".join(source.docstring.partition("\n\n")[0].split())


def _link(source: Source) -> str:
    found = re.search(r"https://\S+", source.docstring)
    return f"[{_summary(source)}]({found[0].rstrip('.,)')})" if found else _summary(source)


def _test_files(source: Source) -> list[Path]:
    """Return the test file of the same name, and those that go on where it got too long."""
    _, package, module = source.name.split(".")
    modules = {other.name.rpartition(".")[2] for other in shipped() if other.name.startswith(f"authserver.{package}.")}
    longer = {name for name in modules if name.startswith(f"{module}_")}
    folder = ROOT / "tests" / package
    more = [
        path
        for path in sorted(folder.glob(f"test_{module}_*.py"))
        if not any(path.stem == f"test_{name}" or path.stem.startswith(f"test_{name}_") for name in longer)
    ]
    return [path for path in (folder / f"test_{module}.py", *more) if path.is_file()]


def _told(path: Path) -> int:
    nodes = ast.walk(ast.parse(path.read_text()))
    return sum(isinstance(node, ast.FunctionDef) and node.name.startswith("test_") for node in nodes)


def _tests(source: Source) -> str:
    """Return the test files and how many cases each tells, or that there is none."""
    files = _test_files(source)
    return " ".join(f"[{_told(path)}](../{path.relative_to(ROOT)})" for path in files) or "none yet"


def _switch(source: Source) -> str | None:
    """Return the setting that switches the file on and off, where there is one."""
    for node in source.tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "FEATURE" and node.value is not None:
            return str(ast.literal_eval(node.value))
    return None


def _state(source: Source, registered: str) -> str:
    """Say whether the registry runs the file by default, or other files stand on it, and what switches it."""
    module = source.name.rpartition(".")[2]
    if f"{module}." not in registered:
        return "engine"
    switch = _switch(source)
    untested = "" if _test_files(source) else ", untested"
    if switch is None:
        return f"on{untested}"
    by_default = "on" if getattr(Features(), switch) else "off"
    return f"{by_default}{untested}; `features.{switch}`"


def _table(prefix: str) -> str:
    registered = next((ast.unparse(source.tree) for source in shipped() if source.name == "authserver.registry"), "")
    rows = [
        f"| {_link(source)} | [{source.where}](../{source.where}) | {_tests(source)} | {_state(source, registered)} |"
        for source in shipped()
        if source.name.startswith(prefix)
    ]
    return "\n".join(["| specification | file | tests | state |", "|---|---|---:|---|", *rows])


def _stages() -> str:
    registry = next((source for source in shipped() if source.name == "authserver.registry"), None)
    parts = []
    for node in registry.tree.body if registry else []:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Tuple):
            continue
        name = ast.unparse(node.targets[0])
        if STAGE.fullmatch(name) and node.value.elts:
            items = [f"{number}. `{ast.unparse(item)}`" for number, item in enumerate(node.value.elts, 1)]
            parts.append("\n".join([f"### {name}", "", *items]))
    return "\n\n".join(parts)


def pages() -> Pages:
    """Write the page that is to be stored."""
    text = (
        "Where each specification lives, how many cases its tests tell, and the order in which its steps run. *On*: the"
        " registry runs it; the setting beside it switches it off, and `tests/oauth/test_features.py` proves that"
        " nothing of it is left then. *Engine*: the others stand on it."
    )
    head = f"{NOTICE}\n\n# Specifications\n\n{text}"
    tables = [f"## {title}\n\n{_table(prefix)}" for prefix, title in FOLDERS.items()]
    order = "## Order\n\nThe tuples of `authserver/registry.py`; the order is part of the security of each stage."
    return {PAGE: "\n\n".join([head, *tables, order, _stages()]).rstrip() + "\n"}


if __name__ == "__main__":
    write(pages)

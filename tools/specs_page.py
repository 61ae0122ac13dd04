"""Writes docs/specs.md: each protocol file with its specification and tests, and the steps in their order."""

import ast
import re

from tools.pages import NOTICE, Pages, write
from tools.sources import ROOT, Source, shipped

PAGE = "docs/specs.md"
FOLDERS = {"authserver.oauth.": "OAuth", "authserver.oidc.": "OpenID Connect"}
STAGE = re.compile(r"GRANTS|(AUTHORIZE|DEVICE|CIBA|TOKEN)_[A-Z]+")


def _summary(source: Source) -> str:
    return " ".join(source.docstring.partition("\n\n")[0].split())


def _link(source: Source) -> str:
    found = re.search(r"https://\S+", source.docstring)
    return f"[{_summary(source)}]({found[0].rstrip('.,)')})" if found else _summary(source)


def _tests(source: Source) -> str:
    """Return the test file of the same name and how many cases it tells, or that there is none."""
    _, package, module = source.name.split(".")
    where = f"tests/{package}/test_{module}.py"
    if not (ROOT / where).is_file():
        return "none yet"
    told = sum(
        isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        for node in ast.walk(ast.parse((ROOT / where).read_text()))
    )
    return f"[{told}](../{where})"


def _state(source: Source, registered: str) -> str:
    """Say whether the registry runs the file, or other files stand on it."""
    module = source.name.rpartition(".")[2]
    if f"{module}." not in registered:
        return "engine"
    return "on" if "none yet" not in _tests(source) else "on, untested"


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
        " registry runs it. *Engine*: the others stand on it."
    )
    head = f"{NOTICE}\n\n# Specifications\n\n{text}"
    tables = [f"## {title}\n\n{_table(prefix)}" for prefix, title in FOLDERS.items()]
    order = "## Order\n\nThe tuples of `authserver/registry.py`; the order is part of the security of each stage."
    return {PAGE: "\n\n".join([head, *tables, order, _stages()]).rstrip() + "\n"}


if __name__ == "__main__":
    write(pages)

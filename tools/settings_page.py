"""Writes docs/settings.md: every setting of the three programs, as their settings modules declare it."""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tools.pages import NOTICE, Pages, write

PAGE = "docs/settings.md"
CLASSES = {"authserver": "Settings", "resourceserver": "Settings", "bff": "BffSettings"}

HEAD = f"""{NOTICE}

# Settings

Each program reads its settings from the environment; names that it does not know are refused. The authorization server
also reads the TOML file that `AUTHSERVER_CONFIG` names: there a setting has its name in small letters and without the
prefix, and what stands before a double underscore is the section (`AUTHSERVER_TOKENS__CODE_SECONDS` is `code_seconds`
under `[tokens]`). The environment wins over the file.
"""


class Setting(NamedTuple):
    """One setting: its name in the environment, its declaration, and its meaning in a sentence."""

    name: str
    field: FieldInfo
    meaning: str


def settings(package: str) -> Iterator[Setting]:
    """Go through the settings of a package."""
    module = importlib.import_module(f"{package}.settings")
    yield from _settings(getattr(module, CLASSES[package]), f"{package.upper()}_")


def _settings(model: type[BaseModel], prefix: str) -> Iterator[Setting]:
    below = _sentences(model)
    for name, field in model.model_fields.items():
        full = f"{prefix}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, f"{full}__")
        else:
            yield Setting(full, field, field.description or below.get(name, ""))


def _sentences(model: type[BaseModel]) -> dict[str, str]:
    """Read the strings below the fields of a class, for those that write the meaning there."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(model)))
    found = {}
    for field, after in pairwise(statement for each in tree.body for statement in getattr(each, "body", [])):
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[ast.unparse(field.target)] = " ".join(str(after.value.value).split())
    return found


def _type(annotation: Any) -> str:
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    if get_origin(annotation) is not None and "Literal" in str(get_origin(annotation)):
        return " or ".join(f"`{argument}`" for argument in arguments)
    if get_origin(annotation) in (tuple, list, set, frozenset):
        return "list"
    if get_origin(annotation) is dict:
        return "tables"
    if get_origin(annotation) is not None and arguments:
        return _type(arguments[0])
    known = {str: "text", SecretStr: "secret", int: "number", float: "number", bool: "yes or no", Path: "path"}
    return known.get(annotation, getattr(annotation, "__name__", "text"))


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    if value is None or value in ((), "", frozenset(), [], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list | frozenset):
        if any(isinstance(each, BaseModel) for each in value):
            return "the demonstration's"
        return ", ".join(f"`{each}`" for each in value)
    return f"`{value}`"


def _table(package: str) -> str:
    rows = [
        f"| `{each.name}` | {_type(each.field.annotation)} | {_default(each.field)} | {each.meaning} |"
        for each in settings(package)
    ]
    return "\n".join([f"## {package}", "", "| setting | type | default | meaning |", "|---|---|---|---|", *rows])


def pages() -> Pages:
    """Write the page that is to be stored."""
    return {PAGE: "\n".join([HEAD, "\n\n".join(_table(package) for package in CLASSES), ""])}


if __name__ == "__main__":
    write(pages)

"""What is imported is declared, what is declared is used, and the lock names files, not places."""

import re
import sys
import tomllib
from functools import lru_cache
from importlib.metadata import packages_distributions

import pytest

from tools.sources import ROOT, SHIPPED, shipped

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = sorted((ROOT / "locks").glob("*.txt"))

# Named in a URL or a command, not in an import.
STARTED_BY_NAME = {"granian"}
# Comes with another library and is part of what that one documents.
WITH_ANOTHER = {
    "werkzeug": "flask",
    "jinja2": "flask",
    "markupsafe": "flask",
    "httpcore2": "httpx2",
    "pydantic": "pydantic-settings",
}
# The kit for other people's tests needs the runner that loads it.
BY_WHOEVER_LOADS_IT = {"pytest"}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _distribution(requirement: str) -> str:
    return _normal(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])


@lru_cache(maxsize=1)
def _imported() -> dict[str, str]:
    """Distribution → one place that imports it."""
    owners = packages_distributions()
    found: dict[str, str] = {}
    for source in shipped():
        for one in source.imports:
            top = one.target.split(".")[0]
            if top not in sys.stdlib_module_names and top not in SHIPPED:
                found.setdefault(_normal(owners.get(top, [top])[0]), f"{source.where}:{one.line}")
    return found


def test_every_imported_distribution_is_declared() -> None:
    extras = [each for name, some in PROJECT["optional-dependencies"].items() if name != "dev" for each in some]
    declared = {_distribution(each) for each in [*PROJECT["dependencies"], *extras]} | BY_WHOEVER_LOADS_IT
    undeclared = {name: where for name, where in _imported().items() if WITH_ANOTHER.get(name, name) not in declared}
    assert undeclared == {}


def test_every_declared_dependency_is_used() -> None:
    used = {WITH_ANOTHER.get(name, name) for name in _imported()} | STARTED_BY_NAME
    assert {_distribution(each) for each in PROJECT["dependencies"]} - used == set()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_locks_name_no_index_and_hash_everything(lock: object) -> None:
    text = (ROOT / str(lock)).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    pinned = re.findall(r"^\S+==.*$", text, re.MULTILINE)
    assert pinned
    assert re.findall(r"^[^\s#](?!\S*==).*$", text, re.MULTILINE) == []
    assert [line for line in pinned if not re.search(re.escape(line) + r"\n    --hash=sha256:[0-9a-f]{64}", text)] == []


def test_everything_declared_is_locked() -> None:
    lock = (ROOT / "locks" / "dev.txt").read_text(encoding="utf-8")
    locked = {_normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}
    extras = [each for some in PROJECT["optional-dependencies"].values() for each in some]
    declared = {_distribution(each) for each in [*PROJECT["dependencies"], *extras]} - {"authserver"}
    assert declared - locked == set()

"""What is installed is what belongs to the product, and all of it."""

import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tools.sources import ROOT, SHIPPED

PACKAGES = {"authserver", "resourceserver", "bff", "pytest_authserver"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[PurePosixPath]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return [PurePosixPath(name) for name in zipfile.ZipFile(built).namelist()]


def _in_wheel(path: Path) -> PurePosixPath:
    inside = PurePosixPath(path.relative_to(ROOT).as_posix())
    return PurePosixPath("authserver") / inside if inside.parts[0] == "migrations" else inside


def test_only_our_packages_lie_at_the_top(wheel: list[PurePosixPath]) -> None:
    tops = {path.parts[0] for path in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} <= PACKAGES


def test_every_file_of_the_packages_is_inside(wheel: list[PurePosixPath]) -> None:
    files = {
        _in_wheel(path)
        for package in SHIPPED
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files - set(wheel) == set()


def test_templates_assets_and_migrations_are_inside(wheel: list[PurePosixPath]) -> None:
    for folder, pattern in {
        "authserver/web/templates": "*.html",
        "authserver/web/static": "*.css",
        "authserver/translations": "*.po",
        "migrations/versions": "*.py",
    }.items():
        if (ROOT / folder).is_dir():
            inside = _in_wheel(ROOT / folder)
            assert [path for path in wheel if path.is_relative_to(inside) and path.match(pattern)], folder


def test_the_licence_goes_with_it(wheel: list[PurePosixPath]) -> None:
    assert [path for path in wheel if path.name == "LICENSE" and path.parts[0].endswith(".dist-info")]


def test_types_are_declared(wheel: list[PurePosixPath]) -> None:
    present = {path.parts[0] for path in wheel} & PACKAGES
    assert {package for package in present if PurePosixPath(package, "py.typed") not in wheel} == set()

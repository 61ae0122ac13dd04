"""The wheel alone, beside nothing but the dependencies that it declares, makes a server that serves."""

import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement

from tests.run.conftest import SECRET_KEY, Group, Start, fetch
from tests.servers.process import free_port
from tools.sources import ROOT

SCRIPT: Final = (
    "import sys; from importlib.metadata import entry_points; sys.argv[0] = 'authserver'; "
    "(script,) = entry_points(group='console_scripts', name='authserver'); sys.exit(script.load()())"
)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(build, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "environment", with_pip=False, symlinks=True)
    (packages,) = (folder / "environment" / "lib").glob("python*/site-packages")
    # A wheel without compiled parts is installed by unpacking it (binary distribution format, "Installing a wheel").
    zipfile.ZipFile(wheel).extractall(packages)
    tops = {path.name for path in packages.iterdir()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "authserver",
        "bff",
        "pytest_authserver",
        "resourceserver",
    }
    for link in _files(_dependencies(next(packages.glob("authserver-*.dist-info")))):
        place = packages / link.name
        if not place.exists():
            place.symlink_to(link)
    return folder / "environment" / "bin" / "python"


def _dependencies(dist_info: Path) -> list[Distribution]:
    """Return what the wheel needs without any extra, and what that needs, as this environment has it."""
    found: dict[str, Distribution] = {}
    waiting = [(text, "") for text in Distribution.at(dist_info).requires or ()]
    seen = set(waiting)
    while waiting:
        text, extra = waiting.pop()
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        found[requirement.name] = needed = distribution(requirement.name)
        more = {(text, extra) for text in needed.requires or () for extra in ("", *requirement.extras)} - seen
        seen |= more
        waiting += more
    return list(found.values())


def _files(distributions: list[Distribution]) -> Iterator[Path]:
    for each in distributions:
        tops = {file.parts[0] for file in each.files or () if file.parts[0] not in {"..", "__pycache__"}}
        yield from (Path(str(each.locate_file(top))) for top in tops)


def test_a_server_is_made_from_the_wheel_alone(start: Start, python: Path, tmp_path: Path):
    port = free_port()
    environ = {
        "PYTHONPATH": "",
        "AUTHSERVER_SECRET_KEY": SECRET_KEY,
        "AUTHSERVER_ISSUER": f"http://localhost:{port}",
        "AUTHSERVER_PORT": str(port),
        "AUTHSERVER_DATABASE_URL": f"sqlite:///{tmp_path / 'data' / 'authserver.db'}",
        "AUTHSERVER_WORKERS": "1",
    }

    def run(*arguments: str) -> Group:
        return start(*arguments, command=[str(python), "-c", SCRIPT], **environ)

    where = start(command=[str(python), "-c", "import authserver; print(authserver.__file__)"], **environ)
    assert where.wait() == 0, where.output
    assert Path(where.output.strip()).is_relative_to(python.parents[1])
    upgrade = run("db", "upgrade")
    assert upgrade.wait() == 0, upgrade.output
    assert "the first signing keys are made" in upgrade.output
    server = run("serve", "--development")
    server.says("listening on")
    base = f"http://127.0.0.1:{port}"
    assert f'"issuer":"{environ["AUTHSERVER_ISSUER"]}"' in fetch(f"{base}/.well-known/openid-configuration")[1]
    status, page = fetch(f"{base}/login")
    assert status == 200
    assert 'id="login-submit"' in page
    _, found, rest = page.partition('rel="stylesheet" href="')
    assert found
    status, style = fetch(base + rest.partition('"')[0])
    assert status == 200
    assert "{" in style

"""What every test stands on: real servers on demand, no network but loopback, no clocks in hypothesis."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import hypothesis.configuration
import pytest

pytest_plugins = ["tests.loopback", "tests.servers.fixtures"]

hypothesis.configuration.set_hypothesis_home_dir("var/cache/hypothesis")
hypothesis.settings.register_profile("suite", deadline=None, print_blob=True)
hypothesis.settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=["sqlite", "postgresql"],
        default="sqlite",
        help="what the fixture database_url names (default: sqlite)",
    )


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of this test's own: SQLite in its folder, or PostgreSQL under ``--database=postgresql``."""
    if request.config.getoption("database") == "postgresql":
        yield request.getfixturevalue("postgres_url")
    else:
        yield f"sqlite:///{tmp_path / 'authserver.db'}"

"""Fixtures over the servers of this folder: each started once per worker, at the first test that asks for it.

``TEST_DATABASE_URL`` and ``TEST_REDIS_URL`` name servers to use instead: databases ``test_…`` are made and dropped in
the first, one numbered database per worker is emptied in the second.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.servers.looks import DESKTOP, Look
from tests.servers.process import ServerUnavailableError

# Drivers and browsers are imported by the fixtures themselves: the tests that need none of them start a second sooner.
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.servers.postgres import Postgres
    from tests.servers.valkey import Valkey

NewPage = Callable[..., "Page"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


def give_up(reason: str) -> NoReturn:
    """Skip the test in one loud line; in continuous integration, where a skip would hide a hole, fail it."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"CI must run these tests, but {reason}", pytrace=False)
    pytest.skip(f"NOT TESTED HERE: {reason}")


@contextmanager
def or_give_up() -> Iterator[ExitStack]:
    """Enter what cannot be had everywhere."""
    with ExitStack() as stack:
        try:
            yield stack
        except ServerUnavailableError as error:
            give_up(str(error))


@pytest.fixture(scope="session")
def postgres() -> "Iterator[Postgres]":
    """A PostgreSQL server, in which a test may ``create``, ``clone`` and ``drop`` databases."""
    from tests.servers.postgres import Postgres, postgres_server

    with or_give_up() as stack:
        given = os.environ.get("TEST_DATABASE_URL")
        server = Postgres(given) if given else stack.enter_context(postgres_server())
        stack.callback(server.drop_templates)
        yield server


@pytest.fixture
def postgres_url(postgres: "Postgres") -> Iterator[str]:
    """An empty PostgreSQL database of this test's own, as an SQLAlchemy URL."""
    url = postgres.create()
    yield url
    postgres.drop(url)


@pytest.fixture(scope="session")
def valkey() -> "Iterator[Valkey]":
    """A Valkey server."""
    from tests.servers.valkey import Valkey, valkey_server

    with or_give_up() as stack:
        given = os.environ.get("TEST_REDIS_URL")
        yield Valkey(given.rstrip("/")) if given else stack.enter_context(valkey_server())


@pytest.fixture
def valkey_url(valkey: "Valkey") -> str:
    """An empty Valkey database, as a URL of redis-py."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    return valkey.empty(int(worker.removeprefix("gw")))


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    """A headless Chromium."""
    from tests.servers.chromium import running_chromium

    with or_give_up() as stack:
        yield stack.enter_context(running_chromium())


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder of installed npm packages."""
    from tests.servers.npm import InstallationError, node_modules

    try:
        return node_modules()
    except (ServerUnavailableError, InstallationError) as error:
        give_up(str(error))


@pytest.fixture
def new_page(chromium: "Browser") -> Iterator[NewPage]:
    """A function that opens a page in a fresh browser context (no cookies); ``look`` says how it is seen.

    Further arguments are those of Playwright's ``new_context``. A script error on any of the pages fails the test.
    """
    failures: list[str] = []
    with ExitStack() as stack:

        def open_page(look: Look = DESKTOP, **options: object) -> "Page":
            context = chromium.new_context(
                viewport={"width": look.width, "height": look.height},
                color_scheme=look.colors,
                has_touch=look.touch,
                is_mobile=look.touch,
                **options,  # type: ignore[arg-type] # handed through as they are
            )
            stack.callback(context.close)
            context.set_default_timeout(10_000)
            context.on("weberror", lambda error: failures.append(str(error.error)))
            return context.new_page()

        yield open_page
    assert not failures, f"scripts failed on the pages: {failures}"


@pytest.fixture
def page(new_page: NewPage, request: pytest.FixtureRequest) -> "Page":
    """A page on a desktop; ``parametrize("page", LOOKS, indirect=True, ids=str)`` shows it in other ways too."""
    return new_page(getattr(request, "param", DESKTOP))

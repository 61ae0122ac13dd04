"""The real servers, a person, and a walker in a real browser."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.servers.looks import DESKTOP, Look

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.demonstration import Demonstration, Person
    from tests.browser.walker import Walker


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Demonstration]":
    """What ``authserver demo`` runs."""
    from tests.browser.demonstration import running_demonstration

    with running_demonstration(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture
def person(demonstration: "Demonstration") -> "Person":
    """Somebody who has never logged in."""
    return demonstration.person()


@pytest.fixture
def walk(
    demonstration: "Demonstration", new_page: "Callable[..., Page]", request: pytest.FixtureRequest
) -> "Iterator[Callable[..., Walker]]":
    """A function that gives a walker with a browser of its own; its pages may break no policy."""
    from tests.browser.walker import Walker

    walkers: list[Walker] = []

    def start(look: Look = DESKTOP, **options: object) -> Walker:
        story = request.node.originalname.removeprefix("test_")
        walkers.append(Walker(demonstration, new_page(look, **options), story, look))
        return walkers[-1]

    yield start
    assert not [text for walker in walkers for text in walker.violations]


@pytest.fixture
def walker(walk: "Callable[..., Walker]") -> "Walker":
    """A walker on a desktop."""
    return walk()

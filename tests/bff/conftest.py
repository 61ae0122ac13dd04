"""A provider, a BFF in front of it, and a browser that has done nothing yet."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from bff import BffSettings, create_app
from tests.bff.browser import Browser
from tests.bff.stub import Stub


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub().running() as running:
        yield running


@pytest.fixture
def settings(stub: Stub, database_url: str) -> BffSettings:
    return stub.settings(database_url)


@pytest.fixture
def app(settings: BffSettings) -> Iterator[Any]:
    made = create_app(settings)
    yield made
    made.extensions["bff"].close()


@pytest.fixture
def http(app: Any) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def browser(app: Any, stub: Stub) -> Browser:
    return Browser(app, stub)

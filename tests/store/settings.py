"""Settings for the store's tests; imports no test framework, for processes that tests start."""

from authserver.settings import Settings
from authserver.store import Store, open_store


def settings_for(url: str, **more: object) -> Settings:
    """Settings of a server on this database."""
    return Settings(issuer="http://localhost:9000", development=True, database_url=url, **more)


def make_schema(url: str) -> None:
    """Make an empty database one of ours; leaves no connection open."""
    store = open_store(settings_for(url))
    store.upgrade()
    store.close()


def patient(url: str, redis_url: str | None = None) -> Store:
    """Open a store that waits for locks for as long as a crowded machine takes."""
    return open_store(settings_for(url, redis_url=redis_url, database={"busy_ms": 30_000}))

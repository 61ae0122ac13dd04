"""Valkey as the tests get it."""

import pytest
import redis

from tests.servers.process import ServerProcess
from tests.servers.valkey import Valkey, valkey_server


@pytest.fixture(params=[1, 2])
def client(valkey_url: str, request: pytest.FixtureRequest) -> redis.Redis:
    return redis.Redis.from_url(valkey_url)


def test_every_test_finds_it_empty(client: redis.Redis) -> None:
    assert client.dbsize() == 0
    assert client.set("word", "once", nx=True, ex=60)
    client.close()


def test_nothing_is_evicted(valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_strangers_are_refused(valkey: Valkey) -> None:
    if valkey.process is None:
        pytest.skip("the server of TEST_REDIS_URL is not ours")
    address = valkey.url.rpartition("@")[2]
    with redis.Redis.from_url(f"redis://{address}") as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_a_server_comes_back_at_the_same_address_after_a_failure() -> None:
    with valkey_server() as server, redis.Redis.from_url(server.url, retry=None) as client:
        process = server.process
        assert isinstance(process, ServerProcess)
        assert client.ping()
        process.stop()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        process.start()
        assert client.ping()
    assert not process.folder.exists()

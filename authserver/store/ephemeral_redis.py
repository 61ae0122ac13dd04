"""The ephemeral store on Redis or Valkey.

An item is a hash (v value, n version or count, o owner, e end in microseconds). Each verb that decides is one script,
so that it is atomic; the server's own expiry only cleans up, what counts is ``e`` against our clock. Nothing is
retried: a command whose answer was lost may have been done, and a second try would answer wrongly.

What a server forgot must be known: its birth time is remembered together with the id of its run, and begins anew when
the memory is empty or another run answers (restart, failover to a replica that missed the last writes).
"""

from collections.abc import Callable
from typing import Any

from authserver import clock
from authserver.records import Item
from authserver.settings import SettingsError
from authserver.store.errors import BadValue, Conflict, Unavailable

_PREFIX = "authserver:"
_BORN = _PREFIX + "store:born"
_TIMEOUT = 1.0  # seconds, for an answer and for a connection
_CONNECTIONS = 64

# Scripts: KEYS[1] the item, ARGV[1] now, then what the verb gives. Numbers stay text: Lua would write them as 1.7e+15.
_PUT = """
local e = redis.call('HGET', KEYS[1], 'e')
if e and tonumber(e) > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'n', ARGV[1], 'o', ARGV[3], 'e', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
"""
_SWAP = """
local item = redis.call('HMGET', KEYS[1], 'n', 'e')
if not item[1] or item[1] ~= ARGV[2] or tonumber(item[2]) <= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[3], 'e', ARGV[4])
redis.call('HINCRBY', KEYS[1], 'n', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
"""
_TAKE = """
local item = redis.call('HMGET', KEYS[1], 'v', 'n', 'o', 'e')
redis.call('DEL', KEYS[1])
if not item[4] or tonumber(item[4]) <= tonumber(ARGV[1]) then return nil end
return item
"""
_COUNT = """
local e = redis.call('HGET', KEYS[1], 'e')
if not e or tonumber(e) <= tonumber(ARGV[1]) then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'v', '', 'o', '', 'e', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return redis.call('HINCRBY', KEYS[1], 'n', ARGV[2])
"""
_BIRTH = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local known = redis.call('HMGET', KEYS[1], 'run', 'at')
if known[1] ~= run then
  redis.call('HSET', KEYS[1], 'run', run, 'at', ARGV[1])
  return ARGV[1]
end
return known[2]
"""


class RedisEphemeral:
    """The ephemeral store on the server that the URL names."""

    def __init__(self, url: str) -> None:
        """Connect; raises SettingsError when the URL, the driver or the server's memory policy will not do."""
        try:
            import redis  # noqa: PLC0415 - an extra: only who uses Redis needs it
            from redis.backoff import NoBackoff  # noqa: PLC0415 - as above
            from redis.retry import Retry  # noqa: PLC0415 - as above
        except ImportError:
            raise SettingsError("Redis needs its driver: install authserver[redis]") from None
        self._errors = (redis.RedisError, OSError)
        try:
            pool = redis.BlockingConnectionPool.from_url(
                url,
                max_connections=_CONNECTIONS,
                timeout=_TIMEOUT,
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
                decode_responses=True,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError:
            raise SettingsError("AUTHSERVER_REDIS_URL is not a Redis URL") from None
        self._redis = redis.Redis(connection_pool=pool)
        self._put = self._redis.register_script(_PUT)
        self._swap = self._redis.register_script(_SWAP)
        self._take = self._redis.register_script(_TAKE)
        self._count = self._redis.register_script(_COUNT)
        self._birth = self._redis.register_script(_BIRTH)
        self._refuse_eviction()

    def put(self, space: str, key: str, value: str, expires_at: int, owner: str = "") -> None:
        if not self._stored(space, key, value, expires_at, owner):
            raise Conflict(space)

    def get(self, space: str, key: str) -> Item | None:
        return self._item(self._run(lambda: self._redis.hmget(_name(space, key), ["v", "n", "o", "e"])))

    def swap(self, space: str, key: str, value: str, version: int, expires_at: int) -> bool:
        now = clock.now()
        arguments: list[str | int] = [now, version, value, expires_at, _milliseconds(expires_at - now)]
        return bool(self._run(lambda: self._swap(keys=[_name(space, key)], args=arguments)))

    def take(self, space: str, key: str) -> Item | None:
        return self._item(self._run(lambda: self._take(keys=[_name(space, key)], args=[clock.now()])))

    def first_time(self, space: str, key: str, expires_at: int) -> bool:
        return expires_at > clock.now() and self._stored(space, key, "", expires_at, "")

    def count(self, space: str, key: str, window_us: int, amount: int = 1) -> int:
        now = clock.now()
        arguments = [now, amount, now + window_us, _milliseconds(window_us)]
        return int(self._run(lambda: self._count(keys=[_name(space, key)], args=arguments)))

    def counted(self, space: str, key: str) -> tuple[int, int]:
        item = self.get(space, key)
        return (item.version, item.expires_at) if item else (0, 0)

    def forget(self, space: str, key: str) -> None:
        self._run(lambda: self._redis.delete(_name(space, key)))

    def born_at(self) -> int:
        return int(self._run(lambda: self._birth(keys=[_BORN], args=[clock.now()])))

    def close(self) -> None:
        self._redis.connection_pool.disconnect()

    def _stored(self, space: str, key: str, value: str, expires_at: int, owner: str) -> bool:
        now = clock.now()
        arguments: list[str | int] = [now, value, owner, expires_at, _milliseconds(expires_at - now)]
        return bool(self._run(lambda: self._put(keys=[_name(space, key)], args=arguments)))

    def _item(self, found: list[Any] | None) -> Item | None:
        """Read what HMGET answered; an item past its end is not there."""
        if found is None or found[3] is None or int(found[3]) <= clock.now():
            return None
        return Item(found[0], int(found[1]), found[2], int(found[3]))

    def _run(self, command: Callable[[], Any]) -> Any:
        try:
            return command()
        except UnicodeEncodeError:
            raise BadValue("a value does not fit the store") from None
        except self._errors as error:
            raise Unavailable(f"Redis cannot be used: {type(error).__name__}") from None

    def _refuse_eviction(self) -> None:
        """Raise SettingsError for a server that forgets proofs when its memory is short: they must not count twice."""
        policy = self._run(lambda: self._redis.info("memory")).get("maxmemory_policy", "unknown")
        if policy != "noeviction":
            raise SettingsError(f"AUTHSERVER_REDIS_URL: maxmemory-policy is {policy}, but must be noeviction")


def _name(space: str, key: str) -> str:
    return f"{_PREFIX}{space}:{key}"


def _milliseconds(microseconds: int) -> int:
    """Return when the server may clean up: rounded up, and at least a moment, since ``e`` decides anyway."""
    return max(1, -(-microseconds // 1000))

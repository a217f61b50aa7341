"""The state in Redis 6.2 or later, or Valkey: for the processes of any number of machines."""

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, NoReturn, TypeVar
from urllib.parse import SplitResult, urlsplit

from redis import ConnectionPool, Redis, exceptions
from redis.backoff import NoBackoff
from redis.lock import Lock
from redis.retry import Retry
from typing_extensions import override

from integrations.state.base import PREFIX, State, StateError, UnusableStateError
from integrations.state.outage import Outages
from integrations.state.redis_connection import (
    COMMAND_SECONDS,
    CONNECT_SECONDS,
    LimitedConnection,
    NameTimeoutError,
)

Result = TypeVar("Result")

_LEASE_SECONDS: Final = 3.0
"""How long a lock outlives its holder; a living holder renews it."""

_RESERVE: Final = """
local now, since, till, limit, attempt, seconds = unpack(ARGV)
if redis.call('ZCOUNT', KEYS[1], '(' .. since, till) >= tonumber(limit) then return 0 end
redis.call('ZADD', KEYS[1], now, attempt)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', since)
redis.call('EXPIRE', KEYS[1], seconds)
return 1
"""
"""Keep attempts in a sorted set, by their time. A time far ahead is of a clock that was set back.

`ZADD` comes first: if memory is short, Redis refuses only a script's first write.
"""


class _EncryptedKeyError(exceptions.RedisError):
    """The client's key needs a password, and the URL has none."""


_CLUSTER: Final = (exceptions.AskError, exceptions.ClusterError, exceptions.ClusterCrossSlotError)
_MEANINGS: Final = (
    (exceptions.AuthenticationError, "user name or password is wrong. Mend PANEL_STATE_URL"),
    (NameTimeoutError, f"no name server answered within {CONNECT_SECONDS} s"),
    (exceptions.TimeoutError, "no answer in time"),
    (_EncryptedKeyError, "the key of ssl_certfile is encrypted. Add its ssl_password to PANEL_STATE_URL"),
    (exceptions.OutOfMemoryError, "out of memory. Raise its maxmemory; the panel goes on by itself"),
    (_CLUSTER, "in cluster mode, which the panel cannot use. Put another Redis into PANEL_STATE_URL"),
)
_OPTION_ERRORS: Final = (ValueError, TypeError, AttributeError, KeyError)
"""redis-py raises them when it connects with an option that it did not check; their texts may quote the URL."""


class RedisState(State):
    """Every call is one command, and Redis itself removes what has expired: by its clock alone.

    Args:
        url: as redis-py reads it; time-outs and retries are set here.

    Raises:
        Exception: the URL is wrong; its text may quote it.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        _refuse_unclear(parts)
        pool = ConnectionPool.from_url(url)
        pool.connection_kwargs |= {
            "decode_responses": True,
            "encoding_errors": "replace",  # a foreign text is no record of ours, and no crash
            "socket_timeout": COMMAND_SECONDS,
            "socket_connect_timeout": CONNECT_SECONDS,
            # Once and at once, for a connection that Redis closed meanwhile. A time-out is not tried again.
            "retry": Retry(NoBackoff(), 1, (exceptions.ConnectionError,)),
        }
        if parts.scheme == "rediss":
            pool.connection_kwargs.setdefault("ssl_password", _no_password)
        pool.connection_class = type("Connection", (LimitedConnection, pool.connection_class), {})
        pool.make_connection()  # connects to nothing, but refuses unknown options
        self._place = parts.path if parts.scheme == "unix" else parts.netloc.rpartition("@")[2]
        self._pool = pool
        self._redis = Redis(connection_pool=pool)
        self._outages = Outages((exceptions.RedisError, OSError, *_OPTION_ERRORS), self._explain)

    @override
    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        if not keys:
            return {}
        with self._outages.watch("reading"):
            found: object = _read(lambda: self._redis.mget([PREFIX + key for key in keys]))
        texts = found if isinstance(found, list) else []
        return {key: text for key, text in zip(keys, texts, strict=True) if isinstance(text, str)}

    @override
    def put(self, key: str, text: str, seconds: float) -> None:
        with self._outages.watch("writing"):
            self._redis.set(PREFIX + key, text, px=max(round(seconds * 1000), 1))

    @override
    def replace(self, key: str, text: str) -> None:
        with self._outages.watch("writing"):
            self._redis.set(PREFIX + key, text, xx=True, keepttl=True)

    @override
    def take(self, key: str) -> str | None:
        with self._outages.watch("removing"):
            text: object = self._redis.getdel(PREFIX + key)
        return text if isinstance(text, str) else None

    @override
    def items(self, prefix: str) -> dict[str, str]:
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", PREFIX + prefix) + "*"
        with self._outages.watch("reading"):
            keys = sorted(set(self._redis.scan_iter(pattern, count=1000)))
        return self.get_many([key.removeprefix(PREFIX) for key in keys])

    @override
    @contextmanager
    def lock(self, name: str, *, wait: float) -> Iterator[bool]:
        lock = self._redis.lock(
            f"{PREFIX}lock:{name}",
            timeout=_LEASE_SECONDS,
            sleep=0.05,
            blocking_timeout=wait,
            thread_local=False,  # renewed by another thread
        )
        with self._outages.watch("locking"):
            acquired = lock.acquire()
        ended = threading.Event()
        if acquired:
            threading.Thread(target=_renew, args=(lock, ended), name=f"renew {name}", daemon=True).start()
        try:
            yield acquired
        finally:
            ended.set()
            if acquired:
                with suppress(exceptions.RedisError, OSError):  # it ends with its lease
                    lock.release()

    @override
    def reserve(self, key: str, limit: int, seconds: float) -> bool:
        now = time.time()
        values = now, now - seconds, now + seconds, limit, secrets.token_hex(8), round(seconds)
        with self._outages.watch("writing") as call:
            # The whole script each time: by its digest it would take three answers after a restart of Redis.
            reserved = self._redis.eval(_RESERVE, 1, f"{PREFIX}attempts:{key}", *map(str, values))
            call.worked = bool(reserved)
        return call.worked

    @override
    def count(self, key: str, seconds: float) -> int:
        now = time.time()
        with self._outages.watch("reading"):
            found = _read(
                lambda: self._redis.zcount(f"{PREFIX}attempts:{key}", f"({now - seconds}", now + seconds)
            )
        return int(str(found))

    @override
    def forget(self, key: str) -> None:
        with self._outages.watch("removing"):
            self._redis.delete(f"{PREFIX}attempts:{key}")

    @override
    def check(self) -> None:
        with self._outages.watch("writing", silent=UnusableStateError):
            self._redis.set(f"{PREFIX}check", "", px=1000)
        with self._outages.watch("removing", silent=UnusableStateError):
            self._redis.getdel(f"{PREFIX}check")  # a command that Redis before 6.2 does not have
            self._redis.mget(f"{PREFIX}check", f"{PREFIX}other")  # two keys, which a cluster refuses together

    @override
    def close(self) -> None:
        self._redis.close()
        self._pool.disconnect()

    def _explain(self, error: Exception) -> StateError:
        """Return the meaning of an error, with the place and without what the command held."""
        if isinstance(error, (exceptions.RedisError, OSError)):
            said = str(error).partition(", with args")[0]
            text = next((text for kinds, text in _MEANINGS if isinstance(error, kinds)), said)
        else:
            text = f"an option or the name in PANEL_STATE_URL cannot be used ({type(error).__name__})"
        kind = UnusableStateError if isinstance(error, _CLUSTER) else StateError
        return kind(f"{self._place}: {text}")


def _refuse_unclear(parts: SplitResult) -> None:
    """Refuse a URL that redis-py would read in another way than its writer.

    A `/`, `?` or `#` in a password that is not written as %XX ends it. The rest would count as the place, which appears
    in the log and in errors.
    """
    parts.geturl().encode()  # no lone surrogate
    is_socket = parts.scheme == "unix"
    has_place = not parts.netloc.rpartition("@")[2] if is_socket else bool(parts.hostname)
    if parts.fragment or "@" in parts.path + parts.query or not has_place:
        raise ValueError("a password that is cut, or no place")
    if not re.fullmatch("/.+" if is_socket else "/?[0-9]*", parts.path):
        raise ValueError("no path of a socket, or no number of a database")  # redis-py would take 0


def _no_password() -> NoReturn:
    """Called if the key turns out to be encrypted: otherwise OpenSSL asks at the terminal, and waits."""
    raise _EncryptedKeyError


def _read(command: Callable[[], Result]) -> Result:
    """Read again if only the answer was late: a moment's stall or a lost packet is no outage."""
    begun = time.monotonic()
    try:
        return command()
    except exceptions.TimeoutError:
        if time.monotonic() - begun >= CONNECT_SECONDS:
            raise
    return command()


def _renew(lock: Lock, ended: threading.Event) -> None:
    """Renew a lock until its holder has ended."""
    while not ended.wait(_LEASE_SECONDS / 3):
        with suppress(exceptions.RedisError, OSError):
            lock.reacquire()

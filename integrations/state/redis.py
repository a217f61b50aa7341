"""The state in Redis 6.2 or later, or Valkey: for the processes of any number of machines."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis import ConnectionPool, Redis, exceptions
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.connection import AbstractConnection, Connection
from redis.lock import Lock
from redis.retry import Retry

from integrations.background import in_thread
from integrations.state import PREFIX, StateError
from integrations.state.outage import Outages

if TYPE_CHECKING:
    from limits.storage import Storage

Result = TypeVar("Result")

_CONNECT_SECONDS: Final = 0.5
"""The most that looking up a name may take, and then connecting to its addresses."""

COMMAND_SECONDS: Final = 0.22
"""The most that the answer to one command may take.

A request of the panel makes up to seven, one after the other, and two more where a new connection must sign in first.
The system itself measures it, so that it does not run out while Python is busy with something else.
"""

_LEASE_SECONDS: Final = 3.0
"""How long a lock outlives its holder; a living holder renews it."""

_MAX_KEY_PASSWORD: Final = 1024
"""Bytes; OpenSSL takes no more."""

_OPTIONS: Final = {
    "db": "[0-9]+",
    "protocol": "[23]",
    "client_name": "[A-Za-z0-9._-]+",
    "health_check_interval": "[0-9]+",
    "ssl_ca_certs": ".+",
    "ssl_ca_path": ".+",
    "ssl_certfile": ".+",
    "ssl_keyfile": ".+",
    "ssl_password": ".+",
    "ssl_cert_reqs": "none|optional|required",
    "ssl_check_hostname": "(?i:true|false)",
}
"""What may stand in the URL's query, and its values. Much else of redis-py's can be given in code only."""


class _NameTimeoutError(exceptions.TimeoutError):
    """No name server answered in time."""


class _EncryptedKeyError(exceptions.RedisError):
    """The client's key needs a password, and the URL has none."""


_MEANINGS: Final = (
    (exceptions.AuthenticationError, "user name or password is wrong. Mend PANEL_STATE_URL"),
    (_NameTimeoutError, f"no name server answered within {_CONNECT_SECONDS} s"),
    (exceptions.TimeoutError, "no answer in time"),
    (_EncryptedKeyError, "the key of ssl_certfile is encrypted. Add its ssl_password to PANEL_STATE_URL"),
    (exceptions.OutOfMemoryError, "out of memory. Raise its maxmemory; the panel goes on by itself"),
)


class _Connection(AbstractConnection):
    """A connection that begins with no more than it needs, and waits for no name server for long."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - of redis-py
        super().__init__(**options)
        # What redis-py tells Redis of itself costs two answers. It has other names for it in other versions.
        self.driver_info = self.lib_name = self.lib_version = None

    def connect_check_health(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - of redis-py
        """Connect, where it is not connected yet. All addresses of a name together get the time of one."""
        if isinstance(self, Connection) and not self._sock:
            # Asked here first, since the operating system sets no limit that we could choose.
            look_up = partial(socket.getaddrinfo, self.host, self.port, type=socket.SOCK_STREAM)
            try:
                found = in_thread(look_up, name="look up Redis").result(_CONNECT_SECONDS)
            except futures.TimeoutError:
                raise _NameTimeoutError from None
            self.socket_connect_timeout = _CONNECT_SECONDS / len(found)
        super().connect_check_health(*args, **options)


class _WholeScript(Script):
    """A script that is sent whole each time: by its digest alone, it takes three answers where Redis was restarted."""

    def __call__(self, keys: Any = None, args: Any = None, client: Any = None) -> Any:  # noqa: ANN401 - of redis-py
        """Run it."""
        names, text = list(keys or ()), self.script
        return (client or self.registered_client).eval(text, len(names), *names, *(args or ()))  # type: ignore[arg-type]


class _Client(Redis):
    def register_script(self, script: Any) -> _WholeScript:  # noqa: ANN401 - of redis-py
        return _WholeScript(self, script)


class RedisState:
    """Every call is one command, and Redis itself ends what has run out: by its clock alone.

    Args:
        url: as redis-py reads it, with few of its options; time-outs and retries are set here.

    Raises:
        Exception: the URL is wrong; its text may quote it.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        _refuse_unclear(parts)
        _refuse_unusable(parts)
        pool = ConnectionPool.from_url(url)
        pool.connection_kwargs |= {
            "decode_responses": True,
            "encoding_errors": "replace",  # what others wrote is no record of ours, and no crash
            "socket_timeout": COMMAND_SECONDS,
            "socket_connect_timeout": _CONNECT_SECONDS,
            # Once and at once, for a connection that Redis closed meanwhile. A time-out is not tried again.
            "retry": Retry(NoBackoff(), 1, (exceptions.ConnectionError,)),
        }
        if parts.scheme == "rediss":
            pool.connection_kwargs.setdefault("ssl_password", _no_password)
        pool.connection_class = type("Connection", (_Connection, pool.connection_class), {})
        pool.make_connection()  # connects to nothing, but refuses unknown options
        self._place = parts.path if parts.scheme == "unix" else parts.netloc.rpartition("@")[2]
        self._pool = pool
        self._redis = _Client(connection_pool=pool)
        self._outages = Outages((exceptions.RedisError, OSError), self._explain)

    def get(self, key: str) -> str | None:
        """See `State`."""
        with self._outages.watch("reading"):
            return _text(_read(lambda: self._redis.get(PREFIX + key)))

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """See `State`."""
        if not keys:
            return {}
        with self._outages.watch("reading"):
            found: object = _read(lambda: self._redis.mget([PREFIX + key for key in keys]))
        texts = found if isinstance(found, list) else []
        return {key: text for key, text in zip(keys, texts, strict=True) if isinstance(text, str)}

    def put(self, key: str, text: str, seconds: float) -> None:
        """See `State`."""
        with self._outages.watch("writing"):
            self._redis.set(PREFIX + key, text, px=max(round(seconds * 1000), 1))

    def replace(self, key: str, text: str) -> None:
        """See `State`."""
        with self._outages.watch("writing"):
            self._redis.set(PREFIX + key, text, xx=True, keepttl=True)

    def take(self, key: str) -> str | None:
        """See `State`."""
        with self._outages.watch("removing"):
            return _text(self._redis.getdel(PREFIX + key))

    def items(self, prefix: str) -> dict[str, str]:
        """See `State`."""
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", PREFIX + prefix) + "*"
        with self._outages.watch("reading"):
            keys = sorted(set(self._redis.scan_iter(pattern, count=1000)))
        return self.get_many([key.removeprefix(PREFIX) for key in keys])

    @contextmanager
    def lock(self, name: str, *, wait: float) -> Iterator[bool]:
        """See `State`."""
        lock = self._redis.lock(
            f"{PREFIX}lock:{name}",
            timeout=_LEASE_SECONDS,
            sleep=0.05,
            blocking_timeout=wait,
            thread_local=False,  # renewed by another thread
        )
        with self._outages.watch("locking"):
            got = lock.acquire()
        ended = threading.Event()
        if got:
            threading.Thread(target=_renew, args=(lock, ended), name=f"renew {name}", daemon=True).start()
        try:
            yield got
        finally:
            ended.set()
            if got:
                with suppress(exceptions.RedisError, OSError):  # it ends with its lease
                    lock.release()

    def attempts(self) -> "Storage":
        """See `State`."""
        from integrations.state.attempts import RedisAttempts  # noqa: PLC0415 - `limits` is slow to import

        return RedisAttempts(self._redis, self._outages)

    def check(self) -> None:
        """See `State`."""
        with self._outages.watch("writing"):
            self._redis.set(f"{PREFIX}check", "", px=1000)
        self.take("check")  # by a command that Redis before 6.2 does not have

    def close(self) -> None:
        """See `State`."""
        self._redis.close()
        self._pool.disconnect()

    def _explain(self, error: Exception) -> StateError:
        """What an error means, with the place and without what the command held."""
        text = next((text for kind, text in _MEANINGS if isinstance(error, kind)), "")
        return StateError(f"{self._place}: {text or str(error).partition(', with args')[0]}")


def _refuse_unclear(parts: SplitResult) -> None:
    """Refuse what redis-py would take for something else than was meant.

    A `/`, `?` or `#` in a password that is not written as %XX ends it, and the rest would be taken for a place, which
    the log and errors name.
    """
    is_socket = parts.scheme == "unix"
    has_place = not parts.netloc.rpartition("@")[2] if is_socket else bool(parts.hostname)
    if parts.fragment or "@" in parts.path + parts.query or not has_place:
        raise ValueError("a password that is cut, or no place")
    if not re.fullmatch("/.+" if is_socket else "/?[0-9]*", parts.path):
        raise ValueError("no path of a socket, or no number of a database")  # redis-py would take 0


def _refuse_unusable(parts: SplitResult) -> None:
    """Refuse what redis-py or the system would refuse only later, when they connect."""
    text = unquote(unquote(parts.geturl()))  # redis-py reads an option so, too
    text.encode()
    if "\0" in text:
        raise ValueError("a character that no place has")
    unquote(parts.hostname or "a").encode("idna")
    pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    options = dict(pairs)
    if len(options) < len(pairs) or ("ssl_keyfile" in options and "ssl_certfile" not in options):
        raise ValueError("an option twice, or a key without its certificate")
    if len(unquote(options.get("ssl_password", "")).encode()) > _MAX_KEY_PASSWORD:
        raise ValueError("a password that no key has")
    for name, value in options.items():
        if not re.fullmatch(_OPTIONS.get(name, "no such option"), value):
            raise ValueError("no option, or none of its values")


def _no_password() -> NoReturn:
    """Called where the key turns out to be encrypted: otherwise OpenSSL asks the terminal, and waits."""
    raise _EncryptedKeyError


def _read(command: Callable[[], Result]) -> Result:
    """Read once more where only the answer did not come in time: a moment's stall or a lost packet is no outage."""
    begun = time.monotonic()
    try:
        return command()
    except exceptions.TimeoutError:
        if time.monotonic() - begun >= _CONNECT_SECONDS:
            raise
    return command()


def _text(found: object) -> str | None:
    return found if isinstance(found, str) else None


def _renew(lock: Lock, ended: threading.Event) -> None:
    """Keep a lock while its holder lives."""
    while not ended.wait(_LEASE_SECONDS / 3):
        with suppress(exceptions.RedisError, OSError):
            lock.reacquire()

"""Where the moving window of `limits` counts: one atomic step an attempt, in the file as in Redis."""

import time
from typing import TYPE_CHECKING, Any, NoReturn

from limits.storage import MovingWindowSupport, RedisStorage, Storage

from integrations.state import PREFIX, StateError

if TYPE_CHECKING:
    from redis import Redis

    from integrations.state.outage import Outages
    from integrations.state.sqlite import SqliteState


class SqliteAttempts(Storage, MovingWindowSupport):
    """Attempts in the file or in memory; the file has a row for each until it no longer counts.

    A row that ends more than two windows from now was made before the clock was set back; it does not count.
    """

    STORAGE_SCHEME = None  # found by no URL of `limits`

    def __init__(self, state: "SqliteState") -> None:
        super().__init__()
        self._state = state

    @property
    def base_exceptions(self) -> type[Exception]:
        """What `limits` may wrap."""
        return StateError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count an attempt unless there are `limit` within `expiry` seconds: one statement, so nobody comes between."""
        if amount != 1:
            raise NotImplementedError
        now = time.time()
        _, inserted = self._state.run(
            "writing",
            "INSERT INTO attempts SELECT ?, ? WHERE "
            "(SELECT COUNT(*) FROM attempts WHERE key = ? AND ends > ? AND ends <= ?) < ?",
            key,
            now + expiry,
            key,
            now,
            now + 2 * expiry,
            limit,
        )
        return inserted > 0

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - of limits
        """When the oldest attempt that counts was made, and how many count."""
        now = time.time()
        rows, _ = self._state.run(
            "reading",
            "SELECT MIN(ends), COUNT(*) FROM attempts WHERE key = ? AND ends > ? AND ends <= ?",
            key,
            now,
            now + 2 * expiry,
        )
        first, count = rows[0]
        return (now if first is None else first - expiry), count

    def clear(self, key: str) -> None:
        """Forget the attempts under a key."""
        self._state.run("removing", "DELETE FROM attempts WHERE key = ?", key)

    def _unused(self, *_: object) -> NoReturn:
        raise NotImplementedError  # for the other strategies of `limits`

    incr = get = get_expiry = check = reset = _unused  # type: ignore[assignment]


class RedisAttempts(RedisStorage):
    """Attempts in Redis, by the scripts of `limits`; an outage is a `StateError`."""

    STORAGE_SCHEME: list[str] = []  # noqa: RUF012 - the type that `limits` gives it; found by no URL

    def __init__(self, client: "Redis", outages: "Outages") -> None:
        self._client = client
        self._outages = outages
        super().__init__("redis://", connection_pool=client.connection_pool, key_prefix=f"{PREFIX}attempts")

    def get_connection(self, readonly: bool = False) -> Any:  # noqa: ANN401, ARG002, FBT001, FBT002 - of limits
        """Ours, which sends scripts in its own way."""
        return self._client

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """See `MovingWindowSupport`."""
        with self._outages.watch("writing"):
            return super().acquire_entry(key, limit, expiry, amount)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """See `MovingWindowSupport`."""
        with self._outages.watch("reading"):
            return super().get_moving_window(key, limit, expiry)

    def clear(self, key: str) -> None:
        """See `Storage`."""
        with self._outages.watch("removing"):
            super().clear(key)

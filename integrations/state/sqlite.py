"""The state in one file, for the processes of one machine, or in the memory of one process."""

import errno
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import filelock
from typing_extensions import override

from integrations.files import private
from integrations.state import files
from integrations.state.base import PREFIX, State, StateError, UnusableStateError
from integrations.state.outage import Operation, Outages

_BUSY_SECONDS: Final = 2.0
"""How long to wait for another process: long enough for each of our writes, short enough for a page."""

_SWEEP_SECONDS: Final = 60.0
_LAYOUT: Final = 1  # the version of the tables, which is in the file

_TABLES: Final = (
    "CREATE TABLE texts (key TEXT PRIMARY KEY, text TEXT NOT NULL, ends REAL NOT NULL) WITHOUT ROWID",
    "CREATE TABLE attempts (key TEXT NOT NULL, ends REAL NOT NULL)",
    "CREATE INDEX attempts_by_key ON attempts (key, ends)",
    f"PRAGMA user_version = {_LAYOUT}",
)
_PUT: Final = "INSERT OR REPLACE INTO texts VALUES (?, ?, ?)"
_COUNT: Final = "SELECT COUNT(*) FROM attempts WHERE key = ? AND ends > ? AND ends <= ?"
_RESERVE: Final = f"INSERT INTO attempts SELECT ?, ? WHERE ({_COUNT}) < ?"
_UNREADABLE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_CLOSED: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})


class SqliteState(State):
    """One connection, used by one thread at a time for some microseconds a call.

    Expiry follows the machine's clock: if it is set back, texts stay longer by as much.

    Args:
        path: the file, created at the first use with mode 0600; None for memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path.absolute() if path else None
        self._lock = threading.RLock()
        self._outages = Outages(
            (sqlite3.Error, OSError, UnusableStateError),
            self._explain,
            independent=frozenset({"reading", "locking"}),  # neither waits for another process's write
        )
        self._mutexes: dict[str, threading.Lock] = {}
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, ...] = ()
        self._next_sweep = 0.0

    @override
    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        marks = ", ".join("?" * len(keys))
        rows, _ = self._run(
            "reading",
            f"SELECT key, text FROM texts WHERE key IN ({marks}) AND ends > ?",  # noqa: S608 - only question marks
            *(PREFIX + key for key in keys),
            time.time(),
        )
        return {key.removeprefix(PREFIX): text for key, text in rows}

    @override
    def put(self, key: str, text: str, seconds: float) -> None:
        now = time.time()
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + _SWEEP_SECONDS
            self._run("removing", "DELETE FROM texts WHERE ends <= ?", now)
            self._run("removing", "DELETE FROM attempts WHERE ends <= ?", now)
        self._run("writing", _PUT, PREFIX + key, text, now + seconds)

    @override
    def replace(self, key: str, text: str) -> None:
        self._run("writing", "UPDATE texts SET text = ? WHERE key = ?", text, PREFIX + key)

    @override
    def take(self, key: str) -> str | None:
        text = self.get(key)
        if text is None:
            return None
        _, removed = self._run("removing", "DELETE FROM texts WHERE key = ?", PREFIX + key)
        return text if removed else None

    @override
    def items(self, prefix: str) -> dict[str, str]:
        start = PREFIX + prefix
        rows, _ = self._run(
            "reading",
            "SELECT key, text FROM texts WHERE substr(key, 1, ?) = ? AND ends > ? ORDER BY key",
            len(start),
            start,
            time.time(),
        )
        return {key.removeprefix(PREFIX): text for key, text in rows}

    @override
    @contextmanager
    def lock(self, name: str, *, wait: float) -> Iterator[bool]:
        held: threading.Lock | filelock.BaseFileLock
        if self._path is None:
            held = self._mutexes.setdefault(name, threading.Lock())
            acquired = held.acquire(timeout=wait)
        else:
            digest = hashlib.sha256(name.encode()).hexdigest()[:16]
            with self._outages.watch("locking"):
                held = _file_lock(Path(f"{self._path}.{digest}.lock"))
                try:
                    held.acquire(timeout=wait)
                    acquired = True
                except filelock.Timeout:
                    acquired = False
        try:
            yield acquired
        finally:
            if acquired:
                held.release()

    @override
    def reserve(self, key: str, limit: int, seconds: float) -> bool:
        _, inserted = self._run(
            "writing", _RESERVE, PREFIX + key, time.time() + seconds, *_window(key, seconds), limit
        )
        return inserted > 0

    @override
    def count(self, key: str, seconds: float) -> int:
        rows, _ = self._run("reading", _COUNT, *_window(key, seconds))
        return int(rows[0][0])

    @override
    def forget(self, key: str) -> None:
        self._run("removing", "DELETE FROM attempts WHERE key = ?", PREFIX + key)

    @override
    def check(self) -> None:
        # The caller reports a file that a person must repair.
        with self._lock, self._outages.watch("writing", silent=UnusableStateError):
            connection = self._open()
            connection.execute(_PUT, (f"{PREFIX}check", "", 0))  # expired at once
            (damage,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if damage != "ok":
                raise self._damaged(" ".join(damage.split()))

    @override
    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _run(self, operation: Operation, statement: str, *values: object) -> tuple[list[Any], int]:
        """Execute one statement; return its rows and the number of rows that it changed."""
        with self._lock, self._outages.watch(operation) as call:
            cursor = self._open().execute(statement, values)
            rows = cursor.fetchall()
            call.worked = cursor.rowcount != 0  # -1 for a SELECT
            return rows, cursor.rowcount

    def _open(self) -> sqlite3.Connection:
        """Return the connection; a new one if the file was removed, replaced or given another mode."""
        if self._connection is not None and self._identify() == self._identity:
            return self._connection
        self.close()
        until = (
            time.monotonic() + _BUSY_SECONDS
        )  # one budget for the opening process and for SQLite's own lock
        with self._opening(until):
            self._prepare_file()
            self._identity = (
                self._identify()
            )  # if the file is replaced from now on, the next call opens it again
            connection = sqlite3.connect(
                f"{self._path.as_uri()}?mode=rw" if self._path else ":memory:",
                uri=True,
                timeout=_left(until),
                isolation_level=None,
                check_same_thread=False,
            )
            # Of a damaged text make some text, which is no record: SQLite's error would quote it.
            connection.text_factory = partial(str, encoding="utf-8", errors="replace")
            try:
                self._prepare_tables(connection)
            except BaseException:
                connection.close()
                raise
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000:.0f}")
        self._connection = connection
        return connection

    def _opening(self, until: float) -> AbstractContextManager[object]:
        """Let one process at a time prepare the file: SQLite does not wait if two switch one file to WAL."""
        if self._path is None:
            return nullcontext()
        return _file_lock(Path(f"{self._path}.lock")).acquire(timeout=_left(until))

    def _identify(self) -> tuple[int, ...]:
        if self._path is None:
            return ()
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return ()
        return status.st_mode, status.st_dev, status.st_ino

    def _prepare_file(self) -> None:
        if self._path is None:
            return
        files.refuse_mounted_file(self._path)
        beside = [Path(f"{self._path}{end}") for end in ("-wal", "-shm")]
        if not self._path.exists():
            for path in beside:
                path.unlink(missing_ok=True)  # of a removed file: SQLite would take it for the new file's
        private.make_file(self._path)  # SQLite gives the files beside it the same owner
        os.close(os.open(self._path, os.O_RDWR | os.O_CLOEXEC))  # a clearer error than SQLite's
        for path in (self._path, *beside):
            files.refuse_others(path)

    def _prepare_tables(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if _layout(connection) == _LAYOUT:
            return
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            found = _layout(connection)
            if found > _LAYOUT:
                raise UnusableStateError(
                    f"{self._path}: made by a newer version of the panel. Run that version, or remove the file"
                )
            if found < _LAYOUT:
                for statement in _TABLES:
                    connection.execute(statement)

    def _is_full(self, error: Exception, code: int) -> bool:
        """Return whether the disk is full. SQLite reports it in several ways when it opens the file."""
        if isinstance(error, OSError):
            return error.errno in {errno.ENOSPC, errno.EDQUOT}
        if code in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}:
            return self._path is not None and files.is_full(self._path.parent)
        return code == sqlite3.SQLITE_FULL

    def _explain(self, error: Exception) -> StateError:
        """Return the meaning of an error, with the file's name and the fix."""
        if isinstance(error, StateError):
            return error
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if self._is_full(error, code):
            return StateError(f"{self._path}: the disk is full. Make room; the panel goes on by itself")
        if isinstance(error, sqlite3.Error) and code != sqlite3.SQLITE_BUSY and self._path is not None:
            with suppress(sqlite3.Error):
                self.close()  # the connection itself may be broken
        if code in _UNREADABLE:
            return self._damaged(str(error))
        if code == sqlite3.SQLITE_BUSY or isinstance(error, filelock.Timeout):
            return StateError(f"{self._path}: another program has kept it locked for {_BUSY_SECONDS:.0f} s")
        if code in _CLOSED or isinstance(error, OSError):
            reason = error.strerror if isinstance(error, OSError) else error
            return UnusableStateError(f"{self._path}: {reason}. {private.repair_hint(self._path)}")
        return StateError(f"{self._path}: {error}")

    def _damaged(self, problem: str) -> UnusableStateError:
        return UnusableStateError(
            f"{self._path}: damaged, or not a state ({problem}). Stop the panel, remove the file and what begins "
            "with its name, and start again; everybody has to sign in anew"
        )


def _layout(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _window(key: str, seconds: float) -> tuple[str, float, float]:
    """Return the values of `_COUNT`. An attempt that ends later was made before the clock was set back."""
    now = time.time()
    return PREFIX + key, now, now + 2 * seconds


def _file_lock(path: Path) -> filelock.BaseFileLock:
    """Return a lock that the kernel frees if its process dies."""
    private.make_file(path)
    files.refuse_others(path)
    return filelock.FileLock(path, mode=0o600, poll_interval=0.02)


def _left(until: float) -> float:
    """Return the seconds until a monotonic time; 0 if it has passed."""
    return max(until - time.monotonic(), 0.0)

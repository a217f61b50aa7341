"""The state in one file, for the processes of one machine, or in the memory of one process."""

import errno
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import filelock

from integrations.files import private
from integrations.state import PREFIX, StateError, StateFileError, files
from integrations.state.outage import Doing, Outages

if TYPE_CHECKING:
    from limits.storage import Storage

_BUSY_SECONDS: Final = 2.0
"""How long to wait for another process's write: long enough for all of ours, short enough for a page."""

_SWEEP_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.05
"""Reading looks no more often whether the files beside the database are the same: that takes a third of its time."""

_TRIES: Final = 3
_LAYOUT: Final = 1
"""The version of the tables; the file carries it."""

_TABLES: Final = (
    "CREATE TABLE texts (key TEXT PRIMARY KEY, text TEXT NOT NULL, ends REAL NOT NULL) WITHOUT ROWID",
    "CREATE TABLE attempts (key TEXT NOT NULL, ends REAL NOT NULL)",
    "CREATE INDEX attempts_by_key ON attempts (key, ends)",
    f"PRAGMA user_version = {_LAYOUT}",
)
_UNREADABLE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_CLOSED: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})


class SqliteState:
    """One connection, used by one thread at a time for some microseconds a call.

    Times are the machine's clock. Set back, it keeps texts longer by as much; what must end says so itself.

    Args:
        path: of the file, made at the first use with mode 0600; None for memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path.absolute() if path else None
        self._lock = threading.RLock()
        # Reading and locking need not wait for whoever else writes.
        self._outages = Outages(
            (sqlite3.Error, OSError, StateFileError),
            self._explain,
            apart=frozenset({"reading", "locking"}),
        )
        self._mutexes: dict[str, threading.Lock] = {}
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, ...] = ()
        self._beside = [Path(f"{self._path}{end}") for end in ("-wal", "-shm")]
        self._inodes_beside = (0, 0)
        self._next_look = 0.0
        self._next_sweep = 0.0

    def get(self, key: str) -> str | None:
        """See `State`."""
        rows, _ = self.run(
            "reading", "SELECT text FROM texts WHERE key = ? AND ends > ?", PREFIX + key, time.time()
        )
        return rows[0][0] if rows else None

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """See `State`."""
        places = ", ".join("?" * len(keys))
        rows, _ = self.run(
            "reading",
            f"SELECT key, text FROM texts WHERE key IN ({places}) AND ends > ?",  # noqa: S608 - question marks alone
            *(PREFIX + key for key in keys),
            time.time(),
        )
        return {key.removeprefix(PREFIX): text for key, text in rows}

    def put(self, key: str, text: str, seconds: float) -> None:
        """See `State`."""
        now = time.time()
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + _SWEEP_SECONDS
            self.run("removing", "DELETE FROM texts WHERE ends <= ?", now)
            self.run("removing", "DELETE FROM attempts WHERE ends <= ?", now)
        self.run(
            "writing", "INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", PREFIX + key, text, now + seconds
        )

    def replace(self, key: str, text: str) -> None:
        """See `State`."""
        self.run("writing", "UPDATE texts SET text = ? WHERE key = ?", text, PREFIX + key)

    def take(self, key: str) -> str | None:
        """See `State`."""
        text = self.get(key)
        if text is None:
            return None
        _, deleted = self.run("removing", "DELETE FROM texts WHERE key = ?", PREFIX + key)
        return text if deleted else None

    def items(self, prefix: str) -> dict[str, str]:
        """See `State`."""
        start = PREFIX + prefix
        rows, _ = self.run(
            "reading",
            "SELECT key, text FROM texts WHERE substr(key, 1, ?) = ? AND ends > ? ORDER BY key",
            len(start),
            start,
            time.time(),
        )
        return {key.removeprefix(PREFIX): text for key, text in rows}

    @contextmanager
    def lock(self, name: str, *, wait: float) -> Iterator[bool]:
        """See `State`. The kernel frees the lock of a process that dies."""
        held: threading.Lock | filelock.BaseFileLock
        if self._path is None:
            held = self._mutexes.setdefault(name, threading.Lock())
            got = held.acquire(timeout=wait)
        else:
            path = f"{self._path}.{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"
            held = filelock.FileLock(path, mode=0o600, poll_interval=0.02)
            with self._outages.watch("locking"):
                private.make_file(Path(path))
                files.refuse_others(Path(path))
                try:
                    held.acquire(timeout=wait)
                    got = True
                except filelock.Timeout:
                    got = False
        try:
            yield got
        finally:
            if got:
                held.release()

    def attempts(self) -> "Storage":
        """See `State`."""
        from integrations.state.attempts import SqliteAttempts  # noqa: PLC0415 - `limits` is slow to import

        return SqliteAttempts(self)

    def check(self) -> None:
        """See `State`. A file that a person must mend is not logged here: whoever starts the panel tells it."""
        with self._lock, self._outages.watch("writing", untold=StateFileError):
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")

    def close(self) -> None:
        """See `State`."""
        with self._lock:
            if self._connection is not None and self._identity[0] == os.getpid():
                self._connection.close()
            self._connection = None

    def run(self, doing: Doing, statement: str, *values: object) -> tuple[list[Any], int]:
        """Execute one statement; gives its rows, and how many rows it changed."""
        with self._lock, self._outages.watch(doing):
            cursor = self._open(look=doing != "reading").execute(statement, values)
            return cursor.fetchall(), cursor.rowcount

    def _open(self, *, look: bool = True) -> sqlite3.Connection:
        """The connection; a new one where a path is no longer the same file, or the process was forked.

        Args:
            look: at the files beside the database, too, however short a time ago that was done.
        """
        if self._connection is not None and self._identify(look=look) == self._identity:
            return self._connection
        self.close()
        until = time.monotonic() + _BUSY_SECONDS  # for whoever opens it, too, and for whoever has locked it
        for _ in range(_TRIES):
            opened = self._make()
            connection = sqlite3.connect(
                self._path or ":memory:", isolation_level=None, check_same_thread=False
            )
            try:
                with self._alone(until):
                    _wait_for_others(connection, _left(until))
                    self._prepare(connection)
                    identity = self._identify(look=True)
                _wait_for_others(connection, _BUSY_SECONDS)
            except BaseException:
                connection.close()
                raise
            if identity[: len(opened)] == opened:
                self._connection, self._identity = connection, identity
                return connection
            connection.close()  # of a file that is there no more
        raise StateError(f"{self._path}: removed or replaced again and again while it was opened")

    def _make(self) -> tuple[int, ...]:
        """See that there is a file that may be used; gives what identifies it."""
        if self._path is None:
            return _identity()
        files.refuse_mounted_file(self._path)
        private.make_file(self._path)  # SQLite gives the files beside it the same owner
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            opened = _identity(os.fstat(descriptor))
        finally:
            os.close(descriptor)
        for path in (self._path, *self._beside):
            files.refuse_others(path)
        return opened

    def _alone(self, until: float) -> AbstractContextManager[object]:
        """No other process prepares the file: SQLite does not wait where two turn the same file to WAL."""
        if self._path is None:
            return nullcontext()
        path = Path(f"{self._path}.lock")
        private.make_file(path)
        files.refuse_others(path)
        return filelock.FileLock(path, mode=0o600, timeout=_left(until), poll_interval=0.02)

    def _identify(self, *, look: bool) -> tuple[int, ...]:
        """What identifies the files that are there now."""
        if self._path is None:
            return _identity()
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return ()
        now = time.monotonic()
        if look or now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            wal, shm = self._beside
            self._inodes_beside = files.inode(wal), files.inode(shm)
        return (*_identity(status), *self._inodes_beside)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if _layout(connection) == _LAYOUT:
            return
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            found = _layout(connection)
            if found > _LAYOUT:
                raise StateFileError(
                    f"{self._path}: made by a newer version of the panel. Run that version, or remove the file"
                )
            if found < _LAYOUT:
                for statement in _TABLES:
                    connection.execute(statement)

    def _is_full(self, error: Exception, code: int) -> bool:
        """Whether room is what is missing. SQLite says so in several ways when it opens the file."""
        if isinstance(error, OSError):
            return error.errno in {errno.ENOSPC, errno.EDQUOT}
        if code in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}:
            return self._path is not None and files.is_full(self._path.parent)
        return code == sqlite3.SQLITE_FULL

    def _explain(self, error: Exception) -> StateError:
        """What an error means, with the file's name and what to do."""
        if isinstance(error, StateError):
            return error
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if self._is_full(error, code):
            return StateError(f"{self._path}: the disk is full. Make room; the panel goes on by itself")
        if isinstance(error, sqlite3.Error) and code != sqlite3.SQLITE_BUSY and self._path is not None:
            with suppress(sqlite3.Error):
                self.close()  # the next call opens what is there then
        if code in _UNREADABLE:
            return StateFileError(
                f"{self._path}: damaged, or not a state ({error}). Stop the panel, remove the file and what begins "
                "with its name, and start again; everybody has to sign in anew"
            )
        if code == sqlite3.SQLITE_BUSY or isinstance(error, filelock.Timeout):
            return StateError(f"{self._path}: another program has kept it locked for {_BUSY_SECONDS:.0f} s")
        if code in _CLOSED or isinstance(error, OSError):
            reason = error.strerror if isinstance(error, OSError) else error
            return StateFileError(f"{self._path}: {reason}. {private.repair_hint(self._path)}")
        return StateError(f"{self._path}: {error}")


def _layout(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _wait_for_others(connection: sqlite3.Connection, seconds: float) -> None:
    """Set how long each statement waits for what others do in the file."""
    connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")


def _left(until: float) -> float:
    """Seconds until a monotonic time; 0 where it has passed."""
    return max(until - time.monotonic(), 0.0)


def _identity(status: os.stat_result | None = None) -> tuple[int, ...]:
    return (os.getpid(), status.st_mode, status.st_dev, status.st_ino) if status else (os.getpid(),)

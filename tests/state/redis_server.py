"""A real Redis on loopback, in a folder of its own, which a test may stop, start again and fill up."""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from tests.support.processes import accepts, free_port, wait_for


class RedisServer:
    """`redis-server` without persistence.

    Args:
        folder: where it may write.
        options: of its command line, such as `--requirepass`.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._command = [
            *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)),
            *("--save", "", "--appendonly", "no", "--loglevel", "warning", *options),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        wait_for(lambda: accepts(self.port), "redis-server")

    def stop(self) -> None:
        """End it at once, as a power failure does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def client(self) -> "redis.Redis":
        """A connection for the test itself."""
        return redis.Redis.from_url(self.url, decode_responses=True)

    def forget_scripts(self) -> None:
        """As after a restart."""
        with self.client() as client:
            client.script_flush()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

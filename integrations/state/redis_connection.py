"""Connections to Redis on which every wait is limited."""

import socket
import time
from concurrent import futures
from functools import partial
from typing import Any, Final

from redis import exceptions
from redis.connection import AbstractConnection, Connection
from typing_extensions import override

from integrations.background import in_thread

CONNECT_SECONDS: Final = 0.5
"""The limit for a name's lookup, and then for connecting to its addresses."""

COMMAND_SECONDS: Final = 0.22
"""The limit for the whole answer to one command.

A request of the panel sends up to seven, one after the other, and two more if a new connection must sign in first.
"""


class NameTimeoutError(exceptions.TimeoutError):
    """No name server answered in time."""


class _TimedSocket:
    """A socket on which the whole answer to a command must arrive within `COMMAND_SECONDS`.

    A socket's own time-out starts again with each byte.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._timeout: float | None = COMMAND_SECONDS
        self._ends = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def sendall(self, data: bytes) -> None:
        self._ends = time.monotonic() + COMMAND_SECONDS
        self._socket.settimeout(COMMAND_SECONDS)
        self._socket.sendall(data)

    def recv(self, size: int) -> bytes:
        self._limit()
        return self._socket.recv(size)

    def recv_into(self, buffer: bytearray) -> int:
        self._limit()
        return self._socket.recv_into(buffer)

    def _limit(self) -> None:
        # Not 0: what has arrived while Python was busy is read, however late.
        left = max(self._ends - time.monotonic(), 0.001)
        self._socket.settimeout(left if self._timeout is None else min(left, self._timeout))


class LimitedConnection(AbstractConnection):
    """A connection that sends no more than it needs, and limits each wait."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # To tell Redis about redis-py costs two answers. The attributes depend on redis-py's version.
        self.driver_info = self.lib_name = self.lib_version = None

    @override
    def connect_check_health(self, *args: Any, **options: Any) -> None:
        """Connect. All addresses of a name together get the time of one."""
        if isinstance(self, Connection) and not self._sock:
            # The system's lookup has no limit that could be set.
            look_up = partial(socket.getaddrinfo, self.host, self.port, type=socket.SOCK_STREAM)
            try:
                found = in_thread(look_up, name="look up Redis").result(CONNECT_SECONDS)
            except futures.TimeoutError:
                raise NameTimeoutError from None
            self.socket_connect_timeout = CONNECT_SECONDS / len(found)
        super().connect_check_health(*args, **options)

    @override
    def _connect(self) -> _TimedSocket:
        return _TimedSocket(super()._connect())  # type: ignore[safe-super, no-untyped-call]

"""One deadline for a whole fetch, enforced at the level of sockets."""

import contextlib
import socket
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context

_LEAST_SECONDS: Final = 0.05


class Deadline:
    """The time that one fetch may take, and the sockets that are closed at its end.

    Closing them ends the fetch wherever it hangs: connecting, in the TLS handshake, sending or receiving. The read
    timeout of requests counts from byte to byte, so a slow drip of bytes would never reach it.

    Args:
        seconds: from now on.
    """

    def __init__(self, seconds: float) -> None:
        self._expires = time.monotonic() + seconds
        self._cut = threading.Event()
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []

    def remaining(self) -> float:
        """Return the seconds left; 0 after the end."""
        return 0.0 if self._cut.is_set() else max(self._expires - time.monotonic(), 0.0)

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond the deadline."""
        self._cut.wait(min(seconds, self.remaining()))

    def watch(self, connected: socket.socket) -> socket.socket:
        """Close this connection at the deadline, too; return it.

        Raises:
            TimeoutError: the deadline has passed.
        """
        # A duplicate shares the connection, and stays valid when TLS takes over the original.
        with self._lock:
            if self.remaining() == 0:
                connected.close()
                raise TimeoutError("deadline")
            self._handles.append(connected.dup())
        return connected

    def cut(self) -> None:
        """End the fetch now. Safe from any thread."""
        with self._lock:
            self._cut.set()
            for handle in self._handles:
                with contextlib.suppress(OSError):  # the other side has closed it already
                    handle.shutdown(socket.SHUT_RDWR)
                handle.close()
            self._handles.clear()


class _Watched(HTTPConnection):
    """A connection that ends at the deadline; all addresses of a name share the time for connecting."""

    def __init__(self, *args: Any, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline = deadline

    def _new_conn(self) -> socket.socket:
        with contextlib.suppress(OSError):  # the connection raises it
            addresses = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
            self.timeout = max(self._deadline.remaining() / len(addresses), _LEAST_SECONDS)
        return self._deadline.watch(super()._new_conn())


class _PlainConnection(_Watched):
    pass


class _TlsConnection(_Watched, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class DeadlineAdapter(HTTPAdapter):
    """requests' adapter, with connections that end at the deadline.

    Args:
        deadline: of the fetch.
        trusted: certificates of authorities to trust, in addition to the public ones.
    """

    def __init__(self, deadline: Deadline, *, trusted: Path | None = None) -> None:
        self._pools = {
            "http": partial(_PlainPool, deadline=deadline),
            "https": partial(_TlsPool, deadline=deadline),
        }
        self._options: dict[str, Any] = {}
        if trusted is not None:
            self._options["ssl_context"] = create_urllib3_context()
            self._options["ssl_context"].load_verify_locations(trusted)  # requests adds the public ones
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make a pool whose connections end at the deadline."""
        super().init_poolmanager(*args, **{**kwargs, **self._options})
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Make such a pool for connections through a proxy."""
        manager = super().proxy_manager_for(*args, **{**kwargs, **self._options})
        manager.pool_classes_by_scheme = self._pools
        return manager

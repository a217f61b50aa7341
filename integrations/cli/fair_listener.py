"""The socket on which several workers accept: the one with the fewest open pages goes first."""

import socket
import time
from typing import Any, Final

from integrations.web.websocket_guard import open_websockets

_MOST_SECONDS: Final = 0.01
"""The longest that a worker leaves a connection to the others."""

_HALF_AT: Final = 10
"""Open pages at which it is half as long."""

_LOOK_SECONDS: Final = 0.0005


class FairListener(socket.socket):
    """Leaves a connection to the other workers for a while, the longer the more pages are open here.

    Pages stay for hours, and the kernel wakes the same worker again and again: one of two had 15 of 16. A worker that
    hangs costs the others nothing but the while.
    """

    _seen_at = 0.0
    _left_at = 0.0

    def accept(self) -> tuple[socket.socket, Any]:
        """See `socket.socket`.

        Raises:
            BlockingIOError: there is no connection, or it is left to the others for now; the event loop asks again.
        """
        now = time.monotonic()
        if now - self._left_at > 10 * _LOOK_SECONDS:
            self._seen_at = now  # a new one
        count = open_websockets.count
        if now - self._seen_at < _MOST_SECONDS * count / (count + _HALF_AT):
            time.sleep(_LOOK_SECONDS)
            self._left_at = time.monotonic()
            raise BlockingIOError
        return super().accept()

"""uvicorn's protocols, with an end to what a client begins and does not finish. Used by `integrations serve`."""

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

REQUEST_SECONDS: Final = 4.0
"""In each such span a connection's request must come whole, unless one is being answered."""

MAX_HEADER_BYTES: Final = 65_536
"""Of a request's line and headers together. Cookies of the whole parent domain come with each request."""

_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class HttpProtocol(H11Protocol):
    """Closes a connection on which no request is completed in time; uvicorn waits for ever."""

    _deadline: asyncio.TimerHandle | None = None
    _completed = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """A client has connected: its time begins."""
        super().connection_made(transport)
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._cancel_deadline()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """A request is answered."""
        self._completed += 1
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: object) -> None:
        """From here on the websocket's own protocol has the connection."""
        self._cancel_deadline()
        super().handle_websocket_upgrade(event)  # type: ignore[arg-type] # h11 ships no types

    def _set_deadline(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self._end_if_late, self._completed)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    def _end_if_late(self, completed_before: int) -> None:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        is_answering = cycle is not None and not cycle.more_body and not cycle.response_complete
        if is_answering or self._completed > completed_before:
            self._set_deadline()
        else:
            self.transport.abort()


class WebsocketProtocol(WebSocketsSansIOProtocol):
    """Answers a handshake that cannot be read (RFC 6585: 431), and closes it; uvicorn does neither."""

    def data_received(self, data: bytes) -> None:
        """The handshake first, then frames."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated and not self.close_sent:
            self.close_sent = self.handshake_complete = True
            self.transport.write(b"".join(self.conn.data_to_send()) or _BAD_REQUEST)
            self.transport.close()

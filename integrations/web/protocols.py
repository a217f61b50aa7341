"""uvicorn's protocols with a time limit for unfinished requests, for `integrations serve`.

Behind nginx they have hardly any work, because nginx passes on only whole requests.
"""

import asyncio
from typing import Final

from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

REQUEST_SECONDS: Final = 4.0
"""In each such period a connection must complete a request, unless the panel is answering one."""

MAX_HEADER_BYTES: Final = 65_536
"""Limit of a request's line and headers. A browser sends the cookies of the whole parent domain."""

_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class HttpProtocol(H11Protocol):
    """Closes a connection without a complete request in time; uvicorn would wait for ever."""

    _deadline: asyncio.TimerHandle | None = None
    _completed = 0

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        self._set_deadline()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)

    @override
    def on_response_complete(self) -> None:
        self._completed += 1
        super().on_response_complete()

    @override
    def handle_websocket_upgrade(self, event: object) -> None:
        self._cancel_deadline()  # the websocket's own protocol takes over the connection
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
    """Answers an unreadable handshake (RFC 6585: 431) and closes the connection; uvicorn would do neither."""

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated and not self.close_sent:
            self.close_sent = self.handshake_complete = True
            self.transport.write(b"".join(self.conn.data_to_send()) or _BAD_REQUEST)
            self.transport.close()

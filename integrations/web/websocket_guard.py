"""What a client may send over the websocket, how often, and how many websockets there may be.

Whoever reaches the page's address can open a websocket, signed in or not, and no proxy sees what goes over it.
Streamlit would obey everything: empty the cache, run `git`, log a client's text, take 200 MB. The page needs three
kinds of message.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import anyio
from google.protobuf.message import DecodeError
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg

from integrations.access import Principal
from integrations.access.requester import client_network
from integrations.web.descriptors import max_websockets
from integrations.web.requester import authenticate, session_id_of

log = logging.getLogger(__name__)

OPEN_KINDS: Final = frozenset({"rerun_script", "app_heartbeat", "stop_script"})
"""Streamlit's messages that the page needs."""

MAX_MESSAGE_BYTES: Final = 65_536
"""A page of 40 cards sends 4 KB at the most."""

MAX_WIDGETS: Final = 1_000
"""Widgets in one message. A card has one button; empty states of two bytes would cost Streamlit far more than us."""

BURST: Final = 150
PER_SECOND: Final = 20.0
"""A person clicks up to ten times a second, and a key held down repeats 30 times."""

_POLICY_VIOLATION: Final = 1008
_TRY_AGAIN_LATER: Final = 1013


_STRANGERS_KEPT: Final = 1_000
"""Clients whose buckets are remembered before full ones are dropped."""


class Bucket:
    """A token bucket: `BURST` messages at once, then `PER_SECOND`.

    Args:
        clock: seconds; only differences count.
    """

    __slots__ = ("_at", "_clock", "_left")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._left = float(BURST)
        self._clock = clock
        self._at = clock()

    def take(self) -> bool:
        """Take one token, if there is one."""
        self._fill()
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def is_full(self) -> bool:
        """Whether nothing was taken lately, so that a new bucket would hold as much."""
        self._fill()
        return self._left == BURST

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(self._left + (now - self._at) * PER_SECOND, BURST)
        self._at = now


def fault_of(data: bytes | None) -> str | None:
    """Why a message is not one of the page's, or None where it is.

    The message is read whole: of several kinds in one message the last counts, so its first bytes tell nothing.

    Args:
        data: what was sent; None for a text.
    """
    if data is None:
        return "a text"
    if len(data) > MAX_MESSAGE_BYTES:
        return "too large a message"
    try:
        message = BackMsg.FromString(data)
    except DecodeError:
        return "not a message of Streamlit's"
    kind = message.WhichOneof("type")
    if kind not in OPEN_KINDS:
        return f"a message of the kind {kind}"
    if len(message.rerun_script.widget_states.widgets) > MAX_WIDGETS:
        return "too many widgets in a message"
    return None


class WebsocketGuard:
    """Refuses a websocket beyond the limits, and closes one that sends what the page does not.

    Who is signed in has a bucket for each page. All who are not, and come from one address, share one: otherwise who
    connects again and again would begin each time with a full one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: Counter[str] = Counter()
        self._strangers: dict[str, Bucket] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count and watch a websocket; pass on all else."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        client = client_network(scope["client"][0] if scope.get("client") else None)
        if not self._has_room(client):
            await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
            return
        self._open[client] += 1
        try:
            bucket = await self._bucket(client, HTTPConnection(scope))
            await self._app(scope, *_watched(client, bucket, receive, send))
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    async def _bucket(self, client: str, handshake: HTTPConnection) -> Bucket:
        if session_id_of(handshake) is not None:
            found = await anyio.to_thread.run_sync(authenticate, handshake)
            if isinstance(found, Principal):
                return Bucket()
        if len(self._strangers) >= _STRANGERS_KEPT:
            self._strangers = {
                known: bucket for known, bucket in self._strangers.items() if not bucket.is_full()
            }
        return self._strangers.setdefault(client, Bucket())

    def _has_room(self, client: str) -> bool:
        limit = max_websockets()
        if self._open.total() >= limit:
            log.warning("Websocket refused: %d are open, more would take the last descriptors", limit)
            return False
        if self._open[client] >= limit_per_client(limit):
            log.warning(
                "Websocket refused: client=%s has %d open. If that is your proxy's address, "
                "name it in PANEL_TRUSTED_PROXIES and let it send X-Forwarded-For",
                client,
                self._open[client],
            )
            return False
        return True


def limit_per_client(limit: int) -> int:
    """How many websockets one client may have open, of so many in all: half, so that nobody can take every one."""
    return max(limit // 2, 1)


def _watched(client: str, bucket: Bucket, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """The two ends of a websocket: what comes is checked, and after the guard's own close nothing goes out."""
    closed = False

    async def checked_receive() -> Message:
        nonlocal closed
        message = await receive()
        if message["type"] != "websocket.receive" or closed:
            return message
        fault = fault_of(message.get("bytes")) if bucket.take() else "too many messages"
        if fault is None:
            return message
        closed = True
        log.warning("Websocket closed: client=%s sent %s", client, fault)
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        return {"type": "websocket.disconnect", "code": _POLICY_VIOLATION}

    async def open_send(message: Message) -> None:
        if not closed:
            await send(message)

    return checked_receive, open_send

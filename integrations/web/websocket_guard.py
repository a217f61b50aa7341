"""Limits websockets: how many are open, what a client may send over them, and how often.

Anybody who reaches the page's address can open a websocket, and no proxy looks inside. Streamlit would obey every
message: clear the cache, run `git`, log a client's text, take 200 MB. The page needs three kinds of message.
"""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio
from google.protobuf.message import DecodeError
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg

from integrations.access import Principal
from integrations.access.requester import client_network
from integrations.web.requester import authenticate, session_id_of

if sys.platform != "win32":
    import resource

log = logging.getLogger(__name__)

OPEN_KINDS: Final = frozenset({"rerun_script", "app_heartbeat", "stop_script"})
"""The kinds of Streamlit's messages that the page needs."""

MAX_MESSAGE_BYTES: Final = 65_536
"""A page of 40 cards sends at most 4 KB."""

MAX_WIDGETS: Final = 1_000
"""Widgets in one message; a card has one. Empty states of two bytes would cost Streamlit far more than the client."""

BURST: Final = 150
PER_SECOND: Final = 20.0
"""A person clicks up to ten times a second, and a key held down repeats 30 times."""

DESCRIPTORS_EACH: Final = 4
"""One for the websocket, and three for the event loop that Streamlit gives each running script."""
RESERVED: Final = 256
"""Descriptors for requests, calls to providers, files, and the process itself."""
MAX_WEBSOCKETS: Final = 2000
"""Each open page also takes memory."""

_POLICY_VIOLATION: Final = 1008
_TRY_AGAIN_LATER: Final = 1013
_BUCKETS_KEPT: Final = 1_000
"""When there are more buckets, the full ones are dropped."""


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard one."""
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def max_websockets() -> int:
    """Return how many websockets may be open at once, of all clients together."""
    if sys.platform == "win32":
        return MAX_WEBSOCKETS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_WEBSOCKETS
    return max(min(MAX_WEBSOCKETS, (soft - RESERVED) // DESCRIPTORS_EACH), 1)


def limit_per_client(limit: int) -> int:
    """Return how many of `limit` websockets one client may have open: half, so that no client can take all."""
    return max(limit // 2, 1)


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
        """Whether a new bucket would hold as much."""
        self._fill()
        return self._left == BURST

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(self._left + (now - self._at) * PER_SECOND, BURST)
        self._at = now


def fault_of(data: bytes | None) -> str | None:
    """Return why a message is not one of the page's, or None if it is.

    The message is parsed whole: of several kinds in one message the last counts, so its first bytes tell nothing.

    Args:
        data: the message; None for a text.
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


@dataclass
class _Open:
    """The open websockets of this process; all run on one event loop."""

    by_client: Counter[str]

    @property
    def count(self) -> int:
        """Of all clients together."""
        return self.by_client.total()


open_websockets: Final = _Open(Counter())


class WebsocketGuardMiddleware:
    """Refuses a websocket beyond the limits, and closes one that sends what the page does not.

    All pages of a session share one bucket, and so do all anonymous pages of one address: a client that connects again
    and again would otherwise start each time with a full one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._buckets: dict[str, Bucket] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count and watch a websocket; pass on everything else."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        client = client_network(scope["client"][0] if scope.get("client") else None)
        if not _has_room(client):
            await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
            return
        by_client = open_websockets.by_client
        by_client[client] += 1
        try:
            session_id = await _valid_session_id(HTTPConnection(scope))
            bucket = self._bucket(f"session {session_id}" if session_id else f"client {client}")
            known = scope if session_id else _without_page_id(scope)
            await self._app(known, *_watched(client, bucket, receive, send))
        finally:
            by_client[client] -= 1
            if not by_client[client]:
                del by_client[client]

    def _bucket(self, key: str) -> Bucket:
        if len(self._buckets) >= _BUCKETS_KEPT:
            self._buckets = {name: bucket for name, bucket in self._buckets.items() if not bucket.is_full()}
        return self._buckets.setdefault(key, Bucket())


async def _valid_session_id(handshake: HTTPConnection) -> str | None:
    session_id = session_id_of(handshake)
    if session_id is None:
        return None
    found = await anyio.to_thread.run_sync(authenticate, handshake)
    return session_id if isinstance(found, Principal) else None


def _without_page_id(scope: Scope) -> Scope:
    """Return the scope of a handshake that does not resume a page: it might be drawing figures for its old session.

    On reconnect Streamlit sends the id of its page as the third subprotocol.
    """
    headers = [
        (name, b",".join(value.split(b",")[:2]) if name == b"sec-websocket-protocol" else value)
        for name, value in scope["headers"]
    ]
    return {**scope, "headers": headers}


def _has_room(client: str) -> bool:
    limit, by_client = max_websockets(), open_websockets.by_client
    if open_websockets.count >= limit:
        log.warning("Websocket refused: %d are open, more would take the last descriptors", limit)
        return False
    if by_client[client] >= limit_per_client(limit):
        log.warning(
            "Websocket refused: client=%s has %d open. If that is your proxy's address, "
            "name it in PANEL_TRUSTED_PROXIES and let it send X-Forwarded-For",
            client,
            by_client[client],
        )
        return False
    return True


def _watched(client: str, bucket: Bucket, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Return both ends of a websocket: incoming messages are checked, and nothing goes out after the guard's close."""
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

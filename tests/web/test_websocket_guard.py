"""Limits of messages and websockets, from both sides; `tests/attacks` tests them over sockets."""

import resource

import pytest
from starlette.requests import HTTPConnection
from starlette.types import Message, Scope
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from integrations.access import Denial, Principal
from integrations.web import websocket_guard
from integrations.web.websocket_guard import (
    MAX_MESSAGE_BYTES,
    MAX_WIDGETS,
    Bucket,
    WebsocketGuardMiddleware,
    fault_of,
    limit_per_client,
)
from tests.support.clock import Clock
from tests.support.processes import run_async


def taken(bucket: Bucket, times: int) -> int:
    """Return the number of tries that get a token."""
    return sum(bucket.take() for _ in range(times))


def test_a_page_may_send_a_burst_and_then_a_bounded_rate() -> None:
    """The burst fills up again, never beyond itself; ten clicks a second and a key held down stay below the rate."""
    clock = Clock(100.0)
    bucket = Bucket(clock)
    assert taken(bucket, 1000) == 150
    clock.now += 1
    assert taken(bucket, 1000) == 20
    clock.now += 1_000_000
    assert taken(bucket, 1000) == 150
    clock.now += 1_000_000
    for second in range(600):
        clock.now += 1
        sent = 10 + 1 + (20 if second % 60 < 10 else 0)
        assert taken(bucket, sent) == sent


def rerun(widgets: int) -> bytes:
    """Return a page's message with this number of widgets."""
    message = BackMsg()
    message.rerun_script.widget_states.widgets.extend(
        WidgetState(id=f"w{number}") for number in range(widgets)
    )
    return bytes(message.SerializeToString())


def padded(size: int) -> bytes:
    """Return a message of exactly this size."""
    message = BackMsg()
    message.rerun_script.query_string = "x" * (size - 8)
    assert len(message.SerializeToString()) == size
    return bytes(message.SerializeToString())


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (rerun(0), None),
        (rerun(MAX_WIDGETS), None),
        (padded(MAX_MESSAGE_BYTES), None),
        (None, "a text"),
        (padded(MAX_MESSAGE_BYTES + 1), "too large a message"),
        (rerun(MAX_WIDGETS + 1), "too many widgets in a message"),
        (b"\xff", "not a message of Streamlit's"),
        (b"", "a message of the kind None"),
        (b"\x28\x01", "a message of the kind clear_cache"),
        (b"\x88\x01\x01\x60\x01", "a message of the kind load_git_info"),
    ],
)
def test_the_fault_of_a_message_is_named(message: bytes | None, fault: str | None) -> None:
    """A message up to the limits has none."""
    assert fault_of(message) == fault


@pytest.mark.parametrize(
    ("descriptor_limit", "websockets"), [(1024, 192), (400, 36), (100, 1), (10**6, 2000), (None, 2000)]
)
def test_the_limit_of_websockets_follows_from_the_descriptors(
    monkeypatch: pytest.MonkeyPatch, descriptor_limit: int | None, websockets: int
) -> None:
    """Four for each, 256 kept, and at most 2,000 websockets."""
    soft = resource.RLIM_INFINITY if descriptor_limit is None else descriptor_limit
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (soft, soft))
    assert websocket_guard.max_websockets() == websockets


def test_one_client_gets_half_of_the_websockets() -> None:
    """At least one."""
    assert [limit_per_client(limit) for limit in (2000, 192, 1)] == [1000, 96, 1]


def test_a_closed_websocket_no_longer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if it ends in an exception."""
    monkeypatch.setattr(websocket_guard, "max_websockets", lambda: 2)

    async def app(_scope: Scope, _receive: object, _send: object) -> None:
        raise RuntimeError("it ended")

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    guard = WebsocketGuardMiddleware(app)
    for _ in range(5):
        with pytest.raises(RuntimeError, match="it ended"):
            run_async(guard({"type": "websocket", "client": ("192.0.2.7", 1), "headers": []}, receive, send))
    assert sent == []
    assert websocket_guard.open_websockets.count == 0


class _Inside:
    """The app behind the guard: records the handshakes, and closes."""

    def __init__(self) -> None:
        self.protocols: list[bytes] = []

    async def __call__(self, scope: Scope, _receive: object, _send: object) -> None:
        self.protocols.append(dict(scope["headers"])[b"sec-websocket-protocol"])


def connect(*clients: tuple[str, str | None]) -> tuple[list[bytes], list[Bucket]]:
    """Open a page from each client, an address and, if signed in, a session; return protocols and buckets."""
    inside = _Inside()
    guard = WebsocketGuardMiddleware(inside)

    async def end(*_: object) -> Message:
        return {"type": "websocket.disconnect"}

    async def run() -> None:
        for address, session in clients:
            headers = [(b"sec-websocket-protocol", b"streamlit,token,page-id")]
            scope = {"type": "websocket", "client": (address, 1), "headers": headers, "session": session}
            await guard(scope, end, end)  # type: ignore[arg-type] # nothing is sent

    run_async(run())
    return inside.protocols, list(guard._buckets.values())


@pytest.fixture(autouse=True)
def _sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handshake's scope names its session, which is valid unless it is "ended"."""

    def authenticate(handshake: HTTPConnection) -> Principal | Denial:
        ended = handshake.scope["session"] == "ended"
        return Denial.SIGNED_OUT if ended else Principal("alice", "Alice", frozenset())

    monkeypatch.setattr(websocket_guard, "session_id_of", lambda handshake: handshake.scope.get("session"))
    monkeypatch.setattr(websocket_guard, "authenticate", authenticate)


def test_only_a_valid_session_resumes_its_page() -> None:
    """A page that was lost while it drew must not send its figures after the end of its session."""
    protocols, _ = connect(("192.0.2.7", "a"), ("192.0.2.7", "ended"), ("192.0.2.7", None))
    assert protocols == [b"streamlit,token,page-id", b"streamlit,token", b"streamlit,token"]


@pytest.mark.parametrize(
    ("first", "second", "is_shared"),
    [
        (("192.0.2.7", None), ("192.0.2.7", None), True),
        (("192.0.2.7", None), ("192.0.2.8", None), False),
        (("192.0.2.7", "a"), ("192.0.2.8", "a"), True),
        (("192.0.2.7", "a"), ("192.0.2.7", "b"), False),
    ],
)
def test_pages_of_one_session_or_anonymous_pages_of_one_address_share_a_bucket(
    first: tuple[str, str | None], second: tuple[str, str | None], *, is_shared: bool
) -> None:
    """A new connection brings no new burst, and sessions behind one address do not disturb each other."""
    _, buckets = connect(first, second)
    assert len(buckets) == (1 if is_shared else 2)


def test_full_buckets_are_dropped_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full bucket equals a new one."""
    monkeypatch.setattr(websocket_guard, "_BUCKETS_KEPT", 2)
    _, buckets = connect(*((f"192.0.2.{number}", None) for number in range(5)))
    assert len(buckets) <= 2

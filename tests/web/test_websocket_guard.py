"""What a message and a websocket may be, each limit from both sides; `tests/attacks` drives them over sockets."""

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
    """How many of so many tries get a token."""
    return sum(bucket.take() for _ in range(times))


def test_a_page_may_send_a_burst_and_then_a_bounded_rate() -> None:
    """The burst comes back with time, never beyond itself."""
    clock = Clock(100.0)
    bucket = Bucket(clock)
    assert taken(bucket, 1000) == 150
    clock.now += 1
    assert taken(bucket, 1000) == 20
    clock.now += 1_000_000
    assert taken(bucket, 1000) == 150


def test_no_real_use_empties_the_bucket() -> None:
    """Ten minutes of ten clicks a second, the page's own check each second, a key held down ten seconds a minute."""
    clock = Clock(100.0)
    bucket = Bucket(clock)
    for second in range(600):
        clock.now += 1
        sent = 10 + 1 + (20 if second % 60 < 10 else 0)
        assert taken(bucket, sent) == sent


def rerun(widgets: int) -> bytes:
    """A page's message with the state of so many widgets."""
    message = BackMsg()
    message.rerun_script.widget_states.widgets.extend(
        WidgetState(id=f"w{number}") for number in range(widgets)
    )
    return bytes(message.SerializeToString())


def padded(size: int) -> bytes:
    """A message of exactly this size."""
    message = BackMsg()
    message.rerun_script.query_string = "x" * (size - 8)
    assert len(message.SerializeToString()) == size
    return bytes(message.SerializeToString())


@pytest.mark.parametrize("good", [rerun(0), rerun(MAX_WIDGETS), padded(MAX_MESSAGE_BYTES)])
def test_what_the_page_sends_has_no_fault(good: bytes) -> None:
    """Up to the very limits."""
    assert fault_of(good) is None


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (None, "a text"),
        (padded(MAX_MESSAGE_BYTES + 1), "too large a message"),
        (rerun(MAX_WIDGETS + 1), "too many widgets in a message"),
        (b"\xff", "not a message of Streamlit's"),
        (b"", "a message of the kind None"),
        (b"\x28\x01", "a message of the kind clear_cache"),
        (b"\x88\x01\x01\x60\x01", "a message of the kind load_git_info"),
    ],
)
def test_what_it_does_not_send_is_named(bad: bytes | None, fault: str) -> None:
    """For the log, in words of ours."""
    assert fault_of(bad) == fault


@pytest.mark.parametrize(
    ("descriptor_limit", "websockets"), [(1024, 192), (400, 36), (100, 1), (10**6, 2000), (None, 2000)]
)
def test_websockets_follow_from_the_descriptors(
    monkeypatch: pytest.MonkeyPatch, descriptor_limit: int | None, websockets: int
) -> None:
    """Four for each, 256 kept, and never more than 2,000."""
    soft = resource.RLIM_INFINITY if descriptor_limit is None else descriptor_limit
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (soft, soft))
    assert websocket_guard.max_websockets() == websockets


def test_one_client_gets_half_of_the_websockets() -> None:
    """And at least one."""
    assert [limit_per_client(limit) for limit in (2000, 192, 1)] == [1000, 96, 1]


def test_who_has_gone_no_longer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the websocket ended; and nothing is kept of a client who has none."""
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
    """What stands behind the guard: notes the handshakes, and closes."""

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
    """A page that was lost while it drew must not send its figures to somebody whose session has ended."""
    protocols, _ = connect(("192.0.2.7", "a"), ("192.0.2.7", "ended"), ("192.0.2.7", None))
    assert protocols == [b"streamlit,token,page-id", b"streamlit,token", b"streamlit,token"]


def test_anonymous_pages_of_one_address_share_a_bucket() -> None:
    """A new connection brings no new burst; another address has its own."""
    _, buckets = connect(("192.0.2.7", None), ("192.0.2.7", None), ("192.0.2.8", None))
    assert len(buckets) == 2


def test_pages_of_one_session_share_a_bucket() -> None:
    """A new connection brings no new burst, and sessions behind one address do not disturb each other."""
    _, buckets = connect(("192.0.2.7", "a"), ("192.0.2.8", "a"), ("192.0.2.7", "b"))
    assert len(buckets) == 2


def test_full_buckets_are_dropped_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untouched bucket is as good as a new one."""
    monkeypatch.setattr(websocket_guard, "_BUCKETS_KEPT", 2)
    _, buckets = connect(*((f"192.0.2.{number}", None) for number in range(5)))
    assert len(buckets) <= 2

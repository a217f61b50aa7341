"""What a message and a websocket may be, each limit from both sides; `tests/attacks` drives them over sockets."""

import resource
import time

import anyio
import pytest
from starlette.types import Message, Scope
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from integrations.web import descriptors, websocket_guard
from integrations.web.websocket_guard import (
    MAX_MESSAGE_BYTES,
    MAX_WIDGETS,
    Bucket,
    WebsocketGuard,
    fault_of,
    limit_per_client,
)


class Clock:
    """A clock that is moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def taken(bucket: Bucket, times: int) -> int:
    """How many of so many tries get a token."""
    return sum(bucket.take() for _ in range(times))


def test_a_page_may_send_a_burst_and_then_so_much_a_second() -> None:
    """The burst grows with the cards, and comes back with time, never beyond itself."""
    clock = Clock()
    bucket = Bucket(40, clock)
    assert taken(bucket, 1000) == 150 + 2 * 40
    clock.now += 1
    assert taken(bucket, 1000) == 20
    clock.now += 45
    assert taken(bucket, 1000) == 230
    clock.now += 9
    assert taken(bucket, 1000) == 9 * 20 + 8  # 40 cards, one pulse each in 45 seconds
    clock.now += 1_000_000
    assert taken(bucket, 1000) == 230


@pytest.mark.parametrize("cards", [1, 40, 400])
def test_no_real_use_empties_the_bucket(cards: int) -> None:
    """Ten minutes: all cards pulse at once, ten clicks a second, a key held down for ten seconds of each minute."""
    clock = Clock()
    bucket = Bucket(cards, clock)
    for second in range(600):
        clock.now += 1
        sent = 10 + (20 if second % 60 < 10 else 0) + (cards if second % 45 == 0 else 0)
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


def test_a_message_is_checked_in_microseconds() -> None:
    """The guard sits in front of every message; what it takes is a thousandth of a run of the page."""
    usual = rerun(40)
    began = time.perf_counter()
    for _ in range(1000):
        fault_of(usual)
    assert (time.perf_counter() - began) / 1000 < 0.0005


@pytest.mark.parametrize(
    ("descriptor_limit", "websockets"), [(1024, 192), (400, 36), (100, 1), (10**6, 2000), (None, 2000)]
)
def test_websockets_follow_from_the_descriptors(
    monkeypatch: pytest.MonkeyPatch, descriptor_limit: int | None, websockets: int
) -> None:
    """Four for each, 256 kept, and never more than 2,000."""
    soft = resource.RLIM_INFINITY if descriptor_limit is None else descriptor_limit
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (soft, soft))
    assert descriptors.max_websockets() == websockets


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

    guard = WebsocketGuard(app)
    for _ in range(5):
        with pytest.raises(RuntimeError, match="it ended"):
            anyio.run(guard, {"type": "websocket", "client": ("192.0.2.7", 1)}, receive, send)
    assert sent == []
    assert not guard._open

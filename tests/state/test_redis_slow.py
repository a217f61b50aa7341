"""A Redis that is slow, drips or hangs: how long the panel waits for it."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from integrations.access import SignInRefused, auth
from integrations.demo.server import Simulator
from integrations.readings import shared
from integrations.state import State, StateError
from integrations.state.redis_connection import COMMAND_SECONDS
from tests.conftest import IMAI, PASSWORD, AddUser
from tests.state.conftest import Open, error
from tests.state.redis_server import RedisServer

T = TypeVar("T")


class SlowProxy:
    """A proxy before a Redis that delays every answer, or every byte of it, by some seconds."""

    def __init__(self, port: int) -> None:
        self.seconds = 0.0
        self.late: int | None = None
        """How many answers are late; None for all."""
        self.drips = False
        self.answers = 0
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return  # closed
            server = socket.create_connection(("127.0.0.1", self._target))
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(source, target, client), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, client: socket.socket) -> None:
        with source, target:
            try:
                while data := source.recv(65536):
                    if target is client:
                        self._answer(client, data)
                    else:
                        target.sendall(data)
                target.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # one of them has gone

    def _answer(self, client: socket.socket, data: bytes) -> None:
        self.answers += 1
        is_late = self.late != 0
        if self.late:
            self.late -= 1
        for part in (bytes([byte]) for byte in data) if self.drips else (data,):
            if is_late:
                time.sleep(self.seconds)
            client.sendall(part)

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[SlowProxy]:
    """A proxy before the shared Redis that delays nothing yet."""
    made = SlowProxy(redis_server.port)
    yield made
    made.close()


def seconds_of_failing(state: State) -> float:
    """Make every kind of call that a request makes, each of which fails; return how long all take."""
    calls: list[Callable[[], object]] = [
        lambda: state.get("a"),
        lambda: state.lock("a", wait=10).__enter__(),
        lambda: state.get_many(["a", "b"]),
        lambda: state.put("a", "text", 60),
        lambda: state.replace("a", "text"),
        lambda: state.take("a"),
        lambda: state.items("a"),
        lambda: state.reserve("alice", 5, 900),
        lambda: state.count("alice", 900),
        lambda: state.forget("alice"),
        state.check,
    ]
    begun = time.monotonic()
    for call in calls:
        with pytest.raises(StateError):
            call()
    return time.monotonic() - begun


def test_only_the_first_calls_wait_for_a_redis_that_hangs(opened: Open) -> None:
    """Thirty at once wait half a second together; in the next second no call waits."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        state = opened(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        took: list[float] = []

        def read() -> None:
            begun = time.monotonic()
            assert "127.0.0.1" in error(state)
            took.append(time.monotonic() - begun)

        readers = [threading.Thread(target=read) for _ in range(30)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert 0.4 < max(took) < 1.4
        begun = time.monotonic()
        assert "not tried again yet" in error(state)
        assert time.monotonic() - begun < 0.2


def test_a_redis_that_stops_delays_no_request_twice(opened: Open, own_redis: RedisServer) -> None:
    """Whatever calls a request makes, the first waits half a second for all; then everything works again."""
    state = opened(own_redis.url)
    state.put("a", "text", 60)
    os.kill(own_redis.pid, signal.SIGSTOP)
    try:
        assert 0.4 < seconds_of_failing(state) < 1.2
        time.sleep(1)  # the pause
        assert 0.4 < seconds_of_failing(state) < 1.2
    finally:
        os.kill(own_redis.pid, signal.SIGCONT)
    time.sleep(1)
    assert state.get("a") == "text"


def test_reading_survives_one_late_answer(opened: Open, proxy: SlowProxy) -> None:
    """As after a lost packet, or while Redis writes its file: the panel asks again, and no page fails."""
    state = opened(proxy.url)
    state.put("a", "text", 60)
    proxy.seconds, proxy.late = 0.8, 1
    assert state.get("a") == "text"
    proxy.late = 1
    assert state.count("alice", 900) == 0


def test_a_slow_redis_serves(opened: Open, proxy: SlowProxy) -> None:
    """An answer within its time is taken, and no slow success makes anything fail."""
    proxy.seconds = 0.15
    state = opened(proxy.url)
    state.put("a", "text", 60)
    begun = time.monotonic()
    assert state.get("a") == "text"
    state.replace("a", "other")
    assert state.take("a") == "other"
    assert 0.45 <= time.monotonic() - begun < 1.0


def test_an_attempt_costs_one_answer(opened: Open, proxy: SlowProxy, redis_server: RedisServer) -> None:
    """Even after a restart of Redis, which forgets every script; and the first call waits for no greeting."""
    state = opened(proxy.url)
    redis_server.forget_scripts()
    assert state.reserve("alice", 5, 900)
    assert state.count("alice", 900) == 1
    assert proxy.answers == 2


@pytest.mark.parametrize(("seconds", "drips"), [(0.8, False), (0.1, True)], ids=["too slow", "dripping"])
def test_a_redis_that_is_too_slow_fails_as_one_that_hangs(
    opened: Open,
    proxy: SlowProxy,
    add_user: AddUser,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    *,
    drips: bool,
) -> None:
    """A request waits for one answer in all, and sign-in is unavailable; as soon as Redis is fast again, it serves."""
    add_user("alice", roles=["admin"])
    monkeypatch.setenv("PANEL_STATE_URL", proxy.url)
    proxy.seconds, proxy.drips = seconds, drips
    assert 0.2 < seconds_of_failing(opened(proxy.url)) < 0.9
    begun = time.monotonic()
    assert auth().sign_in_blocker() is SignInRefused.UNAVAILABLE
    assert auth().sign_in("alice", PASSWORD) is SignInRefused.UNAVAILABLE
    assert time.monotonic() - begun < 0.9
    proxy.seconds = 0
    time.sleep(1)  # the pause
    assert auth().sign_in_blocker() is None
    assert not isinstance(auth().sign_in("alice", PASSWORD), SignInRefused)


def test_an_action_waits_for_a_few_answers(
    proxy: SlowProxy, imai: Simulator, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that nothing that people do waits for more than two seconds in all; a page reads all its cards in one call."""
    add_user("alice", roles=["admin"])
    monkeypatch.setenv("PANEL_STATE_URL", proxy.url)
    answers = []

    def count(action: Callable[[], T]) -> T:
        before = proxy.answers
        result = action()
        answers.append(proxy.answers - before)
        return result

    assert count(auth().sign_in_blocker) is None
    ticket = count(lambda: str(auth().sign_in("alice", PASSWORD)))
    session_id = count(lambda: auth().redeem(ticket))
    count(lambda: (auth().authenticate(session_id, touch=True), shared.of_all()))
    count(shared.of(IMAI).get_or_fetch)
    count(lambda: auth().sign_out(session_id))
    assert imai.calls == 1
    assert min(answers) > 0
    assert max(answers) * COMMAND_SECONDS < 2


def test_a_name_server_that_hangs_is_waited_for_half_a_second(
    opened: Open, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operating system would wait for twenty and more; meanwhile an open connection continues."""
    answer = threading.Event()
    asked: list[str] = []
    real = socket.getaddrinfo

    def hang(host: str, *args: Any, **options: Any) -> Any:
        asked.append(host)
        answer.wait(20)
        return real("127.0.0.1", *args, **options)

    url = f"redis://redis.example.com:{redis_server.port}"
    connected = opened(redis_server.url)
    connected.put("a", "text", 60)
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    state = opened(url)
    begun = time.monotonic()
    assert error(state).endswith(": no name server answered within 0.5 s")
    assert error(state).startswith("did not answer a moment ago")
    assert 0.4 < time.monotonic() - begun < 1.0
    assert connected.get("a") == "text"
    assert asked == ["redis.example.com"]
    answer.set()
    assert opened(url).get("a") == "text"


def test_all_addresses_of_a_name_share_half_a_second(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four that accept no connection do not take half a second each."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = full.getsockname()[1]
    waiting = [socket.socket() for _ in range(3)]
    for one in waiting:  # its queue is full now, and the next handshake is not answered
        one.settimeout(0)
        one.connect_ex(("127.0.0.1", port))
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: real(*args, **options) * 4)
    begun = time.monotonic()
    assert error(opened(f"redis://127.0.0.1:{port}")).endswith(": no answer in time")
    assert 0.4 < time.monotonic() - begun < 1.2
    for one in (*waiting, full):
        one.close()

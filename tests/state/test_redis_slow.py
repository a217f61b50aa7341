"""A Redis that takes its time, or hangs: how long the panel waits for it."""

import asyncio
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import limits
import pytest
from bench.lineup import FIGURE
from limits.strategies import MovingWindowRateLimiter

from bench import lineup
from bench.measure import CLICK_PAUSE_SECONDS
from integrations.access import SignInRefused, auth
from integrations.state import State, StateError, redis
from tests.conftest import PASSWORD, AddUser
from tests.state.conftest import Open, error
from tests.state.redis_server import RedisServer
from tests.support.processes import run_async
from tests.support.viewer import Viewer

_CARDS: Final = 10
_TAKEN: Final = int(2 / redis.COMMAND_SECONDS) - 2
"""So many answers, each as slow as one may be, take two seconds with the two by which a new connection signs in."""

Result = TypeVar("Result")


class SlowProxy:
    """Stands before a Redis and passes every answer on after so many seconds."""

    def __init__(self, port: int) -> None:
        self.seconds = 0.0
        self.late: int | None = None
        """How many answers are that late; None for all that come."""
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
            for one, other, is_answer in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass_on, args=(one, other, is_answer), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket, is_answer: bool) -> None:  # noqa: FBT001
        with one, other:
            try:
                while data := one.recv(65536):
                    if is_answer:
                        self.answers += 1
                        if self.late != 0:
                            self.late = self.late and self.late - 1
                            time.sleep(self.seconds)
                    other.sendall(data)
                other.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # either of them has gone

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[SlowProxy]:
    """In front of the shared Redis, and fast."""
    made = SlowProxy(redis_server.port)
    yield made
    made.close()


def calls(state: State) -> list[Callable[[], object]]:
    """Every kind of call that a request makes."""
    guesses, five = MovingWindowRateLimiter(state.attempts()), limits.parse("5 per 15 minutes")
    return [
        lambda: state.get("a"),
        lambda: state.lock("a", wait=10).__enter__(),
        lambda: state.get("a"),
        lambda: state.get_many(["a", "b"]),
        lambda: state.put("a", "text", 60),
        lambda: state.replace("a", "text"),
        lambda: state.take("a"),
        lambda: state.items("a"),
        lambda: guesses.hit(five, "alice"),
        lambda: guesses.test(five, "alice"),
        lambda: guesses.clear(five, "alice"),
        state.check,
    ]


def seconds_of_failing(state: State) -> float:
    """How long all these calls take one after the other, where each fails."""
    begun = time.monotonic()
    for call in calls(state):
        with pytest.raises(StateError):
            call()
    return time.monotonic() - begun


def test_a_redis_that_hangs_is_waited_for_half_a_second_and_once(opened: Open) -> None:
    """Thirty at once wait it together; whoever comes in the next second does not wait at all."""
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


def test_a_redis_that_stops_holds_up_no_request_twice(opened: Open, tmp_path: Path) -> None:
    """Whatever kinds of call a request makes, the first waits half a second for all; then everything comes back."""
    with RedisServer(tmp_path) as server:
        state = opened(server.url)
        state.put("a", "text", 60)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            assert 0.4 < seconds_of_failing(state) < 1.2
            time.sleep(1)  # the pause
            assert 0.4 < seconds_of_failing(state) < 1.2
        finally:
            os.kill(server.pid, signal.SIGCONT)
        time.sleep(1)
        assert state.get("a") == "text"


def test_one_answer_that_is_late_is_no_outage_for_who_reads(opened: Open, proxy: SlowProxy) -> None:
    """As after a lost packet, or while Redis writes its file: it is asked once more, and nobody's page goes."""
    state = opened(proxy.url)
    state.put("a", "text", 60)
    reads: list[Callable[[], str | None]] = [lambda: state.get("a"), lambda: state.get_many(["a"])["a"]]
    for read in reads:
        proxy.seconds, proxy.late = 0.8, 1
        assert read() == "text"


def test_after_a_restart_of_redis_a_guess_and_a_lock_cost_one_answer_each(
    opened: Open, proxy: SlowProxy, redis_server: RedisServer
) -> None:
    """Though it has forgotten every script."""
    state = opened(proxy.url)
    guesses, five = MovingWindowRateLimiter(state.attempts()), limits.parse("5 per 15 minutes")
    redis_server.forget_scripts()
    before = proxy.answers
    assert guesses.test(five, "alice")
    assert guesses.hit(five, "alice")
    assert proxy.answers - before == 2
    with state.lock("a", wait=0) as got:
        assert got
    assert proxy.answers - before == 4


def test_a_slow_redis_serves(opened: Open, proxy: SlowProxy) -> None:
    """Each answer that comes in its time is taken, and no slow success makes anything fail."""
    proxy.seconds = 0.15
    state = opened(proxy.url)
    state.put("a", "text", 60)
    begun = time.monotonic()
    assert state.get("a") == "text"
    state.replace("a", "other")
    assert state.take("a") == "other"
    assert 0.45 <= time.monotonic() - begun < 1.0


class Waits:
    """For how many answers of Redis each thing that somebody does on the page waits."""

    def __init__(self, proxy: SlowProxy) -> None:
        self.answers: dict[str, int] = {}
        self._proxy = proxy

    async def count(self, name: str, act: Callable[[], Awaitable[Result]]) -> Result:
        """Do it."""
        before = self._proxy.answers
        result = await act()
        self.answers[name] = self._proxy.answers - before
        return result

    async def sign_in(self, url: str) -> str:
        """From the form to the session's cookie, which it gives."""
        async with Viewer(url) as form:
            await self.count("form", form.first_visit)
            form.fill("Username", "alice")
            form.fill("Password", PASSWORD)
            await self.count("Login", partial(form.click, "Login"))
            ticket = json.loads(form.find("bidi_component").content.json)["ticket"]
            return await self.count("exchange", partial(asyncio.to_thread, lineup.exchange, url, ticket))

    async def use(self, page: Viewer) -> None:
        """From the page's opening to the log-out; what was read before is never recent."""
        for name, pause, act in (
            ("visit", 0.5, page.first_visit),
            ("rerun", 0.5, page.rerun),
            ("Refresh", CLICK_PAUSE_SECONDS, partial(page.click, "Refresh")),
            ("Refresh all", CLICK_PAUSE_SECONDS, partial(page.click, "Refresh all")),
            ("Log out", 0.5, partial(page.click, "Log out")),
        ):
            await asyncio.sleep(pause)
            await self.count(name, act)
            assert (name == "Log out") != any(FIGURE in text for text in page.texts())


def test_nothing_that_people_do_waits_for_more_than_two_seconds_in_all(
    proxy: SlowProxy, tmp_path: Path
) -> None:
    """However slow an answer may be that is still taken, since there are few of them, and not one a card."""
    waits = Waits(proxy)

    async def use() -> float:
        launch = lineup.start("panel", tmp_path, providers=_CARDS, PANEL_STATE_URL=proxy.url)
        async with launch as candidate:
            async with candidate.viewer() as earlier:
                await earlier.first_visit()  # now all figures are known
            proxy.seconds = 0.05
            cookie = await waits.sign_in(candidate.server.url)
            async with Viewer(candidate.server.url, cookie) as page:
                await waits.use(page)
            assert candidate.simulator
            return candidate.simulator.calls()

    assert run_async(use()) == _CARDS + 1 + _CARDS
    of_all = waits.answers.pop("Refresh all")  # side by side: five for each card
    assert of_all <= 5 * _CARDS + _TAKEN
    of_one = waits.answers.pop(
        "Refresh"
    )  # seven; on a busy machine what was read first is no longer recent at the end
    assert of_one <= _TAKEN + 2
    assert all(0 < answers <= _TAKEN for answers in waits.answers.values()), waits.answers


def test_a_redis_that_is_too_slow_is_as_one_that_hangs(
    opened: Open, proxy: SlowProxy, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that a request does waits for one answer, and sign-in is unavailable; fast again, it serves."""
    add_user("alice", roles=["admin"])
    monkeypatch.setenv("PANEL_STATE_URL", proxy.url)
    proxy.seconds = 0.8
    assert 0.2 < seconds_of_failing(opened(proxy.url)) < 0.9
    begun = time.monotonic()
    assert auth().obstacle() is SignInRefused.UNAVAILABLE
    assert auth().sign_in("alice", PASSWORD) is SignInRefused.UNAVAILABLE
    assert time.monotonic() - begun < 0.9
    proxy.seconds = 0
    time.sleep(1)  # the pause
    assert auth().obstacle() is None
    assert not isinstance(auth().sign_in("alice", PASSWORD), SignInRefused)


def test_the_first_call_waits_for_its_own_answer_alone(opened: Open, proxy: SlowProxy) -> None:
    """A new connection asks for nothing that the panel does not need."""
    opened(proxy.url).get("a")
    assert proxy.answers == 1


def test_a_name_server_that_hangs_is_waited_for_half_a_second(
    opened: Open, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operating system asks it for twenty and more; meanwhile a connection that is open goes on."""
    go_on = threading.Event()
    asked: list[str] = []
    real = socket.getaddrinfo

    def hang(host: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the function of the library
        asked.append(host)
        go_on.wait(20)
        return real("127.0.0.1", *args, **options)

    url = f"redis://redis.example.com:{redis_server.port}"
    open_before = opened(redis_server.url)
    open_before.put("a", "text", 60)
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    state = opened(url)
    begun = time.monotonic()
    assert error(state).endswith(": no name server answered within 0.5 s")
    assert error(state).startswith("did not answer a moment ago")
    assert 0.4 < time.monotonic() - begun < 1.0
    assert open_before.get("a") == "text"
    assert asked == ["redis.example.com"]
    go_on.set()
    assert opened(url).get("a") == "text"


def test_an_unknown_name_is_told_at_once(opened: Open) -> None:
    """In the words of the operating system, with the place."""
    begun = time.monotonic()
    text = error(opened("redis://:test-password@redis.invalid:6379"))
    assert text.startswith("redis.invalid:6379: ")
    assert "test-password" not in text
    assert time.monotonic() - begun < 1.5


def test_all_addresses_of_a_name_share_half_a_second(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four that take no connection are not waited for half a second each."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = full.getsockname()[1]
    waiting = [socket.socket() for _ in range(3)]
    for one in waiting:  # its queue is full now, and the next one's handshake is not answered
        one.settimeout(0)
        one.connect_ex(("127.0.0.1", port))
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: real(*args, **options) * 4)
    begun = time.monotonic()
    assert error(opened(f"redis://127.0.0.1:{port}")).endswith(": no answer in time")
    assert 0.4 < time.monotonic() - begun < 1.2
    for one in (*waiting, full):
        one.close()

"""What holds for every engine: a file, the memory of one process, and a real Redis."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import redis
import time_machine

from integrations.state import State, sqlite
from integrations.state import redis as redis_engine
from tests.state.conftest import Another, Open
from tests.state.redis_server import RedisServer
from tests.support.races import races

WINDOW: Final = 15 * 60
SHARED: Final = ("file", "redis")
"""The engines that several processes can use."""


@pytest.fixture(params=["file", "memory", "redis"])
def url(request: pytest.FixtureRequest, path: Path) -> str:
    """The URL of each engine."""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        return server.url
    return "memory://" if request.param == "memory" else f"sqlite:///{path}"


@pytest.fixture
def state(url: str, opened: Open) -> State:
    """An engine."""
    return opened(url)


Pass = Callable[[float], None]


@pytest.fixture
def pass_time(url: str) -> Iterator[Pass]:
    """Lets seconds pass, for this process and for Redis."""
    with time_machine.travel(time.time()) as clock:

        def pass_(seconds: float) -> None:
            clock.shift(seconds)
            if url.startswith("redis"):
                with redis.Redis.from_url(url) as client:
                    for key in client.scan_iter():
                        client.pexpire(key, int(client.pttl(key) - seconds * 1000))

        yield pass_


def attempts(state: State, number: int, name: str = "alice") -> list[bool]:
    """Make attempts, five of which are allowed; return which were."""
    return [state.reserve(name, 5, WINDOW) for _ in range(number)]


def test_a_text_expires(state: State, pass_time: Pass) -> None:
    """It is there for its seconds and not after them; to set it again sets its time again."""
    assert state.get("a") is None
    state.put("a", "first", 10)
    state.put("a", "text", 60)
    pass_time(58)
    assert state.get("a") == "text"
    pass_time(3)
    assert (state.get("a"), state.take("a"), state.items("")) == (None, None, {})


def test_any_text_comes_back_unchanged(state: State) -> None:
    """Empty, with quotes, line breaks and every script."""
    for text in ("", "'\"\n\0%s?", "Übersicht 表 🔑", "x" * 100_000):
        state.put("a", text, 60)
        assert state.get("a") == text


def test_replace_changes_a_text_and_not_its_expiry(state: State, pass_time: Pass) -> None:
    """A session that is used does not live longer than it may."""
    state.put("a", "first", 60)
    pass_time(50)
    state.replace("a", "second")
    assert state.get("a") == "second"
    pass_time(11)
    assert state.get("a") is None


def test_replace_revives_nothing(state: State, pass_time: Pass) -> None:
    """A text that was taken, or has expired, stays away."""
    state.put("a", "first", 60)
    state.take("a")
    state.replace("a", "second")
    state.put("b", "first", 60)
    pass_time(61)
    state.replace("b", "second")
    assert state.get_many(["a", "b"]) == {}


def test_one_caller_takes_a_text(state: State) -> None:
    """At whatever line another caller comes, exactly one of them has the text: a ticket is exchanged once."""
    for race in races("integrations.state"):
        state.put("a", "text", 60)
        assert sorted(race(partial(state.take, "a"), partial(state.take, "a")), key=str) == [None, "text"]


def test_a_check_undoes_no_concurrent_write(state: State) -> None:
    """At whatever line of a check another thread writes; nothing of the check is left to be seen."""
    for race in races("integrations.state"):
        race(state.check, partial(state.put, "a", "text", 60))
        assert state.items("") == {"a": "text"}
        state.take("a")


def test_items_are_found_by_the_prefix_of_their_keys(state: State) -> None:
    """The prefix is text and no pattern, and thousands of items come once each."""
    for key in ("a:1", "a:2", "ab:3", "a*:4", "b:a:5"):
        state.put(key, key.upper(), 60)
    assert state.items("a:") == {"a:1": "A:1", "a:2": "A:2"}
    assert state.items("a*") == {"a*:4": "A*:4"}
    assert state.items("c") == {}
    many = {f"m:{number}": str(number) for number in range(2500)}
    for key, text in many.items():
        state.put(key, text, 60)
    assert state.items("m:") == many


def test_many_texts_are_read_at_once(state: State, pass_time: Pass) -> None:
    """Those that exist, under the keys that were asked for and no others."""
    state.put("expired", "text", 10)
    pass_time(20)
    for key in ("a", "a:1", "ab", "%"):
        state.put(key, key.upper(), 60)
    assert state.get_many(["a:1", "none", "a", "expired", "a"]) == {"a": "A", "a:1": "A:1"}
    assert state.get_many(["%", "a*"]) == {"%": "%"}
    assert state.get_many([]) == {}


def test_records_of_another_version_are_not_seen(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two versions of the panel may share a state during an upgrade."""
    state.put("a", "old", 60)
    attempts(state, 5)
    for module in (sqlite, redis_engine):
        monkeypatch.setattr(module, "PREFIX", "integrations-2:")
    assert (state.get("a"), state.take("a"), state.items("")) == (None, None, {})
    assert state.reserve("alice", 5, WINDOW)
    state.put("a", "new", 60)
    monkeypatch.undo()
    assert state.get("a") == "old"


def test_a_lock_has_one_holder(state: State) -> None:
    """A caller that did not get it does not free it, and other names are other locks."""
    with state.lock("a", wait=0) as first:
        with state.lock("a", wait=0.1) as second, state.lock("b", wait=0) as other:
            assert (first, second, other) == (True, False, True)
        with state.lock("a", wait=0) as second:
            assert not second
    with state.lock("a", wait=0) as again:
        assert again


def test_a_lock_is_freed_by_an_exception(state: State) -> None:
    """However its holder ends."""
    with pytest.raises(ZeroDivisionError), state.lock("a", wait=0):
        raise ZeroDivisionError
    with state.lock("a", wait=0) as got:
        assert got


def test_callers_wait_for_a_lock(state: State) -> None:
    """Ten threads hold it, one after the other."""
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> bool:
        with state.lock("a", wait=20) as got:
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.005)
            inside.remove(number)
            return got

    with ThreadPoolExecutor(10) as pool:
        assert all(pool.map(work, range(10)))
    assert set(most) == {1}


def test_five_attempts_in_a_window(state: State, pass_time: Pass) -> None:
    """The sixth is refused until the window has passed; another name has its own; `forget` gives all back."""
    assert attempts(state, 7) == [True] * 5 + [False] * 2
    assert (state.count("alice", WINDOW), state.count("bob", WINDOW)) == (5, 0)
    assert state.reserve("bob", 5, WINDOW)
    pass_time(WINDOW - 2)
    assert not state.reserve("alice", 5, WINDOW)
    pass_time(3)
    assert state.count("alice", WINDOW) == 0
    assert attempts(state, 6) == [True] * 5 + [False]
    state.forget("alice")
    assert state.count("alice", WINDOW) == 0
    assert state.reserve("alice", 5, WINDOW)


def test_the_window_moves(state: State, pass_time: Pass) -> None:
    """Each attempt comes back after its own fifteen minutes."""
    for _ in range(5):
        assert state.reserve("alice", 5, WINDOW)
        pass_time(60)
    pass_time(WINDOW - 299)
    assert state.count("alice", WINDOW) == 4
    assert attempts(state, 2) == [True, False]


def test_forty_parallel_attempts_get_five_places(state: State) -> None:
    """The count and the attempt are one step."""
    with ThreadPoolExecutor(40) as pool:
        assert sum(pool.map(lambda _: state.reserve("alice", 5, WINDOW), range(40))) == 5


def test_a_clock_that_is_5_seconds_slow_counts_the_same(state: State) -> None:
    """The machines' clocks differ a little."""
    with time_machine.travel(1_000_000, tick=False) as clock:
        assert all(attempts(state, 5))
        clock.shift(-5)
        assert state.count("alice", WINDOW) == 5
        assert not state.reserve("alice", 5, WINDOW)


def test_a_clock_that_is_set_back_locks_nobody_out_for_longer(state: State, pass_time: Pass) -> None:
    """Attempts of a clock that was a day ahead expire after one window at most."""
    pass_time(86_400)
    assert all(attempts(state, 5))
    with time_machine.travel(time.time() - 86_400):
        pass_time(WINDOW)
        assert state.reserve("alice", 5, WINDOW)


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_two_processes_have_one_state(url: str, opened: Open) -> None:
    """What one writes, the other reads; a restart changes nothing."""
    one, other = opened(url), opened(url)
    one.put("a", "text", 60)
    assert other.get("a") == "text"
    other.replace("a", "changed")
    one.close()
    assert one.take("a") == "changed"
    assert other.take("a") is None
    with one.lock("a", wait=0), other.lock("a", wait=0) as got:
        assert not got
    assert sum(state.reserve("alice", 5, WINDOW) for state in (one, other) * 5) == 5


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_two_processes_of_twenty_threads_get_five_attempts(others: list[Another]) -> None:
    """Even if they create the file together."""
    for other in others:
        other.tell("sum(ThreadPoolExecutor(20).map(lambda _: state.reserve('alice', 5, 900), range(20)))")
    assert sum(int(other.answer()) for other in others) == 5


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_a_killed_holder_loses_its_lock(state: State, others: list[Another]) -> None:
    """Within three seconds."""
    holder = others[0]
    assert holder.ask("held.append(state.lock('a', wait=5)) or held[0].__enter__()") == "True"
    with state.lock("a", wait=0) as got:
        assert not got
    holder.process.kill()
    begun = time.monotonic()
    with state.lock("a", wait=10) as got:
        assert got
    assert time.monotonic() - begun < 3.5

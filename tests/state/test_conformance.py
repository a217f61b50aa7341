"""What holds for every engine: a file, the memory of one process, and a real Redis."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import limits
import pytest
import redis
import time_machine
from limits.strategies import MovingWindowRateLimiter

from integrations.state import State, attempts, sqlite
from integrations.state import redis as redis_engine
from tests.state.conftest import Open
from tests.state.redis_server import RedisServer
from tests.support.races import races

FIVE: Final = limits.parse("5 per 15 minutes")
WINDOW: Final = 15 * 60
SHARED: Final = ("file", "redis")
"""The engines that several processes can use."""


@pytest.fixture(params=["file", "memory", "redis"])
def url(request: pytest.FixtureRequest, path: Path) -> str:
    """Where the state is."""
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
    """Lets seconds pass, for this process as for Redis."""
    with time_machine.travel(time.time()) as clock:

        def pass_(seconds: float) -> None:
            clock.shift(seconds)
            if url.startswith("redis"):
                with redis.Redis.from_url(url) as client:
                    for key in client.scan_iter():
                        client.pexpire(key, int(client.pttl(key) - seconds * 1000))

        yield pass_


def limiter(state: State) -> MovingWindowRateLimiter:
    """Counts attempts as the throttle does."""
    return MovingWindowRateLimiter(state.attempts())


def test_a_text_stands_until_it_ends(state: State, pass_time: Pass) -> None:
    """It is there for its seconds and not after them."""
    assert state.get("a") is None
    state.put("a", "text", 60)
    pass_time(58)
    assert state.get("a") == "text"
    pass_time(3)
    assert state.get("a") is None
    assert state.take("a") is None
    assert state.items("") == {}


def test_any_text_comes_back_as_it_was(state: State) -> None:
    """Empty, with quotes, line breaks and every script."""
    for text in ("", "'\"\n\0%s?", "Übersicht 表 🔑", "x" * 100_000):
        state.put("a", text, 60)
        assert state.get("a") == text


def test_putting_again_sets_text_and_end(state: State, pass_time: Pass) -> None:
    """The last one counts."""
    state.put("a", "first", 10)
    state.put("a", "second", 100)
    pass_time(50)
    assert state.get("a") == "second"


def test_replacing_changes_a_text_and_not_its_end(state: State, pass_time: Pass) -> None:
    """A session that is used does not live longer than it may."""
    state.put("a", "first", 60)
    pass_time(50)
    state.replace("a", "second")
    assert state.get("a") == "second"
    pass_time(11)
    assert state.get("a") is None


def test_replacing_revives_nothing(state: State, pass_time: Pass) -> None:
    """What was taken, or has ended, stays away."""
    state.put("a", "first", 60)
    state.take("a")
    state.replace("a", "second")
    assert state.get("a") is None
    state.put("b", "first", 60)
    pass_time(61)
    state.replace("b", "second")
    assert state.get("b") is None


def test_one_of_forty_takes_it(state: State) -> None:
    """A ticket is exchanged once."""
    state.put("a", "text", 60)
    with ThreadPoolExecutor(40) as pool:
        taken = list(pool.map(state.take, ["a"] * 40))
    assert sorted(taken, key=str) == [None] * 39 + ["text"]
    assert state.get("a") is None


def test_who_comes_between_takes_it_instead(state: State) -> None:
    """At whatever line of one taking another one comes, exactly one of them has the text."""
    for race in races("integrations.state"):
        state.put("a", "text", 60)
        assert sorted(race(partial(state.take, "a"), partial(state.take, "a")), key=str) == [None, "text"]


def test_a_check_undoes_nothing_that_comes_between(state: State) -> None:
    """At whatever line of a check another thread writes, its text stands."""
    for race in races("integrations.state"):
        race(state.check, partial(state.put, "a", "text", 60))
        assert state.take("a") == "text"


def test_items_are_found_by_the_beginning_of_their_keys(state: State) -> None:
    """The prefix is text and no pattern."""
    for key in ("a:1", "a:2", "ab:3", "a*:4", "b:a:5"):
        state.put(key, key.upper(), 60)
    assert state.items("a:") == {"a:1": "A:1", "a:2": "A:2"}
    assert state.items("a*") == {"a*:4": "A*:4"}
    assert state.items("c") == {}


def test_many_texts_are_got_as_one_is(state: State, pass_time: Pass) -> None:
    """Those that stand, under the keys that were asked for and no others; none for no key."""
    state.put("ended", "text", 10)
    pass_time(20)
    for key in ("a", "a:1", "ab", "%"):
        state.put(key, key.upper(), 60)
    assert state.get_many(["a:1", "none", "a", "ended", "a"]) == {"a": "A", "a:1": "A:1"}
    assert state.get_many(["%", "a*"]) == {"%": "%"}
    assert state.get_many([]) == {}
    many = {f"m:{number}": str(number) for number in range(500)}
    for key, text in many.items():
        state.put(key, text, 60)
    assert state.get_many(list(many)) == many


def test_a_thousand_items_are_found_once_each(state: State) -> None:
    """Also where they come in several parts."""
    expected = {f"a:{number}": str(number) for number in range(2500)}
    for key, text in expected.items():
        state.put(key, text, 60)
    assert state.items("a:") == expected


def test_records_of_another_version_are_not_seen(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two versions of the panel may share a state while one takes the other's place."""
    state.put("a", "old", 60)
    assert limiter(state).hit(FIVE, "a")
    for module in (sqlite, redis_engine, attempts):
        monkeypatch.setattr(module, "PREFIX", "integrations-2:")
    assert state.get("a") is None
    assert state.get_many(["a"]) == {}
    assert state.take("a") is None
    assert state.items("") == {}
    state.put("a", "new", 60)
    monkeypatch.undo()
    assert state.get("a") == "old"


def test_a_lock_has_one_holder(state: State) -> None:
    """Others are told so; other names are other locks."""
    with (
        state.lock("a", wait=0) as first,
        state.lock("a", wait=0.1) as second,
        state.lock("b", wait=0) as other,
    ):
        assert (first, second, other) == (True, False, True)
    with state.lock("a", wait=0) as again:
        assert again


def test_a_lock_is_freed_by_an_exception(state: State) -> None:
    """Whatever happens to its holder."""
    with pytest.raises(ZeroDivisionError), state.lock("a", wait=0):
        raise ZeroDivisionError
    with state.lock("a", wait=0) as got:
        assert got


def test_who_did_not_get_a_lock_does_not_free_it(state: State) -> None:
    """Its holder keeps it."""
    with state.lock("a", wait=0):
        with state.lock("a", wait=0):
            pass
        with state.lock("a", wait=0) as got:
            assert not got


def test_a_lock_is_waited_for(state: State) -> None:
    """Ten threads, one after the other."""
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
    """The sixth is refused until the window has passed; another name has its own; a success gives all back."""
    guesses = limiter(state)
    assert [guesses.hit(FIVE, "alice") for _ in range(7)] == [True] * 5 + [False] * 2
    assert not guesses.test(FIVE, "alice")
    assert guesses.hit(FIVE, "bob")
    pass_time(WINDOW - 2)
    assert not guesses.hit(FIVE, "alice")
    pass_time(3)
    assert guesses.test(FIVE, "alice")
    assert [guesses.hit(FIVE, "alice") for _ in range(6)] == [True] * 5 + [False]
    guesses.clear(FIVE, "alice")
    assert guesses.hit(FIVE, "alice")


def test_the_window_moves(state: State, pass_time: Pass) -> None:
    """Each attempt comes back by itself."""
    guesses = limiter(state)
    for _ in range(5):
        assert guesses.hit(FIVE, "alice")
        pass_time(60)
    start, left = guesses.get_window_stats(FIVE, "alice")
    assert start - time.time() == pytest.approx(WINDOW - 300, abs=2)
    assert left == 0
    pass_time(WINDOW - 299)
    assert [guesses.hit(FIVE, "alice") for _ in range(2)] == [True, False]


def test_forty_parallel_attempts_get_five_places(state: State) -> None:
    """Nobody comes between the count and the attempt."""
    guesses = limiter(state)
    with ThreadPoolExecutor(40) as pool:
        assert sum(pool.map(lambda _: guesses.hit(FIVE, "alice"), range(40))) == 5


def test_a_clock_that_is_5_seconds_slow_counts_the_same(url: str, state: State) -> None:
    """The machines' clocks differ a little."""
    with time_machine.travel(1_000_000, tick=False) as clock:
        guesses = limiter(state)
        assert all(guesses.hit(FIVE, "alice") for _ in range(5))
        clock.shift(-5)
        assert not guesses.test(FIVE, "alice")
        assert not guesses.hit(FIVE, "alice")


def test_a_clock_that_is_set_back_locks_nobody_out_for_longer(state: State, pass_time: Pass) -> None:
    """Attempts of a wrong clock, a day ahead, are over after one window at the most."""
    guesses = limiter(state)
    pass_time(86_400)
    assert all(guesses.hit(FIVE, "alice") for _ in range(5))
    with time_machine.travel(time.time() - 86_400):
        pass_time(WINDOW)
        assert guesses.hit(FIVE, "alice")


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_two_processes_have_one_state(url: str, opened: Open) -> None:
    """What one does, the other sees."""
    one, other = opened(url), opened(url)
    one.put("a", "text", 60)
    assert other.get("a") == "text"
    other.replace("a", "changed")
    assert one.take("a") == "changed"
    assert other.take("a") is None
    with one.lock("a", wait=0), other.lock("a", wait=0) as got:
        assert not got
    assert sum(limiter(state).hit(FIVE, "alice") for state in (one, other) * 5) == 5


HIT: Final = """
import sys, limits
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from limits.strategies import MovingWindowRateLimiter
from integrations.state import open_state
limiter, five = MovingWindowRateLimiter(open_state(sys.argv[1]).attempts()), limits.parse("5 per 15 minutes")
print(flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(20) as pool:
    print(sum(pool.map(lambda _: limiter.hit(five, "alice"), range(20))))
"""

HOLD: Final = """
import sys
from integrations.state import open_state
with open_state(sys.argv[1]).lock("a", wait=5) as got:
    print(got, flush=True)
    sys.stdin.readline()
"""


def process(code: str, url: str) -> subprocess.Popen[str]:
    """Another process; it has come to its first line of output."""
    started = subprocess.Popen(
        [sys.executable, "-c", code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout
    started.stdout.readline()
    return started


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_two_processes_of_twenty_threads_get_five_attempts(url: str) -> None:
    """Also where they make the file together."""
    both = [process(HIT, url) for _ in range(2)]
    for each in both:
        assert each.stdin
        each.stdin.write("\n")
        each.stdin.flush()
    assert sum(int(each.communicate(timeout=30)[0]) for each in both) == 5


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_a_killed_holder_loses_its_lock(url: str, state: State) -> None:
    """Within three seconds, however long it would have held it."""
    holder = process(HOLD, url)
    with state.lock("a", wait=0) as got:
        assert not got
    holder.kill()
    begun = time.monotonic()
    with state.lock("a", wait=10) as got:
        assert got
    assert time.monotonic() - begun < 3.5
    holder.communicate()


def test_a_lock_can_be_used_by_many_threads_of_two_names(state: State) -> None:
    """No deadlock, whoever comes first."""
    done = threading.Barrier(3)

    def work(name: str) -> None:
        for _ in range(5):
            with state.lock(name, wait=10) as got:
                assert got
        done.wait(timeout=30)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    done.wait(timeout=30)
    for thread in threads:
        thread.join()

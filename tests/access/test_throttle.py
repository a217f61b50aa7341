"""The limit on guessing."""

from functools import partial

import pytest
import time_machine

from integrations.access.throttle import Throttle
from integrations.state import open_state, state
from tests.support.races import races


@pytest.fixture
def throttle() -> Throttle:
    """A limit on sign-ins."""
    return Throttle(state(), "sign-in")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the attempts that the state has counted."""
    keys: list[str] = []
    reserve = state().reserve

    def record(key: str, limit: int, seconds: float) -> bool:
        if is_counted := reserve(key, limit, seconds):
            keys.append(key)
        return is_counted

    monkeypatch.setattr(state(), "reserve", record)
    return keys


def test_five_attempts_a_name_and_300_in_all(throttle: Throttle) -> None:
    """A locked name locks out that name alone: however often it is tried, it takes nothing from the others."""
    assert [throttle.reserve("alice") for _ in range(100)] == [True] * 5 + [False] * 95
    assert sum(throttle.reserve(f"user{number}") for number in range(400)) == 295


def test_refused_attempts_do_not_prolong_the_lock(throttle: Throttle) -> None:
    """A name that is tried all the time has an attempt again after 15 minutes."""
    with time_machine.travel(1_000_000, tick=False) as clock:
        for second in range(0, 15 * 60, 10):
            clock.move_to(1_000_000 + second)
            throttle.reserve("alice")
        clock.move_to(1_000_000 + 15 * 60 + 1)
        assert throttle.reserve("alice")


def test_the_right_password_gives_a_name_its_attempts_back(throttle: Throttle) -> None:
    """Four typing errors and a success leave five attempts, not one."""
    for _ in range(4):
        throttle.reserve("alice")
    throttle.clear("alice")
    assert [throttle.reserve("alice") for _ in range(6)] == [True] * 5 + [False]


def test_a_lock_is_new_once_for_each_name(throttle: Throttle) -> None:
    """Only for the first refusal, so that the log gets one line a lock."""
    for name in ("alice", "bob") * 5:
        throttle.reserve(name)
    asked = [throttle.is_new_lock(name) for name in ("alice", "alice", "bob", "alice", "bob")]
    assert asked == [True, False, True, False, False]


def test_invented_names_fill_nothing_once_all_attempts_are_used(
    throttle: Throttle, counted: list[str]
) -> None:
    """Neither the state nor the log."""
    for number in range(300):
        throttle.reserve(f"user{number}")
    assert len(counted) == 600
    new_locks = 0
    for number in range(1000):
        throttle.reserve(f"other{number}")
        new_locks += throttle.is_new_lock(f"other{number}")
    assert new_locks == 1
    assert len(counted) == 601


def test_the_state_gets_digests_of_the_names(throttle: Throttle, counted: list[str]) -> None:
    """People type their password in the name's place."""
    for _ in range(6):
        throttle.reserve("test-password")
    throttle.is_new_lock("test-password")
    assert len(set(counted)) == 3
    assert "test-password" not in str(counted)


def test_a_guess_during_the_right_password_is_counted_at_most_once() -> None:
    """At whatever line the right password clears a name's attempts, none or one of them is left."""
    for race in races("integrations."):
        throttle = Throttle(open_state("memory://"), "sign-in")
        throttle.reserve("alice")
        assert race(partial(throttle.reserve, "alice"), partial(throttle.clear, "alice"))[0]
        assert sum(throttle.reserve("alice") for _ in range(6)) in {4, 5}

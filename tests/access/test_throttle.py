"""The limit on guessing."""

from functools import partial

import time_machine

from integrations.access.throttle import Throttle
from integrations.state import open_state, state
from tests.support.races import races

WINDOW = 15 * 60


def test_a_name_has_five_attempts() -> None:
    """The sixth is refused; another name still has its own."""
    throttle = Throttle(state(), "sign-in")
    assert [throttle.reserve("alice") for _ in range(7)] == [True] * 5 + [False] * 2
    assert throttle.reserve("bob")


def test_all_names_together_have_300_attempts() -> None:
    """Guessing one password for many names ends after 300 attempts."""
    throttle = Throttle(state(), "sign-in")
    assert sum(throttle.reserve(f"user{number}") for number in range(400)) == 300


def test_a_locked_name_does_not_use_up_what_is_left_for_all() -> None:
    """Somebody who hammers one name locks out that name alone."""
    throttle = Throttle(state(), "sign-in")
    for _ in range(1000):
        throttle.reserve("alice")
    assert sum(throttle.reserve(f"user{number}") for number in range(400)) == 295


def test_refused_attempts_do_not_prolong_the_lock() -> None:
    """A name that is tried all the time has an attempt again after 15 minutes."""
    with time_machine.travel(1_000_000, tick=False) as clock:
        throttle = Throttle(state(), "sign-in")
        for second in range(0, WINDOW, 10):
            clock.move_to(1_000_000 + second)
            throttle.reserve("alice")
        clock.move_to(1_000_000 + WINDOW + 1)
        assert throttle.reserve("alice")


def test_the_right_password_gives_a_name_its_attempts_back() -> None:
    """Four typing errors and a success leave five attempts, not one."""
    throttle = Throttle(state(), "sign-in")
    for _ in range(4):
        throttle.reserve("alice")
    throttle.clear("alice")
    assert [throttle.reserve("alice") for _ in range(6)] == [True] * 5 + [False]


def test_a_lock_is_new_once_for_each_name() -> None:
    """Only the first refusal of each name's lock is told apart, so that the log gets one line a lock."""
    throttle = Throttle(state(), "sign-in")
    for name in ("alice", "bob"):
        for _ in range(5):
            throttle.reserve(name)
    asked = [throttle.is_new_lock(name) for name in ("alice", "alice", "bob", "alice", "bob")]
    assert asked == [True, False, True, False, False]


def test_refused_names_cost_no_memory() -> None:
    """When all attempts are used up, inventing names fills neither the table nor the log."""

    def rows() -> int:
        count: int = state().run("reading", "SELECT COUNT(*) FROM attempts")[0][0][0]  # type: ignore[attr-defined]
        return count

    throttle = Throttle(state(), "sign-in")
    for number in range(300):
        throttle.reserve(f"user{number}")
    kept = rows()
    news = 0
    for number in range(1000):
        throttle.reserve(f"other{number}")
        news += throttle.is_new_lock(f"other{number}")
    assert news == 1
    assert rows() <= kept + 1


def test_names_are_kept_as_digests() -> None:
    """People type their password in the name's place."""
    throttle = Throttle(state(), "sign-in")
    throttle.reserve("test-password")
    throttle.is_new_lock("test-password")
    keys = state().run("reading", "SELECT key FROM attempts")[0]  # type: ignore[attr-defined]
    assert len(keys) == 3
    assert "test-password" not in str(keys)


def test_each_purpose_is_counted_by_itself() -> None:
    """Wrong tokens keep nobody from signing in."""
    tokens, sign_ins = Throttle(state(), "token"), Throttle(state(), "sign-in")
    assert sum(tokens.reserve_for_all() for _ in range(310)) == 300
    assert sign_ins.reserve("alice")


def test_a_guess_beside_the_right_password_is_counted_and_breaks_nothing() -> None:
    """At whatever line the right password clears a name's attempts, none or one of them is left."""
    for race in races("integrations."):
        throttle = Throttle(open_state("memory://"), "sign-in")
        throttle.reserve("alice")
        assert race(partial(throttle.reserve, "alice"), partial(throttle.clear, "alice"))[0]
        assert sum(throttle.reserve("alice") for _ in range(6)) in {4, 5}

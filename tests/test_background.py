"""Work in a thread of its own."""

import threading

import pytest

from integrations.background import in_thread


def test_what_it_returns_is_given_and_who_began_it_goes_on() -> None:
    """The future has no result before the work has one."""
    go_on = threading.Event()
    future = in_thread(lambda: go_on.wait(10), name="work")
    assert not future.done()
    go_on.set()
    assert future.result(10) is True


def test_it_does_not_keep_the_process() -> None:
    """Its thread bears the name that it was given, and ends with the process."""
    thread = in_thread(threading.current_thread, name="work").result(10)
    assert (thread.name, thread.daemon) == ("work", True)


@pytest.mark.parametrize(("raised", "seen"), [(ValueError("no"), ValueError), (SystemExit(3), RuntimeError)])
def test_what_it_raises_reaches_who_waits(raised: BaseException, seen: type[Exception]) -> None:
    """Also what would end a process: who waits takes it for a failure of the work."""

    def work() -> None:
        raise raised

    with pytest.raises(seen):
        in_thread(work, name="work").result(10)

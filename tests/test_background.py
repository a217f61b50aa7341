"""Functions in a thread of their own."""

import threading

import pytest

from integrations.background import in_thread


def test_the_caller_continues_and_gets_the_result() -> None:
    """The future has no result before the work has one."""
    go_on = threading.Event()
    future = in_thread(lambda: go_on.wait(10), name="work")
    assert not future.done()
    go_on.set()
    assert future.result(10) is True


def test_it_does_not_keep_the_process() -> None:
    """Its thread is a daemon with the given name."""
    thread = in_thread(threading.current_thread, name="work").result(10)
    assert (thread.name, thread.daemon) == ("work", True)


@pytest.mark.parametrize(("raised", "seen"), [(ValueError("no"), ValueError), (SystemExit(3), RuntimeError)])
def test_an_exception_reaches_the_waiting_caller(raised: BaseException, seen: type[Exception]) -> None:
    """An exception that would end a process becomes an error of the work."""

    def work() -> None:
        raise raised

    with pytest.raises(seen):
        in_thread(work, name="work").result(10)

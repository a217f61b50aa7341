"""The workers of `integrations serve --workers` that fail in ways of their own."""

import math
import socket
import sys
from pathlib import Path

import pytest
import uvicorn

from integrations.cli import supervisor
from integrations.cli.supervisor import Supervisor
from tests.cli.test_serve import _file, is_there, serving, two_workers  # noqa: F401 - the first is a fixture
from tests.support.processes import is_healthy, workers_of

HANGING = """
from integrations.cli import main, serve, supervisor

def configuration(*arguments):
    config = configure(*arguments)
    config.app = "tests.cli.hanging:app"
    return config

configure, serve._configuration = serve._configuration, configuration
supervisor._SILENT_SECONDS = 5
main.main()
"""


def test_a_worker_whose_event_loop_hangs_is_replaced(tmp_path: Path) -> None:
    """Its other threads would answer, but nobody has a page of it; five seconds stand for half a minute."""
    with two_workers(tmp_path, [sys.executable, "-c", HANGING]) as server:
        workers = serving(server)
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as asking:
            asking.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
            server.process.wait_for(lambda: "does not answer and is killed" in server.process.log)
            server.process.wait_for(lambda: server.process.log.count("serves") == 3)
        (hung,) = (worker for worker in workers if not is_there(worker))
        assert f"Worker {hung} does not answer and is killed" in server.process.log
        assert len(workers_of(server.process.running.pid)) == 2
        assert is_healthy(server.url)


class Clock:
    """In the place of `time`: moves by what is slept, and has the panel ended after a while."""

    def __init__(self, seconds: float) -> None:
        self.now = 0.0
        self._end = seconds
        self.supervisor: Supervisor | None = None

    def monotonic(self) -> float:
        """The time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let it be later."""
        self.now += seconds
        if self.now > self._end and self.supervisor is not None:
            self.supervisor._note_end()


def starts(monkeypatch: pytest.MonkeyPatch, *, served: float | None, seconds: float = 60) -> list[float]:
    """When two workers and their successors are started, within a minute; each dies once it has served so long.

    Args:
        monkeypatch: puts a clock and workers that are no processes in the place of the real ones.
        served: for so long; None where none gets that far.
        seconds: how long to look.
    """
    clock, found = Clock(seconds), list[float]()

    class Worker(supervisor._Worker):
        def __init__(self, _: object, __: object, generation: int) -> None:
            self.generation = generation
            self.ready_at = None
            self._started = clock.now
            found.append(clock.now)

        @property
        def pid(self) -> int:
            return 1

        def look(self) -> bool:
            if served is not None and self.ready_at is None and clock.now >= self._started + 1:
                self.ready_at = clock.now
            return clock.now < self._started + 1 + (served or 0)

        def end(self) -> None:
            self._started = -math.inf

    monkeypatch.setattr(supervisor, "time", clock)
    monkeypatch.setattr(supervisor, "_Worker", Worker)
    with socket.socket() as listener:
        clock.supervisor = Supervisor(uvicorn.Config("app"), listener, 2)
        goes_on = clock.supervisor.run()
    assert goes_on == (served is not None)
    return found


def test_a_worker_that_dies_soon_after_it_serves_is_replaced_after_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the panel would do nothing but start workers; where all die so, it waits and goes on."""
    found = starts(monkeypatch, served=0.6)
    assert found[:2] == [0, 0]
    assert 8 < len(found) < 22
    assert all(later - earlier >= 5 for earlier, later in zip(found, found[2:], strict=False))


def test_a_worker_that_has_served_for_a_while_is_replaced_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it comes to that."""
    found = starts(monkeypatch, served=6)
    assert found[:2] == [0, 0]
    assert len(found) > 12
    assert all(later - earlier < 8 for earlier, later in zip(found, found[2:], strict=False))


def test_where_none_gets_as_far_as_serving_the_panel_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: a service manager then sees it."""
    assert starts(monkeypatch, served=None) == [0, 0]

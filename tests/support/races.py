"""Forced races: a test of a lock fails without the lock, and not only by chance."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import count
from types import FrameType
from typing import Any, TypeVar

One = TypeVar("One")
Other = TypeVar("Other")

_PATIENCE_SECONDS = 0.005
"""The interrupted work waits this long by default; a lock may block the work that interrupts it."""


class Race:
    """Runs a piece of work, and another one to its end in the middle of it.

    Args:
        step: number of the executed line of the first one before which the other one runs.
        within: prefix of the names of the modules whose lines count.
        patience: seconds that the first one waits for the other one; then both run.
    """

    def __init__(self, step: int, within: str, patience: float) -> None:
        self._step = step
        self._within = within
        self._patience = patience
        self.happened = False

    def __call__(self, first: Callable[[], One], second: Callable[[], Other]) -> tuple[One, Other]:
        """Return both results.

        Raises:
            Exception: of either of them.
        """
        steps = count()
        seconds: list[Future[Other]] = []

        def trace(frame: FrameType, _event: str, _argument: object) -> Any:
            if not str(frame.f_globals.get("__name__")).startswith(self._within):
                return None
            if next(steps) == self._step:
                self.happened = True
                seconds.append(pool.submit(second))
                wait(seconds, self._patience)
            return trace

        def traced() -> One:
            sys.settrace(trace)
            try:
                return first()
            finally:
                sys.settrace(None)

        with ThreadPoolExecutor(2) as pool:
            given = pool.submit(traced).result()
            return given, (seconds[0].result() if seconds else second())


def races(within: str, *, patience: float = _PATIENCE_SECONDS) -> Iterator[Race]:
    """Yield a race for each line of the first piece of work; prepare each one again."""
    for step in count():
        race = Race(step, within, patience)
        yield race
        if not race.happened:
            return

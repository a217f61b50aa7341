"""Races made on purpose, so that a lock is shown by a test that fails without it, and not by luck."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import count
from types import FrameType
from typing import Any, TypeVar

One = TypeVar("One")
Other = TypeVar("Other")

_PATIENCE_SECONDS = 0.005
"""So long the work that interrupts may take by default; when a lock holds it up, what it interrupted goes on."""


class Race:
    """Runs one piece of work, and another one to its end in the middle of it.

    Args:
        step: the line of the first one, counted as they are run, before which the other one is run.
        within: the beginning of the names of the modules whose lines count.
        patience: seconds that the first waits for the other one. After that both run.
    """

    def __init__(self, step: int, within: str | tuple[str, ...], patience: float) -> None:
        self._step = step
        self._within = within
        self._patience = patience
        self.happened = False

    def __call__(self, first: Callable[[], One], second: Callable[[], Other]) -> tuple[One, Other]:
        """What both gave.

        Raises:
            Exception: what either of them raised.
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


def races(within: str | tuple[str, ...], *, patience: float = _PATIENCE_SECONDS) -> Iterator[Race]:
    """A race for each line of the first piece of work; the scene must be set anew for each."""
    for step in count():
        race = Race(step, within, patience)
        yield race
        if not race.happened:
            return

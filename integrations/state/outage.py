"""How an engine's failures are handled: one kind of error, one line in the log, and no queue of waiting callers."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, get_args

from integrations.state.base import StateError

log = logging.getLogger(__name__)

SLOW_SECONDS: Final = 0.2
"""Less than any time-out of an engine."""

PAUSE_SECONDS: Final = 1.0

Operation = Literal["reading", "writing", "removing", "locking"]
"""Each has outages of its own in the log: on a full disk writing fails and reading works."""

_ALL: Final[frozenset[Operation]] = frozenset(get_args(Operation))


@dataclass
class Call:
    """One call of an engine.

    Attributes:
        worked: set it to False if the call succeeded and did nothing, so that a false end of an outage is not logged:
            to remove nothing succeeds on a full disk, too.
    """

    worked: bool = True


class Outages:
    """Turns an engine's errors into `StateError`, and logs the begin and the end of an outage.

    After an error that took longer than `SLOW_SECONDS` all calls fail at once for `PAUSE_SECONDS`, so that not every
    call of every viewer waits for an engine that hangs.

    Args:
        kinds: the engine's errors.
        explain: returns the meaning of such an error.
        independent: operations that continue while another one hangs. If one of them hangs, all calls pause.
    """

    def __init__(
        self,
        kinds: tuple[type[Exception], ...],
        explain: Callable[[Exception], StateError],
        *,
        independent: frozenset[Operation] = frozenset(),
    ) -> None:
        self._kinds = kinds
        self._explain = explain
        self._independent = independent
        self._failing: set[Operation] = set()
        self._lock = threading.Lock()
        self._paused_until: dict[Operation, float] = {}

    @contextmanager
    def watch(self, operation: Operation, *, silent: type[StateError] | None = None) -> Iterator[Call]:
        """Run one call of the engine.

        Args:
            operation: its kind.
            silent: errors that are not logged here, because the caller reports them.
        """
        begun = time.monotonic()
        if begun < self._paused_until.get(operation, 0.0):
            raise StateError("did not answer a moment ago; not tried again yet")
        call = Call()
        try:
            yield call
        except self._kinds as error:
            if time.monotonic() - begun > SLOW_SECONDS:
                spared = frozenset() if operation in self._independent else self._independent
                self._paused_until |= dict.fromkeys(_ALL - spared, time.monotonic() + PAUSE_SECONDS)
            explained = self._explain(error)
            if silent is None or not isinstance(explained, silent):
                self._begin(operation, explained)
            raise explained from None
        if call.worked and operation in self._failing:
            self._end(operation)

    def _begin(self, operation: Operation, error: StateError) -> None:
        with self._lock:
            is_new = operation not in self._failing
            self._failing.add(operation)
        if is_new:
            log.error("State: %s fails: %s", operation, error)

    def _end(self, operation: Operation) -> None:
        with self._lock:
            is_over = operation in self._failing
            self._failing.discard(operation)
        if is_over:
            log.warning("State: %s works again", operation)

"""What happens when an engine fails: one kind of error, one line in the log, and no queue of people who wait."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, get_args

from integrations.state import StateError

log = logging.getLogger(__name__)

SLOW_SECONDS: Final = 0.2
"""Less than any time-out of an engine."""

PAUSE_SECONDS: Final = 1.0

Doing = Literal["reading", "writing", "removing", "locking"]
"""On a full disk one works and another fails, so each has its own beginning and end in the log."""

_ALL: Final[frozenset[Doing]] = frozenset(get_args(Doing))


class Outages:
    """Turns an engine's errors into `StateError` and logs when an outage begins and when it ends.

    After an error that took longer than `SLOW_SECONDS`, all calls fail at once for `PAUSE_SECONDS`: something that
    hangs is waited for once, and not by every call of every viewer.

    Args:
        kinds: the engine's errors.
        explain: says what one of them means.
        apart: what goes on while something else hangs. Where it hangs itself, all calls wait.
    """

    def __init__(
        self,
        kinds: tuple[type[Exception], ...],
        explain: Callable[[Exception], StateError],
        *,
        apart: frozenset[Doing] = frozenset(),
    ) -> None:
        self._kinds = kinds
        self._explain = explain
        self._apart = apart
        self._failing: set[Doing] = set()
        self._lock = threading.Lock()
        self._paused_until: dict[Doing, float] = {}

    @contextmanager
    def watch(self, doing: Doing, *, untold: type[StateError] | None = None) -> Iterator[None]:
        """Run one call of the engine.

        Args:
            doing: its kind.
            untold: what the caller itself tells the operator, and the log need not.
        """
        begun = time.monotonic()
        if begun < self._paused_until.get(doing, 0.0):
            raise StateError("did not answer a moment ago; not tried again yet")
        try:
            yield
        except self._kinds as error:
            if time.monotonic() - begun > SLOW_SECONDS:
                spared = frozenset() if doing in self._apart else self._apart
                self._paused_until |= dict.fromkeys(_ALL - spared, time.monotonic() + PAUSE_SECONDS)
            explained = self._explain(error)
            if untold is not None and isinstance(explained, untold):
                raise explained from None
            with self._lock:
                is_new = doing not in self._failing
                self._failing.add(doing)
            if is_new:
                log.error("State: %s fails: %s", doing, explained)  # noqa: TRY400 - the text is the message
            raise explained from None
        if doing in self._failing:  # without the lock, which nearly every call is spared
            with self._lock:
                is_over = doing in self._failing
                self._failing.discard(doing)
            if is_over:
                log.warning("State: %s works again", doing)

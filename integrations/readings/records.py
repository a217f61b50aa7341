"""What is known of each provider: in this process, and in the state, which keeps one record for each.

A record tells what the last fetch gave, the last good one, and until when nobody asks again. Where the state cannot be
used, each process goes on with what it knows.
"""

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from integrations import accounts
from integrations.background import in_thread
from integrations.providers.base import Provider
from integrations.quota.errors import ErrorCode
from integrations.readings import fetch
from integrations.settings import panel_settings
from integrations.state import StateError, recent, state

FAILURE_TTL: Final = timedelta(seconds=15)
"""How long a failure is served before the next visit asks again."""

CLICK_PAUSE: Final = timedelta(seconds=2)
"""A click on Refresh or Retry asks nothing this soon after the last fetch."""

_SKEW: Final = timedelta(seconds=10)
"""How far the clocks of several machines may differ."""

_KEPT_SECONDS: Final = 30 * 86_400.0

_SHAPE: Final = 1
"""To be counted up with every change of `Record`: a record of another shape is not read."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a provider after a fetch.

    Attributes:
        number: of the fetch; a later one has a higher number, in whatever process it was made.
        last: what the fetch gave.
        last_good: what the last good one gave, perhaps the same.
        rests_until: before this moment nobody asks again.
    """

    number: int
    last: fetch.Outcome
    last_good: fetch.Outcome | None
    rests_until: datetime


RECORD: Final = TypeAdapter(Record)


@dataclass(frozen=True, slots=True)
class Fetch:
    """A fetch in the background: when it began, by the monotonic clock, and what it gives."""

    began: float
    result: Future[fetch.Readings]


@dataclass
class Entry:
    """One provider's record, as this process knows it and as the state has it."""

    key: str
    provider: Provider[Any]
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while this process asks, so that it waits in the state once and not for every viewer."""
    known: Record | None = None
    read: str | None = None
    """The state's text that was parsed last: it is mostly the same."""
    recent_until: float = -math.inf
    """Until this monotonic time what was read last may be shown."""
    clicked: int | None = None
    """The number of the record that was known when a click here last asked for the next one."""
    in_flight: Fetch | None = None
    """The latest in the background."""

    def recent_record(self) -> Record | None:
        """The record to be shown; this process's own fetches are always in it.

        It is read anew where it is no longer recent, and all accounts' records with it: a page shows them all, and
        where the state is slow it then waits for one answer and not for one a card.
        """
        if time.monotonic() >= self.recent_until:
            with _look_lock:
                if time.monotonic() >= self.recent_until:  # nobody else has read it meanwhile
                    shown = map(entry_of, accounts.current())
                    _look([self, *(entry for entry in shown if entry is not self)])
        return self.known

    def record(self) -> Record | None:
        """The latest that is known anywhere."""
        _look([self])
        return self.known

    def take_in(self, text: str | None) -> None:
        """Learn from what the state has, if anything."""
        if text is not None and text != self.read:
            with suppress(ValidationError):
                self._learn(RECORD.validate_json(text))
                self.read = text

    def _learn(self, record: Record) -> None:
        """Take the later of two records; of the same one, that whose rest a click has ended."""
        known = self.known
        if known is None or (known.number, record.rests_until) <= (record.number, known.rests_until):
            self.known = record

    def _keep(self, record: Record) -> None:
        self._learn(record)
        text = json.dumps(RECORD.dump_python(record), default=str)  # exact: a figure is no JSON number here
        with suppress(StateError):
            state().put(self.key, text, _KEPT_SECONDS)

    def ask(self, number: int) -> Record:
        """The record of this number or a later one; fetches where there is none yet.

        Whoever calls knows a recent record.
        """
        found = self.known
        if found is not None and found.number >= number:
            return found
        seconds = panel_settings().deadline_seconds + 1  # longer than another's fetch may take
        with self.lock, self._exclusive(seconds) as mine:
            found = self.record()
            if found is not None and found.number >= number:
                return found
            if not mine:
                made = self._record(
                    fetch.Outcome(datetime.now(UTC), failure=fetch.Failure(ErrorCode.TIMEOUT))
                )
                self._learn(made)
                return made
            if found is not None and found.number == self.clicked:
                # Should this process end before it has an answer, another one asks in its place.
                self._keep(replace(found, rests_until=datetime.now(UTC)))
            made = self._record(fetch.fetch(self.provider))
            self._keep(made)
            return made

    def _record(self, outcome: fetch.Outcome) -> Record:
        before = self.known
        number = max(time.time_ns(), before.number + 1 if before else 1)
        if outcome.failure is None:
            ttl = timedelta(seconds=panel_settings().cache_ttl_seconds)
            return Record(number, outcome, outcome, self._repeatable_at(outcome, ttl))
        last_good = before.last_good if before else None
        return Record(number, outcome, last_good, self._repeatable_at(outcome, FAILURE_TTL))

    def _repeatable_at(self, outcome: fetch.Outcome, pause: timedelta) -> datetime:
        """When the provider may be asked again: after this pause, and no more often than its readings may be taken."""
        return outcome.repeatable_at(max(pause, self.provider.every or pause))

    def click_allowed_at(self, record: Record) -> datetime:
        """When a click may have the provider asked again after this record's fetch."""
        return self._repeatable_at(record.last, CLICK_PAUSE)

    def is_resting(self, record: Record) -> bool:
        """Whether nobody need ask for a later record than this one."""
        # A fetch that lies in the future means that the clock was set back: then the rest is over.
        in_time = record.last.at - _SKEW <= datetime.now(UTC) < record.rests_until
        return in_time and record.number != self.clicked

    def wanted(self) -> int:
        """The least number of a record that may be shown: the known one's, or the next where nobody need rest."""
        known = self.known
        if known is None:
            return 1
        return known.number if self.is_resting(known) else known.number + 1

    def click(self) -> None:
        """Want the next record, where a click may have the provider asked.

        `ask` still shares what another process has fetched meanwhile: it looks for a later record before it asks.
        """
        found = self.recent_record()
        if found is not None and self.click_allowed_at(found) <= datetime.now(UTC):
            self.clicked = found.number

    def fetch_in_background(self, work: Callable[[], fetch.Readings]) -> None:
        """Begin it, unless the latest in the background has not ended."""
        with _entries_lock:
            if self.in_flight is None or self.in_flight.result.done():
                result = in_thread(work, name=f"fetch {self.provider.label}")
                self.in_flight = Fetch(time.monotonic(), result)

    @contextmanager
    def _exclusive(self, seconds: float) -> Iterator[bool]:
        """Whether no other process asks meanwhile; without a state there is no telling, and this one asks."""
        with ExitStack() as stack:
            mine = True
            with suppress(StateError):
                mine = stack.enter_context(state().lock(self.key, wait=seconds))
            yield mine


_entries: Final[dict[str, Entry]] = {}
_entries_lock: Final = threading.Lock()
_look_lock: Final = threading.Lock()
"""Held while records are read to be shown, so that whoever comes meanwhile shares what is read."""


def _look(entries: Sequence[Entry]) -> None:
    """Read these records from the state, all at once."""
    began = time.monotonic()
    texts: dict[str, str] = {}
    with suppress(StateError):
        texts = state().get_many([entry.key for entry in entries])
    for entry in entries:
        entry.take_in(texts.get(entry.key))
        entry.recent_until = recent.good_until(began)


def entry_of(provider: Provider[Any]) -> Entry:
    """The entry of this provider with its settings of now."""
    panel = panel_settings()
    # A reading of another key, address, total or threshold is another account's.
    key = f"reading-{_SHAPE}:{provider.label}:{provider.identity}:{panel.warning_percent}:{panel.critical_percent}"
    with _entries_lock:
        return _entries.setdefault(key, Entry(key, provider))

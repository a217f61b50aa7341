"""Readings shared by every viewer and every endpoint call of all processes: one call to a provider at a time, and few.

The state keeps one record for each provider: what the last fetch gave, the last good one, and until when nobody asks
again. `st.cache_data` stands in front of it, by the record's number; whoever wants a later one than the last waits for
it, here or in another process, and shares what it gives. Anybody can empty Streamlit's cache from a browser's console:
the record stays, so nobody is asked sooner. Where the state cannot be used, each process goes on with what it knows.
Whoever calls must have checked the viewer's permission before.
"""

import json
import math
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any, Final

import streamlit as st
from pydantic import TypeAdapter, ValidationError

from integrations import accounts, service
from integrations.background import in_thread
from integrations.errors import ErrorCode
from integrations.models import UsageReport
from integrations.providers.base import Provider
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
"""To be counted up with every change of `_Record`: a record of another shape is not read."""

Readings = service.Readings


@dataclass(frozen=True, slots=True)
class _Record:
    """What is known of a provider after a fetch.

    Attributes:
        number: of the fetch; a later one has a higher number, in whatever process it was made.
        last: what the fetch gave.
        last_good: what the last good one gave, perhaps the same.
        rests_until: before this moment nobody asks again.
    """

    number: int
    last: service.Outcome
    last_good: service.Outcome | None
    rests_until: datetime


_RECORD: Final = TypeAdapter(_Record)


@dataclass(frozen=True, slots=True)
class _Fetch:
    """A fetch in the background: when it began, by the monotonic clock, and what it gives."""

    began: float
    result: Future[Readings]


@dataclass
class _Entry:
    """One provider's record, as this process knows it and as the state has it."""

    key: str
    provider: Provider[Any]
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while this process asks, so that it waits in the state once and not for every viewer."""
    known: _Record | None = None
    read: str | None = None
    """The state's text that was parsed last: it is mostly the same."""
    recent_until: float = -math.inf
    """Until this monotonic time what was read last may be shown."""
    clicked: int | None = None
    """The number of the record that was known when a click here last asked for the next one."""
    fetch: _Fetch | None = None
    """The latest in the background."""

    def recent_record(self) -> _Record | None:
        """The record to be shown; this process's own fetches are always in it.

        It is read anew where it is no longer recent, and all accounts' records with it: a page shows them all, and
        where the state is slow it then waits for one answer and not for one a card.
        """
        if time.monotonic() >= self.recent_until:
            with _look_lock:
                if time.monotonic() >= self.recent_until:  # nobody else has read it meanwhile
                    shown = map(_entry, accounts.current())
                    _look([self, *(entry for entry in shown if entry is not self)])
        return self.known

    def record(self) -> _Record | None:
        """The latest that is known anywhere."""
        _look([self])
        return self.known

    def take_in(self, text: str | None) -> None:
        """Learn from what the state has, if anything."""
        if text is not None and text != self.read:
            with suppress(ValidationError):
                self._learn(_RECORD.validate_json(text))
                self.read = text

    def _learn(self, record: _Record) -> None:
        """Take the later of two records."""
        if self.known is None or self.known.number < record.number:
            self.known = record

    def _keep(self, record: _Record) -> None:
        self._learn(record)
        text = json.dumps(_RECORD.dump_python(record), default=str)  # exact: a figure is no JSON number here
        with suppress(StateError):
            state().put(self.key, text, _KEPT_SECONDS)

    def ask(self, number: int) -> _Record:
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
                    service.Outcome(datetime.now(UTC), failure=service.Failure(ErrorCode.TIMEOUT))
                )
                self._learn(made)
                return made
            made = self._record(service.fetch(self.provider))
            self._keep(made)
            return made

    def _record(self, outcome: service.Outcome) -> _Record:
        before = self.known
        number = max(time.time_ns(), before.number + 1 if before else 1)
        if outcome.failure is None:
            ttl = timedelta(seconds=panel_settings().cache_ttl_seconds)
            return _Record(number, outcome, outcome, self._repeatable_at(outcome, ttl))
        last_good = before.last_good if before else None
        return _Record(number, outcome, last_good, self._repeatable_at(outcome, FAILURE_TTL))

    def _repeatable_at(self, outcome: service.Outcome, pause: timedelta) -> datetime:
        """When the provider may be asked again: after this pause, and no more often than its readings may be taken."""
        return outcome.repeatable_at(max(pause, self.provider.every or pause))

    def click_allowed_at(self, record: _Record) -> datetime:
        """When a click may have the provider asked again after this record's fetch."""
        return self._repeatable_at(record.last, CLICK_PAUSE)

    def is_resting(self, record: _Record) -> bool:
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

    @contextmanager
    def _exclusive(self, seconds: float) -> Iterator[bool]:
        """Whether no other process asks meanwhile; without a state there is no telling, and this one asks."""
        with ExitStack() as stack:
            mine = True
            with suppress(StateError):
                mine = stack.enter_context(state().lock(self.key, wait=seconds))
            yield mine


_entries: Final[dict[str, _Entry]] = {}
_entries_lock: Final = threading.Lock()
_look_lock: Final = threading.Lock()
"""Held while records are read to be shown, so that whoever comes meanwhile shares what is read."""


def _look(entries: Sequence[_Entry]) -> None:
    """Read these records from the state, all at once."""
    began = time.monotonic()
    texts: dict[str, str] = {}
    with suppress(StateError):
        texts = state().get_many([entry.key for entry in entries])
    for entry in entries:
        entry.take_in(texts.get(entry.key))
        entry.recent_until = recent.good_until(began)


def _entry(provider: Provider[Any]) -> _Entry:
    panel = panel_settings()
    # A reading of another key, address, total or threshold is another account's.
    key = f"reading-{_SHAPE}:{provider.label}:{provider.identity}:{panel.warning_percent}:{panel.critical_percent}"
    with _entries_lock:
        return _entries.setdefault(key, _Entry(key, provider))


def _wanted(provider: Provider[Any]) -> tuple[_Entry, int]:
    """The entry, and the least number of a record of it that may be shown now."""
    if is_due(provider):
        provider.look_for_keys()
    entry = _entry(provider)
    if not is_due(provider):
        entry.record()  # somebody may have clicked elsewhere; where it is due, `ask` looks before it asks
    return entry, entry.wanted()


def _readings(provider: Provider[Any], record: _Record) -> Readings:
    return service.readings_of(provider, record.last, record.last_good)


def _ask(key: str, number: int, _entry: _Entry) -> _Record:
    del key  # Streamlit tells records apart by it and the number; what begins with an underscore it ignores
    return _entry.ask(number)


@cache
def _records() -> Any:  # noqa: ANN401 - Streamlit's own type of a cached function
    ttl = timedelta(seconds=panel_settings().cache_ttl_seconds)
    return st.cache_data(ttl=ttl, max_entries=1000, show_spinner=False)(_ask)


def current(provider: Provider[Any]) -> Readings:
    """A provider's readings; asks it where what is kept has run out.

    Takes one deadline at the most, or two where another process is killed while it asks and the provider hangs.
    """
    entry, number = _wanted(provider)
    return _readings(provider, _records()(entry.key, number, entry))


def current_for_command(provider: Provider[Any]) -> Readings:
    """`current` in a process that serves nobody, and so has no Streamlit cache."""
    entry, number = _wanted(provider)
    return _readings(provider, entry.ask(number))


def begin_fetch(provider: Provider[Any]) -> None:
    """Have a provider asked in the background if it is due, once for all in this process who want it."""
    if not is_due(provider):
        return
    provider.look_for_keys()
    entry = _entry(provider)
    with _entries_lock:
        if entry.fetch is None or entry.fetch.result.done():
            result = in_thread(partial(current, provider), name=f"fetch {provider.label}")
            entry.fetch = _Fetch(time.monotonic(), result)


def is_fetching(provider: Provider[Any], *, younger_than: float = math.inf) -> bool:
    """Whether a fetch in the background has not ended, which began less than so many seconds ago."""
    fetch = _entry(provider).fetch
    return fetch is not None and not fetch.result.done() and time.monotonic() - fetch.began < younger_than


def wait_for_fetch(provider: Provider[Any], *, seconds: float) -> None:
    """Wait for the fetch in the background until it ends, or until that many seconds after it began."""
    fetch = _entry(provider).fetch
    if fetch is not None and wait([fetch.result], fetch.began + seconds - time.monotonic()).done:
        fetch.result.result()  # raises what it raised, which is a defect of ours


def latest(provider: Provider[Any]) -> Readings:
    """The readings of the last fetch, however old. Asks the provider only where there was none."""
    return known(provider) or current(provider)


def known(provider: Provider[Any]) -> Readings:
    """`latest`, but nothing where there was no fetch yet. Never asks and never waits."""
    record = _entry(provider).recent_record()
    return () if record is None else _readings(provider, record)


def is_due(provider: Provider[Any]) -> bool:
    """Whether `current` would ask the provider, or wait for somebody who asks it."""
    entry = _entry(provider)
    record = entry.recent_record()
    return record is None or not entry.is_resting(record)


def rests_until(provider: Provider[Any]) -> datetime | None:
    """Until when no click has the provider asked, where its readings may be taken only so often; None if one may."""
    entry = _entry(provider)
    record = entry.recent_record() if provider.every else None
    if record is None:
        return None
    allowed_at = entry.click_allowed_at(record)
    return allowed_at if allowed_at > datetime.now(UTC) else None


def refresh(*providers: Provider[Any]) -> None:
    """Let the next `current` of each ask anew in this process, unless the provider must be left alone."""
    for provider in providers:
        _entry(provider).click()


def current_of_all(providers: Iterable[Provider[Any]] | None = None) -> UsageReport:
    """`current` for every provider, side by side, in their order."""
    return service.get_all_integrations_usage(providers, read=current)

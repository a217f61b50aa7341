"""Shares each provider's readings among all viewers and processes: one call at a time, and few of them.

The state keeps one record for each provider: what the last fetch gave, the last good one, and when the next fetch may
start. If the state cannot be used, each process goes on with its own copy. Callers check the viewer's permission first.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, ClassVar, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from integrations import accounts
from integrations.background import in_thread
from integrations.providers.base import Provider
from integrations.quota.errors import ErrorCode, Status
from integrations.quota.models import UsageReport
from integrations.readings import fetch
from integrations.readings.fetch import Failure, Outcome, Readings
from integrations.settings import panel_settings
from integrations.state import StateError, state

log = logging.getLogger(__name__)

FAILURE_TTL: Final = timedelta(seconds=15)
"""How long a failure is served before the next visit fetches again."""

CLICK_PAUSE: Final = timedelta(seconds=2)
"""A click on Refresh or Retry this soon after the last fetch starts none."""

_CLOCK_SKEW: Final = timedelta(seconds=10)
"""How far the clocks of several machines may differ."""

_KEPT_SECONDS: Final = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Record:
    """The result of a provider's last fetch, as the state keeps it.

    Attributes:
        identity: of the account that was read: a record of other keys, totals or thresholds is not shown.
        number: of the fetch; increases from fetch to fetch, whichever process made it.
        last: what the last fetch gave.
        last_good: the last good readings: the last fetch's, and earlier ones of quotas that failed in it.
        next_fetch_at: before this moment nothing but a click starts the next fetch.
        failing_since: the first failure since the last success; None after a success.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")  # a record of another version is not read

    identity: str
    number: int
    last: Outcome
    last_good: Outcome | None
    next_fetch_at: datetime
    failing_since: datetime | None = None


RECORD: Final = TypeAdapter(Record)


class CachedReadings:
    """One provider's latest record, in this process and in the state; `of` returns the only instance."""

    def __init__(self, provider: Provider[Any]) -> None:
        self.provider = provider
        self.key = f"reading:{provider.label}"
        self._fetching = (
            threading.Lock()
        )  # one thread of this process waits for the state's lock, not each viewer
        self._starting = threading.Lock()
        self._newest: Record | None = None
        self._parsed: str | None = None
        self._refresh_requested: int | None = None
        self._in_flight: Future[None] | None = None

    @property
    def identity(self) -> str:
        """What the figures and their levels depend on."""
        settings = panel_settings()
        return f"{self.provider.identity}:{settings.warning_percent}:{settings.critical_percent}"

    @property
    def record(self) -> Record | None:
        """The latest known record of this account; `reload` first to learn what other processes wrote."""
        record = self._newest
        return record if record is not None and record.identity == self.identity else None

    @property
    def readings(self) -> Readings:
        """The readings to show now, however old; none before the first fetch."""
        record = self.record
        return () if record is None else fetch.visible_readings(self.provider, record.last, record.last_good)

    @property
    def is_due(self) -> bool:
        """Whether the next visit starts a fetch."""
        record = self.record
        return record is None or not self._is_fresh(record)

    def _is_fresh(self, record: Record) -> bool:
        # A fetch in the future means that the clock was set back.
        in_time = record.last.at - _CLOCK_SKEW <= datetime.now(UTC) < record.next_fetch_at
        return in_time and record.number != self._refresh_requested

    @property
    def required_number(self) -> int:
        """The lowest record number that is still fresh: the known one's, or the next."""
        record = self.record
        if record is None:
            return 1
        return record.number if self._is_fresh(record) else record.number + 1

    @property
    def manual_refresh_allowed_at(self) -> datetime | None:
        """When a click may refresh a provider that has `every`; None: now."""
        record = self.record if self.provider.every else None
        if record is None:
            return None
        allowed_at = self._repeatable_at(record.last, CLICK_PAUSE)
        return allowed_at if allowed_at > datetime.now(UTC) else None

    @property
    def is_retry_due(self) -> bool:
        """Whether an open page may call the provider again after a failure that passes without help.

        The pauses grow with the failure's age, up to the time for which a good reading is served.
        """
        record = self.record
        if record is None or record.failing_since is None or record.last.failure is None:
            return False
        pause = min(
            record.last.at - record.failing_since, timedelta(seconds=panel_settings().cache_ttl_seconds)
        )
        retry_at = max(record.next_fetch_at, record.last.at + pause)
        return record.last.failure.code.status is Status.UNAVAILABLE and datetime.now(UTC) >= retry_at

    def request_refresh(self) -> None:
        """Start a fetch for a click, unless it comes too early; it shares what another process has just fetched."""
        record = self.record
        if record is not None and self._repeatable_at(record.last, CLICK_PAUSE) <= datetime.now(UTC):
            self._refresh_requested = record.number
        self.start_fetch()

    def start_fetch(self) -> Future[None] | None:
        """Start a fetch in the background if one is due and none is running; return the one that is running.

        The future raises only on a defect of ours, which the log has, too.
        """
        if not self.is_due:
            return self.in_flight()
        with self._starting:
            if self.in_flight() is None:
                self._in_flight = in_thread(self._fetch, name=f"refresh {self.provider.label}")
                self._in_flight.add_done_callback(_log_defect)
            return self._in_flight

    def in_flight(self) -> Future[None] | None:
        """Return the fetch in the background that has not ended, if any."""
        future = self._in_flight
        return None if future is None or future.done() else future

    def _fetch(self) -> None:
        self._keep_newer(_through_streamlit()(f"{self.key}:{self.identity}", self.required_number, self))

    def get_or_fetch(self) -> Readings:
        """Return fresh readings, without Streamlit: for a command.

        Takes at most one deadline, or two if another process is killed while it fetches and the provider hangs.
        """
        reload([self])
        self.fetch_at_least(self.required_number)
        return self.readings

    def fetch_at_least(self, number: int) -> Record:
        """Return the record of this number or a later one; fetch if there is none yet."""
        found = self.record
        if found is not None and found.number >= number:
            return found
        seconds = panel_settings().deadline_seconds + 1  # longer than a fetch of another process may take
        with self._fetching, self._exclusive(seconds) as is_exclusive:
            reload([self])
            found = self.record
            if found is not None and found.number >= number:
                return found
            if not is_exclusive:
                late = self._next_record(Outcome(datetime.now(UTC), failure=Failure(ErrorCode.TIMEOUT)))
                self._keep_newer(late)
                return late
            if found is not None and found.number == self._refresh_requested:
                # If this process is killed before it has the answer, another process fetches instead.
                self._save(replace(found, next_fetch_at=datetime.now(UTC)))
            self.provider.reload_missing_keys()
            record = self._next_record(fetch.fetch(self.provider))
            self._save(record)
            return record

    @contextmanager
    def _exclusive(self, seconds: float) -> Iterator[bool]:
        """Hold the state's lock; yield whether it was acquired. Without a state, processes fetch independently."""
        with ExitStack() as stack:
            is_exclusive = True
            with suppress(StateError):
                is_exclusive = stack.enter_context(state().lock(self.key, wait=seconds))
            yield is_exclusive

    def _next_record(self, outcome: Outcome) -> Record:
        number = max(time.time_ns(), self._newest.number + 1 if self._newest else 1)
        last_good = self.record.last_good if self.record else None
        if outcome.failure is None:
            ttl = timedelta(seconds=panel_settings().cache_ttl_seconds)
            good = outcome.with_last_good(last_good)
            return Record(self.identity, number, outcome, good, self._repeatable_at(outcome, ttl))
        repeatable_at = self._repeatable_at(outcome, FAILURE_TTL)
        failing_since = self.record.failing_since if self.record else None
        return Record(self.identity, number, outcome, last_good, repeatable_at, failing_since or outcome.at)

    def _repeatable_at(self, outcome: Outcome, pause: timedelta) -> datetime:
        """Return when to fetch again: after the pause, after `every`, and after the time that the provider named."""
        return outcome.repeatable_at(max(pause, self.provider.every or pause))

    def update_from_json(self, text: str | None) -> None:
        """Learn from the state's text, if it is a newer record of this account."""
        if text is None or text == self._parsed:
            return
        with suppress(ValidationError):
            record = RECORD.validate_json(text)
            self._parsed = text
            if record.identity == self.identity:
                self._keep_newer(record)

    def _keep_newer(self, record: Record) -> None:
        """Keep the newer record; of two copies of one record, the one with the earlier `next_fetch_at`."""
        known = self.record
        if known is None or (known.number, record.next_fetch_at) <= (record.number, known.next_fetch_at):
            self._newest = record
            fetch.outages.end_all(self.provider.label, record.last)

    def _save(self, record: Record) -> None:
        self._keep_newer(record)
        text = json.dumps(
            RECORD.dump_python(record), default=str
        )  # exact: JSON numbers would round the figures
        with suppress(StateError):
            state().put(self.key, text, _KEPT_SECONDS)


def _log_defect(fetch_: Future[None]) -> None:
    if (error := fetch_.exception()) is not None:
        log.error("A fetch failed", exc_info=error)


def _fetch_at_least(key: str, number: int, _cached: CachedReadings) -> Record:
    del key  # part of Streamlit's cache key, like the number; parameters with an underscore are not
    return _cached.fetch_at_least(number)


@cache
def _through_streamlit() -> Callable[[str, int, CachedReadings], Record]:
    """Return the fetch behind `st.cache_data`; clearing that cache from a browser asks no provider sooner."""
    import streamlit as st

    ttl = timedelta(seconds=panel_settings().cache_ttl_seconds)
    cached: Callable[[str, int, CachedReadings], Record] = st.cache_data(
        ttl=ttl, max_entries=1000, show_spinner=False
    )(_fetch_at_least)
    return cached


_by_label: Final[dict[str, CachedReadings]] = {}
_by_label_lock: Final = threading.Lock()


def of(provider: Provider[Any]) -> CachedReadings:
    """Return the readings of a provider that this process shares."""
    with _by_label_lock:
        found = _by_label.get(provider.label)
        if found is None or found.provider.identity != provider.identity:
            found = _by_label[provider.label] = CachedReadings(provider)
        return found


def of_all(providers: Iterable[Provider[Any]] | None = None) -> list[CachedReadings]:
    """Return the readings of these providers, or of every account, reloaded from the state in one call."""
    cached = [of(provider) for provider in (accounts.current() if providers is None else providers)]
    reload(cached)
    return cached


def reload(cached: Iterable[CachedReadings]) -> None:
    """Learn what other processes wrote into the state, in one call."""
    by_key = {one.key: one for one in cached}
    with suppress(StateError):
        for key, text in state().get_many(list(by_key)).items():
            by_key[key].update_from_json(text)


def start_all(providers: Iterable[Provider[Any]] | None = None) -> list[Future[None]]:
    """Start a fetch of each provider that is due; return all fetches that are running."""
    return [future for one in of_all(providers) if (future := one.start_fetch()) is not None]


def report(providers: Iterable[Provider[Any]] | None = None) -> UsageReport:
    """Return the readings that this process knows, in the order of the accounts."""
    chosen = accounts.current() if providers is None else providers
    return UsageReport(integrations=tuple(reading for one in chosen for reading in of(one).readings))


def fresh_report(providers: Iterable[Provider[Any]] | None = None) -> UsageReport:
    """Return fresh readings of each provider; waits for the fetches that are due, at most two deadlines."""
    chosen = accounts.current() if providers is None else tuple(providers)
    for future in wait(start_all(chosen)).done:
        future.result()  # raises a defect of ours
    return report(chosen)


def reset() -> None:
    """Forget everything, as a new process; for tests."""
    _by_label.clear()
    _through_streamlit.cache_clear()

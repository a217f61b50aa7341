"""Readings shared by every viewer and every endpoint call: one call to a provider at a time, and few of them.

`st.cache_data` keeps good readings for the TTL. It keeps nothing that failed, and anybody can empty it from a browser's
console; so beside it stands one entry for each provider, with what the last fetch gave, the last good one, and until
when nobody asks again. All of it lives in the process. Whoever calls must have checked the viewer's permission before.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

import streamlit as st

from integrations import accounts, service
from integrations.models import Reading, UsageReport
from integrations.providers.base import Provider
from integrations.settings import panel_settings

FAILURE_TTL: Final = timedelta(seconds=15)
"""How long a failure is served before the next visit asks again."""

CLICK_PAUSE: Final = timedelta(seconds=2)
"""A click on Refresh or Retry asks nothing this soon after the last fetch."""

Readings = tuple[Reading, ...]
"""A provider's readings: one, or one for each of its quotas."""


class _FailedError(Exception):
    """The fetch failed: `st.cache_data` does not keep what raises."""


@dataclass(frozen=True, slots=True)
class _Record:
    """What is known of a provider after a fetch.

    Attributes:
        last: what the fetch gave.
        last_good: what the last good one gave, perhaps the same.
        rests_until: before this moment nobody asks again.
    """

    last: service.Outcome
    last_good: service.Outcome | None
    rests_until: datetime

    def is_resting(self, now: datetime) -> bool:
        # A fetch that lies in the future means that the clock was set back: then the rest is over.
        return self.last.at <= now < self.rests_until


@dataclass
class _Entry:
    """One provider's record, and the lock that is held while the provider is asked."""

    provider: Provider[Any]
    lock: threading.Lock = field(default_factory=threading.Lock)
    record: _Record | None = None

    def ask(self) -> service.Outcome:
        """What the last fetch gave; makes one, unless the provider rests. Those who wait for it share what it gives."""
        with self.lock:
            if self.record is None or not self.record.is_resting(datetime.now(UTC)):
                self.record = self._fetch()
            return self.record.last

    def _fetch(self) -> _Record:
        outcome = service.fetch(self.provider)
        if outcome.failure is None:
            ttl = timedelta(seconds=panel_settings().cache_ttl_seconds)
            return _Record(outcome, outcome, self._repeatable_at(outcome, ttl))
        last_good = self.record.last_good if self.record else None
        return _Record(outcome, last_good, self._repeatable_at(outcome, FAILURE_TTL))

    def _repeatable_at(self, outcome: service.Outcome, pause: timedelta) -> datetime:
        """When the provider may be asked again: after this pause, and no more often than its readings may be taken."""
        return outcome.repeatable_at(max(pause, self.provider.every or pause))

    def click_allowed_at(self) -> datetime | None:
        """When a click may have the provider asked; None where it was never asked."""
        return None if self.record is None else self._repeatable_at(self.record.last, CLICK_PAUSE)

    def end_rest(self) -> None:
        """Let the next visit ask, where a click may cause it."""
        if not self.lock.acquire(blocking=False):
            return  # it is being asked right now
        try:
            now = datetime.now(UTC)
            allowed_at = self.click_allowed_at()
            if self.record is not None and allowed_at is not None and now >= allowed_at:
                self.record = replace(self.record, rests_until=now)
                _good().clear(self.provider.label, self)
        finally:
            self.lock.release()


_entries: Final[dict[str, _Entry]] = {}
_entries_lock: Final = threading.Lock()


def _entry(provider: Provider[Any]) -> _Entry:
    with _entries_lock:
        entry = _entries.setdefault(provider.label, _Entry(provider))
        entry.provider = provider  # another list of accounts may have another one of the same name
        return entry


def _ask(label: str, _entry: _Entry) -> Readings:
    del label  # the key; Streamlit does not hash an argument that begins with an underscore
    outcome = _entry.ask()
    if outcome.failure is not None:
        raise _FailedError
    return outcome.readings


@cache
def _good() -> Any:  # noqa: ANN401 - Streamlit's own type of a cached function
    ttl = timedelta(seconds=panel_settings().cache_ttl_seconds)
    return st.cache_data(ttl=ttl, show_spinner=False)(_ask)


def current(provider: Provider[Any]) -> Readings:
    """A provider's readings; asks it where what is kept has run out. Takes one deadline at the most."""
    entry = _entry(provider)
    try:
        readings: Readings = _good()(provider.label, entry)
    except _FailedError:
        return latest(provider)
    return readings


def latest(provider: Provider[Any]) -> Readings:
    """The readings of the last fetch, however old. Asks the provider only where there was none."""
    record = _entry(provider).record
    if record is None:
        return current(provider)
    return service.readings_of(provider, record.last, record.last_good)


def rests_until(provider: Provider[Any]) -> datetime | None:
    """Until when no click has the provider asked, where its readings may be taken only so often; None if one may."""
    allowed_at = _entry(provider).click_allowed_at() if provider.every else None
    return allowed_at if allowed_at is not None and allowed_at > datetime.now(UTC) else None


def refresh(provider: Provider[Any]) -> None:
    """Let the next `current` ask anew, unless a call is under way or the provider must be left alone."""
    _entry(provider).end_rest()


def refresh_all() -> None:
    """`refresh` for every provider."""
    for provider in accounts.current():
        refresh(provider)


def current_of_all(providers: Iterable[Provider[Any]] | None = None) -> UsageReport:
    """`current` for every provider, side by side, in their order."""
    return service.get_all_integrations_usage(providers, read=current)

"""Readings shared by every viewer and every endpoint call of all processes: one call to a provider at a time, and few.

`st.cache_data` stands in front of the records, by a record's number; whoever wants a later one than the last waits for
it, here or in another process, and shares what it gives. Anybody can empty Streamlit's cache from a browser's console:
the record stays, so nobody is asked sooner. Whoever calls must have checked the viewer's permission before.
"""

import math
import time
from collections.abc import Iterable
from concurrent.futures import wait
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any

import streamlit as st

from integrations.providers.base import Provider
from integrations.quota.models import UsageReport
from integrations.readings import fetch
from integrations.readings.records import Entry, Record, entry_of
from integrations.settings import panel_settings

Readings = fetch.Readings


def _wanted(provider: Provider[Any]) -> tuple[Entry, int]:
    """The entry, and the least number of a record of it that may be shown now."""
    if is_due(provider):
        provider.look_for_keys()
    entry = entry_of(provider)
    if not is_due(provider):
        entry.record()  # somebody may have clicked elsewhere; where it is due, `ask` looks before it asks
    return entry, entry.wanted()


def _readings(provider: Provider[Any], record: Record) -> Readings:
    return fetch.readings_of(provider, record.last, record.last_good)


def _ask(key: str, number: int, _entry: Entry) -> Record:
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
    entry_of(provider).fetch_in_background(partial(current, provider))


def is_fetching(provider: Provider[Any], *, younger_than: float = math.inf) -> bool:
    """Whether a fetch in the background has not ended, which began less than so many seconds ago."""
    fetch = entry_of(provider).in_flight
    return fetch is not None and not fetch.result.done() and time.monotonic() - fetch.began < younger_than


def wait_for_fetch(provider: Provider[Any], *, seconds: float) -> None:
    """Wait for the fetch in the background until it ends, or until that many seconds after it began."""
    fetch = entry_of(provider).in_flight
    if fetch is not None and wait([fetch.result], fetch.began + seconds - time.monotonic()).done:
        fetch.result.result()  # raises what it raised, which is a defect of ours


def latest(provider: Provider[Any]) -> Readings:
    """The readings of the last fetch, however old. Asks the provider only where there was none."""
    return known(provider) or current(provider)


def known(provider: Provider[Any]) -> Readings:
    """`latest`, but nothing where there was no fetch yet. Never asks and never waits."""
    record = entry_of(provider).recent_record()
    return () if record is None else _readings(provider, record)


def is_due(provider: Provider[Any]) -> bool:
    """Whether `current` would ask the provider, or wait for somebody who asks it."""
    entry = entry_of(provider)
    record = entry.recent_record()
    return record is None or not entry.is_resting(record)


def rests_until(provider: Provider[Any]) -> datetime | None:
    """Until when no click has the provider asked, where its readings may be taken only so often; None if one may."""
    entry = entry_of(provider)
    record = entry.recent_record() if provider.every else None
    if record is None:
        return None
    allowed_at = entry.click_allowed_at(record)
    return allowed_at if allowed_at > datetime.now(UTC) else None


def refresh(*providers: Provider[Any]) -> None:
    """Let the next `current` of each ask anew in this process, unless the provider must be left alone."""
    for provider in providers:
        entry_of(provider).click()


def current_of_all(providers: Iterable[Provider[Any]] | None = None) -> UsageReport:
    """`current` for every provider, side by side, in their order."""
    return fetch.get_all_integrations_usage(providers, read=current)

"""Readings shared by every viewer and every endpoint call: one call to a provider at a time, and few of them.

`st.cache_data` keeps the end of each attempt for the TTL, a failure too, so that all who wait for a slow provider
share what comes. Beside it stands, for each provider, what decides when a failure is over, and the last good
reading. All of it lives in the process. Whoever calls must have checked the viewer's permission before.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

import streamlit as st

from integrations import service
from integrations.models import IntegrationsUsage, IntegrationUsage
from integrations.providers import PROVIDERS
from integrations.providers.base import Provider
from integrations.settings import panel_settings

FAILURE_TTL: Final = timedelta(seconds=15)
"""How long a failure is served before the next visit asks again."""

RETRY_PAUSE: Final = timedelta(seconds=2)
"""A person's Retry asks nothing this soon after a failed attempt."""

Readings = tuple[IntegrationUsage, ...]
"""A provider's readings: one, or one for each of its quotas."""


@dataclass
class _State:
    """What is remembered of one provider."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    """Guards the rest; held for moments."""
    flight: threading.Lock = field(default_factory=threading.Lock)
    """Held while the provider is asked."""
    attempts: int = 0
    ended: service.Attempt | None = None
    last_good: service.Attempt | None = None
    retry: bool = False
    """A person asked for another attempt: it need not wait for the end of `FAILURE_TTL`."""

    def failed_longer_ago_than(self, pause: timedelta, now: datetime) -> bool:
        """Whether the last attempt failed, its pause is over, and so is what the provider asked for."""
        if self.ended is None or self.ended.failure is None:
            return False
        retry_at = self.ended.failure.retry_at
        return now >= self.ended.at + pause and (retry_at is None or now >= retry_at)

    @property
    def failed(self) -> bool:
        return self.ended is not None and self.ended.failure is not None


_states: Final[dict[str, _State]] = {}
_states_lock: Final = threading.Lock()


def _state(provider: Provider[Any]) -> _State:
    with _states_lock:
        return _states.setdefault(provider.label, _State())


def _attempt(label: str, _provider: Provider[Any]) -> service.Attempt:
    """One attempt for all who ask meanwhile; those who come while it runs get its end, good or bad."""
    state = _states[label]
    seen = state.attempts
    with state.flight:
        with state.lock:
            shared = state.attempts != seen
            # Streamlit's cache may lose a failure before its time: by a short TTL, or by "Clear cache" in a browser.
            paused = state.failed and not (
                state.retry or state.failed_longer_ago_than(FAILURE_TTL, datetime.now(UTC))
            )
            if state.ended is not None and (shared or paused):
                return state.ended
        ended = service.attempt(_provider)
        with state.lock:
            state.attempts += 1
            state.ended = ended
            state.retry = False
            if ended.failure is None:
                state.last_good = ended
        return ended


@cache
def _attempts() -> Any:  # noqa: ANN401 - Streamlit's own type of a cached function
    ttl = timedelta(seconds=panel_settings().cache_ttl_seconds)
    return st.cache_data(ttl=ttl, show_spinner=False)(_attempt)


def current(provider: Provider[Any]) -> Readings:
    """A provider's readings; asks it where what is kept has run out. Takes one deadline at the most."""
    state = _state(provider)
    with state.lock:
        if state.failed_longer_ago_than(FAILURE_TTL, datetime.now(UTC)) and not state.flight.locked():
            _attempts().clear(provider.label, provider)
    ended: service.Attempt = _attempts()(provider.label, provider)
    return _show(provider, ended, state.last_good)


def latest(provider: Provider[Any]) -> Readings:
    """The readings of the last attempt, however old. Asks the provider only where there was none."""
    state = _state(provider)
    with state.lock:
        ended, last_good = state.ended, state.last_good
    return current(provider) if ended is None else _show(provider, ended, last_good)


def refresh(provider: Provider[Any]) -> None:
    """Let the next `current` ask anew, unless a call is under way or the provider must be left alone."""
    state = _state(provider)
    with state.lock:
        if state.flight.locked():
            return
        if not state.failed or state.failed_longer_ago_than(RETRY_PAUSE, datetime.now(UTC)):
            state.retry = True
            _attempts().clear(provider.label, provider)


def refresh_all() -> None:
    """`refresh` for every provider."""
    for provider in PROVIDERS:
        refresh(provider)


def current_of_all(providers: Iterable[Provider[Any]] | None = None) -> IntegrationsUsage:
    """`current` for every provider, side by side, in their order."""
    return _side_by_side(current, tuple(PROVIDERS if providers is None else providers))


def _side_by_side(
    read: Callable[[Provider[Any]], Readings], providers: tuple[Provider[Any], ...]
) -> IntegrationsUsage:
    if len(providers) == 1:
        return IntegrationsUsage(integrations=read(providers[0]))
    with ThreadPoolExecutor(max_workers=max(len(providers), 1), thread_name_prefix="usage") as pool:
        parts = pool.map(read, providers)
        return IntegrationsUsage(integrations=tuple(reading for part in parts for reading in part))


def _show(provider: Provider[Any], ended: service.Attempt, last_good: service.Attempt | None) -> Readings:
    if ended.failure is None:
        return ended.readings
    if last_good is None:
        return service.readings_of(provider, ended)
    error = ended.failure.to_error(provider, now=datetime.now(UTC))
    return tuple(reading.after_failure(error) for reading in last_good.readings)


def forget() -> None:
    """Drop all that is kept, as a new process does."""
    st.cache_data.clear()
    _attempts.cache_clear()
    with _states_lock:
        _states.clear()

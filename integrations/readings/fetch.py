"""Fetches a provider's figures once, within the deadline. Nothing that one provider does can affect another."""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING, Any, Final, TypeVar

import humanize

from integrations import accounts
from integrations.background import in_thread
from integrations.providers.base import Provider
from integrations.providers.imai import Imai
from integrations.quota.errors import ErrorCode, ProviderError
from integrations.quota.models import FailedQuota, Quota, Reading, UsageError, UsageReport, card_name
from integrations.quota.rules import Thresholds
from integrations.readings import traffic
from integrations.settings import panel_settings
from integrations.transport.response import MAX_RETRY_AFTER_SECONDS

if TYPE_CHECKING:
    from integrations.transport.client import Client

Result = TypeVar("Result")

Readings = tuple[Reading, ...]
"""A provider's readings: one, or one for each of its quotas."""

log = logging.getLogger(__name__)

_MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a fetch gave no figures, and until when the provider asked to be left alone."""

    code: ErrorCode
    retry_at: datetime | None = None

    def to_error(self, provider: Provider[Any], *, now: datetime) -> UsageError:
        """Return the failure as the JSON and the card show it at `now`."""
        wait = None
        seconds = None
        if self.retry_at is not None:
            seconds = max(ceil((self.retry_at - now).total_seconds()), 0)
            wait = f"in {_rounded_up(seconds)}" if seconds else "now"
        sentence = self.code.sentence(label=provider.label, key_variable=provider.key_variable, wait=wait)
        return UsageError(code=self.code, message=sentence, retry_after=seconds)


def _rounded_up(seconds: int) -> str:
    """Return a wait in words, rounded up so that a retry after it is not too early."""
    whole = seconds if seconds < _MINUTE else ceil(seconds / _MINUTE) * _MINUTE
    return humanize.naturaldelta(timedelta(seconds=whole))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one fetch: readings, some perhaps of quotas that failed; or a failure and no readings."""

    at: datetime
    readings: Readings = ()
    failure: Failure | None = None

    def with_last_good(self, before: "Outcome | None") -> "Outcome":
        """Return this outcome with the last good reading of each quota that could not be read."""
        good = {} if before is None else {reading.provider: reading for reading in before.readings}
        readings = (
            reading if reading.error is None else good.get(reading.provider, reading)
            for reading in self.readings
        )
        return replace(self, readings=tuple(readings))

    def repeatable_at(self, pause: timedelta) -> datetime:
        """Return when the provider may be called again: after this pause and after the time it named itself."""
        earliest = self.at + pause
        retry_at = self.failure.retry_at if self.failure else None
        return max(earliest, retry_at) if retry_at else earliest


def fetch(provider: Provider[Any]) -> Outcome:
    """Fetch once, and log the start, a change or the end of an outage. Never raises."""
    outcome, errors = fetch_with_errors(provider)
    outages.end_all(provider.label, outcome)
    for name, error in errors.items():
        outages.report(name, error.code, describe(provider, error))
    return outcome


def fetch_with_errors(provider: Provider[Any]) -> tuple[Outcome, dict[str, ProviderError]]:
    """Fetch once; return the outcome, and the errors by the name of the provider or quota that failed.

    Never raises, and takes at most `PANEL_DEADLINE_SECONDS`.
    """
    try:
        quotas = fetch_quotas(provider)
        now = datetime.now(UTC)
        readings = tuple(reading_of(provider, quota, at=now) for quota in quotas)
    except ProviderError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - a defect in one provider must not affect the others
        failure = ProviderError(ErrorCode.INVALID_RESPONSE, _crash_site(error))
    else:
        failed = (quota for quota in quotas if isinstance(quota, FailedQuota))
        return Outcome(now, readings), {card_name(provider.label, one.name): one.error for one in failed}
    now = datetime.now(UTC)
    outcome = Outcome(now, failure=Failure(failure.code, _retry_at(failure, now)))
    return outcome, {provider.label: failure}


def reading_of(provider: Provider[Any], quota: Quota | FailedQuota, *, at: datetime) -> Reading:
    """Return the reading of a quota that was read at this time, or that could not be read."""
    if isinstance(quota, FailedQuota):
        error = Failure(quota.error.code).to_error(provider, now=at)
        name = card_name(provider.label, quota.name)
        return Reading.without_figures(name, error, unit=quota.unit or provider.unit)
    settings = panel_settings()
    thresholds = Thresholds(warning=settings.warning_percent, critical=settings.critical_percent)
    floors = provider.floors_of(quota.name)
    return Reading.measured(provider.label, quota, at=at, thresholds=thresholds, floors=floors)


def describe(provider: Provider[Any], error: ProviderError) -> str:
    """Return a failure as a line for the log; a 404 comes with its most common cause."""
    settings = provider.settings_class
    if error.http_status != HTTPStatus.NOT_FOUND or "api_base_url" not in settings.model_fields:
        return str(error)
    return f"{error}; is {settings.variable('api_base_url')} right, path included?"


def _retry_at(failure: ProviderError, now: datetime) -> datetime | None:
    """Return until when the provider asked to be left alone, at most 15 minutes from now."""
    seconds = failure.retry_after
    if seconds is None or not seconds > 0:  # also true for NaN
        return None
    return now + timedelta(seconds=min(seconds, MAX_RETRY_AFTER_SECONDS))


def within_deadline(provider: Provider[Any], call: "Callable[[Client], Result]") -> Result:
    """Run a call in a thread of its own, cut off after `PANEL_DEADLINE_SECONDS`.

    Raises:
        ProviderError: it failed or timed out.
    """
    from integrations.transport.client import Client

    began = time.monotonic()
    http = Client(deadline=panel_settings().deadline_seconds, failure_in=provider.failure_in)
    future = in_thread(lambda: call(http), name=f"fetch {provider.label}")
    try:
        return future.result(timeout=http.remaining())
    except TimeoutError:
        raise ProviderError(ErrorCode.TIMEOUT, "deadline") from None
    finally:
        http.close()
        traffic.add(provider.label, requests=http.requests, seconds=time.monotonic() - began)


def fetch_quotas(provider: Provider[Any]) -> tuple[Quota | FailedQuota, ...]:
    """Fetch a provider's quotas now; at least one of them could be read.

    Raises:
        ProviderError: it failed or timed out, or none of its quotas could be read.
    """
    return within_deadline(provider, lambda http: _checked(provider.fetch(http)))


def _checked(fetched: object) -> tuple[Quota | FailedQuota, ...]:
    """Return a provider's result, of whatever type it is, as quotas."""
    quotas = fetched if isinstance(fetched, list | tuple) else (fetched,)
    if not quotas or not all(isinstance(quota, Quota | FailedQuota) for quota in quotas):
        raise ProviderError(ErrorCode.INVALID_RESPONSE, "the provider returned no quota")
    if all(isinstance(quota, FailedQuota) for quota in quotas):
        raise quotas[0].error
    return tuple(quotas)


def _crash_site(error: BaseException) -> str:
    """Return the type and place of a crash, without the text of the exception, which could hold anything."""
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    return f"{type(error).__name__} at {frame.f_code.co_qualname}:{line}"


@dataclass(frozen=True, slots=True)
class _Outage:
    since: datetime
    logged: set[ErrorCode]


class Outages:
    """Logs the start of an outage of a provider or quota, each new kind of failure during it, and its end."""

    def __init__(self) -> None:
        self._by_label: dict[str, _Outage] = {}
        self._lock = threading.Lock()

    def report(self, label: str, code: ErrorCode, description: str) -> None:
        """Log a failure, unless this kind of failure was logged in this outage."""
        with self._lock:
            outage = self._by_label.setdefault(label, _Outage(datetime.now(UTC), set()))
            if code in outage.logged:
                return
            outage.logged.add(code)
        log.warning("%s: no reading: %s", label, description)

    def end_all(self, label: str, outcome: Outcome) -> None:
        """End the outages of a provider and its quotas that began before this outcome, here or in another process."""
        if outcome.failure is not None:
            return
        failed = {reading.provider for reading in outcome.readings if reading.error is not None}
        for name in {label, *(reading.provider for reading in outcome.readings)} - failed:
            self._end(name, outcome.at)

    def _end(self, label: str, at: datetime) -> None:
        with self._lock:
            outage = self._by_label.get(label)
            if outage is None or at < outage.since:
                return
            del self._by_label[label]
        log.warning("%s: reading again after %s", label, humanize.naturaldelta(at - outage.since))

    def reset(self) -> None:
        """Forget all outages; for tests."""
        with self._lock:
            self._by_label.clear()


outages: Final = Outages()


def visible_readings(provider: Provider[Any], last: Outcome, last_good: Outcome | None = None) -> Readings:
    """Return the last readings; for a provider or quota that failed the last good ones with the failure, if any."""
    if last.failure is None:
        shown = zip(last.readings, last.with_last_good(last_good).readings, strict=True)
        return tuple(good if one.error is None else good.after_failure(one.error) for one, good in shown)
    error = last.failure.to_error(provider, now=datetime.now(UTC))
    if last_good is None:
        return (Reading.without_figures(provider.label, error, unit=provider.unit),)
    return tuple(reading.after_failure(error) for reading in last_good.readings)


def fetch_readings(provider: Provider[Any]) -> Readings:
    """Fetch a provider's readings now. Never raises."""
    return visible_readings(provider, fetch(provider))


def get_imai_usage() -> Reading:
    """Call IMAI and transform its answer. Never raises; a failure is a reading in an error state."""
    shown = (provider for provider in accounts.current() if isinstance(provider, Imai))
    return fetch_readings(next(shown, Imai()))[0]


def get_all_integrations_usage(
    providers: Iterable[Provider[Any]] | None = None,
    *,
    read: Callable[[Provider[Any]], Readings] = fetch_readings,
) -> UsageReport:
    """Read every provider side by side, in their order. Never raises.

    Args:
        providers: None for every account.
        read: returns a provider's readings.
    """
    chosen = accounts.current() if providers is None else tuple(providers)
    with ThreadPoolExecutor(max_workers=max(len(chosen), 1), thread_name_prefix="usage") as pool:
        parts = pool.map(read, chosen)
        return UsageReport(integrations=tuple(reading for part in parts for reading in part))

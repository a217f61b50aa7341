"""Asks the providers: one fetch each, within the deadline, and nothing one does can touch another."""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
from integrations.quota.models import Quota, Reading, Thresholds, UsageError, UsageReport
from integrations.readings import traffic
from integrations.settings import panel_settings
from integrations.transport.response import MAX_RETRY_AFTER_SECONDS

if TYPE_CHECKING:
    from integrations.transport.client import Client

Result = TypeVar("Result")

log = logging.getLogger(__name__)

_MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a fetch gave no figures, and until when the provider asked to be left alone."""

    code: ErrorCode
    retry_at: datetime | None = None

    def to_error(self, provider: Provider[Any], *, now: datetime) -> UsageError:
        """The failure as the JSON and the card tell it at `now`."""
        wait = None
        seconds = None
        if self.retry_at is not None:
            seconds = max(ceil((self.retry_at - now).total_seconds()), 0)
            wait = f"in {_rounded_up(seconds)}" if seconds else "now"
        sentence = self.code.sentence(label=provider.label, key_variable=provider.key_variable, wait=wait)
        return UsageError(code=self.code, message=sentence, retry_after=seconds)


def _rounded_up(seconds: int) -> str:
    """A time to wait, in words: who comes back after it must not be too early."""
    whole = seconds if seconds < _MINUTE else ceil(seconds / _MINUTE) * _MINUTE
    return humanize.naturaldelta(timedelta(seconds=whole))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one fetch of a provider gave: its readings, or a failure and no readings."""

    at: datetime
    readings: tuple[Reading, ...] = ()
    failure: Failure | None = None

    def repeatable_at(self, pause: timedelta) -> datetime:
        """When the provider may be asked again: after this pause, and not before the time that it named itself."""
        earliest = self.at + pause
        retry_at = self.failure.retry_at if self.failure else None
        return max(earliest, retry_at) if retry_at else earliest


def fetch(provider: Provider[Any]) -> Outcome:
    """Ask a provider once, and log where an outage begins, changes or ends. Never raises; see `asked`."""
    outcome, description = asked(provider)
    if outcome.failure is None or description is None:
        _outages.over(provider.label, outcome.at)
    else:
        _outages.met(provider.label, outcome.failure.code, description)
    return outcome


def asked(provider: Provider[Any]) -> tuple[Outcome, str | None]:
    """What asking a provider once gives, and what there is to say of a failure to whoever runs the panel.

    Never raises, and takes no longer than `PANEL_DEADLINE_SECONDS`.
    """
    try:
        quotas = quotas_of(provider)
        now = datetime.now(UTC)
        settings = panel_settings()
        thresholds = Thresholds(warning=settings.warning_percent, critical=settings.critical_percent)
        readings = tuple(
            Reading.measured(provider.label, quota, at=now, thresholds=thresholds) for quota in quotas
        )
    except ProviderError as error:
        failure, description = error, description_of(provider, error)
    except Exception as error:  # noqa: BLE001 - a provider's bad day, of whatever kind, is its own
        failure = ProviderError(ErrorCode.INVALID_RESPONSE)
        description = f"code={failure.code} ({_where(error)})"
    else:
        return Outcome(now, readings), None
    now = datetime.now(UTC)
    return Outcome(now, failure=Failure(failure.code, _retry_at(failure, now))), description


def description_of(provider: Provider[Any], error: ProviderError) -> str:
    """A failure as the log tells it, with what an address that is not there most often means."""
    settings = provider.settings_class
    if error.http_status != HTTPStatus.NOT_FOUND or "api_base_url" not in settings.model_fields:
        return str(error)
    return f"{error}; is {settings.variable('api_base_url')} right, path included?"


def _retry_at(failure: ProviderError, now: datetime) -> datetime | None:
    """Until when to leave the provider alone: as it asked, but never longer than 15 minutes."""
    seconds = failure.retry_after
    if seconds is None or not seconds > 0:  # NaN is no time either
        return None
    return now + timedelta(seconds=min(seconds, MAX_RETRY_AFTER_SECONDS))


def within_deadline(provider: Provider[Any], ask: "Callable[[Client], Result]") -> Result:
    """Ask a provider in a thread of its own, which is cut off after `PANEL_DEADLINE_SECONDS`.

    Raises:
        ProviderError: it failed, or the time was over.
    """
    from integrations.transport.client import Client  # noqa: PLC0415 - requests is heavy: the start does not wait for it

    began = time.monotonic()
    http = Client(deadline=panel_settings().deadline_seconds, failure_in=provider.failure_in)
    future = in_thread(lambda: ask(http), name=f"fetch {provider.label}")
    try:
        return future.result(timeout=http.remaining())
    except TimeoutError:
        raise ProviderError(ErrorCode.TIMEOUT, "deadline") from None
    finally:
        http.close()
        traffic.add(provider.label, requests=http.requests, seconds=time.monotonic() - began)


def quotas_of(provider: Provider[Any]) -> tuple[Quota, ...]:
    """What a provider's answer says, asked for now.

    Raises:
        ProviderError: it failed, or the time was over.
    """
    return within_deadline(provider, lambda http: _checked(provider.fetch(http)))


def _checked(fetched: object) -> tuple[Quota, ...]:
    """What a provider returned, whatever that is, as quotas."""
    quotas = fetched if isinstance(fetched, list | tuple) else (fetched,)
    if not quotas or not all(isinstance(quota, Quota) for quota in quotas):
        raise ProviderError(ErrorCode.INVALID_RESPONSE, "the provider returned no quota")
    return tuple(quotas)


def _where(error: BaseException) -> str:
    """The kind of a crash and its place: an exception's own text could hold anything."""
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    return f"{type(error).__name__} at {frame.f_code.co_qualname}:{line}"


@dataclass(frozen=True, slots=True)
class _Outage:
    """One that is not over: since when, and which failures of it are in the log."""

    since: datetime
    told: set[ErrorCode]


class _Outages:
    """Logs an outage when it begins, once for each further kind of failure in it, and when it ends."""

    def __init__(self) -> None:
        self._of: dict[str, _Outage] = {}
        self._lock = threading.Lock()

    def met(self, label: str, code: ErrorCode, description: str) -> None:
        with self._lock:
            outage = self._of.setdefault(label, _Outage(datetime.now(UTC), set()))
            if code in outage.told:
                return
            outage.told.add(code)
        log.warning("%s: no reading: %s", label, description)

    def over(self, label: str, at: datetime) -> None:
        """There was a reading at that time, made here or in another process."""
        with self._lock:
            outage = self._of.get(label)
            if outage is None or at < outage.since:
                return
            del self._of[label]
        log.warning("%s: reading again after %s", label, humanize.naturaldelta(at - outage.since))


_outages: Final = _Outages()


Readings = tuple[Reading, ...]
"""A provider's readings: one, or one for each of its quotas."""


def readings_of(provider: Provider[Any], last: Outcome, last_good: Outcome | None = None) -> Readings:
    """What a fetch shows: its readings; the last good ones with the failure beside them; or the failure alone."""
    if last.failure is None:
        _outages.over(provider.label, last.at)
        return last.readings
    error = last.failure.to_error(provider, now=datetime.now(UTC))
    if last_good is None:
        return (Reading.without_figures(provider.label, error, unit=provider.unit),)
    return tuple(reading.after_failure(error) for reading in last_good.readings)


def read(provider: Provider[Any]) -> Readings:
    """A provider's readings, asked for now. Never raises."""
    return readings_of(provider, fetch(provider))


def get_imai_usage() -> Reading:
    """Call IMAI and transform its answer. Never raises; a failure is a reading in an error state."""
    shown = (provider for provider in accounts.current() if isinstance(provider, Imai))
    return read(next(shown, Imai()))[0]


def get_all_integrations_usage(
    providers: Iterable[Provider[Any]] | None = None, *, read: Callable[[Provider[Any]], Readings] = read
) -> UsageReport:
    """Read every provider, side by side, in their order. Never raises.

    Args:
        providers: None for every account.
        read: gives a provider's readings.
    """
    chosen = accounts.current() if providers is None else tuple(providers)
    with ThreadPoolExecutor(max_workers=max(len(chosen), 1), thread_name_prefix="usage") as pool:
        parts = pool.map(read, chosen)
        return UsageReport(integrations=tuple(reading for part in parts for reading in part))

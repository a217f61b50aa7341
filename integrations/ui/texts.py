"""The words on a card, from a reading. Pure: no Streamlit, no clock of its own."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from math import ceil
from typing import Final, Literal

import humanize

from integrations.errors import ErrorCode, Status
from integrations.models import Level, Reading

Color = Literal["green", "orange", "red", "gray"]

_JUST_NOW: Final = timedelta(minutes=1)
_DAYS_IN_WORDS: Final = 62


@dataclass(frozen=True, slots=True)
class Badge:
    """A state in a word, an icon and a colour; never by colour alone."""

    word: str
    icon: str
    color: Color


REFRESHING: Final = Badge("Refreshing …", ":material/hourglass_top:", "gray")
"""While a person waits for a new reading."""

_NOT_CONFIGURED: Final = Badge("Not configured", ":material/settings:", "gray")
_FAILED: Final = {
    Status.UNAVAILABLE: Badge("Unavailable", ":material/cloud_off:", "orange"),
    Status.ERROR: Badge("Error", ":material/error:", "red"),
}
_ACTIVE: Final = Badge("Active", ":material/check_circle:", "green")
_LEVELS: Final = {
    Level.OK: _ACTIVE,
    Level.WARNING: Badge("Low", ":material/warning:", "orange"),
    Level.CRITICAL: Badge("Almost exhausted", ":material/running_with_errors:", "red"),
    Level.EXHAUSTED: Badge("Exhausted", ":material/block:", "red"),
}


def badge(reading: Reading) -> Badge:
    """The state of a reading: a failure before the level, since it casts doubt on the figures."""
    if reading.error is not None and reading.error.code is ErrorCode.NOT_CONFIGURED:
        return _NOT_CONFIGURED
    if reading.status is not Status.ACTIVE:
        return _FAILED[reading.status]
    return _LEVELS[reading.level] if reading.level is not None else _ACTIVE


def amount(figure: Decimal) -> str:
    """Grouped, with decimals only where there are any: 7,500 and 7,499.98."""
    if figure == figure.to_integral_value():
        return f"{int(figure):,}"
    return f"{figure.normalize():,f}"


def remaining(reading: Reading) -> str:
    """The first line of a card with figures."""
    if reading.remaining_quota is None:
        return "No limit" if reading.unlimited else "Remaining: unknown"
    return f"Remaining: {amount(reading.remaining_quota)} {reading.unit}"


def used(reading: Reading, *, total_hint: str | None) -> str | None:
    """What is used of what, or why that is unknown.

    Args:
        reading: with figures.
        total_hint: the setting that would tell the total, where the provider has one.
    """
    if reading.total_quota is not None and reading.used_quota is not None:
        return f"Used: {amount(reading.used_quota)} / {amount(reading.total_quota)} {reading.unit}"
    if reading.used_quota is not None:
        return f"Used: {amount(reading.used_quota)} {reading.unit}"
    if reading.unlimited:
        return None
    return f"Total unknown: set {total_hint} to see usage." if total_hint else "Total unknown."


def percentage(figure: Decimal) -> str:
    """25%, 99.9%."""
    return f"{amount(figure)}%"


def note(reading: Reading) -> str | None:
    """What a balance above the allowance, or below nothing, means."""
    if reading.total_quota is None or reading.remaining_quota is None:
        return None
    if reading.remaining_quota > reading.total_quota:
        return "The balance is above the plan's allowance, by a top-up or a rollover."
    if reading.remaining_quota < 0:
        return "The account is overdrawn: more was used than the plan allows."
    return None


def _rounded(wait: timedelta) -> timedelta:
    """To the nearest day, hour or minute, of which humanize would cut off what is over: 3 days 20 hours are 4 days."""
    for unit in (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)):
        if wait >= unit:
            return round(wait / unit) * unit
    return wait


def _clock_time(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %Y, %H:%M}"


def _in_words(wait: timedelta) -> str:
    """Days up to two months: humanize calls 16 days a month."""
    return f"{wait.days} days" if 1 < wait.days < _DAYS_IN_WORDS else humanize.naturaldelta(wait)


def renewal(renews_at: datetime, *, now: datetime, zone: tzinfo | None) -> str:
    """When the quota is filled again: in UTC, from now, and in the viewer's zone where that differs."""
    utc = renews_at.astimezone(UTC)
    if utc <= now:
        return f"Was to renew {_clock_time(utc)} UTC; this reading is older"
    text = f"Renews {_clock_time(utc)} UTC (in {_in_words(_rounded(utc - now))})"
    if zone is not None and utc.astimezone(zone).utcoffset():
        text += f", {_clock_time(utc.astimezone(zone))} your time"
    return text


def ago(moment: datetime, *, now: datetime) -> str:
    """In words: just now, 3 minutes ago."""
    age = now - moment
    return "just now" if age < _JUST_NOW else humanize.naturaltime(age)


def announcement(reading: Reading) -> str:
    """What a refresh brought, in a few words: the card has the rest."""
    return f"{reading.provider}: {'a new reading' if reading.error is None else 'no new reading'}."


def freshness(reading: Reading, *, now: datetime) -> str | None:
    """How old the figures are, or None without figures."""
    if reading.fetched_at is None:
        return None
    age = ago(reading.fetched_at, now=now)
    return f"Last good reading {age}" if reading.stale else f"Updated {age}"


def rest(until: datetime, *, now: datetime) -> str:
    """That the provider is asked only so often; rounded up, since who clicks after it must not be too early."""
    wait = max(until - now, timedelta(seconds=1))
    unit = timedelta(hours=1) if wait > timedelta(hours=1) else timedelta(minutes=1)
    return f"May be asked again in {humanize.naturaldelta(ceil(wait / unit) * unit)}."


def pause(reading: Reading) -> str | None:
    """That the provider named a time before which it is not asked; a rate limit's sentence says it already."""
    error = reading.error
    if error is None or not error.retry_after or error.code is ErrorCode.RATE_LIMITED:
        return None
    wait = humanize.naturaldelta(_rounded(timedelta(seconds=error.retry_after)))
    return f"It asked for a pause: next attempt in {wait}."

"""The words on a card, from a reading. Pure: no Streamlit, no clock of its own."""

from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from math import ceil
from typing import Final

import humanize

from integrations.quota.errors import ErrorCode
from integrations.quota.models import Reading

_JUST_NOW: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)
_SIGNS: Final = {
    "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CNY": "CN¥", "INR": "₹", "KRW": "₩", "BRL": "R$",
    "AUD": "A$", "CAD": "CA$", "NZD": "NZ$", "HKD": "HK$", "TWD": "NT$", "MXN": "MX$", "ILS": "₪",
    "VND": "₫", "PHP": "₱", "UAH": "₴", "NGN": "₦",
}  # fmt: skip
"""Signs of currencies (ISO 4217) that are written before the figure; a code without one stays behind it."""
_WITHOUT_CENTS: Final = frozenset({"JPY", "KRW", "VND"})
_CENTS: Final = Decimal("0.01")


def amount(figure: Decimal) -> str:
    """Grouped, with decimals only where there are any: 7,500 and 7,499.98."""
    if figure == figure.to_integral_value():
        return f"{int(figure):,}"
    return f"{figure.normalize():,f}"


def figure_and_unit(figure: Decimal, unit: str | None) -> tuple[str, str]:
    """A figure as people write it, and the unit where it stands apart: 7,500 and credits; $74.75 and nothing."""
    sign = _SIGNS.get(unit or "")
    if sign is not None and unit is not None:
        return f"{'-' if figure < 0 else ''}{sign}{_money(abs(figure), unit)}", ""
    return (f"{amount(figure)}%", "") if unit == "%" else (amount(figure), unit or "")


def _money(figure: Decimal, unit: str) -> str:
    """With two decimals at least, and more where the figure has more: nothing is rounded away."""
    if unit in _WITHOUT_CENTS or figure != figure.quantize(_CENTS):
        return amount(figure)
    return f"{figure:,.2f}"


def _quantity(figure: Decimal, unit: str | None) -> str:
    return " ".join(part for part in figure_and_unit(figure, unit) if part)


def remaining(reading: Reading) -> str:
    """The first line of a card with figures."""
    if reading.remaining_quota is None:
        return "No limit" if reading.unlimited else "Remaining: unknown"
    return f"Remaining: {_quantity(reading.remaining_quota, reading.unit)}"


def used(reading: Reading, *, total_hint: str | None) -> str | None:
    """Return the used amount and the total, or why they are unknown.

    Args:
        reading: with figures.
        total_hint: the setting that would state the total, if the provider has one.
    """
    if reading.total_quota is not None:
        figure = (
            "unknown" if reading.used_quota is None else figure_and_unit(reading.used_quota, reading.unit)[0]
        )
        return f"Used: {figure} / {_quantity(reading.total_quota, reading.unit)}"
    if reading.used_quota is not None:
        return f"Used: {_quantity(reading.used_quota, reading.unit)}"
    if reading.unlimited:
        return None
    return f"Total unknown: set {total_hint} to see usage." if total_hint else "Total unknown."


def percentage(figure: Decimal) -> str:
    """25%, 99.9%."""
    return f"{amount(figure)}%"


def balance_note(reading: Reading) -> str | None:
    """Return the meaning of a balance above the allowance, or below zero."""
    if reading.remaining_quota is None:
        return None
    if reading.remaining_quota < 0:
        return "The account is overdrawn: more was used than the plan allows."
    if reading.total_quota is not None and reading.remaining_quota > reading.total_quota:
        return "More is left than the plan's allowance."
    return None


def _rounded(wait: timedelta) -> timedelta:
    """To the nearest day, hour or minute, of which humanize would cut off what is over: 3 days 20 hours are 4 days."""
    for unit in (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)):
        if wait >= unit:
            return round(wait / unit) * unit
    return wait


def _in_words(time: timedelta) -> str:
    """Up to a year in days: humanize would call 16 days a month."""
    return humanize.naturaldelta(time, months=False)


def _clock_time(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %Y, %H:%M}"


def _in_zone(utc: datetime, zone: tzinfo | None) -> datetime | None:
    """None without a zone, and where it is past the calendar's last day there: 9999 may stand for never."""
    try:
        return utc.astimezone(zone) if zone is not None else None
    except OverflowError:
        return None


def in_short(reading: Reading, *, now: datetime) -> str:
    """Return what is left and when it renews, in short, for the overview: `$1.02, renews in 2 days`."""
    parts = []
    if reading.remaining_quota is not None and reading.remaining_quota > 0:
        figure = figure_and_unit(reading.remaining_quota, reading.unit)[0]
        age = f" ({ago(reading.fetched_at, now=now)})" if reading.stale and reading.fetched_at else ""
        parts.append(f"{figure}{age}")
    if reading.renews_at is not None and reading.renews_at > now:
        parts.append(f"renews in {_in_words(_rounded(reading.renews_at - now))}")
    return ", ".join(parts)


def renewal(renews_at: datetime, *, now: datetime, zone: tzinfo | None) -> str:
    """When the quota is filled again: in UTC, from now, and in the viewer's zone where that differs."""
    utc = renews_at.astimezone(UTC)
    if utc <= now:
        return f"Was to renew {_clock_time(utc)} UTC; this reading is older"
    text = f"Renews {_clock_time(utc)} UTC (in {_in_words(_rounded(utc - now))})"
    local = _in_zone(utc, zone)
    if local is not None and local.utcoffset():
        same_day = local.date() == utc.date()
        text += f", {f'{local:%H:%M}' if same_day else _clock_time(local)} your time"
    return text


def ago(moment: datetime, *, now: datetime) -> str:
    """In words: just now, 3 minutes ago. Never smaller later than it was earlier."""
    age = now - moment
    return "just now" if age < _JUST_NOW else f"{_in_words(age)} ago"


def projection(reading: Reading, *, now: datetime) -> str | None:
    """Return whether the quota lasts until its renewal at the average pace so far; None if unknown or out of date.

    It is a projection from one reading: the share used against the share of the period that is over.
    """
    if reading.renews_at is None or reading.renews_at <= now:
        return None
    if reading.lasts:
        return "Lasts until it renews at this pace"
    runs_out = reading.projected_exhaustion_at
    if runs_out is None or runs_out <= now:
        return None
    wait = runs_out - now
    when = f"about {runs_out.day} {runs_out:%b}" if wait >= _DAY else f"in about {_in_words(_rounded(wait))}"
    gap = _in_words(_rounded(reading.renews_at - runs_out))
    return f"At this pace it runs out {when}, {gap} before it renews"


def freshness(reading: Reading, *, now: datetime) -> str | None:
    """How old the figures are, or None without figures."""
    if reading.fetched_at is None:
        return None
    age = ago(reading.fetched_at, now=now)
    return f"Last good reading {age}" if reading.stale else f"Updated {age}"


def next_refresh_note(until: datetime, *, now: datetime) -> str:
    """Return when the provider may be called again, rounded up so that a click after it is not too early."""
    wait = max(until - now, timedelta(seconds=1))
    units = (timedelta(days=1), timedelta(hours=1))
    unit = next((unit for unit in units if wait > unit), timedelta(minutes=1))
    return f"May be asked again in {_in_words(ceil(wait / unit) * unit)}."


def retry_after_note(reading: Reading) -> str | None:
    """Return the pause that the provider asked for; None if the error's message has it, as a rate limit's does."""
    error = reading.error
    if error is None or not error.retry_after or error.code is ErrorCode.RATE_LIMITED:
        return None
    wait = _in_words(_rounded(timedelta(seconds=error.retry_after)))
    return f"It asked for a pause: next attempt in {wait}."

"""The words for a reading, on a card and in a terminal. Pure: no Streamlit, no clock."""

from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from math import ceil
from typing import Final

import humanize

from integrations.quota.errors import ErrorCode
from integrations.quota.models import Reading

_JUST_NOW: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)
_MOST_OF_A_YEAR: Final = timedelta(days=300)
_SIGNS: Final = {
    "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CNY": "CN¥", "INR": "₹", "KRW": "₩", "BRL": "R$",
    "AUD": "A$", "CAD": "CA$", "NZD": "NZ$", "HKD": "HK$", "TWD": "NT$", "MXN": "MX$", "ILS": "₪",
    "VND": "₫", "PHP": "₱", "UAH": "₴", "NGN": "₦",
}  # fmt: skip
"""Signs of currencies (ISO 4217) that are written before the figure."""
_CODES: Final = frozenset(
    {
        "AED", "CHF", "CLP", "COP", "CZK", "DKK", "EGP", "HUF", "IDR", "KES", "MYR", "NOK", "PEN", "PKR",
        "PLN", "RON", "SAR", "SEK", "SGD", "THB", "TRY", "ZAR",
    }
)  # fmt: skip
"""Currencies that are written as their code, after the figure."""
_WITHOUT_CENTS: Final = frozenset({"CLP", "JPY", "KRW", "VND"})
_CENTS: Final = Decimal("0.01")


def amount(figure: Decimal) -> str:
    """Return a figure in groups, with decimals only if there are any: 7,500 and 7,499.98."""
    if figure == figure.to_integral_value():
        return f"{int(figure):,}"
    return f"{figure.normalize():,f}"


def figure_and_unit(figure: Decimal, unit: str | None) -> tuple[str, str]:
    """Return a figure as people write it, and the unit after it: 7,500 and credits; $74.75 and nothing."""
    if unit is None or unit == "%":
        return f"{amount(figure)}{unit or ''}", ""
    if unit in _SIGNS:
        return f"{'-' if figure < 0 else ''}{_SIGNS[unit]}{_money(abs(figure), unit)}", ""
    if unit in _CODES:
        return _money(figure, unit), unit
    return amount(figure), _singular(unit) if figure == 1 else unit


def _singular(unit: str) -> str:
    for ending, singular in (("ies", "y"), ("ches", "ch"), ("sses", "ss"), ("xes", "x"), ("s", "")):
        if unit.endswith(ending) and not unit.endswith("ss"):
            return unit.removesuffix(ending) + singular
    return unit


def _money(figure: Decimal, unit: str) -> str:
    """Return a sum with two decimals at least, and more if the figure has more: nothing is rounded away."""
    if unit in _WITHOUT_CENTS or figure != figure.quantize(_CENTS):
        return amount(figure)
    return f"{figure:,.2f}"


def _quantity(figure: Decimal, unit: str | None) -> str:
    return " ".join(part for part in figure_and_unit(figure, unit) if part)


def remaining(reading: Reading) -> str:
    """Return what is left, the first line of a card with figures."""
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
    """Return a percentage: 25%, 99.9%."""
    return f"{amount(figure)}%"


def balance_note(reading: Reading) -> str | None:
    """Return the meaning of a balance above the allowance, or below zero."""
    if reading.remaining_quota is None:
        return None
    if reading.remaining_quota < 0:
        return "The account is overdrawn"
    if reading.total_quota is not None and reading.remaining_quota > reading.total_quota:
        return "More is left than the plan's allowance"
    return None


def _rounded(wait: timedelta) -> timedelta:
    """Round to the nearest day, hour or minute, as humanize rounds down: 3 days 20 hours are 4 days."""
    for unit in (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)):
        if wait >= unit:
            return round(wait / unit) * unit
    return wait


def _in_words(time: timedelta) -> str:
    """Return a time in words, up to a year in days, as humanize calls 16 days a month."""
    return humanize.naturaldelta(time, months=False)


def _wait(moment: datetime, *, now: datetime) -> str:
    return _in_words(_rounded(moment - now))


def _clock_time(moment: datetime, *, now: datetime, zone: tzinfo | None) -> str:
    """Return a time in the viewer's zone, or marked as UTC; with the year if it is not the next such date."""
    try:
        local = moment.astimezone(zone or UTC)
    except OverflowError:  # beyond the calendar's end in that zone: 9999 may mean never
        local = moment.astimezone(UTC)
    year = f"{local: %Y}" if abs(moment - now) > _MOST_OF_A_YEAR else ""
    return f"{local.day} {local:%b}{year}, {local:%H:%M}{'' if local.utcoffset() else ' UTC'}"


def in_short(reading: Reading, *, now: datetime) -> str:
    """Return what is left and when it renews, in short, for the overview: `$1.02, renews in 2 days`."""
    parts = []
    if reading.remaining_quota is not None and reading.remaining_quota > 0:
        figure, unit = figure_and_unit(reading.remaining_quota, reading.unit)
        figure += f" {unit}" if unit in _CODES else ""
        age = f" ({ago(reading.fetched_at, now=now)})" if reading.stale and reading.fetched_at else ""
        parts.append(f"{figure}{age}")
    if reading.renews_at is not None and reading.renews_at > now:
        parts.append(f"renews in {_wait(reading.renews_at, now=now)}")
    return ", ".join(parts)


def renewal(reading: Reading, *, now: datetime, zone: tzinfo | None) -> str | None:
    """Return when the quota is filled again, from now and as a date; a failed card has no room for it."""
    if reading.renews_at is None:
        return None
    when = _clock_time(reading.renews_at, now=now, zone=zone)
    if reading.renews_at <= now:
        return f"Was due to renew {when}; this reading is older"
    return None if reading.stale else f"Renews in {_wait(reading.renews_at, now=now)} ({when})"


def ago(moment: datetime, *, now: datetime) -> str:
    """Return an age in words, such as 3 minutes ago. Rounds down, so that the age never shrinks."""
    age = now - moment
    return "just now" if age < _JUST_NOW else f"{_in_words(age)} ago"


def projection(reading: Reading, *, now: datetime) -> str | None:
    """Return whether the quota lasts until its renewal at the average pace so far; None if unknown or out of date.

    It is a projection from one reading: the share used against the share of the period that is over.
    """
    if reading.renews_at is None or reading.renews_at <= now:
        return None
    if reading.lasts:
        return "At this pace it lasts until it renews"
    runs_out = reading.projected_exhaustion_at
    if runs_out is None or runs_out <= now:
        return None
    is_far = runs_out - now >= _DAY
    when = f"about {runs_out.day} {runs_out:%b}" if is_far else f"in about {_wait(runs_out, now=now)}"
    gap = _wait(reading.renews_at, now=runs_out)
    return f"At this pace it runs out {when}, {gap} before it renews"


def freshness(reading: Reading, tried_at: datetime | None, *, now: datetime) -> str | None:
    """Return how old the figures are; without figures, how long ago the last attempt was."""
    if reading.fetched_at is None:
        return f"Last tried {ago(tried_at, now=now)}" if tried_at is not None else None
    age = ago(reading.fetched_at, now=now)
    return f"Last good reading {age}" if reading.stale else f"Updated {age}"


def next_refresh_note(until: datetime, *, now: datetime) -> str:
    """Return when the provider may be called again, rounded up so that a click after it is not too early."""
    wait = max(until - now, timedelta(seconds=1))
    units = (timedelta(days=1), timedelta(hours=1))
    unit = next((unit for unit in units if wait > unit), timedelta(minutes=1))
    return f"Refresh possible in {_in_words(ceil(wait / unit) * unit)}"


def retry_after_note(reading: Reading) -> str | None:
    """Return the pause that the provider asked for; None if the error's message has it, as a rate limit's does."""
    error = reading.error
    if error is None or not error.retry_after or error.code is ErrorCode.RATE_LIMITED:
        return None
    wait = _in_words(_rounded(timedelta(seconds=error.retry_after)))
    return f"Retry possible in {wait}"

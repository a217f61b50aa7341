"""Renewals on a day of the month, for services that do not state them."""

import calendar
from datetime import UTC, datetime, time
from typing import Final

DECEMBER: Final = 12


def time_of_day(text: object) -> time:
    """Parse a time in UTC, HH:MM.

    Raises:
        ValueError: it is not one.
    """
    if isinstance(text, time):
        return text
    try:
        return datetime.strptime(str(text), "%H:%M").replace(tzinfo=UTC).time()
    except ValueError:
        raise ValueError("not a time of day") from None


def next_renewal(now: datetime, day: int, at: time) -> datetime:
    """Return the first renewal after `now`.

    Args:
        now: with a zone.
        day: of the month; in a shorter month, the last day.
        at: in UTC.
    """
    now = now.astimezone(UTC)
    this_month = _renewal(now.year, now.month, day, at)
    if this_month > now:
        return this_month
    return _renewal(now.year + now.month // DECEMBER, now.month % DECEMBER + 1, day, at)


def month_before(renews_at: datetime, day: int) -> datetime:
    """Return the renewal before a monthly one: when the current period began.

    Args:
        renews_at: the next renewal.
        day: of the month; in a shorter month the last day replaces it.
    """
    utc = renews_at.astimezone(UTC)
    year, month = (utc.year, utc.month - 1) if utc.month > 1 else (utc.year - 1, DECEMBER)
    return _renewal(year, month, day, utc.time())


def _renewal(year: int, month: int, day: int, at: time) -> datetime:
    last_day = calendar.monthrange(year, month)[1]
    return datetime(year, month, min(day, last_day), at.hour, at.minute, tzinfo=UTC)

"""Renewals that a contract fixes to a day of the month, where a service does not tell them."""

import calendar
from datetime import UTC, datetime, time
from typing import Final

DECEMBER: Final = 12


def time_of_day(text: object) -> time:
    """A time in UTC from HH:MM.

    Raises:
        ValueError: it is none.
    """
    if isinstance(text, time):
        return text
    try:
        return datetime.strptime(str(text), "%H:%M").replace(tzinfo=UTC).time()
    except ValueError:
        raise ValueError("not a time of day") from None


def next_renewal(now: datetime, day: int, at: time) -> datetime:
    """The first renewal after `now`; at the minute of a renewal, that is the following month's.

    Args:
        now: with its zone.
        day: of the month; in a shorter month the last day stands for it.
        at: in UTC.
    """
    now = now.astimezone(UTC)
    this_month = _renewal(now.year, now.month, day, at)
    if this_month > now:
        return this_month
    return _renewal(now.year + now.month // DECEMBER, now.month % DECEMBER + 1, day, at)


def _renewal(year: int, month: int, day: int, at: time) -> datetime:
    last_day = calendar.monthrange(year, month)[1]
    return datetime(year, month, min(day, last_day), at.hour, at.minute, tzinfo=UTC)

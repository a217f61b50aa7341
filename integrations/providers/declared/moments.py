"""The moment of a renewal in an answer."""

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from integrations.providers.declared.definition import RenewalRule
from integrations.providers.declared.figures import (
    Part,
    UnexpectedAnswerError,
    is_one_of,
    number_in,
    values_at,
)
from integrations.providers.declared.paths import ABSENT
from integrations.providers.renewal import next_renewal

_COUNTDOWN: Final = re.compile(r"([0-9]{1,5}):([0-5][0-9]):([0-5][0-9])")
_LONGEST_WAIT: Final = 10 * 366 * 24 * 3600
_LARGEST: Final = 10**15
_FIRST_YEAR: Final = 2000


def renewal(rule: RenewalRule, part: Part, *, now: datetime) -> datetime | None:
    """Return the moment of the renewal; None if the answer states that there is none.

    Raises:
        UnexpectedAnswerError: the value is no such moment, or there is none.
        PathError: a path fits two elements.
        ProviderError: the body is no JSON.
    """
    if rule.format == "next_month":
        return next_renewal(now, 1, time())
    (found,) = values_at(rule, part)
    found = number_in(found, rule)
    if is_one_of(found, rule.none):
        return None
    if found is ABSENT or found is None:
        if rule.optional:
            return None
        raise UnexpectedAnswerError("nothing is there" if found is ABSENT else "null is there")
    try:
        moment = _moment(found, rule.format, now).astimezone(UTC)
    except (ValueError, ArithmeticError, OSError):  # such as a month 13, or a second after 9999
        raise UnexpectedAnswerError(f"not of the format {rule.format}") from None
    if moment.year < _FIRST_YEAR:  # a zero, which would be shown as 1970
        raise UnexpectedAnswerError("long past")
    return moment


def _moment(found: object, form: str, now: datetime) -> datetime:
    if form == "iso":
        moment = datetime.fromisoformat(_text(found))
        return moment.replace(tzinfo=moment.tzinfo or UTC)
    if form == "date":
        return datetime.combine(date.fromisoformat(_text(found)), time(), UTC)
    if form == "hh:mm:ss":
        match = _COUNTDOWN.fullmatch(_text(found))
        if match is None:
            raise ValueError(form)
        hours, minutes, seconds = map(int, match.groups())
        return now + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    number = _number(found)
    if form == "seconds":
        if not 0 <= number <= _LONGEST_WAIT:
            raise ValueError(form)
        return now + timedelta(seconds=float(number))
    return datetime.fromtimestamp(float(number / 1000 if form == "epoch_ms" else number), UTC)


def _number(found: object) -> Decimal:
    if isinstance(found, bool) or not isinstance(found, int | Decimal):
        raise ValueError("not a number")
    number = Decimal(found)
    if abs(number) > _LARGEST:
        raise ValueError("beyond any calendar")
    return number


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise ValueError("not a text")
    return found

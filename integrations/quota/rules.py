"""The rules of the figures: completion, percentage, level and projection. Pure: no clock, no network, no settings."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Final


class Level(StrEnum):
    """How close to the end a quota is; in rising order."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    EXHAUSTED = "exhausted"

    @property
    def severity(self) -> int:
        """The level's place in the rising order: 0 is `ok`."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The percentages used from which a quota counts as `warning` and `critical`."""

    warning: Decimal = Decimal(80)
    critical: Decimal = Decimal(95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """The remaining amounts at or below which a quota counts as `warning` and `critical`; None: no such floor."""

    low: Decimal | None = None
    critical: Decimal | None = None


NO_FLOORS: Final = Floors()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of a quota; None if unknown."""

    total: Decimal | None = None
    remaining: Decimal | None = None
    used: Decimal | None = None

    def completed(self) -> "Figures":
        """Return the figures with those that follow from the others; a stated figure stays as stated.

        More remaining than the total comes from another pool, such as a top-up: it does not tell what is used.
        """
        total, remaining, used = self.total, self.remaining, self.used
        if remaining is None and total is not None and used is not None:
            remaining = total - used
        elif total is None and remaining is not None and used is not None and remaining + used >= 0:
            total = remaining + used
        elif used is None and total is not None and remaining is not None and remaining <= total:
            used = total - remaining
        return Figures(total=total, remaining=remaining, used=used)


_TENTH: Final = Decimal("0.1")


def usage_percentage(figures: Figures) -> Decimal | None:
    """Return the share of the total that is used, in percent with at most one decimal; None if unknown.

    It is 100 or more only if nothing is left, and 0 only if nothing is used. It is unknown if the total is 0, and if
    the total is used up while something is left, as then the figures are of different pools.
    """
    total, remaining, used = figures.total, figures.remaining, figures.used
    if total is None or remaining is None or used is None or total == 0:
        return None
    if used >= total and remaining > 0:
        return None
    percentage = (used * 100 / total).quantize(_TENTH, ROUND_HALF_UP)
    if used > 0:
        percentage = max(percentage, _TENTH)
    return min(percentage, Decimal(100) - _TENTH) if remaining > 0 else percentage


def level_of(figures: Figures, thresholds: Thresholds, floors: Floors) -> Level | None:
    """Return the more urgent of the levels by share and by floors; None if there is neither."""
    levels = [_level_by_share(figures, thresholds), _level_by_floors(figures.remaining, floors)]
    return max(
        (level for level in levels if level is not None), key=lambda level: level.severity, default=None
    )


def _level_by_share(figures: Figures, thresholds: Thresholds) -> Level | None:
    total, remaining = figures.total, figures.remaining
    if remaining is None or total == 0:  # nothing that could be exhausted
        return None
    if remaining <= 0:
        return Level.EXHAUSTED
    if total is None:
        return None
    if remaining > total:
        return Level.OK
    percentage = usage_percentage(figures)
    if (
        percentage is None or percentage >= thresholds.critical
    ):  # None: the total is used up, and an extra is left
        return Level.CRITICAL
    return Level.WARNING if percentage >= thresholds.warning else Level.OK


def _level_by_floors(remaining: Decimal | None, floors: Floors) -> Level | None:
    if remaining is None or floors == NO_FLOORS:
        return None
    if remaining <= 0:
        return Level.EXHAUSTED
    if floors.critical is not None and remaining <= floors.critical:
        return Level.CRITICAL
    return Level.WARNING if floors.low is not None and remaining <= floors.low else Level.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The time from one renewal to the next, and the moment of a reading in it."""

    starts_at: datetime
    renews_at: datetime
    now: datetime

    @property
    def is_representative(self) -> bool:
        """Whether at least 5 % of the period is over, but not all of it."""
        is_under_way = self.starts_at < self.now < self.renews_at
        return is_under_way and (self.now - self.starts_at) * 20 >= self.renews_at - self.starts_at


def has_pace(figures: Figures, period: Period) -> bool:
    """Return whether the pace of use follows from one reading, and something is left."""
    if figures.total == 0 or figures.remaining is None or figures.used is None:
        return False
    return figures.remaining > 0 and figures.used > 0 and period.is_representative


def projected_exhaustion(figures: Figures, period: Period) -> datetime | None:
    """Return when the quota runs out at the period's average pace so far; None if unknown or not before its end."""
    if not has_pace(figures, period) or figures.remaining is None or figures.used is None:
        return None
    microsecond = timedelta(microseconds=1)
    elapsed = (period.now - period.starts_at) // microsecond
    left = figures.remaining * elapsed / figures.used
    if left >= (period.renews_at - period.now) // microsecond:
        return None
    return period.now + timedelta(microseconds=int(left))

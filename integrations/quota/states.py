"""The state of a reading: its badge, the color of its bar, and how urgent it is. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, Literal

from integrations.quota.errors import ErrorCode, Status
from integrations.quota.models import Reading
from integrations.quota.rules import Level

Color = Literal["green", "orange", "red", "gray"]
Tone = Literal["ok", "warning", "critical", "stale", "none"]
"""The color of a bar, by the name that the style sheet knows; none without a rating."""


@dataclass(frozen=True, slots=True)
class Badge:
    """A state in a word, an icon and a color; never by color alone."""

    word: str
    icon: str
    color: Color


REFRESHING: Final = Badge("Refreshing …", ":material/hourglass_top:", "gray")
"""The provider is being called."""

EXHAUSTED: Final = Badge("Exhausted", ":material/block:", "red")
CRITICAL: Final = Badge("Almost exhausted", ":material/running_with_errors:", "red")
ERROR: Final = Badge("Error", ":material/error:", "red")
UNAVAILABLE: Final = Badge("Unavailable", ":material/cloud_off:", "orange")
NOT_CONFIGURED: Final = Badge("Not configured", ":material/settings:", "gray")
LOW: Final = Badge("Low", ":material/warning:", "orange")
NOT_RATED: Final = Badge("Not rated", ":material/help:", "gray")
"""The figures do not tell whether enough is left."""
ACTIVE: Final = Badge("Active", ":material/check_circle:", "green")
"""Nothing to do: figures were read, and enough is left."""

_BY_URGENCY: Final = (EXHAUSTED, CRITICAL, ERROR, UNAVAILABLE, NOT_CONFIGURED, LOW, NOT_RATED, ACTIVE)
_OF_LEVEL: Final = {
    None: NOT_RATED,
    Level.OK: ACTIVE,
    Level.WARNING: LOW,
    Level.CRITICAL: CRITICAL,
    Level.EXHAUSTED: EXHAUSTED,
}
_TONES: Final[dict[Level | None, Tone]] = {
    None: "none",
    Level.OK: "ok",
    Level.WARNING: "warning",
    Level.CRITICAL: "critical",
    Level.EXHAUSTED: "critical",
}
_USUAL_PERIOD: Final = timedelta(days=30)


def badge(reading: Reading) -> Badge:
    """Return the badge of a card: a failure before the level, as the figures may no longer hold."""
    if reading.error is not None and reading.error.code is ErrorCode.NOT_CONFIGURED:
        return NOT_CONFIGURED
    if reading.error is not None and reading.error.code is ErrorCode.QUOTA_EXHAUSTED:
        return EXHAUSTED
    if reading.status is Status.UNAVAILABLE:
        return UNAVAILABLE
    return ERROR if reading.status is Status.ERROR else _OF_LEVEL[reading.level]


def known_state(reading: Reading) -> Badge:
    """Return the badge under which the overview lists a card: stale figures keep the level's if that is more urgent."""
    if not reading.stale:
        return badge(reading)
    return min(badge(reading), _OF_LEVEL[reading.level], key=_BY_URGENCY.index)


def needs_person(reading: Reading) -> bool:
    """Return whether a person should act; a failure that passes by itself needs none."""
    return known_state(reading) not in {UNAVAILABLE, NOT_RATED, ACTIVE}


def urgency(reading: Reading, *, now: datetime) -> tuple[int, timedelta]:
    """Return a sort key: the most urgent state first, and within a state the quota that stops first."""
    state = known_state(reading)
    within = timedelta(0)  # as in the providers' file
    if state is EXHAUSTED:
        within = now - reading.renews_at if reading.renews_at is not None else timedelta.min
    elif state in {CRITICAL, LOW}:
        within = _time_left(reading, now=now)
    return _BY_URGENCY.index(state), within


def by_urgency(readings: Iterable[Reading], *, now: datetime) -> list[tuple[Badge, list[Reading]]]:
    """Return the readings by their state, the most urgent first."""
    in_order = sorted(readings, key=lambda reading: urgency(reading, now=now))
    return [(state, list(group)) for state, group in groupby(in_order, known_state)]


def _time_left(reading: Reading, *, now: datetime) -> timedelta:
    """Estimate when a quota stops.

    As projected; without a period as if it were a month; at once if only a floor rates the quota.
    """
    if reading.lasts:
        return timedelta.max
    if reading.projected_exhaustion_at is not None:
        return reading.projected_exhaustion_at - now
    if reading.usage_percentage is None:
        return timedelta(0)
    return _USUAL_PERIOD * float(100 - reading.usage_percentage) / 100


def tone(reading: Reading) -> Tone:
    """Return the color of the bar: that of the level, or stale if the figures are older than the last fetch."""
    if badge(reading) is EXHAUSTED:
        return "critical"
    if reading.stale:
        return "stale"
    return _TONES[reading.level]

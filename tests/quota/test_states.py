"""The state of a reading, and what is most urgent."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from integrations.quota import states
from integrations.quota.errors import ErrorCode, Status
from integrations.quota.models import Quota, Reading, UsageError
from integrations.quota.rules import Floors, Level, Thresholds

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)


def reading(name: str = "IMAI", *, level: Level | None = Level.OK, **changes: object) -> Reading:
    """A good reading of this level."""
    return Reading(provider=name, status=Status.ACTIVE, level=level, fetched_at=NOW).model_copy(
        update=changes
    )


def failed(code: ErrorCode, name: str = "IMAI", **changes: object) -> Reading:
    """A failure before any reading."""
    error = UsageError(code=code, message="-")
    return Reading.without_figures(name, error).model_copy(update=changes)


def stale(code: ErrorCode, level: Level | None, name: str = "IMAI") -> Reading:
    """A failure after a reading of this level."""
    return reading(name, level=level).after_failure(UsageError(code=code, message="-"))


@pytest.mark.parametrize(
    ("shown", "word", "color", "tone", "urgent"),
    [
        (reading(), "Active", "green", "ok", False),
        (reading(level=None), "Not rated", "gray", "none", False),
        (reading(level=Level.WARNING), "Low", "orange", "warning", True),
        (reading(level=Level.CRITICAL), "Almost exhausted", "red", "critical", True),
        (reading(level=Level.EXHAUSTED), "Exhausted", "red", "critical", True),
        (failed(ErrorCode.TIMEOUT), "Unavailable", "orange", "none", False),
        (failed(ErrorCode.AUTHENTICATION_FAILED), "Error", "red", "none", True),
        (failed(ErrorCode.NOT_CONFIGURED), "Not configured", "gray", "none", True),
        (failed(ErrorCode.QUOTA_EXHAUSTED), "Exhausted", "red", "critical", True),
        (stale(ErrorCode.TIMEOUT, Level.OK), "Unavailable", "orange", "stale", False),
        (stale(ErrorCode.TIMEOUT, Level.EXHAUSTED), "Unavailable", "orange", "stale", True),
        (stale(ErrorCode.QUOTA_EXHAUSTED, Level.OK), "Exhausted", "red", "critical", True),
    ],
)
def test_a_reading_has_a_badge_a_color_of_its_bar_and_may_need_a_person(
    shown: Reading,
    word: str,
    color: str,
    tone: str,
    urgent: bool,
) -> None:
    """A failure has priority over the level, unless nothing is left; the bar of old figures is gray."""
    badge = states.badge(shown)
    assert (badge.word, badge.color) == (word, color)
    assert badge.icon.startswith(":material/")
    assert states.tone(shown) == tone
    assert states.needs_person(shown) is urgent


def listed(*readings: Reading) -> list[tuple[str, list[str]]]:
    """The states with their cards, as the overview lists them."""
    groups = states.by_urgency(readings, now=NOW)
    return [(badge.word, [one.provider for one in group]) for badge, group in groups]


def test_what_needs_a_person_comes_first() -> None:
    """The states by urgency; cards of one state in the file's order."""
    assert listed(
        reading("active"),
        reading("not rated", level=None),
        reading("low", level=Level.WARNING),
        failed(ErrorCode.NOT_CONFIGURED, "not configured"),
        failed(ErrorCode.TIMEOUT, "unavailable b"),
        failed(ErrorCode.TIMEOUT, "unavailable a"),
        failed(ErrorCode.INVALID_RESPONSE, "error"),
        reading("critical", level=Level.CRITICAL),
        failed(ErrorCode.QUOTA_EXHAUSTED, "exhausted"),
    ) == [
        ("Exhausted", ["exhausted"]),
        ("Almost exhausted", ["critical"]),
        ("Error", ["error"]),
        ("Unavailable", ["unavailable b", "unavailable a"]),
        ("Not configured", ["not configured"]),
        ("Low", ["low"]),
        ("Not rated", ["not rated"]),
        ("Active", ["active"]),
    ]


def test_stale_figures_keep_the_rank_of_their_level() -> None:
    """An account that was exhausted is no less urgent because its service is down now."""
    assert listed(
        stale(ErrorCode.TIMEOUT, Level.OK, "well"),
        stale(ErrorCode.TIMEOUT, Level.WARNING, "low"),
        stale(ErrorCode.AUTHENTICATION_FAILED, Level.CRITICAL, "critical"),
        stale(ErrorCode.TIMEOUT, Level.EXHAUSTED, "exhausted"),
    ) == [("Exhausted", ["exhausted"]), ("Almost exhausted", ["critical"]), ("Unavailable", ["well", "low"])]


def measured(
    name: str,
    used: int,
    *,
    started_days_ago: int | None = None,
    renews_days: int | None = None,
    floors: Floors | None = None,
) -> Reading:
    """A reading of this share used, as a good answer gives it."""
    quota = Quota(
        remaining=Decimal(100 - used),
        total=None if floors else Decimal(100),
        name=name,
        starts_at=None if started_days_ago is None else NOW - timedelta(days=started_days_ago),
        renews_at=None if renews_days is None else NOW + timedelta(days=renews_days),
    )
    return Reading.measured("", quota, at=NOW, thresholds=Thresholds(), floors=floors or Floors())


def test_within_a_state_the_quota_that_stops_first_comes_first() -> None:
    """Below a floor; then by the projected end, or by the share left of a month; then those that last."""
    floors = Floors(critical=Decimal(5))
    [(_, names)] = listed(
        measured("lasts", 96, started_days_ago=29, renews_days=1),
        measured("0.9 of 30 days", 97),
        measured("1.04 days", 96, started_days_ago=25, renews_days=5),
        measured("0.3 of 30 days", 99),
        measured("floor", 98, floors=floors),
    )
    assert [name.strip() for name in names] == [
        "floor",
        "0.3 of 30 days",
        "0.9 of 30 days",
        "1.04 days",
        "lasts",
    ]


def test_the_exhausted_quota_that_renews_last_comes_first() -> None:
    """One without a renewal waits for a person."""
    [(_, names)] = listed(
        measured("soon", 100, renews_days=1), measured("later", 100, renews_days=9), measured("never", 100)
    )
    assert [name.strip() for name in names] == ["never", "later", "soon"]

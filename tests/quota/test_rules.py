"""The rules of the figures."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.quota.rules import (
    NO_FLOORS,
    Figures,
    Floors,
    Level,
    Period,
    Thresholds,
    has_pace,
    level_of,
    projected_exhaustion,
    usage_percentage,
)

BOUNDS = Thresholds()
START = datetime(2026, 11, 1, tzinfo=UTC)

amounts = st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False, places=2)
positives = st.decimals(Decimal("0.01"), 10**12, allow_nan=False, allow_infinity=False, places=2)
used_amounts = st.decimals(0, 10**12, allow_nan=False, allow_infinity=False, places=2)
totals = st.one_of(st.just(Decimal(0)), positives)
anything = st.builds(
    Figures,
    total=st.none() | totals,
    remaining=st.none() | amounts,
    used=st.none() | used_amounts,
)


def figures(
    total: str | int | None = None, remaining: str | int | None = None, used: str | int | None = None
) -> Figures:
    """Completed figures."""
    known = [None if figure is None else Decimal(figure) for figure in (total, remaining, used)]
    return Figures(total=known[0], remaining=known[1], used=known[2]).completed()


@given(stated=anything)
def test_a_stated_figure_is_never_replaced(stated: Figures) -> None:
    """It stays even if it contradicts the others; a negative total or used amount is unknown instead."""
    found = stated.completed()
    for name in ("total", "remaining", "used"):
        assert getattr(stated, name) in {None, getattr(found, name)}
    assert found.total is None or found.total >= 0
    assert found.used is None or found.used >= 0


@given(total=positives, remaining=amounts)
def test_used_is_the_total_less_the_remainder_if_they_are_of_one_pool(
    total: Decimal, remaining: Decimal
) -> None:
    """With more remaining than the total, the used amount is unknown."""
    found = Figures(total=total, remaining=remaining).completed()
    assert found.used == (None if remaining > total else total - remaining)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ((100, None, 30), (100, 70, 30)),
        ((None, 70, 30), (100, 70, 30)),
        ((None, None, 30), (None, None, 30)),
        ((None, 70, None), (None, 70, None)),
        ((100, None, None), (100, None, None)),
        ((100, 70, 31), (100, 70, 31)),
        ((30000, 6058, 24042), (30000, 6058, 24042)),
        ((500, 1400, None), (500, 1400, None)),
        ((500, 1400, 600), (500, 1400, 600)),
        ((100, None, 130), (100, -30, 130)),
        ((100, -30, None), (100, -30, 130)),
        ((None, -30, 10), (None, -30, 10)),
    ],
)
def test_an_unstated_figure_follows_from_two_of_one_pool(
    stated: tuple[int | None, ...], expected: tuple[int | None, ...]
) -> None:
    """Total, remaining and used: two give the third; three stay as they are."""
    found = figures(*stated)
    assert (found.total, found.remaining, found.used) == expected


@given(stated=anything)
def test_the_percentage_reaches_its_ends_only_when_they_are_true(stated: Figures) -> None:
    """100 or more means nothing left, 0 means nothing used, and there is at most one decimal."""
    found = stated.completed()
    percentage = usage_percentage(found)
    if percentage is None:
        return
    assert found.remaining is not None
    assert percentage < 100 or found.remaining <= 0
    assert (percentage == 0) == (found.used == 0)
    assert percentage == round(percentage, 1)


@given(total=positives, remaining=amounts)
def test_the_percentage_of_one_pool_is_100_as_soon_as_nothing_is_left(
    total: Decimal, remaining: Decimal
) -> None:
    """Without a stated used amount, there is a percentage unless more remains than the total."""
    percentage = usage_percentage(Figures(total=total, remaining=remaining).completed())
    assert (percentage is None) == (remaining > total)
    assert percentage is None or (percentage >= 100) == (remaining <= 0)


@given(total=positives, one=used_amounts, other=used_amounts)
def test_more_used_is_never_a_smaller_percentage(total: Decimal, one: Decimal, other: Decimal) -> None:
    """The percentage grows with the used amount."""
    less, more = (
        usage_percentage(Figures(total=total, used=used).completed()) for used in sorted((one, other))
    )
    assert less is not None
    assert more is not None
    assert less <= more


Stated = tuple[str | int | None, ...]
ONE_POOL: list[tuple[Stated, str | None, str]] = [
    ((10000, 10000, None), "0", "ok"),
    ((10000, "9999.98", None), "0.1", "ok"),
    ((10000, 2010, None), "79.9", "ok"),
    ((10000, 2001, None), "80", "warning"),
    ((10000, 2000, None), "80", "warning"),
    ((10000, 500, None), "95", "critical"),
    ((10000, "0.5", None), "99.9", "critical"),
    (("9999999999.98", "0.01", None), "99.9", "critical"),
    ((10000, 0, None), "100", "exhausted"),
    ((10000, -5, None), "100.1", "exhausted"),
    ((10000, -2500, None), "125", "exhausted"),
]
DIFFERENT_POOLS: list[tuple[Stated, str | None, str]] = [
    ((500, 1400, None), None, "ok"),
    ((500, 1400, 300), "60", "ok"),
    ((500, 1400, 600), None, "ok"),
    ((30000, 6058, 24042), "80.1", "warning"),
    ((100, 70, 31), "31", "ok"),
    ((100, 40, 110), None, "critical"),
    ((100, 40, 100), None, "critical"),
    ((100, 0, 50), "50", "exhausted"),
    ((100, 5, 0), "0", "ok"),
]


@pytest.mark.parametrize(("stated", "percentage", "level"), ONE_POOL + DIFFERENT_POOLS)
def test_percentage_and_level(stated: Stated, percentage: str | None, level: str) -> None:
    """A stated used amount is the percentage's, but none of 100 is shown while something is left."""
    found = figures(*stated)
    assert usage_percentage(found) == (None if percentage is None else Decimal(percentage))
    assert level_of(found, BOUNDS, NO_FLOORS) == level


@given(remaining=st.none() | amounts, used=st.none() | used_amounts)
def test_a_total_of_0_cannot_be_exhausted(remaining: Decimal | None, used: Decimal | None) -> None:
    """It has neither a percentage nor a level nor a projection."""
    found = Figures(total=Decimal(0), remaining=remaining, used=used).completed()
    assert usage_percentage(found) is None
    assert level_of(found, BOUNDS, NO_FLOORS) is None
    assert not has_pace(found, period(50))


@given(total=positives, more=positives, used=st.none() | used_amounts)
def test_more_left_than_the_plans_allowance_is_ok(
    total: Decimal, more: Decimal, used: Decimal | None
) -> None:
    """The used amount is unknown unless it is stated, and the level is `ok`."""
    found = Figures(total=total, remaining=total + more, used=used).completed()
    assert found.used == used
    assert level_of(found, BOUNDS, NO_FLOORS) is Level.OK


FLOORS = Floors(low=Decimal(10), critical=Decimal(3))


@pytest.mark.parametrize(
    ("remaining", "floors", "level"),
    [
        ("10.01", FLOORS, "ok"),
        ("10", FLOORS, "warning"),
        ("3.01", FLOORS, "warning"),
        ("3", FLOORS, "critical"),
        ("0.01", FLOORS, "critical"),
        ("0", FLOORS, "exhausted"),
        ("-1", FLOORS, "exhausted"),
        ("5", Floors(low=Decimal(10)), "warning"),
        ("5", Floors(critical=Decimal(10)), "critical"),
        ("50", Floors(critical=Decimal(10)), "ok"),
        ("50", NO_FLOORS, None),
        ("0", NO_FLOORS, "exhausted"),
    ],
)
def test_a_balance_without_a_total_is_rated_by_its_floors(
    remaining: str, floors: Floors, level: str | None
) -> None:
    """At a floor or below it; without floors only an empty balance has a level."""
    assert level_of(figures(None, remaining), BOUNDS, floors) == level


@given(total=positives, remaining=amounts)
def test_the_more_urgent_of_share_and_floor_counts(total: Decimal, remaining: Decimal) -> None:
    """The level is the more severe of the two."""
    found = Figures(total=total, remaining=remaining).completed()
    by_share = level_of(found, BOUNDS, NO_FLOORS)
    by_floors = level_of(Figures(remaining=remaining), BOUNDS, FLOORS)
    assert by_share is not None
    assert by_floors is not None
    both = level_of(found, BOUNDS, FLOORS)
    assert both is not None
    assert both.severity == max(by_share.severity, by_floors.severity)


def test_floors_rate_what_is_left_next_to_a_plan_that_includes_nothing() -> None:
    """The account's own floors count for a total of 0, too; a used amount alone has nothing to be rated."""
    assert level_of(figures(0, 2), BOUNDS, FLOORS) is Level.CRITICAL
    assert level_of(figures(None, None, 5), BOUNDS, FLOORS) is None


def period(percent: float, *, days: float = 30) -> Period:
    """A period of which this share is over."""
    length = timedelta(days=days)
    return Period(starts_at=START, renews_at=START + length, now=START + length * (percent / 100))


@pytest.mark.parametrize(
    ("percent", "used", "expected_percent"),
    [
        (50, 80, 62.5),
        (50, 51, 50 / 0.51),
        (50, 50, None),
        (50, 10, None),
        (5, 50, 10),
        (4.9, 50, None),
        (0, 50, None),
        (100, 50, None),
        (99, 100, None),
        (50, 0, None),
        (-1, 50, None),
    ],
)
def test_a_quota_is_projected_at_the_average_pace(
    percent: float, used: int, expected_percent: float | None
) -> None:
    """From the used share and the share of the period that is over, if both are large enough."""
    found = projected_exhaustion(figures(100, 100 - used), period(percent))
    expected = expected_percent and period(expected_percent).now
    assert (found and round(found.timestamp())) == (expected and round(expected.timestamp()))


@given(
    stated=anything,
    start=st.datetimes(datetime(2026, 1, 1), datetime(2026, 2, 1)),  # noqa: DTZ001 - hypothesis wants it so
    minutes=st.integers(-1000, 60_000),
    passed=st.integers(-1000, 60_000),
)
def test_a_projection_lies_between_the_reading_and_the_renewal(
    stated: Figures, start: datetime, minutes: int, passed: int
) -> None:
    """Never in the past of the reading, never at the renewal or later, and never before 5 % of the period."""
    starts_at = start.replace(tzinfo=UTC)
    whole, over = timedelta(minutes=minutes), timedelta(minutes=passed)
    given_period = Period(starts_at=starts_at, renews_at=starts_at + whole, now=starts_at + over)
    found = stated.completed()
    moment = projected_exhaustion(found, given_period)
    if moment is not None:
        assert given_period.now <= moment < given_period.renews_at
        assert whole / 20 <= over < whole
        assert has_pace(found, given_period)
    if found.remaining is None or found.remaining <= 0 or not found.used:
        assert moment is None


@given(used=st.integers(1, 50), more=st.integers(0, 49), percent=st.integers(5, 99))
def test_more_used_never_lasts_longer(used: int, more: int, percent: int) -> None:
    """At the same moment of the same period."""
    last = START + timedelta(days=31)
    ends = [
        projected_exhaustion(figures(100, 100 - amount), period(percent)) or last
        for amount in (used, used + more)
    ]
    assert ends[1] <= ends[0]


def test_the_levels_rise() -> None:
    """Each is more severe than the one before."""
    assert [level.severity for level in Level] == [0, 1, 2, 3]

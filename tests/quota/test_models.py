"""The quotas of an answer, and their readings."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from integrations.quota.errors import ErrorCode, Status
from integrations.quota.models import Quota, Reading, UsageError, UsageReport
from integrations.quota.rules import Level, Thresholds

AT = datetime(2026, 11, 23, 7, 25, 21, 999_999, tzinfo=UTC)
KEYS = [
    *("provider", "totalQuota", "remainingQuota", "usedQuota", "usagePercentage", "status"),
    *("unit", "level", "fetchedAt", "stale"),
    *("startsAt", "renewsAt", "projectedExhaustionAt", "error"),
]
ERROR = UsageError(code=ErrorCode.NETWORK, message="Unable to fetch quota.")

amounts = st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False, places=2)
totals = st.decimals(Decimal("0.01"), 10**12, allow_nan=False, allow_infinity=False, places=2)


def reading(total: Decimal | int | None, remaining: Decimal | int | None) -> Reading:
    """A reading of these figures."""
    quota = Quota(
        total=None if total is None else Decimal(total),
        remaining=None if remaining is None else Decimal(remaining),
    )
    return Reading.measured("IMAI", quota, at=AT, thresholds=Thresholds())


@given(remaining=amounts)
def test_without_a_total_nothing_is_invented(remaining: Decimal) -> None:
    """Total, used and percentage stay unknown; only an empty account has a level."""
    found = reading(None, remaining)
    assert (found.total_quota, found.used_quota, found.usage_percentage) == (None, None, None)
    assert found.level == (Level.EXHAUSTED if remaining <= 0 else None)


@given(total=totals, remaining=amounts)
def test_numbers_in_the_json_are_the_figures(total: Decimal, remaining: Decimal) -> None:
    """The JSON holds numbers and not strings, equal to what was measured."""
    document = json.loads(reading(total, remaining).model_dump_json(), parse_float=Decimal, parse_int=Decimal)
    assert document["totalQuota"] == total
    assert document["remainingQuota"] == remaining


def test_a_plan_without_a_limit_has_no_total_whatever_the_provider_states() -> None:
    """What is used is known; a total or a remainder has no meaning, and none of them makes it low."""
    stated = {"total": Decimal(100), "remaining": Decimal(0), "used": Decimal(5)}
    for quota in (Quota(unlimited=True), Quota(**stated, unlimited=True)):  # type: ignore[arg-type]
        found = Reading.measured("X", quota, at=AT, thresholds=Thresholds())
        assert found.used_quota == quota.used
        assert (found.total_quota, found.remaining_quota, found.usage_percentage) == (None, None, None)
        assert found.level is Level.OK
        assert found.unlimited


@pytest.mark.parametrize("figures", [{"used": 5}, {"remaining": 5, "total": 10}, {"remaining": 0}])
def test_a_plan_with_a_limit_or_an_unknown_one_is_not_unlimited(figures: dict[str, int]) -> None:
    """A plan is unlimited only if the provider says so."""
    quota = Quota(**{name: Decimal(figure) for name, figure in figures.items()})  # type: ignore[arg-type]
    assert not Reading.measured("X", quota, at=AT, thresholds=Thresholds()).unlimited


@pytest.mark.parametrize("figure", ["total_quota", "remaining_quota", "used_quota", "usage_percentage"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_no_reading_holds_nan_or_infinity(figure: str, value: str) -> None:
    """A reading with NaN or Infinity in any figure is refused."""
    with pytest.raises(ValidationError, match=r"finite"):
        Reading.model_validate({"provider": "X", "status": Status.ACTIVE, figure: Decimal(value)})


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"total": Decimal(1)},
        {"remaining": Decimal("NaN")},
        {"remaining": Decimal("Infinity")},
        {"remaining": Decimal(1), "total": Decimal(-1)},
        {"used": Decimal(-1)},
        {"remaining": Decimal("1e400")},
        {"used": Decimal(1000000000001)},
        {"remaining": Decimal(1), "total": Decimal("1e-41")},
    ],
)
def test_a_quota_that_no_account_can_hold_is_refused(figures: dict[str, Decimal]) -> None:
    """The quota itself raises the error."""
    with pytest.raises(
        ValueError,
        match=r"^(a figure is (not|beyond)|the total and the used|neither the remaining)",
    ):
        Quota(**figures)  # type: ignore[arg-type]


@pytest.mark.usefixtures("far_from_utc")
def test_the_json_is_the_documents() -> None:
    """The keys are in the documented order, whole numbers have no point, and times are in UTC to the second."""
    found = reading(10000, Decimal("7499.98"))
    assert list(found.model_dump(mode="json")) == KEYS
    text = UsageReport(integrations=[found]).model_dump_json()
    assert text.startswith('{"integrations":[{"provider":"IMAI","totalQuota":10000,"remainingQuota":7499.98,')
    assert '"fetchedAt":"2026-11-23T07:25:21Z"' in text


def test_a_failure_keeps_the_figures_and_says_stale() -> None:
    """The figures and their time stay, and status and reason are the failure's."""
    good = reading(10000, 7500)
    failed = good.after_failure(ERROR)
    assert (failed.stale, failed.status, failed.error) == (True, Status.UNAVAILABLE, ERROR)
    kept = {"total_quota", "remaining_quota", "used_quota", "usage_percentage", "level", "fetched_at"}
    assert failed.model_dump(include=kept) == good.model_dump(include=kept)


def test_without_a_reading_every_figure_is_unknown_also_after_the_next_failure() -> None:
    """A failure has null for every figure, no 0, and is not stale."""
    failed = Reading.without_figures("IMAI", ERROR)
    for found in (failed, failed.after_failure(ERROR)):
        document = found.model_dump(mode="json")
        known = {key for key in KEYS if document[key] is not None}
        assert known == {"provider", "status", "stale", "error"}
        assert (found.stale, found.has_figures, found.error) == (False, False, ERROR)


EIGHT_DAYS = timedelta(days=8)
HALFWAY = Quota(total=Decimal(100), used=Decimal(80), starts_at=AT - EIGHT_DAYS, renews_at=AT + EIGHT_DAYS)


def measured(quota: Quota) -> Reading:
    """A reading of this quota."""
    return Reading.measured("X", quota, at=AT, thresholds=Thresholds())


def test_a_reading_projects_the_end_of_its_quota() -> None:
    """With 80 % used after half the period, the rest lasts for an eighth of it."""
    found = measured(HALFWAY)
    assert found.projected_exhaustion_at == AT + timedelta(days=2)
    assert (found.level, found.lasts) == (Level.WARNING, False)
    assert found.model_dump(mode="json")["projectedExhaustionAt"] == "2026-11-25T07:25:21Z"
    assert measured(replace(HALFWAY, used=Decimal(50))).lasts


@pytest.mark.parametrize("changes", [{"starts_at": None}, {"renews_at": None}, {"unlimited": True}])
def test_without_a_period_or_a_limit_nothing_is_projected(changes: dict[str, object]) -> None:
    """The pace, or the end, is unknown."""
    found = measured(replace(HALFWAY, **changes))  # type: ignore[arg-type]
    assert (found.projected_exhaustion_at, found.lasts) == (None, False)


def renewing(at: datetime) -> Reading:
    """A reading that renews at this time."""
    return Reading.model_validate({**reading(1, 1).model_dump(), "renewsAt": at})


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("9999-12-31T23:59:59.9Z", "9999-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("2026-12-01T01:30:00+05:30", "2026-11-30T20:00:00Z"),
    ],
)
def test_a_time_is_in_utc_to_the_ends_of_the_calendar(at: str, shown: str) -> None:
    """To the second, with four digits of the year."""
    assert renewing(datetime.fromisoformat(at)).model_dump(mode="json")["renewsAt"] == shown


@pytest.mark.parametrize(
    "at", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00", "2026-01-01T00:00:00"]
)
def test_a_time_beyond_the_calendar_or_without_a_zone_is_refused(at: str) -> None:
    """Neither is a time in UTC."""
    with pytest.raises(ValidationError):
        renewing(datetime.fromisoformat(at))

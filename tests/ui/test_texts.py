"""The words on a card."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from integrations.errors import ErrorCode, Status
from integrations.models import Level, Quota, Reading, Thresholds, UsageError
from integrations.ui import texts

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
READING = Reading(
    provider="IMAI",
    total_quota=Decimal(10000),
    remaining_quota=Decimal(7500),
    used_quota=Decimal(2500),
    usage_percentage=Decimal(25),
    status=Status.ACTIVE,
    level=Level.OK,
    fetched_at=NOW - timedelta(minutes=3),
)


def reading(**changes: object) -> Reading:
    """The usual reading, changed."""
    return READING.model_copy(update=changes)


def error(code: ErrorCode, retry_after: int | None = None) -> UsageError:
    """A failure."""
    return UsageError(code=code, message="-", retry_after=retry_after)


def test_the_usual_card() -> None:
    """The lines of a card with a good reading are worded as the requirements say."""
    assert texts.remaining(READING) == "Remaining: 7,500 credits"
    assert texts.used(READING, total_hint="X") == "Used: 2,500 / 10,000 credits"
    assert texts.percentage(Decimal(25)) == "25%"
    assert texts.freshness(READING, now=NOW) == "Updated 3 minutes ago"
    assert texts.note(READING) is None


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("7500.00", "7,500"),
        ("7499.98", "7,499.98"),
        ("0.02", "0.02"),
        ("-12.5", "-12.5"),
        ("9999999999.98", "9,999,999,999.98"),
        ("1E+3", "1,000"),
    ],
)
def test_an_amount_is_grouped_and_has_decimals_only_where_there_are_any(figure: str, text: str) -> None:
    """Thousands are separated by commas, and trailing zeros are left out."""
    assert texts.amount(Decimal(figure)) == text


@pytest.mark.parametrize(
    ("changes", "word", "color"),
    [
        ({}, "Active", "green"),
        ({"level": None}, "Active", "green"),
        ({"level": Level.WARNING}, "Low", "orange"),
        ({"level": Level.CRITICAL}, "Almost exhausted", "red"),
        ({"level": Level.EXHAUSTED}, "Exhausted", "red"),
        ({"status": Status.UNAVAILABLE, "error": error(ErrorCode.TIMEOUT)}, "Unavailable", "orange"),
        ({"status": Status.ERROR, "error": error(ErrorCode.INVALID_RESPONSE)}, "Error", "red"),
        ({"status": Status.ERROR, "error": error(ErrorCode.NOT_CONFIGURED)}, "Not configured", "gray"),
        (
            {"status": Status.ERROR, "error": error(ErrorCode.TIMEOUT), "level": Level.EXHAUSTED},
            "Error",
            "red",
        ),
    ],
)
def test_the_badge(changes: dict[str, object], word: str, color: str) -> None:
    """Each state has a word, a colour and an icon, and a failure goes before the level."""
    badge = texts.badge(reading(**changes))
    assert (badge.word, badge.color) == (word, color)
    assert badge.icon.startswith(":material/")


def test_what_is_unknown_is_said() -> None:
    """An unknown total and a missing limit are each told in words and never as a figure."""
    unknown = reading(total_quota=None, used_quota=None, usage_percentage=None, level=None)
    assert texts.used(unknown, total_hint="IMAI_TOTAL_CREDITS") == (
        "Total unknown: set IMAI_TOTAL_CREDITS to see usage."
    )
    assert texts.used(unknown, total_hint=None) == "Total unknown."
    no_limit = reading(total_quota=None, remaining_quota=None, usage_percentage=None)
    assert texts.remaining(no_limit) == "No limit"
    assert texts.used(no_limit, total_hint=None) == "Used: 2,500 credits"
    assert texts.used(no_limit.model_copy(update={"used_quota": None}), total_hint=None) is None


def test_a_balance_outside_the_allowance_is_explained() -> None:
    """An account that is exactly full is not above its allowance, and one at a measured 0 is not overdrawn."""
    above = "The balance is above the plan's allowance, by a top-up or a rollover."
    overdrawn = "The account is overdrawn: more was used than the plan allows."
    for left, note in ((10001, above), (10000, None), (0, None), (-1, overdrawn)):
        assert texts.note(reading(remaining_quota=Decimal(left))) == note
    for unknown in ("total_quota", "remaining_quota"):
        assert texts.note(reading(**{unknown: None})) is None


@pytest.mark.usefixtures("far_from_utc")
def test_the_renewal_in_utc_and_in_the_viewers_time() -> None:
    """It is told in UTC, in the viewer's own time where that differs, and as past once it is over."""
    at = datetime(2026, 11, 27, 3, tzinfo=UTC)
    plain = "Renews 27 Nov 2026, 03:00 UTC (in 4 days)"
    assert texts.renewal(at, now=NOW, zone=None) == plain
    assert texts.renewal(at, now=NOW, zone=ZoneInfo("UTC")) == plain
    assert texts.renewal(at, now=NOW, zone=ZoneInfo("America/New_York")) == (
        f"{plain}, 26 Nov 2026, 22:00 your time"
    )
    assert texts.renewal(NOW + timedelta(hours=3), now=NOW, zone=None).endswith("(in 3 hours)")
    assert texts.renewal(NOW + timedelta(minutes=95), now=NOW, zone=None).endswith("(in 2 hours)")
    assert (
        texts.renewal(at, now=at, zone=None) == "Was to renew 27 Nov 2026, 03:00 UTC; this reading is older"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (59, "just now"), (60, "a minute ago"), (200, "3 minutes ago"), (7200, "2 hours ago")],
)
def test_ages(seconds: int, text: str) -> None:
    """An age is told in whole minutes or hours, and below a minute as just now."""
    assert texts.ago(NOW - timedelta(seconds=seconds), now=NOW) == text


def test_a_stale_reading_says_so_with_its_age() -> None:
    """The age is that of the figures and not that of the failure."""
    stale = reading(stale=True, fetched_at=NOW - timedelta(hours=2))
    assert texts.freshness(stale, now=NOW) == "Last good reading 2 hours ago"
    assert texts.freshness(reading(fetched_at=None), now=NOW) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "a second"),
        (59, "59 seconds"),
        (60, "a minute"),
        (89, "a minute"),
        (91, "2 minutes"),
        (3600, "an hour"),
        (40 * 3600, "2 days"),
        (86400, "a day"),
    ],
)
def test_a_wait_is_told_to_the_nearest_unit(seconds: int, words: str) -> None:
    """Below a minute it is told in seconds, and no wait is told as none."""
    failed = reading(error=error(ErrorCode.PROVIDER_UNAVAILABLE, seconds))
    assert texts.pause(failed) == f"It asked for a pause: next attempt in {words}."
    assert texts.renewal(NOW + timedelta(seconds=seconds), now=NOW, zone=None).endswith(f"(in {words})")


def test_a_pause_is_told_once() -> None:
    """A rate limit's sentence has the time already, and a failure without one has no pause."""
    assert texts.pause(reading(error=error(ErrorCode.RATE_LIMITED, 120))) is None
    assert texts.pause(reading(error=error(ErrorCode.PROVIDER_UNAVAILABLE))) is None
    assert texts.pause(READING) is None


@pytest.mark.parametrize(
    ("seconds", "wait"),
    [
        (1, "a minute"),
        (60, "a minute"),
        (61, "2 minutes"),
        (2400, "40 minutes"),
        (3600, "an hour"),
        (3601, "2 hours"),
    ],
)
def test_a_rest_is_told_rounded_up(seconds: int, wait: str) -> None:
    """Who clicks after it is not too early."""
    assert texts.rest(NOW + timedelta(seconds=seconds), now=NOW) == f"May be asked again in {wait}."


def test_what_is_left_is_unknown_where_only_what_is_used_is_known() -> None:
    """That is not the same as no limit."""
    quota = Quota(used=Decimal(5))
    assert (
        texts.remaining(Reading.measured("A", quota, at=NOW, thresholds=Thresholds())) == "Remaining: unknown"
    )
    unlimited = Quota(used=Decimal(5), unlimited=True)
    assert texts.remaining(Reading.measured("A", unlimited, at=NOW, thresholds=Thresholds())) == "No limit"


def test_a_refresh_that_failed_is_announced_as_such() -> None:
    """Who hears the page is told whether there is a new reading."""
    assert texts.announcement(READING) == "IMAI: a new reading."
    assert texts.announcement(reading(error=error(ErrorCode.TIMEOUT))) == "IMAI: no new reading."


@pytest.mark.parametrize(
    ("days", "wait"), [(1, "a day"), (2, "2 days"), (16, "16 days"), (61, "61 days"), (62, "2 months")]
)
def test_days_are_days_for_two_months(days: int, wait: str) -> None:
    """Sixteen of them are no month."""
    text = texts.renewal(NOW + timedelta(days=days), now=NOW, zone=None)
    assert f"(in {wait})" in text

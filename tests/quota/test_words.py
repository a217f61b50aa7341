"""The words on a card."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.quota import words
from integrations.quota.errors import ErrorCode, Status
from integrations.quota.models import Quota, Reading, UsageError
from integrations.quota.rules import Level, Thresholds

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
READING = Reading(
    provider="IMAI",
    total_quota=Decimal(10000),
    remaining_quota=Decimal(7500),
    used_quota=Decimal(2500),
    usage_percentage=Decimal(25),
    status=Status.ACTIVE,
    unit="credits",
    level=Level.OK,
    fetched_at=NOW - timedelta(minutes=3),
)


def reading(**changes: object) -> Reading:
    """The usual reading, changed."""
    return READING.model_copy(update=changes)


def renewal(renews_at: datetime, zone: ZoneInfo | None = None, *, now: datetime = NOW) -> str:
    """What a card says of its renewal."""
    return words.renewal(reading(renews_at=renews_at), now=now, zone=zone) or ""


def error(code: ErrorCode, retry_after: int | None = None) -> UsageError:
    """A failure."""
    return UsageError(code=code, message="-", retry_after=retry_after)


def test_the_usual_card() -> None:
    """The contract's words, to the letter."""
    assert words.remaining(READING) == "Remaining: 7,500 credits"
    assert words.used(READING, total_hint="X") == "Used: 2,500 / 10,000 credits"
    assert words.percentage(Decimal(25)) == "25%"
    assert words.freshness(READING, NOW, now=NOW) == "Updated 3 minutes ago"
    assert words.balance_note(READING) is None


AMOUNTS = [("-0", "0"), ("7500.00", "7,500"), ("0.02", "0.02"), ("-12.5", "-12.5")]
AMOUNTS += [("9999999999.98", "9,999,999,999.98"), ("1E+3", "1,000")]


@pytest.mark.parametrize(("figure", "text"), AMOUNTS)
def test_an_amount_is_grouped_and_has_only_the_decimals_that_it_needs(figure: str, text: str) -> None:
    """As people write figures."""
    assert words.amount(Decimal(figure)) == text


def test_what_is_unknown_is_said() -> None:
    """No total, no limit: each in its own words, and never a figure."""
    unknown = reading(total_quota=None, used_quota=None, usage_percentage=None, level=None)
    assert words.used(unknown, total_hint="IMAI_TOTAL_CREDITS") == (
        "Total unknown: set IMAI_TOTAL_CREDITS to see usage."
    )
    assert words.used(unknown, total_hint=None) == "Total unknown."
    no_limit = reading(total_quota=None, remaining_quota=None, usage_percentage=None)
    assert words.remaining(no_limit) == "No limit"
    assert words.used(no_limit, total_hint=None) == "Used: 2,500 credits"
    assert words.used(no_limit.model_copy(update={"used_quota": None}), total_hint=None) is None


def test_a_balance_outside_the_allowance_is_explained() -> None:
    """An account that is exactly full is not above its allowance, and one at a measured 0 is not overdrawn."""
    above = "More is left than the plan's allowance"
    overdrawn = "The account is overdrawn"
    for left, note in ((10001, above), (10000, None), (0, None), (-1, overdrawn)):
        assert words.balance_note(reading(remaining_quota=Decimal(left))) == note
    assert words.balance_note(reading(total_quota=None, remaining_quota=Decimal(-1))) == overdrawn


@pytest.mark.usefixtures("far_from_utc")
def test_the_renewal_from_now_and_as_a_date() -> None:
    """In the viewer's time; in UTC, marked so, if that is the same or unknown; the past is not promised."""
    at = datetime(2026, 11, 27, 3, tzinfo=UTC)
    for zone in (None, ZoneInfo("UTC")):
        assert renewal(at, zone) == "Renews in 4 days (27 Nov, 03:00 UTC)"
    new_york = ZoneInfo("America/New_York")
    assert renewal(at, new_york) == "Renews in 4 days (26 Nov, 22:00)"
    assert renewal(NOW + timedelta(hours=3)).startswith("Renews in 3 hours ")
    assert renewal(NOW + timedelta(minutes=95)).startswith("Renews in 2 hours ")
    assert renewal(at, now=at) == "Was due to renew 27 Nov, 03:00 UTC; this reading is older"


def test_a_renewal_far_ahead_has_its_year() -> None:
    """Within ten months the date alone is clear."""
    assert "(5 Jan, 07:30 UTC)" in renewal(NOW + timedelta(days=43))
    assert "(23 Nov 2027, 07:30 UTC)" in renewal(NOW + timedelta(days=365))


@pytest.mark.parametrize(
    ("zone", "last"),
    [("Europe/Berlin", "31 Dec 9999, 23:59 UTC"), ("America/New_York", "31 Dec 9999, 18:59")],
)
def test_a_renewal_at_either_end_of_the_calendar_has_a_date(zone: str, last: str) -> None:
    """In UTC if the calendar has no such day in the viewer's time."""
    never = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    assert renewal(never, ZoneInfo(zone)) == f"Renews in 7,978 years ({last})"
    first = datetime(1, 1, 1, tzinfo=UTC)
    assert renewal(first, ZoneInfo(zone)).startswith("Was due to renew ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (59, "just now"), (60, "a minute ago"), (200, "3 minutes ago"), (7200, "2 hours ago")],
)
def test_ages(seconds: int, text: str) -> None:
    """Coarse enough to stay true until the next update of the page."""
    assert words.ago(NOW - timedelta(seconds=seconds), now=NOW) == text


def test_the_freshness_is_that_of_the_figures_or_of_the_failure() -> None:
    """A stale reading has the age of its figures; without figures, the failure has the only time."""
    stale = reading(stale=True, fetched_at=NOW - timedelta(hours=2))
    assert words.freshness(stale, NOW, now=NOW) == "Last good reading 2 hours ago"
    never = reading(fetched_at=None)
    assert words.freshness(never, NOW - timedelta(minutes=3), now=NOW) == "Last tried 3 minutes ago"
    assert words.freshness(never, None, now=NOW) is None


def test_a_failed_card_has_no_room_for_its_renewal() -> None:
    """Unless the figures are from before it."""
    stale = reading(stale=True, renews_at=NOW + timedelta(days=1))
    assert words.renewal(stale, now=NOW, zone=None) is None
    assert words.renewal(stale, now=NOW + timedelta(days=2), zone=None) == (
        "Was due to renew 24 Nov, 07:30 UTC; this reading is older"
    )


WAITS = [(1, "a second"), (59, "59 seconds"), (60, "a minute"), (89, "a minute"), (91, "2 minutes")]
WAITS += [(3600, "an hour"), (40 * 3600, "2 days"), (86400, "a day")]


@pytest.mark.parametrize(("seconds", "wait"), WAITS)
def test_a_wait_is_rounded_to_the_nearest_unit(seconds: int, wait: str) -> None:
    """Below a minute it is in seconds."""
    failed = reading(error=error(ErrorCode.PROVIDER_UNAVAILABLE, seconds))
    assert words.retry_after_note(failed) == f"Retry possible in {wait}"
    assert renewal(NOW + timedelta(seconds=seconds)).startswith(f"Renews in {wait} ")


def test_a_pause_is_shown_once() -> None:
    """A rate limit's sentence has the time already, and a failure without one has no pause."""
    assert words.retry_after_note(reading(error=error(ErrorCode.RATE_LIMITED, 120))) is None
    assert words.retry_after_note(reading(error=error(ErrorCode.PROVIDER_UNAVAILABLE))) is None
    assert words.retry_after_note(READING) is None


RESTS = [(1, "a minute"), (60, "a minute"), (61, "2 minutes"), (3600, "an hour"), (3601, "2 hours")]
RESTS += [(24 * 3600, "a day"), (24 * 3600 + 1, "2 days"), (47 * 3600, "2 days"), (40 * 24 * 3600, "40 days")]


@pytest.mark.parametrize(("seconds", "wait"), RESTS)
def test_the_wait_for_a_refresh_is_rounded_up(seconds: int, wait: str) -> None:
    """A click after it is never too early."""
    assert words.next_refresh_note(NOW + timedelta(seconds=seconds), now=NOW) == f"Refresh possible in {wait}"


def test_an_unknown_remaining_amount_is_not_unlimited() -> None:
    """Each has its own words."""
    for unlimited, text in ((False, "Remaining: unknown"), (True, "No limit")):
        quota = Quota(used=Decimal(5), unlimited=unlimited)
        assert words.remaining(Reading.measured("A", quota, at=NOW, thresholds=Thresholds())) == text


@pytest.mark.parametrize(
    ("figure", "unit", "text"),
    [
        ("74.75", "USD", "$74.75"),
        ("100.5", "USD", "$100.50"),
        ("100", "USD", "$100.00"),
        ("0", "USD", "$0.00"),
        ("-12.5", "USD", "-$12.50"),
        ("1234567.891", "USD", "$1,234,567.891"),
        ("0.07", "EUR", "€0.07"),
        ("1500", "JPY", "¥1,500"),
        ("74.75", "CHF", "74.75 CHF"),
        ("9.4", "CHF", "9.40 CHF"),
        ("1", "SEK", "1.00 SEK"),
        ("12", "%", "12%"),
        ("7500", "credits", "7,500 credits"),
        ("1", "credits", "1 credit"),
        ("1", "searches", "1 search"),
        ("1", "queries", "1 query"),
        ("1", "GB", "1 GB"),
        ("1", "address", "1 address"),
        ("0", "credits", "0 credits"),
        ("5", "usd", "5 usd"),
    ],
)
def test_money_follows_its_sign(figure: str, unit: str, text: str) -> None:
    """Two decimals at least and none rounded away; a code, or any other unit, follows the figure; 1 is singular."""
    assert words.remaining(reading(remaining_quota=Decimal(figure), unit=unit)) == f"Remaining: {text}"


def test_the_used_amount_and_the_total_each_have_a_sign() -> None:
    """An unknown used amount is called so."""
    money = reading(used_quota=Decimal("25.75"), total_quota=Decimal("100.5"), unit="USD")
    assert words.used(money, total_hint=None) == "Used: $25.75 / $100.50"
    above = reading(remaining_quota=Decimal(12000), used_quota=None, usage_percentage=None)
    assert words.used(above, total_hint="X") == "Used: unknown / 10,000 credits"


@pytest.mark.parametrize(
    ("days", "text"), [(15, "15 days"), (17, "17 days"), (52, "52 days"), (400, "1 year")]
)
def test_days_are_not_called_months(days: int, text: str) -> None:
    """17 days are no month, neither behind nor ahead."""
    assert words.ago(NOW - timedelta(days=days), now=NOW).startswith(text)
    assert f"Renews in {text}" in renewal(NOW + timedelta(days=days))


@given(st.integers(0, 2 * 365 * 86_400), st.integers(0, 86_400))
def test_relative_times_never_jump_backwards(seconds: int, later: int) -> None:
    """What was some time ago is never less long ago later; what is some time ahead is never further ahead later."""
    age = [words.ago(NOW - timedelta(seconds=total), now=NOW) for total in (seconds, seconds + later)]
    assert _seconds(age[0]) <= _seconds(age[1])
    ahead = [
        renewal(NOW + timedelta(seconds=1 + total)).partition("(")[0] for total in (seconds, seconds + later)
    ]
    assert _seconds(ahead[0]) <= _seconds(ahead[1])


def _seconds(text: str) -> int:
    """How long the words say that it is."""
    units = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "year": 365 * 86_400}
    found = re.findall(r"(\d+|an?) (second|minute|hour|day|year)", text)
    return sum((1 if count in {"a", "an"} else int(count)) * units[unit] for count, unit in found)


PERIOD = {"starts_at": NOW - timedelta(days=22), "renews_at": NOW + timedelta(days=42), "fetched_at": NOW}


@pytest.mark.parametrize(
    ("runs_out", "text"),
    [
        (timedelta(days=36), "At this pace it runs out about 29 Dec, 6 days before it renews"),
        (timedelta(days=41, hours=20), "At this pace it runs out about 4 Jan, 4 hours before it renews"),
        (timedelta(hours=5), "At this pace it runs out in about 5 hours, 42 days before it renews"),
    ],
)
def test_a_projection_names_the_day_and_the_gap(runs_out: timedelta, text: str) -> None:
    """Within a day it is a wait instead of a date, which is the same in every zone."""
    found = reading(**PERIOD, projected_exhaustion_at=NOW + runs_out)
    assert words.projection(found, now=NOW) == text


def test_a_quota_that_lasts_has_its_sentence() -> None:
    """It needs a known pace: a long enough part of the period, and a used amount."""
    assert words.projection(reading(**PERIOD), now=NOW) == "At this pace it lasts until it renews"
    assert words.projection(reading(), now=NOW) is None
    without_pace = (
        {"starts_at": NOW - timedelta(days=1)},
        {"used_quota": Decimal(0)},
        {"remaining_quota": Decimal(0)},
    )
    for changes in without_pace:
        assert words.projection(reading(**PERIOD | changes), now=NOW) is None


def test_a_projection_that_is_out_of_date_is_not_shown() -> None:
    """After the renewal, or after the projected end."""
    ending = reading(**PERIOD, projected_exhaustion_at=NOW + timedelta(days=3))
    assert words.projection(ending, now=NOW + timedelta(days=4)) is None
    assert words.projection(reading(**PERIOD), now=NOW + timedelta(days=42)) is None


def test_the_overview_says_what_is_left_and_when_it_renews() -> None:
    """Money with its sign, other figures bare; no figure if nothing is left; stale figures with their age."""
    at = NOW + timedelta(days=2)
    low = reading(remaining_quota=Decimal(90), renews_at=at)
    assert words.in_short(low, now=NOW) == "90, renews in 2 days"
    money = reading(remaining_quota=Decimal("1.02"), unit="USD")
    assert words.in_short(money, now=NOW) == "$1.02"
    assert words.in_short(money.model_copy(update={"unit": "CHF"}), now=NOW) == "1.02 CHF"
    stale = low.model_copy(update={"stale": True})
    assert words.in_short(stale, now=NOW) == "90 (3 minutes ago), renews in 2 days"
    assert words.in_short(reading(remaining_quota=Decimal(0), renews_at=at), now=NOW) == "renews in 2 days"
    assert words.in_short(reading(remaining_quota=Decimal(0), renews_at=NOW), now=NOW) == ""

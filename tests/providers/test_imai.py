"""IMAI: its answer, its errors, its renewal."""

import json
from datetime import UTC, datetime, time
from decimal import Decimal

import pytest
import responses
import time_machine

from integrations.demo.server import Simulator
from integrations.providers.imai import Imai, ImaiSettings
from integrations.providers.renewal import month_before, next_renewal
from integrations.quota.errors import ErrorCode, SettingsError
from integrations.quota.models import Reading
from integrations.readings import fetch

URL = "https://imai.co/api/account/info/"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, and nothing else configured."""
    monkeypatch.setenv("IMAI_API_KEY", "test-key")


def read() -> Reading:
    """One reading, without the cache."""
    provider = Imai()
    return fetch.visible_readings(provider, fetch.fetch(provider))[0]


@pytest.mark.usefixtures("key")
@responses.activate
@pytest.mark.parametrize("base", ["https://imai.co/api", "https://imai.co/api/"])
def test_the_call_is_the_documented_one(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    """One GET of `/account/info/` with `authkey`, whether or not the base URL ends with a slash."""
    monkeypatch.setenv("IMAI_API_BASE_URL", base)
    responses.get(URL, json={"success": True, "credits": 7500})
    assert read().remaining_quota == 7500
    assert len(responses.calls) == 1
    request = responses.calls[0].request
    assert (request.url, request.body) == (URL, None)
    assert request.headers["authkey"] == "test-key"
    assert request.headers["Accept"] == "application/json"


@pytest.mark.usefixtures("key")
@responses.activate
@pytest.mark.parametrize("sent", ["7499.98", "0", "-3.5", "1e3", "1000000000000"])
def test_credits_are_the_remaining_amount_to_the_last_decimal(sent: str) -> None:
    """A measured 0 is 0; the total stays unknown."""
    responses.get(URL, body=f'{{"success": true, "credits": {sent}}}')
    reading = read()
    assert reading.remaining_quota == Decimal(sent)
    assert (reading.total_quota, reading.used_quota, reading.usage_percentage) == (None, None, None)


@pytest.mark.usefixtures("key")
@responses.activate
@pytest.mark.parametrize(
    "body", ['{"success": true}', '{"credits": 7500}', '{"success": 1, "credits": 7500}']
)
def test_without_the_documented_fields_there_is_no_figure(body: str) -> None:
    """`success` must be true, and `credits` must be there."""
    responses.get(URL, body=body)
    reading = read()
    assert reading.error is not None
    assert reading.error.code is ErrorCode.INVALID_RESPONSE
    assert reading.remaining_quota is None


CODES = {
    (400, "bad_request"): "invalid_response",
    (400, "bad_filter"): "invalid_response",
    (400, "entity_not_found"): "invalid_response",
    (400, "retry_later"): "provider_unavailable",
    (400, "no_tokens_remaining"): "quota_exhausted",
    (400, "no_quota_remaining"): "quota_exhausted",
    (400, "daily_tokens_limit_exceeded"): "rate_limited",
    (401, "not_authenticated"): "authentication_failed",
    (403, "invalid_api_key"): "authentication_failed",
    (403, "token_is_disabled"): "authentication_failed",
    (403, "tokens_expired"): "subscription_inactive",
    (403, "subscription_expired"): "subscription_inactive",
    (403, "subscription_required"): "subscription_inactive",
    (403, "permission_denied"): "permission_denied",
    (403, "something_new"): "permission_denied",
    (404, "not_found"): "invalid_response",
    (405, "method_not_allowed"): "invalid_response",
    (429, "rate_limit_exceeded"): "rate_limited",
    (500, "internal_server_error"): "provider_unavailable",
    (200, "subscription_expired"): "subscription_inactive",
    (200, "something_new"): "invalid_response",
}


@pytest.mark.usefixtures("key")
@responses.activate
@pytest.mark.parametrize(("answered", "expected"), CODES.items())
def test_status_and_imais_code_together_give_the_error_code(
    answered: tuple[int, str], expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An unknown code is classified by its HTTP status; IMAI's own text reaches neither page nor log."""
    status, code = answered
    body = {"success": False, "error": code, "error_message": "Visit https://imai.example/pay"}
    responses.get(URL, status=status, json=body)
    reading = read()
    assert reading.error is not None
    assert reading.error.code == expected
    assert not reading.has_figures
    assert "imai.example" not in json.dumps(reading.model_dump(mode="json")) + caplog.text
    assert f"vendor_code={'unknown' if code == 'something_new' else code}" in caplog.text


def utc(moment: str) -> datetime:
    """Return a moment in UTC."""
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize(
    ("now", "day", "expected"),
    [
        ("2026-11-23T10:00", 27, "2026-11-27T03:30"),
        ("2026-11-27T03:29", 27, "2026-11-27T03:30"),
        ("2026-11-27T03:30", 27, "2026-12-27T03:30"),
        ("2026-12-28T00:00", 27, "2027-01-27T03:30"),
        ("2026-12-31T23:59", 1, "2027-01-01T03:30"),
        ("2026-02-10T00:00", 31, "2026-02-28T03:30"),
        ("2028-02-10T00:00", 31, "2028-02-29T03:30"),
        ("2026-02-28T04:00", 31, "2026-03-31T03:30"),
        ("2026-04-30T12:00", 31, "2026-05-31T03:30"),
    ],
)
def test_the_next_renewal(now: str, day: int, expected: str) -> None:
    """It is the first one after now, in UTC; a short month renews on its last day."""
    assert next_renewal(utc(now), day, time(3, 30)) == utc(expected)


@pytest.mark.parametrize(
    ("renews_at", "day", "expected"),
    [
        ("2026-11-27T03:00", 27, "2026-10-27T03:00"),
        ("2026-01-01T00:00", 1, "2025-12-01T00:00"),
        ("2026-03-31T00:00", 31, "2026-02-28T00:00"),
        ("2026-02-28T00:00", 31, "2026-01-31T00:00"),
        ("2026-02-28T00:00", 28, "2026-01-28T00:00"),
    ],
)
def test_a_period_begins_at_the_renewal_before(renews_at: str, day: int, expected: str) -> None:
    """A month earlier, on the same day or the last one of a shorter month."""
    assert month_before(utc(renews_at), day) == utc(expected)


@pytest.mark.usefixtures("key")
@responses.activate
def test_with_a_renewal_day_the_end_of_the_credits_is_projected(monkeypatch: pytest.MonkeyPatch) -> None:
    """90 % used after half of November: the rest lasts for a ninth of that time."""
    monkeypatch.setenv("IMAI_TOTAL_CREDITS", "10000")
    monkeypatch.setenv("IMAI_RENEWAL_DAY", "1")
    responses.get(URL, json={"success": True, "credits": 1000})
    with time_machine.travel(datetime(2026, 11, 16, tzinfo=UTC), tick=False):
        reading = read()
    assert reading.starts_at == datetime(2026, 11, 1, tzinfo=UTC)
    assert reading.projected_exhaustion_at == datetime(2026, 11, 17, 16, tzinfo=UTC)


def test_the_settings_state_the_total_and_the_renewal(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They cause no further call."""
    monkeypatch.setenv("IMAI_RENEWAL_DAY", "27")
    monkeypatch.setenv("IMAI_RENEWAL_TIME", "03:00")
    quota = fetch.fetch(Imai()).readings[0]
    assert quota.total_quota == 10000
    assert quota.used_quota == 2500
    assert quota.usage_percentage == 25
    assert quota.renews_at is not None
    assert (quota.renews_at.day, quota.renews_at.hour) == (27, 3)
    assert imai.calls == 1


ENDS = [
    ("total_credits", "0.01"),
    ("total_credits", "1000000000000"),
    ("renewal_day", "1"),
    ("renewal_day", "31"),
]


@pytest.mark.parametrize(("name", "value"), ENDS)
def test_the_ends_of_a_settings_range_are_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The smallest and the largest plan, and both ends of a month."""
    monkeypatch.setenv(f"IMAI_{name.upper()}", value)
    assert getattr(ImaiSettings.load(), name) == Decimal(value)


WRONG = {
    "IMAI_API_KEY": ["test key", "test\nkey", "schlüssel"],
    "IMAI_API_BASE_URL": [
        *("http://imai.co/api", "https://user:secret@imai.co/api", "https://imai.co/api?x=1"),
        *("ftp://127.0.0.1/", "imai.co"),
    ],
    "IMAI_TOTAL_CREDITS": ["0", "-5", "NaN", "many"],
    "IMAI_RENEWAL_DAY": ["0", "32", "2.5"],
    "IMAI_RENEWAL_TIME": ["24:00", "3 am"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_wrong_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The line has the variable, the problem and the expected form, but not the value, which may be secret."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        ImaiSettings.load()
    text = str(caught.value)
    assert text.startswith(f"{name}: ")
    assert "Expected: " in text
    assert "\n" not in text
    assert "secret@" not in text
    assert "schlüssel" not in text

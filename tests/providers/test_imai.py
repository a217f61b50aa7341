"""IMAI: its answer, its errors, its renewal."""

import json
from datetime import UTC, datetime, time
from decimal import Decimal

import pytest
import responses

from integrations import service
from integrations.errors import ErrorCode, SettingsError
from integrations.models import Reading
from integrations.providers.imai import Imai, ImaiSettings
from integrations.providers.renewal import next_renewal
from integrations.simulator import Mode, Simulator

URL = "https://imai.co/api/account/info/"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, and nothing else configured."""
    monkeypatch.setenv("IMAI_API_KEY", "test-key")


def read() -> Reading:
    """One reading, without the cache."""
    provider = Imai()
    return service.readings_of(provider, service.fetch(provider))[0]


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
@pytest.mark.parametrize(
    ("sent", "remaining"),
    [
        ("7500", "7500"),
        ("7499.98", "7499.98"),
        ("0", "0"),
        ("-3.5", "-3.5"),
        ("1e3", "1000"),
        ("1000000000000", "1e12"),
    ],
)
def test_credits_are_what_remains_to_the_last_decimal(sent: str, remaining: str) -> None:
    """A measured figure is shown as it was measured; a measured 0 is 0; the total stays unknown."""
    responses.get(URL, body=f'{{"success": true, "credits": {sent}}}')
    reading = read()
    assert reading.remaining_quota == Decimal(remaining)
    assert (reading.total_quota, reading.used_quota, reading.usage_percentage) == (None, None, None)


@pytest.mark.usefixtures("key")
@responses.activate
@pytest.mark.parametrize(
    "body",
    [
        '{"success": true}',
        '{"credits": 7500}',
        '{"success": 1, "credits": 7500}',
        '{"success": "true", "credits": 7500}',
        *(
            f'{{"success": true, "credits": {value}}}'
            for value in (
                "true",
                '"7500"',
                "null",
                "NaN",
                "Infinity",
                "-Infinity",
                "1e400",
                "[7500]",
                "{}",
                "1000000000000.01",
            )
        ),
        '{"success": true, "credits": 1, "credits": 2}',
    ],
)
def test_anything_but_a_number_is_no_figure(body: str) -> None:
    """Neither a string that looks like one, nor a missing field, ever becomes an amount."""
    responses.get(URL, body=body)
    reading = read()
    assert reading.error is not None
    assert reading.error.code is ErrorCode.INVALID_RESPONSE
    assert reading.remaining_quota is None


KINDS = {
    (400, "bad_request"): "invalid_response",
    (400, "retry_later"): "provider_unavailable",
    (400, "no_tokens_remaining"): "provider_unavailable",
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
@pytest.mark.parametrize(("answered", "kind"), KINDS.items())
def test_status_and_code_together_tell_the_kind(
    answered: tuple[int, str], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A 403 is not a 403; an unknown code falls to the nearest kind; IMAI's words reach neither page nor log."""
    status, code = answered
    body = {"success": False, "error": code, "error_message": "Visit https://imai.example/pay"}
    responses.get(URL, status=status, json=body)
    reading = read()
    assert reading.error is not None
    assert reading.error.code == kind
    assert "imai.example" not in json.dumps(reading.model_dump(mode="json")) + caplog.text
    assert f"vendor_code={'unknown' if code == 'something_new' else code}" in caplog.text


FINE = {Mode.OK, Mode.SLOW, Mode.FLAKY}
BY_MODE = {
    ErrorCode.AUTHENTICATION_FAILED: {
        "not_authenticated",
        "invalid_api_key",
        "token_is_disabled",
        "success_false",
    },
    ErrorCode.PERMISSION_DENIED: {"permission_denied"},
    ErrorCode.SUBSCRIPTION_INACTIVE: {"tokens_expired", "subscription_expired", "subscription_required"},
    ErrorCode.RATE_LIMITED: {"rate_limit_exceeded", "daily_tokens_limit_exceeded"},
    ErrorCode.TIMEOUT: {"hang", "stall", "drip", "drip_chunked", "drip_headers"},
    ErrorCode.NETWORK: {"reset"},
    ErrorCode.PROVIDER_UNAVAILABLE: {
        "retry_later",
        "no_tokens_remaining",
        "no_quota_remaining",
        "internal_server_error",
        "http_500",
        "http_502",
        "http_503",
        "http_504",
    },
}


@pytest.mark.parametrize("mode", sorted(set(Mode) - FINE))
def test_every_mode_of_the_simulator_is_told_as_its_kind(
    imai: Simulator, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a real socket; what is not named here makes no sense, and nothing of it becomes a figure."""
    expected = next((code for code, modes in BY_MODE.items() if mode in modes), ErrorCode.INVALID_RESPONSE)
    deadline = 0.3 if expected is ErrorCode.TIMEOUT else 2
    monkeypatch.setenv("PANEL_DEADLINE_SECONDS", str(deadline))
    imai.drip_seconds = 0.05
    imai.mode = mode
    reading = read()
    assert reading.error is not None
    assert reading.error.code is expected
    assert not reading.has_figures
    assert not imai.leaked


@pytest.mark.parametrize("mode", [Mode.OK, Mode.FLAKY])
def test_a_good_answer_is_read_even_after_a_503(imai: Simulator, mode: Mode) -> None:
    """What passes while the reading waits does not reach the card."""
    imai.mode = mode
    assert read().remaining_quota == 7500


MIDNIGHT = time(0, 0)


@pytest.mark.parametrize(
    ("now", "day", "at", "expected"),
    [
        ("2026-11-23T10:00", 27, time(3, 0), "2026-11-27T03:00"),
        ("2026-11-27T02:59", 27, time(3, 0), "2026-11-27T03:00"),
        ("2026-11-27T03:00", 27, time(3, 0), "2026-12-27T03:00"),
        ("2026-12-28T00:00", 27, time(3, 0), "2027-01-27T03:00"),
        ("2026-12-31T23:59", 1, MIDNIGHT, "2027-01-01T00:00"),
        ("2026-02-10T00:00", 31, MIDNIGHT, "2026-02-28T00:00"),
        ("2028-02-10T00:00", 31, MIDNIGHT, "2028-02-29T00:00"),
        ("2026-02-28T00:00", 31, MIDNIGHT, "2026-03-31T00:00"),
        ("2026-01-31T12:00", 31, MIDNIGHT, "2026-02-28T00:00"),
        ("2026-04-30T12:00", 31, MIDNIGHT, "2026-05-31T00:00"),
    ],
)
def test_the_next_renewal(now: str, day: int, at: time, expected: str) -> None:
    """The first one still to come, in UTC; a short month's last day stands for a day that it lacks."""
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert next_renewal(moment, day, at) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_the_operator_tells_the_total_and_the_renewal(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come from the settings, since no call tells them."""
    monkeypatch.setenv("IMAI_RENEWAL_DAY", "27")
    monkeypatch.setenv("IMAI_RENEWAL_TIME", "03:00")
    provider = Imai()
    quota = service.fetch(provider).readings[0]
    assert quota.total_quota == 10000
    assert quota.used_quota == 2500
    assert quota.usage_percentage == 25
    assert quota.renews_at is not None
    assert (quota.renews_at.day, quota.renews_at.hour) == (27, 3)
    assert imai.calls == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IMAI_API_KEY", "test key"),
        ("IMAI_API_KEY", "test\nkey"),
        ("IMAI_API_KEY", "schlüssel"),
        ("IMAI_API_BASE_URL", "http://imai.co/api"),
        ("IMAI_API_BASE_URL", "https://user:secret@imai.co/api"),
        ("IMAI_API_BASE_URL", "https://imai.co/api?x=1"),
        ("IMAI_API_BASE_URL", "ftp://127.0.0.1/"),
        ("IMAI_API_BASE_URL", "imai.co"),
        ("IMAI_TOTAL_CREDITS", "0"),
        ("IMAI_TOTAL_CREDITS", "-5"),
        ("IMAI_TOTAL_CREDITS", "NaN"),
        ("IMAI_TOTAL_CREDITS", "many"),
        ("IMAI_RENEWAL_DAY", "0"),
        ("IMAI_RENEWAL_DAY", "32"),
        ("IMAI_RENEWAL_DAY", "2.5"),
        ("IMAI_RENEWAL_TIME", "24:00"),
        ("IMAI_RENEWAL_TIME", "3 am"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The line has the variable, the problem and what is expected; never the value, which may be secret."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        ImaiSettings.load()
    text = str(caught.value)
    assert text.startswith(f"{name}: ")
    assert "Expected: " in text
    assert "\n" not in text
    assert "secret@" not in text
    assert "schlüssel" not in text

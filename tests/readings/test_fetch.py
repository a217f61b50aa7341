"""One fetch of each provider; no provider affects another."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import repeat
from typing import Any, NoReturn

import pytest
import time_machine

from integrations.demo.server import Simulator
from integrations.providers.base import Provider
from integrations.quota.errors import ErrorCode, ProviderError, Status
from integrations.quota.models import FailedQuota, Quota
from integrations.quota.rules import Floors
from integrations.readings import fetch
from integrations.settings import ProviderSettings
from integrations.transport.client import Client
from tests.providers.hostile import (
    Behavior,
    answer,
    dripping_body,
    dripping_chunks,
    dripping_handshake,
    dripping_headers,
    hostile,
    silent,
    stalled,
)
from tests.support.races import races

Act = Callable[[Client], Any]


def provider(name: str, act: Act) -> Provider[Any]:
    """Return a provider whose fetch is this function."""

    class Scripted(Provider[ProviderSettings]):
        label = name
        settings_class = ProviderSettings

        def fetch(self, http: Client) -> Quota | Sequence[Quota | FailedQuota]:
            given: Quota | Sequence[Quota | FailedQuota] = act(http)
            return given

    return Scripted()


GOOD = Quota(remaining=Decimal(1), total=Decimal(4))


def raising(error: BaseException) -> Act:
    """Return an act that raises the error."""

    def act(_: Client) -> NoReturn:
        raise error

    return act


def test_imais_answer_becomes_the_documented_reading(imai: Simulator) -> None:
    """IMAI reports the remaining credits, the settings the total, and the panel computes the rest."""
    reading = fetch.get_imai_usage().model_dump(mode="json")
    assert reading.pop("fetchedAt").endswith("Z")
    assert reading == {
        "provider": "IMAI",
        "totalQuota": 10000,
        "remainingQuota": 7500,
        "usedQuota": 2500,
        "usagePercentage": 25,
        "status": "active",
        "unit": "credits",
        "level": "ok",
        "stale": False,
        "startsAt": None,
        "renewsAt": None,
        "projectedExhaustionAt": None,
        "error": None,
    }
    assert imai.calls == 1


@pytest.mark.parametrize(
    ("warning", "critical", "level"),
    [("25.1", "40", "ok"), ("25", "40", "warning"), ("10", "25.1", "warning"), ("10", "25", "critical")],
)
def test_the_settings_set_the_use_from_which_a_reading_warns(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch, warning: str, critical: str, level: str
) -> None:
    """A quarter is used: a threshold of 25 is reached, and one of 25.1 is not."""
    imai.credits = 7500
    monkeypatch.setenv("PANEL_WARNING_PERCENT", warning)
    monkeypatch.setenv("PANEL_CRITICAL_PERCENT", critical)
    assert fetch.get_imai_usage().level == level


def test_without_a_key_imai_is_an_error() -> None:
    """The reading names the variable to set."""
    reading = fetch.get_imai_usage()
    assert reading.status is Status.ERROR
    assert reading.error is not None
    assert reading.error.message == "IMAI not configured. Please add IMAI_API_KEY to environment variables."


@pytest.mark.parametrize(
    "act",
    [
        raising(RuntimeError("test-key")),
        raising(SystemExit(1)),
        raising(KeyboardInterrupt()),
        raising(RecursionError()),
        raising(GeneratorExit()),
        lambda _: ProviderError("test-key"),  # type: ignore[arg-type]
        lambda _: None,
        lambda _: [],
        lambda _: "7500",
        lambda _: [GOOD, None],
        lambda _: repeat(GOOD),
        lambda _: Quota(remaining=Decimal("NaN")),
        lambda _: Quota(),
        lambda _: Quota(remaining=Decimal(1), renews_at=datetime(2026, 11, 27)),  # noqa: DTZ001 - without a zone
    ],
)
def test_a_provider_that_crashes_or_returns_nonsense_is_an_error_and_touches_no_other(
    act: Act, caplog: pytest.LogCaptureFixture
) -> None:
    """Its one line in the log holds nothing of what it raised."""
    usage = fetch.get_all_integrations_usage(
        [provider("Bad", act), provider("Good", lambda _: GOOD)]
    ).integrations
    assert [(reading.provider, reading.status) for reading in usage] == [
        ("Bad", Status.ERROR),
        ("Good", Status.ACTIVE),
    ]
    assert usage[0].error is not None
    assert usage[0].error.code is ErrorCode.INVALID_RESPONSE
    assert len(caplog.records) == 1
    assert "test-key" not in caplog.text


@pytest.fixture
def deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline of 0.3 seconds."""
    monkeypatch.setenv("PANEL_DEADLINE_SECONDS", "0.3")


def assert_timeout(act: Act) -> None:
    """Fetch, and expect the deadline's timeout."""
    began = time.monotonic()
    outcome = fetch.fetch(provider("Stuck", act))
    assert time.monotonic() - began < 3
    assert outcome.failure is not None
    assert outcome.failure.code is ErrorCode.TIMEOUT


@pytest.mark.usefixtures("deadline")
def test_a_provider_whose_code_hangs_is_left_at_the_deadline() -> None:
    """The code itself checks no clock."""
    over = threading.Event()
    assert_timeout(lambda _: over.wait(10))
    over.set()


@pytest.mark.usefixtures("deadline")
def test_a_resolver_that_hangs_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lookup cannot be interrupted; nobody waits for it, and nothing is sent after it."""
    over, resolve = threading.Event(), socket.getaddrinfo

    def slow(*arguments: Any, **options: Any) -> Any:
        over.wait(10)
        return resolve(*arguments, **options)

    with hostile(answer(200)) as server, monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", slow)
        assert_timeout(lambda http: http.get(server.url, headers={}))
        over.set()
        wait_until_no_fetch_is_left()
        assert server.requests == []


def wait_until_no_fetch_is_left() -> None:
    """Wait for the threads of fetches, which end soon."""
    for thread in threading.enumerate():
        if thread.name.startswith("fetch "):
            thread.join(2)
            assert not thread.is_alive()


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize(
    ("scheme", "behavior"),
    [("http", does) for does in (silent, stalled, dripping_body, dripping_chunks, dripping_headers)]
    + [("https", silent), ("https", dripping_handshake)],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_an_endless_answer_leaves_no_thread_after_the_deadline(scheme: str, behavior: Behavior) -> None:
    """A byte now and then prolongs neither the answer nor the TLS handshake."""
    with hostile(behavior) as server:
        url = server.url.replace("http", scheme, 1)
        assert_timeout(lambda http: http.get(url, headers={}))
        wait_until_no_fetch_is_left()
        if scheme == "https":
            assert server.left.wait(2)


@pytest.mark.parametrize(
    ("asked", "later", "seconds", "words"),
    [
        (45, 0, 45, "in 45 seconds"),
        (60, 0, 60, "in a minute"),
        (61, 0, 61, "in 2 minutes"),
        (119.5, 0, 120, "in 2 minutes"),
        (10**300, 0, 900, "in 15 minutes"),
        (float("inf"), 0, 900, "in 15 minutes"),
        (float("nan"), 0, None, "later"),
        (-5, 0, None, "later"),
        (0, 0, None, "later"),
        (1, 0.5, 1, "in a second"),
        (1, 1, 0, "now"),
        (1, 60, 0, "now"),
    ],
)
def test_the_time_to_wait_is_rounded_up_and_runs_out(
    asked: float, later: float, seconds: int | None, words: str
) -> None:
    """It is at most 15 minutes; a time that is negative, 0 or no number is left out."""
    limited = provider("Limited", raising(ProviderError(ErrorCode.RATE_LIMITED, retry_after=asked)))
    with time_machine.travel(datetime(2026, 11, 23, tzinfo=UTC), tick=False) as clock:
        outcome = fetch.fetch(limited)
        clock.shift(later)
        error = fetch.visible_readings(limited, outcome)[0].error
    assert error is not None
    assert error.retry_after == seconds
    assert error.message == f"Unable to fetch quota. Limited is limiting requests: try again {words}."


def test_providers_are_fetched_in_parallel() -> None:
    """Forty fetches run at the same time; the readings keep their order."""
    all_of_them = threading.Barrier(40)

    def meet(_: Client) -> Quota:
        all_of_them.wait(5)
        return GOOD

    usage = fetch.get_all_integrations_usage([provider(f"P{number}", meet) for number in range(40)])
    assert usage.all_active
    assert [reading.provider for reading in usage.integrations] == [f"P{number}" for number in range(40)]


def test_several_quotas_are_several_readings() -> None:
    """Each has the name of its quota."""
    quotas = [Quota(remaining=Decimal(1), name="Searches"), Quota(remaining=Decimal(2), name="Exports")]
    ended = fetch.fetch(provider("Two", lambda _: quotas))
    assert [reading.provider for reading in ended.readings] == ["Two Searches", "Two Exports"]


FAILED = FailedQuota(
    name="Exports", unit="exports", error=ProviderError(ErrorCode.INVALID_RESPONSE, "used: it is null")
)


def test_a_quota_that_cannot_be_read_leaves_the_others() -> None:
    """It has its own name and error, and no figures."""
    two = provider("Two", lambda _: [Quota(remaining=Decimal(1), name="Searches"), FAILED])
    searches, exports = fetch.fetch_readings(two)
    assert (searches.provider, searches.status) == ("Two Searches", Status.ACTIVE)
    assert searches.remaining_quota == 1
    assert (exports.provider, exports.status, exports.unit) == ("Two Exports", Status.ERROR, "exports")
    assert (exports.has_figures, exports.stale) == (False, False)
    assert exports.error is not None
    assert exports.error.code is ErrorCode.INVALID_RESPONSE
    assert exports.error.message == (
        "Unable to fetch quota. Two sent an answer that could not be read; the log has the details."
    )


@pytest.mark.parametrize("quotas", [FAILED, [FAILED], [FAILED, FAILED]])
def test_an_answer_without_any_readable_quota_is_a_failure_of_the_provider(quotas: Any) -> None:
    """With the error of the first one."""
    outcome = fetch.fetch(provider("Two", lambda _: quotas))
    assert outcome.failure is not None
    assert outcome.failure.code is ErrorCode.INVALID_RESPONSE
    assert outcome.readings == ()


def test_an_accounts_floors_rate_its_quotas() -> None:
    """A floor with a name counts for that quota, a floor without a name for all."""
    quotas = [Quota(remaining=Decimal(5), name="Searches"), Quota(remaining=Decimal(5), name="Exports")]
    two = provider("Two", lambda _: quotas)
    two.floors = {"Searches": Floors(low=Decimal(10))}
    assert [reading.level for reading in fetch.fetch_readings(two)] == ["warning", None]
    two.floors = {None: Floors(critical=Decimal(10))}
    assert [reading.level for reading in fetch.fetch_readings(two)] == ["critical", "critical"]


DENIED = ProviderError(ErrorCode.PERMISSION_DENIED, http_status=403, vendor_code="permission_denied")
DOWN, UNREADABLE = ProviderError(ErrorCode.PROVIDER_UNAVAILABLE), ProviderError(ErrorCode.INVALID_RESPONSE)
SEARCHES, EXPORTS = (Quota(remaining=Decimal(1), name=name) for name in ("Searches", "Exports"))


@pytest.mark.parametrize(
    ("answers", "lines"),
    [
        pytest.param(
            [DENIED, DENIED, DENIED, GOOD, GOOD],
            [
                "P: no reading: code=permission_denied http_status=403 vendor_code=permission_denied",
                "P: reading again after 3 minutes",
            ],
            id="one code",
        ),
        pytest.param(
            [DOWN, UNREADABLE, DOWN, UNREADABLE, GOOD],
            [
                "P: no reading: code=provider_unavailable",
                "P: no reading: code=invalid_response",
                "P: reading again after 4 minutes",
            ],
            id="two codes in turn",
        ),
        pytest.param(
            [[SEARCHES, FAILED]] * 3 + [[SEARCHES, EXPORTS]] * 2,
            [
                "P Exports: no reading: code=invalid_response (used: it is null)",
                "P Exports: reading again after 3 minutes",
            ],
            id="one quota",
        ),
    ],
)
def test_an_outage_is_logged_at_its_begin_at_each_new_code_and_at_its_end(
    caplog: pytest.LogCaptureFixture, answers: list[Any], lines: list[str]
) -> None:
    """Each line is a warning and is written once."""

    def act(_: Client) -> Any:
        given = remaining.pop(0)
        if isinstance(given, ProviderError):
            raise given
        return given

    remaining = list(answers)
    failing = provider("P", act)
    with time_machine.travel(datetime(2026, 11, 23, tzinfo=UTC), tick=False) as clock:
        for _ in answers:
            clock.shift(60)
            fetch.fetch(failing)
    assert caplog.messages == lines
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_two_that_fail_or_recover_together_log_it_once(caplog: pytest.LogCaptureFixture) -> None:
    """A second fetch at each line of the first one adds no line."""
    broken = provider("Twice", raising(ProviderError(ErrorCode.NETWORK)))
    mended = provider("Twice", lambda _: GOOD)
    for act in (broken, mended):
        for race in races("integrations.readings.fetch"):
            fetch.fetch(mended if act is broken else broken)
            caplog.clear()
            race(partial(fetch.fetch, act), partial(fetch.fetch, act))
            assert len(caplog.records) == 1


def test_the_log_names_the_kind_and_place_of_a_crash(caplog: pytest.LogCaptureFixture) -> None:
    """It names the provider's own line, or that the provider returned no quota."""
    crash = raising(RuntimeError("test-key"))
    fetch.fetch(provider("Bad", crash))
    line = crash.__code__.co_firstlineno + 1
    fetch.fetch(provider("Empty", lambda _: None))
    assert caplog.messages == [
        f"Bad: no reading: code=invalid_response (RuntimeError at raising.<locals>.act:{line})",
        "Empty: no reading: code=invalid_response (the provider returned no quota)",
    ]


@pytest.mark.parametrize(
    ("path", "mode", "hint"), [("", "ok", True), ("/api", "not_found", True), ("/api", "http_500", False)]
)
def test_a_404_names_the_setting_of_the_address(
    hint: bool,
    path: str,
    mode: str,
    imai: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A base URL without its path causes a 404; no other status gets the hint."""
    imai.mode = mode
    monkeypatch.setenv("IMAI_API_BASE_URL", imai.url.removesuffix("/api") + path)
    fetch.get_imai_usage()
    assert "IMAI: no reading" in caplog.text
    assert ("is IMAI_API_BASE_URL right, path included?" in caplog.text) is hint

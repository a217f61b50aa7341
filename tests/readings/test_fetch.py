"""The service: one attempt at each provider, and nothing one does touches another."""

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
    """A provider that does as it is told."""

    class Told(Provider[ProviderSettings]):
        label = name
        settings_class = ProviderSettings

        def fetch(self, http: Client) -> Quota | Sequence[Quota | FailedQuota]:
            given: Quota | Sequence[Quota | FailedQuota] = act(http)
            return given

    return Told()


GOOD = Quota(remaining=Decimal(1), total=Decimal(4))


def raising(error: BaseException) -> Act:
    """Raises it."""

    def act(_: Client) -> NoReturn:
        raise error

    return act


def test_imais_answer_becomes_the_documented_reading(imai: Simulator) -> None:
    """What IMAI says remains, what the operator says is the total, and the rest is computed."""
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
def test_the_settings_say_from_which_use_on_a_reading_warns(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch, warning: str, critical: str, level: str
) -> None:
    """A quarter is used: as much as the percentage named counts, a tenth less does not."""
    imai.credits = 7500
    monkeypatch.setenv("PANEL_WARNING_PERCENT", warning)
    monkeypatch.setenv("PANEL_CRITICAL_PERCENT", critical)
    assert fetch.get_imai_usage().level == level


def test_without_a_key_imai_is_an_error_and_not_asked() -> None:
    """The reading says which variable to set."""
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
    """It becomes a reading in status error, and its one line in the log holds nothing of what it raised."""
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


def test_a_provider_that_hangs_by_itself_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even code that never looks at the clock takes no longer than the deadline."""
    monkeypatch.setenv("PANEL_DEADLINE_SECONDS", "0.3")
    over = threading.Event()
    began = time.monotonic()
    ended = fetch.fetch(provider("Stuck", lambda _: over.wait(10)))
    over.set()
    assert time.monotonic() - began < 3
    assert ended.failure is not None
    assert ended.failure.code is ErrorCode.TIMEOUT


def test_a_resolver_that_hangs_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not resolve cannot be cut off; nobody waits for it, and nothing is sent when it is there."""
    monkeypatch.setenv("PANEL_DEADLINE_SECONDS", "0.3")
    over, resolve = threading.Event(), socket.getaddrinfo

    def slow(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the resolver's own
        over.wait(10)
        return resolve(*arguments, **options)

    with hostile(answer(200)) as server:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", slow)
            began = time.monotonic()
            ended = fetch.fetch(provider("Nowhere", lambda http: http.get(server.url, headers={})))
            assert time.monotonic() - began < 3
            over.set()
            wait_until_no_fetch_is_left()
        assert server.requests == []
    assert ended.failure is not None
    assert ended.failure.code is ErrorCode.TIMEOUT


def wait_until_no_fetch_is_left() -> None:
    """The threads that fetch end by themselves, soon."""
    for thread in threading.enumerate():
        if thread.name.startswith("fetch "):
            thread.join(2)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    "behavior",
    [silent, stalled, dripping_body, dripping_chunks, dripping_headers],
    ids=lambda does: does.__name__,
)
def test_a_provider_that_does_not_come_to_an_end_leaves_no_thread(
    behavior: Behavior, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the deadline nothing of the fetch is left, however slowly the provider goes on."""
    monkeypatch.setenv("PANEL_DEADLINE_SECONDS", "0.3")
    with hostile(behavior) as server:
        ended = fetch.fetch(provider("Endless", lambda http: http.get(server.url, headers={})))
        wait_until_no_fetch_is_left()
    assert ended.failure is not None
    assert ended.failure.code is ErrorCode.TIMEOUT


@pytest.mark.parametrize("behavior", [silent, dripping_handshake])
def test_tls_that_does_not_come_about_is_cut_off_at_the_deadline(
    behavior: Behavior, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then does not prolong the handshake, and neither thread nor connection is left."""
    monkeypatch.setenv("PANEL_DEADLINE_SECONDS", "0.3")
    with hostile(behavior) as server:
        url = server.url.replace("http://", "https://")
        began = time.monotonic()
        ended = fetch.fetch(provider("Secure", lambda http: http.get(url, headers={})))
        assert time.monotonic() - began < 3
        wait_until_no_fetch_is_left()
        assert server.left.wait(2)
    assert ended.failure is not None
    assert ended.failure.code is ErrorCode.TIMEOUT


@pytest.mark.parametrize(
    ("asked", "seconds", "words"),
    [
        (45, 45, "in 45 seconds"),
        (60, 60, "in a minute"),
        (61, 61, "in 2 minutes"),
        (119.5, 120, "in 2 minutes"),
        (10**300, 900, "in 15 minutes"),
        (float("inf"), 900, "in 15 minutes"),
        (float("nan"), None, "later"),
        (-5, None, "later"),
        (0, None, "later"),
    ],
)
def test_the_time_to_wait_is_never_told_too_short_and_never_over_15_minutes(
    asked: float, seconds: int | None, words: str
) -> None:
    """It is rounded up to minutes, and a time that is negative, 0 or no number is left out."""
    limited = provider("Limited", raising(ProviderError(ErrorCode.RATE_LIMITED, retry_after=asked)))
    with time_machine.travel(datetime(2026, 11, 23, tzinfo=UTC), tick=False):
        error = fetch.visible_readings(limited, fetch.fetch(limited))[0].error
    assert error is not None
    assert error.retry_after == seconds
    assert error.message == f"Unable to fetch quota. Limited is limiting requests: try again {words}."


@pytest.mark.parametrize(
    ("later", "seconds", "words"), [(0.5, 1, "in a second"), (1, 0, "now"), (60, 0, "now")]
)
def test_the_time_to_wait_runs_out(later: float, seconds: int, words: str) -> None:
    """Whoever looks at a failure once it is over reads that asking is possible now."""
    limited = provider("Limited", raising(ProviderError(ErrorCode.RATE_LIMITED, retry_after=1)))
    with time_machine.travel(datetime(2026, 11, 23, tzinfo=UTC), tick=False) as clock:
        outcome = fetch.fetch(limited)
        clock.shift(later)
        error = fetch.visible_readings(limited, outcome)[0].error
    assert error is not None
    assert error.retry_after == seconds
    assert error.message == f"Unable to fetch quota. Limited is limiting requests: try again {words}."


def test_providers_are_asked_side_by_side() -> None:
    """Each of forty is being asked while all the others are, and they keep their order."""
    all_of_them = threading.Barrier(40)

    def meet(_: Client) -> Quota:
        all_of_them.wait(5)
        return GOOD

    usage = fetch.get_all_integrations_usage([provider(f"P{number}", meet) for number in range(40)])
    assert usage.all_active
    assert [reading.provider for reading in usage.integrations] == [f"P{number}" for number in range(40)]


def test_several_quotas_are_several_readings() -> None:
    """An account with searches and exports gives two readings, each with its quota's name."""
    quotas = [Quota(remaining=Decimal(1), name="Searches"), Quota(remaining=Decimal(2), name="Exports")]
    ended = fetch.fetch(provider("Two", lambda _: quotas))
    assert [reading.provider for reading in ended.readings] == ["Two Searches", "Two Exports"]


FAILED = FailedQuota(
    name="Exports", unit="exports", error=ProviderError(ErrorCode.INVALID_RESPONSE, "used: it is null")
)


def test_a_quota_that_cannot_be_read_does_not_cost_the_others() -> None:
    """It is a reading of its own name, without figures and with the reason."""
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
def test_an_answer_without_any_readable_quota_is_a_failure_of_the_provider(quotas: Any) -> None:  # noqa: ANN401 - either form
    """With the error of the first one."""
    outcome = fetch.fetch(provider("Two", lambda _: quotas))
    assert outcome.failure is not None
    assert outcome.failure.code is ErrorCode.INVALID_RESPONSE
    assert outcome.readings == ()


def test_the_outage_of_a_quota_is_logged_once_at_each_end(caplog: pytest.LogCaptureFixture) -> None:
    """Under its own name, while the provider's other quotas are read."""
    searches, exports = (Quota(remaining=Decimal(1), name=name) for name in ("Searches", "Exports"))
    answers = [FAILED, FAILED, FAILED, exports, exports]
    two = provider("Two", lambda _: [searches, answers.pop(0)])
    with time_machine.travel(datetime(2026, 11, 23, tzinfo=UTC), tick=False) as clock:
        for _ in range(5):
            clock.shift(60)
            fetch.fetch(two)
    assert caplog.messages == [
        "Two Exports: no reading: code=invalid_response (used: it is null)",
        "Two Exports: reading again after 3 minutes",
    ]


def test_an_accounts_floors_rate_its_quotas() -> None:
    """Those of a quota's name for that quota, those without a name for any."""
    quotas = [Quota(remaining=Decimal(5), name="Searches"), Quota(remaining=Decimal(5), name="Exports")]
    two = provider("Two", lambda _: quotas)
    two.floors = {"Searches": Floors(low=Decimal(10))}
    assert [reading.level for reading in fetch.fetch_readings(two)] == ["warning", None]
    two.floors = {None: Floors(critical=Decimal(10))}
    assert [reading.level for reading in fetch.fetch_readings(two)] == ["critical", "critical"]


def test_an_outage_is_logged_once_when_it_begins_and_once_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first line has the code, the HTTP status and the provider's own code, the last one how long it took."""
    failing = [True]

    def act(_: Client) -> Quota:
        if failing[0]:
            raise ProviderError(ErrorCode.PERMISSION_DENIED, http_status=403, vendor_code="permission_denied")
        return GOOD

    flaky = provider("Flaky", act)
    with time_machine.travel(datetime(2026, 11, 23, tzinfo=UTC), tick=False) as clock:
        for _ in range(3):
            fetch.fetch(flaky)
        failing[0] = False
        clock.shift(300)
        for _ in range(3):
            fetch.fetch(flaky)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.WARNING,
            "Flaky: no reading: code=permission_denied http_status=403 vendor_code=permission_denied",
        ),
        (logging.WARNING, "Flaky: reading again after 5 minutes"),
    ]


def test_an_outage_that_changes_its_kind_is_logged_once_for_each(caplog: pytest.LogCaptureFixture) -> None:
    """The card may point to the log for each; one that goes to and fro does not fill it."""
    codes = [ErrorCode.PROVIDER_UNAVAILABLE, ErrorCode.INVALID_RESPONSE] * 3

    def act(_: Client) -> Quota:
        if codes:
            raise ProviderError(codes.pop(0))
        return GOOD

    changing = provider("Changing", act)
    with time_machine.travel(datetime(2026, 11, 23, tzinfo=UTC), tick=False) as clock:
        for _ in range(7):
            clock.shift(60)
            fetch.fetch(changing)
    assert caplog.messages == [
        "Changing: no reading: code=provider_unavailable",
        "Changing: no reading: code=invalid_response",
        "Changing: reading again after 6 minutes",
    ]


def test_two_that_fail_or_recover_together_log_it_once(caplog: pytest.LogCaptureFixture) -> None:
    """At whatever line another thread reads the same provider, an outage has one line at each end."""
    broken = provider("Twice", raising(ProviderError(ErrorCode.NETWORK)))
    mended = provider("Twice", lambda _: GOOD)
    for act in (broken, mended):
        for race in races("integrations.readings.fetch"):
            fetch.fetch(mended if act is broken else broken)
            caplog.clear()
            race(partial(fetch.fetch, act), partial(fetch.fetch, act))
            assert len(caplog.records) == 1


def test_the_log_tells_a_crash_by_its_kind_and_innermost_place(caplog: pytest.LogCaptureFixture) -> None:
    """It names the provider's own line and not ours that called it, or that the provider gave no quota."""
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
def test_an_address_that_is_not_there_names_the_setting(
    hint: bool,  # noqa: FBT001 - pytest's way
    path: str,
    mode: str,
    imai: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A base URL without its path answers 404: the log says which setting to look at, and for 404 alone."""
    imai.mode = mode
    monkeypatch.setenv("IMAI_API_BASE_URL", imai.url.removesuffix("/api") + path)
    fetch.get_imai_usage()
    assert "IMAI: no reading" in caplog.text
    assert ("is IMAI_API_BASE_URL right, path included?" in caplog.text) is hint

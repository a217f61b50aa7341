"""The service: one attempt at each provider, and nothing one does touches another."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NoReturn

import pytest

from integrations import service
from integrations.errors import ErrorCode, ProviderError, Status
from integrations.models import Quota
from integrations.providers.base import Provider
from integrations.settings import ProviderSettings
from integrations.simulator import Simulator
from integrations.transport import Client

Act = Callable[[Client], Any]


def provider(name: str, act: Act) -> Provider[Any]:
    """A provider that does as it is told."""

    class Told(Provider[ProviderSettings]):
        label = name
        settings_class = ProviderSettings

        def fetch(self, http: Client) -> Quota | Sequence[Quota]:
            given: Quota | Sequence[Quota] = act(http)
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
    reading = service.get_imai_usage().model_dump(mode="json")
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
        "renewsAt": None,
        "error": None,
    }
    assert imai.last_headers["authkey"] == imai.key


def test_without_a_key_imai_is_an_error_and_not_asked() -> None:
    """The card's sentence is the contract's."""
    reading = service.get_imai_usage()
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
        lambda _: None,
        lambda _: [],
        lambda _: "7500",
        lambda _: [GOOD, None],
        lambda _: Quota(remaining=Decimal("NaN")),
        lambda _: Quota(),
    ],
)
def test_a_provider_that_crashes_or_returns_nonsense_is_an_error_and_touches_no_other(
    act: Act, caplog: pytest.LogCaptureFixture
) -> None:
    """It becomes a reading in status error, logged in a line that holds nothing of what it raised."""
    usage = service.get_all_integrations_usage(
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
    ended = service.attempt(provider("Stuck", lambda _: over.wait(10)))
    over.set()
    assert time.monotonic() - began < 0.8
    assert ended.failure is not None
    assert ended.failure.code is ErrorCode.TIMEOUT


def test_providers_are_asked_side_by_side() -> None:
    """Ten that take their time take hardly longer than one."""

    def slow(_: Client) -> Quota:
        time.sleep(0.3)
        return GOOD

    began = time.monotonic()
    usage = service.get_all_integrations_usage([provider(f"P{number}", slow) for number in range(10)])
    assert time.monotonic() - began < 3 * 0.3
    assert [reading.provider for reading in usage.integrations] == [f"P{number}" for number in range(10)]


def test_several_quotas_are_several_readings() -> None:
    """An account with searches and exports shows both, each by its name."""
    quotas = [Quota(remaining=Decimal(1), name="Searches"), Quota(remaining=Decimal(2), name="Exports")]
    ended = service.attempt(provider("Two", lambda _: quotas))
    assert [reading.provider for reading in ended.readings] == ["Two Searches", "Two Exports"]


def test_an_outage_is_logged_once_when_it_begins_and_once_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The line names the code, the HTTP status and the provider's own code; between the two there is silence."""
    failing = [True]

    def act(_: Client) -> Quota:
        if failing[0]:
            raise ProviderError(ErrorCode.PERMISSION_DENIED, http_status=403, vendor_code="permission_denied")
        return GOOD

    flaky = provider("Flaky", act)
    for _ in range(3):
        service.attempt(flaky)
    failing[0] = False
    for _ in range(3):
        service.attempt(flaky)
    lines = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in lines] == [logging.WARNING, logging.WARNING]
    assert "code=permission_denied http_status=403 vendor_code=permission_denied" in lines[0][1]
    assert "reading again" in lines[1][1]

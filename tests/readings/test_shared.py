"""Shared readings: one call at a time, few of them, and the last good reading stays."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NoReturn

import pytest
import streamlit as st
import time_machine
from streamlit.runtime.caching import cache_utils

from integrations.demo.server import Simulator
from integrations.providers.declared.provider import DeclaredProvider
from integrations.quota.errors import ErrorCode, ProviderError, Status
from integrations.quota.models import Quota, Reading
from integrations.readings import shared
from integrations.state import state
from tests.conftest import IMAI, forget
from tests.providers import definitions
from tests.providers.hostile import answer, hostile
from tests.support.races import races

VIEWERS = 50
Clock = Callable[[float], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Move our clock and Streamlit's by seconds."""
    moved = [0.0]
    real = time.monotonic
    monkeypatch.setattr(cache_utils, "TTLCACHE_TIMER", lambda: real() + moved[0])
    forget()
    with time_machine.travel(datetime.now(UTC), tick=True) as traveller:

        def move(seconds: float) -> None:
            moved[0] += seconds
            traveller.shift(timedelta(seconds=seconds))

        yield move
    forget()


def read() -> Reading:
    """Return IMAI's reading, as the page gets it."""
    return shared.fresh_report([IMAI]).integrations[0]


def click() -> None:
    """Click Refresh or Retry."""
    shared.of(IMAI).request_refresh()


def test_a_good_reading_is_served_for_the_ttl_and_shown_after_it(imai: Simulator, clock: Clock) -> None:
    """A visit fetches after five minutes; a page that only redraws itself never does."""
    assert (shared.of(IMAI).is_due, shared.of(IMAI).readings) == (True, ())
    read()
    clock(290)
    assert not shared.of(IMAI).is_due
    read()
    assert imai.calls == 1
    clock(100_000)
    assert shared.of(IMAI).is_due
    assert shared.of(IMAI).readings[0].remaining_quota == 7500
    assert imai.calls == 1
    read()
    assert imai.calls == 2


@pytest.mark.parametrize("mode", ["ok", "internal_server_error"])
def test_a_click_fetches_but_not_within_two_seconds(imai: Simulator, clock: Clock, mode: str) -> None:
    """Refresh after a good reading and Retry after a failure."""
    imai.mode = mode
    before = read()
    imai.mode = "ok"
    imai.spend(100)
    click()
    assert read().remaining_quota == before.remaining_quota
    assert imai.calls == 1
    clock(2.1)
    click()
    assert read().remaining_quota == 7400
    assert imai.calls == 2


def test_a_failure_is_served_for_15_seconds(imai: Simulator, clock: Clock) -> None:
    """A visit after 14 seconds fetches nothing; a visit after 16 seconds fetches."""
    imai.mode = "internal_server_error"
    read()
    clock(14)
    read()
    assert imai.calls == 1
    imai.mode = "ok"
    clock(2)
    assert read().status is Status.ACTIVE
    assert imai.calls == 2


def test_an_open_page_retries_a_failure_less_and_less_often(imai: Simulator) -> None:
    """The pause is at least 15 seconds, then equals the age of the failure, and is at most five minutes."""
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        imai.mode = "internal_server_error"
        read()
        for pause in (15, 15, 30, 60, 120, 240, 300, 300):
            clock.shift(pause - 1)
            assert not shared.of(IMAI).is_retry_due
            clock.shift(1)
            assert shared.of(IMAI).is_retry_due
            read()
        imai.mode = "ok"
        clock.shift(15)
        assert read().status is Status.ACTIVE
        assert not shared.of(IMAI).is_retry_due
        imai.mode = "internal_server_error"
        clock.shift(300)
        read()
        clock.shift(15)
        assert shared.of(IMAI).is_retry_due  # a new failure


def test_an_open_page_does_not_retry_a_failure_that_needs_a_person(imai: Simulator, clock: Clock) -> None:
    """A wrong key that is sent repeatedly can lock an account."""
    imai.mode = "invalid_api_key"
    read()
    clock(1000)
    assert not shared.of(IMAI).is_retry_due


@pytest.mark.parametrize("ttl", ["1", "300"])
def test_nothing_is_fetched_before_retry_after(
    imai: Simulator, clock: Clock, monkeypatch: pytest.MonkeyPatch, ttl: str
) -> None:
    """Neither a visit nor a Retry fetches, however short the TTL; the card counts down."""
    monkeypatch.setenv("PANEL_CACHE_TTL_SECONDS", ttl)
    forget()
    imai.mode = "rate_limit_exceeded"
    imai.retry_after = 120
    first = read().error
    assert first is not None
    assert first.message == "Unable to fetch quota. IMAI is limiting requests: try again in 2 minutes."
    for _ in range(2):
        clock(50)
        click()
        later = read().error
    assert later is not None
    assert later.retry_after is not None
    assert later.retry_after <= 20
    assert imai.calls == 1
    imai.mode = "ok"
    clock(21)
    assert read().status is Status.ACTIVE


@pytest.mark.parametrize(("mode", "ttl"), [("ok", 300), ("internal_server_error", 15)])
def test_clearing_streamlits_cache_from_a_browser_fetches_nothing(
    imai: Simulator, clock: Clock, mode: str, ttl: float
) -> None:
    """A good reading and a failure keep their time, also after a click."""
    imai.mode = mode
    read()
    clock(3)
    click()
    read()
    for _ in range(20):
        st.cache_data.clear()
        read()
    clock(ttl - 5)
    st.cache_data.clear()
    read()
    assert imai.calls == 2
    clock(6)
    read()
    assert imai.calls == 3


def test_clearing_streamlits_cache_during_a_fetch_starts_no_second_one(imai: Simulator) -> None:
    """The next caller shares the result; a click on Refresh neither waits nor fetches."""
    imai.latency_seconds = 0.5
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(read)
        while imai.calls == 0:
            time.sleep(0.01)
        st.cache_data.clear()
        click()
        assert not first.done()
        second = pool.submit(read)
        assert first.result() == second.result()
    assert imai.calls == 1


@pytest.mark.parametrize("mode", ["slow", "hang"])
def test_fifty_viewers_share_one_call(
    imai: Simulator, clock: Clock, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """With an empty cache and after a failure, whether the call succeeds or not."""
    monkeypatch.setenv("PANEL_DEADLINE_SECONDS", "1")
    imai.mode = mode
    imai.latency_seconds = 0.5 if mode == "slow" else 0
    status = Status.ACTIVE if mode == "slow" else Status.UNAVAILABLE
    for calls in (1, 2):
        began = time.monotonic()
        with ThreadPoolExecutor(VIEWERS) as pool:
            readings = list(pool.map(lambda _: read(), range(VIEWERS)))
        assert time.monotonic() - began < 1 + 1
        assert imai.calls == calls
        assert {reading.status for reading in readings} == {status}
        clock(301)


def test_providers_are_read_in_parallel_and_once() -> None:
    """Ten fetches run at the same time; the readings keep their order."""
    all_of_them = threading.Barrier(10)

    class Meeting(type(IMAI)):  # type: ignore[misc]
        def __init__(self, label: str) -> None:
            self.label = label

        def fetch(self, _: object) -> Quota:
            all_of_them.wait(5)
            return Quota(remaining=Decimal(1))

    providers = [Meeting(f"P{number}") for number in range(10)]
    usage = shared.fresh_report(providers)
    assert usage.all_active
    assert [reading.provider for reading in usage.integrations] == [provider.label for provider in providers]
    all_of_them.abort()
    assert shared.fresh_report(providers) == usage


def test_the_last_good_reading_stays_through_failures_and_refreshes(imai: Simulator, clock: Clock) -> None:
    """The figures are marked stale, keep their own time, and have the error next to them."""
    good = read()
    imai.mode = "subscription_expired"
    clock(400)
    for _ in range(2):
        clock(3)
        click()
        stale = read()
        assert stale.error is not None
        assert stale.error.code is ErrorCode.SUBSCRIPTION_INACTIVE
        assert (stale.stale, stale.status) == (True, Status.ERROR)
        assert (stale.remaining_quota, stale.fetched_at) == (good.remaining_quota, good.fetched_at)
        assert shared.of(IMAI).readings == (stale,)


@pytest.mark.usefixtures("no_click_pause")
def test_clicks_never_cause_two_calls_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second viewer clicks at each line of the first one's click."""
    under_way, most = [0], [0]

    def failing(*_: object) -> NoReturn:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        time.sleep(0.001)
        under_way[0] -= 1
        raise ProviderError(ErrorCode.NETWORK)  # a refresh after a failure clears what others wait for

    def click_and_read() -> None:
        click()
        read()

    monkeypatch.setattr(type(IMAI), "fetch", failing)
    for race in races("integrations.readings.shared"):
        forget()
        read()
        race(click_and_read, click_and_read)
    assert most[0] == 1


@pytest.fixture
def hourly(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], DeclaredProvider]:
    """Return a provider at this URL that may be called once an hour."""
    monkeypatch.setenv(definitions.VARIABLE, "test-key")
    return lambda url: definitions.acme(url, request="every: 1h")


@pytest.mark.parametrize("status", [200, 500])
def test_a_provider_with_every_is_not_called_earlier(
    hourly: Callable[[str], DeclaredProvider], clock: Clock, status: int
) -> None:
    """Neither by a visit, a click, nor a cleared cache; a failure may have cost as much as a reading."""
    with hostile(answer(status, definitions.GOOD), answer(200, definitions.GOOD)) as server:
        provider = hourly(server.url)
        assert shared.of(provider).manual_refresh_allowed_at is None
        before = shared.fresh_report([provider])
        allowed_at = shared.of(provider).manual_refresh_allowed_at
        assert allowed_at is not None
        assert timedelta(minutes=59) < allowed_at - datetime.now(UTC) <= timedelta(hours=1)
        clock(3590)
        st.cache_data.clear()
        shared.of(provider).request_refresh()
        assert shared.fresh_report([provider]) == before
        assert len(server.requests) == 1
        clock(400)
        assert shared.of(provider).manual_refresh_allowed_at is None
        assert shared.fresh_report([provider]).all_active
        assert len(server.requests) == 2


def test_a_short_every_leaves_the_ttl_as_it_is(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """The longer of the two counts."""
    monkeypatch.setenv(definitions.VARIABLE, "test-key")
    with hostile(answer(200, definitions.GOOD)) as server:
        provider = definitions.acme(server.url, request="every: 10s")
        shared.fresh_report([provider])
        clock(200)
        shared.fresh_report([provider])
        assert len(server.requests) == 1


def test_callers_share_one_fetch_in_the_background(imai: Simulator) -> None:
    """A second start returns the running fetch."""
    cached = shared.of(IMAI)
    imai.latency_seconds = 0.3
    assert cached.in_flight() is None
    cached.start_fetch()
    fetch = cached.in_flight()
    assert fetch is not None
    cached.start_fetch()
    assert cached.in_flight() is fetch
    assert cached.readings == ()
    fetch.result(timeout=5)
    assert cached.in_flight() is None
    assert read().remaining_quota == 7500
    assert imai.calls == 1


def test_callers_get_the_exception_of_a_defect_in_a_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a card would wait for ever, without a reason."""

    def fail(_provider: object) -> NoReturn:
        raise LookupError("a defect")

    monkeypatch.setattr("integrations.readings.fetch.fetch", fail)
    with pytest.raises(LookupError):
        shared.fresh_report([IMAI])


def test_all_providers_are_read_from_the_state_in_one_call(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every viewer waits for each call of a slow state."""
    read()
    calls: list[Sequence[str]] = []
    get_many = state().get_many

    def record_call(keys: Sequence[str]) -> dict[str, str]:
        calls.append(keys)
        return get_many(keys)

    monkeypatch.setattr(state(), "get_many", record_call)
    assert read().remaining_quota == 7500
    assert len(calls) == 1
    assert imai.calls == 1

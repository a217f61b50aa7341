"""The cache: one call at a time, few of them, and the last good reading stays."""

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
from tests.providers.hostile import Hostile, answer, hostile
from tests.support.races import races

VIEWERS = 50


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """Moves our clock and Streamlit's by so many seconds."""
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
    """IMAI's reading, as the page gets it."""
    return shared.fresh_report([IMAI]).integrations[0]


def test_a_good_reading_is_served_for_the_ttl(imai: Simulator, clock: Callable[[float], None]) -> None:
    """Within five minutes the provider is not asked again, and after them once."""
    read()
    clock(290)
    read()
    assert imai.calls == 1
    clock(20)
    read()
    assert imai.calls == 2


def test_refresh_asks_after_a_good_reading_but_not_within_two_seconds(
    imai: Simulator, clock: Callable[[float], None]
) -> None:
    """Refresh brings the new figure, and clicks within two seconds of a call cause none."""
    assert read().remaining_quota == 7500
    imai.spend(100)
    assert read().remaining_quota == 7500
    shared.of(IMAI).request_refresh()
    assert read().remaining_quota == 7500
    clock(2)
    shared.of(IMAI).request_refresh()
    assert read().remaining_quota == 7400
    assert imai.calls == 2


def test_a_failure_is_served_for_15_seconds(imai: Simulator, clock: Callable[[float], None]) -> None:
    """After 14 seconds nobody is asked, after 16 the provider is asked again."""
    imai.mode = "internal_server_error"
    read()
    clock(14)
    read()
    assert imai.calls == 1
    imai.mode = "ok"
    clock(2)
    assert read().status is Status.ACTIVE
    assert imai.calls == 2


def test_retry_asks_again_at_once_but_not_within_two_seconds(
    imai: Simulator, clock: Callable[[float], None]
) -> None:
    """A click on Retry asks the provider only once two seconds have passed since the failure."""
    imai.mode = "internal_server_error"
    read()
    shared.of(IMAI).request_refresh()
    read()
    assert imai.calls == 1
    clock(2.1)
    shared.of(IMAI).request_refresh()
    read()
    assert imai.calls == 2


def test_an_open_page_retries_a_failure_less_and_less_often(imai: Simulator) -> None:
    """After 15 seconds, then after as long as the failure has lasted, at most every five minutes."""
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


def test_an_open_page_does_not_retry_what_a_person_must_mend(
    imai: Simulator, clock: Callable[[float], None]
) -> None:
    """Wrong keys that are sent again and again can lock an account."""
    imai.mode = "invalid_api_key"
    read()
    clock(1000)
    assert not shared.of(IMAI).is_retry_due


def test_nobody_asks_before_retry_after_is_over(imai: Simulator, clock: Callable[[float], None]) -> None:
    """Neither time's passing nor a Retry reaches a provider that asked for two minutes; the card counts down."""
    imai.mode = "rate_limit_exceeded"
    imai.retry_after = 120
    first = read().error
    assert first is not None
    assert first.message == "Unable to fetch quota. IMAI is limiting requests: try again in 2 minutes."
    clock(100)
    shared.of(IMAI).request_refresh()
    later = read().error
    assert later is not None
    assert later.retry_after is not None
    assert later.retry_after <= 20
    assert imai.calls == 1
    imai.mode = "ok"
    clock(21)
    assert read().status is Status.ACTIVE


def test_retry_after_outlasts_the_ttl(
    imai: Simulator, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A TTL that is shorter than Retry-After does not let anybody ask earlier."""
    monkeypatch.setenv("PANEL_CACHE_TTL_SECONDS", "1")
    forget()
    imai.mode = "rate_limit_exceeded"
    imai.retry_after = 900
    read()
    for _ in range(4):
        clock(220)
        read()
    assert imai.calls == 1
    imai.mode = "ok"
    clock(21)
    assert read().status is Status.ACTIVE


def test_a_browser_that_clears_streamlits_cache_does_not_shorten_a_failure(
    imai: Simulator, clock: Callable[[float], None]
) -> None:
    """Streamlit offers "Clear cache" to every viewer; the 15 seconds hold all the same, after a Retry too."""
    imai.mode = "internal_server_error"
    read()
    clock(3)
    shared.of(IMAI).request_refresh()
    read()
    assert imai.calls == 2
    st.cache_data.clear()
    clock(10)
    read()
    assert imai.calls == 2
    clock(6)
    read()
    assert imai.calls == 3


def test_a_browser_that_clears_streamlits_cache_shortens_no_good_reading(
    imai: Simulator, clock: Callable[[float], None]
) -> None:
    """A hundred times emptied, the cache still serves the reading until its TTL is over."""
    for _ in range(100):
        st.cache_data.clear()
        assert read().remaining_quota == 7500
    assert imai.calls == 1
    clock(301)
    read()
    assert imai.calls == 2


def test_a_clock_that_was_set_back_does_not_prolong_a_reading(
    imai: Simulator, clock: Callable[[float], None]
) -> None:
    """A reading from the future is asked for again, where else it would stand for as long as the clock went back."""
    read()
    clock(-3600)
    st.cache_data.clear()
    read()
    assert imai.calls == 2


def test_a_browser_that_clears_streamlits_cache_makes_no_second_call_at_once(imai: Simulator) -> None:
    """Who comes while a call is under way shares its end; a click on Refresh meanwhile neither waits nor calls."""
    imai.latency_seconds = 0.5
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(read)
        while imai.calls == 0:
            time.sleep(0.01)
        st.cache_data.clear()
        shared.of(IMAI).request_refresh()
        assert not first.done()
        second = pool.submit(read)
        assert first.result() == second.result()
    assert imai.calls == 1


def test_a_crowd_at_the_end_of_a_failure_makes_one_call(
    imai: Simulator, clock: Callable[[float], None]
) -> None:
    """Those who notice together that the 15 seconds are over share what follows, another failure too."""
    imai.mode = "internal_server_error"
    read()
    for calls in range(2, 6):
        clock(16)
        with ThreadPoolExecutor(VIEWERS) as pool:
            readings = list(pool.map(lambda _: read(), range(VIEWERS)))
        assert imai.calls == calls
        assert {reading.status for reading in readings} == {Status.UNAVAILABLE}


def test_providers_are_read_side_by_side() -> None:
    """Each of ten is being asked while all the others are, they keep their order, and are not asked again."""
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


def test_the_last_good_reading_stays_through_failures_and_refreshes(
    imai: Simulator, clock: Callable[[float], None]
) -> None:
    """The figures keep their own time and are marked stale; the reason stands beside them."""
    good = read()
    imai.mode = "subscription_expired"
    clock(400)
    for _ in range(2):
        clock(3)
        shared.of(IMAI).request_refresh()
        stale = read()
        assert stale.error is not None
        assert stale.error.code is ErrorCode.SUBSCRIPTION_INACTIVE
        assert (stale.stale, stale.status) == (True, Status.ERROR)
        assert (stale.remaining_quota, stale.fetched_at) == (good.remaining_quota, good.fetched_at)


def test_latest_asks_nobody_however_old_the_reading(imai: Simulator, clock: Callable[[float], None]) -> None:
    """What a page redraws by itself costs no call."""
    read()
    clock(100_000)
    assert shared.of(IMAI).readings[0].remaining_quota == 7500
    assert imai.calls == 1


@pytest.mark.parametrize("mode", ["slow", "hang"])
def test_fifty_viewers_share_one_call(imai: Simulator, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """With a cold cache all have their card after one call, good or bad."""
    monkeypatch.setenv("PANEL_DEADLINE_SECONDS", "1")
    imai.mode = mode
    imai.latency_seconds = 0.5 if mode == "slow" else 0
    began = time.monotonic()
    with ThreadPoolExecutor(VIEWERS) as pool:
        readings = list(pool.map(lambda _: read(), range(VIEWERS)))
    assert time.monotonic() - began < 1 + 1
    assert imai.calls == 1
    assert {reading.status for reading in readings} == {
        Status.ACTIVE if mode == "slow" else Status.UNAVAILABLE
    }


@pytest.mark.usefixtures("no_click_pause")
def test_at_most_one_call_is_under_way_whatever_people_click(monkeypatch: pytest.MonkeyPatch) -> None:
    """At whatever line another viewer reads or clicks, a call is not joined by a second one."""
    under_way, most = [0], [0]

    def failing(*_: object) -> NoReturn:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        time.sleep(0.001)
        under_way[0] -= 1
        raise ProviderError(ErrorCode.NETWORK)  # a refresh after a failure clears what others wait for

    def click() -> None:
        shared.of(IMAI).request_refresh()
        read()

    monkeypatch.setattr(type(IMAI), "fetch", failing)
    for race in races("integrations.readings.shared"):
        forget()
        read()
        race(click, click)
    assert most[0] == 1


@pytest.fixture
def metered(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[DeclaredProvider, Hostile]]:
    """A service that may be asked once an hour, and what reaches it."""
    monkeypatch.setenv(definitions.VARIABLE, "test-key")
    with hostile(answer(200, definitions.GOOD)) as server:
        yield definitions.acme(server.url, request="every: 1h"), server


def test_what_may_be_asked_once_an_hour_is_not_asked_by_any_click(
    metered: tuple[DeclaredProvider, Hostile], clock: Callable[[float], None]
) -> None:
    """Neither a visit after the TTL, nor Refresh, nor an emptied cache of Streamlit's; after the hour a visit does."""
    provider, server = metered
    assert shared.of(provider).manual_refresh_allowed_at is None
    shared.fresh_report([provider])
    until = shared.of(provider).manual_refresh_allowed_at
    assert until is not None
    assert timedelta(minutes=59) < until - datetime.now(UTC) <= timedelta(hours=1)
    clock(3590)
    st.cache_data.clear()
    shared.of(provider).request_refresh()
    assert shared.fresh_report([provider]).integrations[0].remaining_quota == Decimal("37.5")
    assert len(server.requests) == 1
    clock(400)
    assert shared.of(provider).manual_refresh_allowed_at is None
    shared.fresh_report([provider])
    assert len(server.requests) == 2


def test_what_is_known_after_a_failure_is_the_last_good_reading_beside_it(
    imai: Simulator, clock: Callable[[float], None]
) -> None:
    """Whoever only looks sees what whoever asks sees; and where no pause was agreed, a click may ask at any time."""
    read()
    clock(400)
    imai.mode = "http_503"
    asked = read()
    (known,) = shared.of(IMAI).readings
    assert (known.remaining_quota, known.stale) == (Decimal(7500), True)
    assert known.error == asked.error is not None
    assert shared.of(IMAI).manual_refresh_allowed_at is None


def test_what_may_be_asked_once_an_hour_is_not_asked_by_retry_either(
    monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None]
) -> None:
    """A failure may have cost as much as a reading."""
    monkeypatch.setenv(definitions.VARIABLE, "test-key")
    with hostile(answer(500), answer(200, definitions.GOOD)) as server:
        provider = definitions.acme(server.url, request="every: 1h")
        assert shared.fresh_report([provider]).integrations[0].error is not None
        clock(600)
        shared.of(provider).request_refresh()
        assert shared.fresh_report([provider]).integrations[0].error is not None
        assert len(server.requests) == 1
        clock(3000)
        shared.of(provider).request_refresh()
        assert shared.fresh_report([provider]).integrations[0].error is None


def test_a_short_every_leaves_the_ttl_as_it_is(
    monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None]
) -> None:
    """It is the longer of the two that counts."""
    monkeypatch.setenv(definitions.VARIABLE, "test-key")
    with hostile(answer(200, definitions.GOOD)) as server:
        provider = definitions.acme(server.url, request="every: 10s")
        shared.fresh_report([provider])
        clock(200)
        shared.fresh_report([provider])
        assert len(server.requests) == 1


def test_whether_a_visit_would_ask_is_known_without_asking(
    imai: Simulator, clock: Callable[[float], None]
) -> None:
    """Due before the first reading and when it has run out; meanwhile it is known what to show."""
    assert shared.of(IMAI).is_due
    assert shared.of(IMAI).readings == ()
    read()
    assert not shared.of(IMAI).is_due
    clock(301)
    assert shared.of(IMAI).is_due
    assert shared.of(IMAI).readings[0].remaining_quota == 7500
    assert imai.calls == 1


def test_callers_share_one_fetch_in_the_background(imai: Simulator, clock: Callable[[float], None]) -> None:
    """It starts if the provider is due, and again once the reading has expired."""
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
    clock(301)
    imai.spend(100)
    assert read().remaining_quota == 7400
    assert imai.calls == 2


def test_a_defect_in_a_background_fetch_is_raised_to_those_who_wait(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a card would wait for ever, and nobody would know why."""

    def fail(_provider: object) -> NoReturn:
        raise LookupError("a defect")

    monkeypatch.setattr("integrations.readings.fetch.fetch", fail)
    with pytest.raises(LookupError):
        shared.fresh_report([IMAI])
    assert imai.calls == 0


def test_all_providers_are_read_from_the_state_in_one_call(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a slow state each call is a fraction of a second for everybody."""
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

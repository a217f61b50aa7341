"""The cache and the state: what a restart and other processes see, and what holds without a state."""

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import pytest
import streamlit as st
import time_machine

from integrations.demo.server import Simulator
from integrations.providers.base import Provider
from integrations.quota.errors import ErrorCode, ProviderError, Status
from integrations.quota.models import FailedQuota, Quota, Reading
from integrations.quota.rules import Thresholds
from integrations.readings import fetch, shared
from integrations.settings import ProviderSettings, panel_settings
from integrations.state import StateError, open_state, state
from integrations.transport.client import Client
from tests.conftest import IMAI
from tests.providers import definitions
from tests.providers.hostile import Behavior, Hostile, answer, hostile
from tests.support.races import races


@pytest.fixture(autouse=True)
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PANEL_STATE_URL", f"sqlite:///{tmp_path}/state.sqlite3")
    yield
    state().close()


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Moved by hand."""
    with time_machine.travel(datetime.now(UTC), tick=True) as moved:
        yield moved


def another_process() -> None:
    """From here on, be another one: nothing known but what the state has."""
    st.cache_data.clear()
    shared.reset()
    panel_settings.cache_clear()
    for kept in ("settings", "identity"):
        vars(IMAI).pop(kept, None)


@contextmanager
def in_another_process() -> Iterator[None]:
    """Be another one within the block, and after it the one of before, which knows what it knew."""
    mine = dict(shared._by_label)
    another_process()
    yield
    shared.reset()
    shared._by_label.update(mine)


def read() -> Reading:
    """IMAI's reading, as the page gets it."""
    return shared.fresh_report([IMAI]).integrations[0]


def click() -> None:
    """Click Refresh on a page that has just been drawn."""
    (imai,) = shared.of_all([IMAI])
    imai.request_refresh()


def key() -> str:
    """Where the state has the record."""
    (found,) = state().items("reading")
    return found


def test_a_restart_asks_nobody_within_the_ttl(imai: Simulator, clock: time_machine.Traveller) -> None:
    """And a failure's pause outlives it, too: restarting in circles hammers no provider."""
    first = read()
    another_process()
    assert read() == first
    assert imai.calls == 1
    imai.mode = "internal_server_error"
    clock.shift(400)
    for _ in range(5):
        read()
        another_process()
    assert imai.calls == 2


def test_after_a_restart_with_the_provider_down_the_last_good_figures_stand(
    imai: Simulator, clock: time_machine.Traveller
) -> None:
    """At once, marked, with their own time; and what a page draws by itself costs no call."""
    good = read()
    imai.mode = "internal_server_error"
    clock.shift(7200)
    another_process()
    (known,) = shared.of_all([IMAI])
    assert known.readings[0].remaining_quota == good.remaining_quota
    assert imai.calls == 1
    stale = read()
    assert (stale.remaining_quota, stale.fetched_at, stale.stale) == (
        good.remaining_quota,
        good.fetched_at,
        True,
    )
    assert stale.status is Status.UNAVAILABLE


BOTH = b'{"a": {"used": 1}, "b": {"used": 2}}'
ONE = b'{"a": {"used": 3}}'


class Two(Provider[ProviderSettings]):
    """A provider of two quotas, one of which an answer may lack."""

    label = "Two"
    settings_class = ProviderSettings

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def fetch(self, http: Client) -> list[Quota | FailedQuota]:
        """Read both; a quota that is missing fails alone."""
        document: Any = http.get(self.url, headers={}).json()
        failure = ProviderError(ErrorCode.INVALID_RESPONSE, "missing")
        return [
            Quota(name=name, used=Decimal(document[name]["used"]))
            if name in document
            else FailedQuota(name=name, unit=None, error=failure)
            for name in ("a", "b")
        ]


def answering(content: list[bytes]) -> Behavior:
    """Answer with the content at that time; with 500 if it is empty."""

    def behave(server: Hostile, peer: socket.socket) -> None:
        answer(200 if content[0] else 500, content[0])(server, peer)

    return behave


def shown(provider: Provider[Any]) -> list[tuple[int | None, str, bool]]:
    """Used amount, status and staleness of each reading."""
    readings = shared.fresh_report([provider]).integrations
    return [
        (None if one.used_quota is None else int(one.used_quota), one.status.value, one.stale)
        for one in readings
    ]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_the_last_good_figures_of_a_failed_quota_stay(
    clock: time_machine.Traveller, *, is_restarted: bool
) -> None:
    """Stale, also after further failures, after a failure of the whole provider, and in another process."""
    content = [BOTH]
    with hostile(answering(content)) as server:
        two = Two(server.url)
        steps = [
            (BOTH, [(1, "active", False), (2, "active", False)]),
            (ONE, [(3, "active", False), (2, "error", True)]),
            (ONE, [(3, "active", False), (2, "error", True)]),
            (b"", [(3, "unavailable", True), (2, "unavailable", True)]),
            (ONE, [(3, "active", False), (2, "error", True)]),
            (BOTH, [(1, "active", False), (2, "active", False)]),
        ]
        for body, expected in steps:
            content[0] = body
            clock.shift(301)
            assert shown(two) == expected
            if is_restarted:
                another_process()
                assert shown(two) == expected


def test_a_failed_quota_that_was_never_read_has_no_figures(clock: time_machine.Traveller) -> None:
    """Also after a failure of the whole provider, and it is not stale then."""
    content = [ONE]
    with hostile(answering(content)) as server:
        two = Two(server.url)
        assert shown(two) == [(3, "active", False), (None, "error", False)]
        content[0] = b""
        clock.shift(301)
        assert shown(two) == [(3, "unavailable", True), (None, "unavailable", False)]


def test_a_refresh_is_seen_by_every_process(imai: Simulator, clock: time_machine.Traveller) -> None:
    """One asks, and one call later all have what it gave."""
    read()
    imai.spend(100)
    clock.shift(3)
    another_process()
    click()
    assert read().remaining_quota == 7400
    another_process()
    assert read().remaining_quota == 7400
    assert imai.calls == 2


def test_a_refresh_in_another_process_reaches_one_that_knows_a_record(
    imai: Simulator, clock: time_machine.Traveller
) -> None:
    """What it knows itself, and has read from the state, does not hide it."""
    read()
    read()
    clock.shift(3)
    imai.spend(100)
    with in_another_process():
        click()
        read()
    assert read().remaining_quota == 7400
    assert imai.calls == 2


def test_a_reading_of_another_process_ends_an_outage(
    imai: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so once, as soon as this process learns of the reading."""
    imai.mode = "internal_server_error"
    read()
    record = json.loads(state().get(key()) or "")
    good: dict[str, Any] = {
        "at": str(datetime.now(UTC) + timedelta(seconds=60)),
        "readings": [],
        "failure": None,
    }
    state().put(key(), json.dumps(record | {"number": record["number"] + 1, "last": good}), 60)
    caplog.clear()
    for _ in range(2):
        shared.of_all([IMAI])
    assert caplog.messages == ["IMAI: reading again after a minute"]


class Killed(BaseException):
    """As far as the state can tell, the process is there no more."""


def test_a_click_is_done_by_another_process_where_its_own_ends_before_the_answer(
    imai: Simulator, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And meanwhile it is seen by all: whoever knows the record of before learns that its rest is over."""

    def killed(_provider: object) -> NoReturn:
        raise Killed

    read()
    clock.shift(3)
    imai.spend(100)
    with in_another_process(), monkeypatch.context() as patch:
        patch.setattr(fetch, "fetch", killed)
        click()
        with pytest.raises(RuntimeError, match="Killed"):
            read()
    shared.reload([shared.of(IMAI)])
    assert shared.of(IMAI).is_due
    assert read().remaining_quota == 7400
    assert imai.calls == 2


def test_a_click_shares_what_another_process_fetched_a_moment_ago(
    imai: Simulator, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though this one took its own record for recent, and so the click for one that may ask."""
    read()
    clock.shift(3)
    imai.spend(100)
    with in_another_process():
        click()
        read()
    shared.of(IMAI).request_refresh()
    assert read().remaining_quota == 7400
    assert imai.calls == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IMAI_API_KEY", "test-another-key"),
        ("IMAI_TOTAL_CREDITS", "20000"),
        ("IMAI_API_BASE_URL", "http://localhost:1/api"),
        ("PANEL_CRITICAL_PERCENT", "85"),
    ],
)
def test_a_reading_of_other_settings_is_not_shown(
    imai: Simulator, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """After a change of key, address, total or threshold the old account's figures are nobody's."""
    assert read().remaining_quota == 7500
    monkeypatch.setenv(name, value)
    another_process()
    changed = read()
    assert not changed.stale
    assert changed.total_quota != 10000 or name == "PANEL_CRITICAL_PERCENT"


def test_a_key_that_is_added_to_the_file_is_found_at_the_next_attempt(
    imai: Simulator, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A Retry is enough; and once the key is taken away and the panel restarted, what it brought is not shown."""
    monkeypatch.delenv("IMAI_API_KEY")
    assert (read().remaining_quota, imai.calls) == (None, 0)
    (tmp_path / ".env").write_text(f"IMAI_API_KEY={imai.key}\n", encoding="utf-8")
    clock.shift(3)
    shared.of(IMAI).request_refresh()
    assert (read().remaining_quota, imai.calls) == (Decimal(7500), 1)
    (tmp_path / ".env").unlink()
    another_process()
    assert (read().remaining_quota, read().stale) == (None, False)


def test_a_key_that_is_added_for_a_service_of_the_catalogue_is_found_too(
    clock: time_machine.Traveller, tmp_path: Path
) -> None:
    """Without a click, once its failure's time is over."""
    with hostile(answer(200, definitions.GOOD)) as server:
        acme = definitions.acme(server.url)
        assert shared.fresh_report([acme]).integrations[0].remaining_quota is None
        (tmp_path / ".env").write_text(f"{definitions.VARIABLE}=test-key\n", encoding="utf-8")
        assert shared.fresh_report([acme]).integrations[0].remaining_quota is None
        clock.shift(16)
        assert shared.fresh_report([acme]).integrations[0].remaining_quota == Decimal("37.5")


def test_nothing_secret_is_in_the_file(imai: Simulator, tmp_path: Path) -> None:
    """Neither the key nor a part of it."""
    read()
    content = b"".join(file.read_bytes() for file in tmp_path.glob("state.sqlite3*"))
    assert b"IMAI" in content
    assert imai.key.encode() not in content


@pytest.mark.parametrize("figure", ["7499.98", "0", "-0.5", "1E+3", "0.1000", "123456789012.123456789"])
def test_figures_are_kept_exactly(figure: str) -> None:
    """To the last digit, as are times: what comes back is what was read."""
    now = datetime(2026, 11, 23, 7, 25, 21, 123456, tzinfo=UTC)
    quota = Quota(
        remaining=Decimal(figure), total=Decimal("1e12"), renews_at=now + timedelta(days=1), name="Äpfel"
    )
    reading = Reading.measured("P", quota, at=now, thresholds=Thresholds())
    failure = fetch.Failure(ErrorCode.RATE_LIMITED, now + timedelta(seconds=1))
    record = shared.Record(
        "identity", 1, fetch.Outcome(now, failure=failure), fetch.Outcome(now, (reading, reading)), now
    )
    text = json.dumps(shared.RECORD.dump_python(record), default=str)
    again = shared.RECORD.validate_json(text)
    assert again == record
    assert again.last_good is not None
    assert str(again.last_good.readings[1].remaining_quota) == figure


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"number": 1}', "\ufffd"])
def test_a_record_of_another_shape_is_not_read(imai: Simulator, text: str) -> None:
    """It is written anew."""
    read()
    state().put(key(), text, 60)
    another_process()
    assert read().remaining_quota == 7500
    assert imai.calls == 2
    another_process()
    read()
    assert imai.calls == 2


@pytest.mark.parametrize(("seconds", "calls"), [(-9, 1), (-60, 2), (9, 1)])
def test_clocks_may_be_some_seconds_apart(
    imai: Simulator, clock: time_machine.Traveller, seconds: float, calls: int
) -> None:
    """What a machine with a fast clock read is good; what lies a minute ahead was read before a clock was set back."""
    read()
    another_process()
    clock.shift(seconds)
    read()
    read()
    assert imai.calls == calls


def broken(*_: object, **__: object) -> Any:  # noqa: ANN401 - stands for any call
    """A call of a state that is gone."""
    raise StateError("gone")


@pytest.fixture
def lose(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes calls of the state fail."""

    def lose_(*names: str) -> None:
        for name in names:
            monkeypatch.setattr(state(), name, broken)

    return lose_


def test_without_a_state_a_process_goes_on_with_what_it_knows(
    imai: Simulator, clock: time_machine.Traveller, lose: Callable[..., None]
) -> None:
    """Known figures stay for their TTL; then one call for all of its viewers; Refresh and pauses work as ever."""
    assert read().remaining_quota == 7500
    lose("get_many", "put", "lock")
    st.cache_data.clear()
    assert read().remaining_quota == 7500
    assert imai.calls == 1
    clock.shift(3)
    imai.spend(100)
    shared.of(IMAI).request_refresh()
    assert read().remaining_quota == 7400
    shared.of(IMAI).request_refresh()
    read()
    assert imai.calls == 2
    clock.shift(301)
    with ThreadPoolExecutor(50) as pool:
        assert {reading.status for reading in pool.map(lambda _: read(), range(50))} == {Status.ACTIVE}
    assert imai.calls == 3


def test_without_a_state_a_new_process_asks_once(imai: Simulator, lose: Callable[..., None]) -> None:
    """A failure is shared by all who wait, as ever; emptying Streamlit's cache gains nothing."""
    lose("get_many", "put", "lock")
    imai.mode = "internal_server_error"
    for _ in range(3):
        with ThreadPoolExecutor(50) as pool:
            list(pool.map(lambda _: read(), range(50)))
        st.cache_data.clear()
    assert imai.calls == 1


def test_without_a_state_a_call_is_not_joined_by_a_second_one(
    imai: Simulator, lose: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whatever line another viewer comes who has emptied Streamlit's cache."""
    lose("get_many", "put", "lock")
    fetched: list[object] = []
    good = fetch.fetch(IMAI)

    def record_call(provider: object) -> fetch.Outcome:
        fetched.append(provider)
        return good

    monkeypatch.setattr(fetch, "fetch", record_call)

    def empty_and_read() -> Reading:
        st.cache_data.clear()
        return read()

    for number, race in enumerate(races("integrations.readings.shared"), start=1):
        another_process()
        race(read, empty_and_read)
        assert len(fetched) == number


def test_on_a_full_disk_readings_go_on(
    imai: Simulator, clock: time_machine.Traveller, lose: Callable[..., None]
) -> None:
    """Reading works and writing does not: what the process read last counts, not what the state still has."""
    read()
    lose("put")
    imai.spend(100)
    clock.shift(301)
    assert read().remaining_quota == 7400
    assert read().remaining_quota == 7400
    assert imai.calls == 2
    clock.shift(3)
    imai.spend(100)
    shared.of(IMAI).request_refresh()
    assert read().remaining_quota == 7300


def test_what_the_state_says_later_of_an_earlier_fetch_is_passed_over(
    imai: Simulator, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its last fetch could not be kept, a process does not go back to the one before."""
    read()
    before = state().get(key())
    imai.spend(100)
    clock.shift(301)
    with monkeypatch.context() as patch:
        patch.setattr(state(), "put", broken)
        assert read().remaining_quota == 7400
    state().put(key(), f"{before} ", 60)
    st.cache_data.clear()
    assert read().remaining_quota == 7400
    assert imai.calls == 2


def test_a_click_while_another_process_asks_causes_no_call(
    imai: Simulator, clock: time_machine.Traveller
) -> None:
    """Whoever clicks sees what that call gives."""
    read()
    clock.shift(3)
    other = open_state(f"sqlite:///{Path.cwd()}/state.sqlite3")
    record = json.loads(other.get(key()) or "")
    with ThreadPoolExecutor(1) as pool:
        with other.lock(key(), wait=0):
            shared.of(IMAI).request_refresh()
            clicked = pool.submit(read)
            with pytest.raises(TimeoutError):
                clicked.result(timeout=0.2)
            later = record["last"] | {"failure": {"code": "timeout", "retry_at": None}, "readings": []}
            other.put(key(), json.dumps(record | {"number": record["number"] + 1, "last": later}), 60)
        assert clicked.result().status is Status.UNAVAILABLE
    assert imai.calls == 1
    other.close()


def test_a_click_while_this_process_asks_waits_for_nothing(
    imai: Simulator, clock: time_machine.Traveller
) -> None:
    """It is done at once, however long the call takes."""
    read()
    clock.shift(3)
    with ThreadPoolExecutor(1) as pool, shared.of(IMAI)._fetching:
        pool.submit(shared.of(IMAI).request_refresh).result(timeout=5)


def test_after_the_clock_was_set_back_one_call_is_enough(
    imai: Simulator, clock: time_machine.Traveller
) -> None:
    """What it gives counts as later than what the wrong clock saw, for who empties Streamlit's cache, too."""
    clock.shift(86_400)
    read()
    clock.shift(-86_400)
    for _ in range(3):
        read()
        st.cache_data.clear()
    another_process()
    read()
    assert imai.calls == 2


def test_after_the_state_was_emptied_the_latest_fetch_counts(
    imai: Simulator, clock: time_machine.Traveller, tmp_path: Path
) -> None:
    """Also in a process that knows one from before."""
    read()
    for file in tmp_path.glob("state.sqlite3*"):
        file.unlink()
    imai.spend(100)
    clock.shift(10)
    with in_another_process():
        read()
    st.cache_data.clear()
    assert read().remaining_quota == 7400
    assert imai.calls == 2


def test_a_state_that_was_emptied_costs_no_call(imai: Simulator, tmp_path: Path) -> None:
    """What the process knows is still true."""
    read()
    for file in tmp_path.glob("state.sqlite3*"):
        file.unlink()
    assert read().remaining_quota == 7500
    assert imai.calls == 1


def test_who_waits_too_long_for_another_process_says_so(
    imai: Simulator, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It neither hangs nor asks beside it, and the state keeps what the other one writes."""
    good = read()
    clock.shift(301)
    monkeypatch.setenv("PANEL_DEADLINE_SECONDS", "0.1")
    another_process()
    other = open_state(f"sqlite:///{Path.cwd()}/state.sqlite3")
    before = state().items("reading")
    with other.lock(key(), wait=0):
        late = read()
    assert late.error is not None
    assert late.error.code is ErrorCode.TIMEOUT
    assert late.remaining_quota == good.remaining_quota
    assert imai.calls == 1
    assert state().items("reading") == before
    monkeypatch.setenv("PANEL_DEADLINE_SECONDS", "10")
    panel_settings.cache_clear()
    clock.shift(16)
    assert read().status is Status.ACTIVE
    other.close()

"""Shared readings and the state: after a restart, in other processes, and without a state."""

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
    """A clock that a test moves."""
    with time_machine.travel(datetime.now(UTC), tick=True) as moved:
        yield moved


def another_process() -> None:
    """Continue as another process, which knows only the state."""
    st.cache_data.clear()
    shared.reset()
    panel_settings.cache_clear()
    for kept in ("settings", "identity"):
        vars(IMAI).pop(kept, None)


@contextmanager
def in_another_process() -> Iterator[None]:
    """Run the block as another process, and then continue as the first one."""
    mine = dict(shared._by_label)
    another_process()
    yield
    shared.reset()
    shared._by_label.update(mine)


def read() -> Reading:
    """Return IMAI's reading, as the page gets it."""
    return shared.fresh_report([IMAI]).integrations[0]


def click() -> None:
    """Click Refresh on a page that has just been drawn."""
    (imai,) = shared.of_all([IMAI])
    imai.request_refresh()


def key() -> str:
    """Return the key of the record in the state."""
    (found,) = state().items("reading")
    return found


def test_a_restart_fetches_nothing_within_the_ttl(imai: Simulator, clock: time_machine.Traveller) -> None:
    """Neither after a good reading nor in the pause after a failure."""
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


def test_the_last_good_figures_outlive_a_restart(imai: Simulator, clock: time_machine.Traveller) -> None:
    """They are shown at once, without a call; after a failure they are stale and keep their own time."""
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


def test_a_failed_quota_that_was_never_read_has_no_figures(clock: time_machine.Traveller) -> None:
    """It is not stale either, also after a failure of the whole provider."""
    content = [ONE]
    with hostile(answering(content)) as server:
        two = Two(server.url)
        assert shown(two) == [(3, "active", False), (None, "error", False)]
        content[0] = b""
        clock.shift(301)
        assert shown(two) == [(3, "unavailable", True), (None, "unavailable", False)]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_the_last_good_figures_of_a_failed_quota_stay(
    clock: time_machine.Traveller, *, is_restarted: bool
) -> None:
    """They are stale through further failures, a failure of the whole provider, and a restart."""
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


@pytest.mark.parametrize("is_clicked", [False, True])
def test_a_refresh_in_one_process_reaches_the_others(
    imai: Simulator, clock: time_machine.Traveller, *, is_clicked: bool
) -> None:
    """A process that knows an older record, and one that knows none; a click there shares the new reading."""
    read()
    clock.shift(3)
    imai.spend(100)
    with in_another_process():
        click()
        read()
    if is_clicked:
        shared.of(IMAI).request_refresh()
    assert read().remaining_quota == 7400
    another_process()
    assert read().remaining_quota == 7400
    assert imai.calls == 2


def test_a_reading_of_another_process_ends_an_outage(
    imai: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has one line, as soon as this process reads the state."""
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
    """Ends a fetch as the end of its process does."""


def test_if_a_process_is_killed_during_a_refresh_another_one_fetches(
    imai: Simulator, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that knows the record from before finds it due."""

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
    """A changed key, address, total or threshold makes another account."""
    assert read().remaining_quota == 7500
    monkeypatch.setenv(name, value)
    another_process()
    changed = read()
    assert not changed.stale
    assert changed.total_quota != 10000 or name == "PANEL_CRITICAL_PERCENT"


def test_a_key_that_is_added_to_the_env_file_is_used_at_the_next_attempt(
    imai: Simulator, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A Retry is enough. After a restart without the key its figures are not shown."""
    monkeypatch.delenv("IMAI_API_KEY")
    assert (read().remaining_quota, imai.calls) == (None, 0)
    (tmp_path / ".env").write_text(f"IMAI_API_KEY={imai.key}\n", encoding="utf-8")
    clock.shift(3)
    shared.of(IMAI).request_refresh()
    assert (read().remaining_quota, imai.calls) == (Decimal(7500), 1)
    (tmp_path / ".env").unlink()
    another_process()
    assert (read().remaining_quota, read().stale) == (None, False)


def test_a_key_that_is_added_for_a_declared_service_is_used(
    clock: time_machine.Traveller, tmp_path: Path
) -> None:
    """Without a click, 15 seconds after the failure."""
    with hostile(answer(200, definitions.GOOD)) as server:
        acme = definitions.acme(server.url)
        assert shared.fresh_report([acme]).integrations[0].remaining_quota is None
        (tmp_path / ".env").write_text(f"{definitions.VARIABLE}=test-key\n", encoding="utf-8")
        assert shared.fresh_report([acme]).integrations[0].remaining_quota is None
        clock.shift(16)
        assert shared.fresh_report([acme]).integrations[0].remaining_quota == Decimal("37.5")


def test_the_state_holds_no_key(imai: Simulator, tmp_path: Path) -> None:
    """The file has the provider's name and not its key."""
    read()
    content = b"".join(file.read_bytes() for file in tmp_path.glob("state.sqlite3*"))
    assert b"IMAI" in content
    assert imai.key.encode() not in content


@pytest.mark.parametrize("figure", ["7499.98", "0", "-0.5", "1E+3", "0.1000", "123456789012.123456789"])
def test_figures_are_kept_exactly(figure: str) -> None:
    """Amounts keep their last digit, and times their microseconds."""
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
def test_a_record_of_another_shape_is_replaced(imai: Simulator, text: str) -> None:
    """The panel fetches once and writes a new one."""
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
    """A record from a minute in the future means that a clock was set back."""
    read()
    another_process()
    clock.shift(seconds)
    read()
    read()
    assert imai.calls == calls


def broken(*_: object, **__: object) -> Any:
    """Fail as a state that is gone."""
    raise StateError("gone")


@pytest.fixture
def lose(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make calls of the state fail."""

    def lose_(*names: str) -> None:
        for name in names:
            monkeypatch.setattr(state(), name, broken)

    return lose_


def test_without_a_state_a_process_continues_with_its_own_readings(
    imai: Simulator, clock: time_machine.Traveller, lose: Callable[..., None]
) -> None:
    """The TTL, Refresh and its pause hold, and all viewers share one call."""
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


def test_without_a_state_a_new_process_fetches_once(imai: Simulator, lose: Callable[..., None]) -> None:
    """Fifty viewers share a failure, and clearing Streamlit's cache changes nothing."""
    lose("get_many", "put", "lock")
    imai.mode = "internal_server_error"
    for _ in range(3):
        with ThreadPoolExecutor(50) as pool:
            list(pool.map(lambda _: read(), range(50)))
        st.cache_data.clear()
    assert imai.calls == 1


def test_without_a_state_there_is_one_fetch_at_a_time(
    imai: Simulator, lose: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another viewer clears Streamlit's cache and reads, at each line of the first one's read."""
    lose("get_many", "put", "lock")
    fetched: list[object] = []
    good = fetch.fetch(IMAI)

    def record_call(provider: object) -> fetch.Outcome:
        fetched.append(provider)
        return good

    monkeypatch.setattr(fetch, "fetch", record_call)

    def clear_and_read() -> Reading:
        st.cache_data.clear()
        return read()

    for number, race in enumerate(races("integrations.readings.shared"), start=1):
        another_process()
        race(read, clear_and_read)
        assert len(fetched) == number


def test_on_a_full_disk_readings_continue(
    imai: Simulator, clock: time_machine.Traveller, lose: Callable[..., None]
) -> None:
    """The last fetch of the process counts, and not the older record in the state, even if it is written again."""
    read()
    state_key, before = key(), state().get(key())
    put = state().put
    lose("put")
    imai.spend(100)
    clock.shift(301)
    for text in (before, f"{before} "):
        put(state_key, str(text), 60)
        st.cache_data.clear()
        assert read().remaining_quota == 7400
    assert imai.calls == 2
    clock.shift(3)
    imai.spend(100)
    shared.of(IMAI).request_refresh()
    assert read().remaining_quota == 7300


def test_a_click_during_a_fetch_of_another_process_starts_none(
    imai: Simulator, clock: time_machine.Traveller
) -> None:
    """It waits for that fetch and shows its result."""
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


def test_after_the_clock_was_set_back_one_call_is_enough(
    imai: Simulator, clock: time_machine.Traveller
) -> None:
    """Its reading replaces the one from the future, also in another process."""
    clock.shift(86_400)
    read()
    clock.shift(-86_400)
    for _ in range(3):
        read()
        st.cache_data.clear()
    another_process()
    read()
    assert imai.calls == 2


def test_a_process_keeps_its_reading_if_the_state_is_emptied(
    imai: Simulator, clock: time_machine.Traveller, tmp_path: Path
) -> None:
    """Until another process fetches a later one."""
    read()
    for file in tmp_path.glob("state.sqlite3*"):
        file.unlink()
    assert read().remaining_quota == 7500
    assert imai.calls == 1
    imai.spend(100)
    clock.shift(10)
    with in_another_process():
        read()
    st.cache_data.clear()
    assert read().remaining_quota == 7400
    assert imai.calls == 2


def test_waiting_for_another_process_ends_in_a_timeout(
    imai: Simulator, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process neither hangs nor fetches, and the state is unchanged."""
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

"""Every test starts like a new process: without settings, store or caches."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import redis
import streamlit as st

from integrations import accounts
from integrations.access import authenticator, store_edit
from integrations.access.credentials import User
from integrations.demo.server import Simulator
from integrations.log import FORMATTERS
from integrations.providers.imai import Imai
from integrations.readings import fetch, shared, traffic
from integrations.settings import panel_settings
from integrations.state import state
from integrations.web import health

PASSWORD = "test-password-not-secret"
HASHED = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
"""A quick hash; the real cost of 12 takes a third of a second for each sign-in."""

os.umask(0o022)  # the panel refuses files that others may change

IMAI = Imai()
"""The provider of most tests, as without a providers' file."""


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of workers of `-n auto`: one more than cores, because many tests wait."""
    return (os.cpu_count() or 1) + 1


def forget() -> None:
    """Clear all caches of the process."""
    st.cache_data.clear()
    shared.reset()
    fetch.outages.reset()
    state.cache_clear()
    traffic.reset()
    health._readiness.checked_at = health._readiness.failed = None
    panel_settings.cache_clear()
    authenticator.auth.cache_clear()
    accounts.replace(None)
    for name in ("settings", "identity"):
        vars(IMAI).pop(name, None)


@pytest.fixture(autouse=True)
def _new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in os.environ:
        if name.startswith(("IMAI_", "PANEL_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PANEL_AUTH_FILE", str(tmp_path / "auth.yaml"))
    url = os.environ.get("TEST_STATE_URL", "memory://")
    if url.startswith("redis"):  # with a Redis of its own, without xdist
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    monkeypatch.setenv("PANEL_STATE_URL", url)
    forget()
    yield
    _wait_for_threads()
    forget()


def _wait_for_threads() -> None:
    """Wait for the test's fetches, which could fill the next test's caches with wrong readings."""
    end = time.monotonic() + 2
    for thread in threading.enumerate():
        if thread.name.startswith(("fetch ", "refresh ", "ThreadPoolExecutor-")):
            thread.join(max(end - time.monotonic(), 0))


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """Undo changes of the log after a test; `caplog` reads the root logger."""
    logging.getLogger("integrations").setLevel(logging.INFO)
    yield
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler.formatter, FORMATTERS)]
    logging.captureWarnings(capture=False)
    threading.excepthook = threading.__excepthook__


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Restore the handlers that a command in this process has changed."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the local time to 14 hours ahead of UTC, so that a confusion of both is noticed."""
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Run a simulated IMAI on loopback."""
    with Simulator() as peer:
        yield peer


@pytest.fixture
def imai(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """Configure the panel to read the simulator, with an allowance of 10,000 credits."""
    monkeypatch.setenv("IMAI_API_BASE_URL", simulator.url)
    monkeypatch.setenv("IMAI_API_KEY", simulator.key)
    monkeypatch.setenv("IMAI_TOTAL_CREDITS", "10000")
    return simulator


@pytest.fixture
def no_click_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a click on Refresh fetch at once, however recent the last fetch."""
    monkeypatch.setattr(shared, "CLICK_PAUSE", timedelta(0))


AddUser = Callable[..., None]


@pytest.fixture
def add_user(tmp_path: Path) -> AddUser:
    """Return a function that adds a user: `add_user("alice", roles=["viewer"])`; the password is `PASSWORD`."""

    def add(name: str, *, roles: list[str], **fields: Any) -> None:
        user = User(password=fields.pop("password", HASHED), roles=roles, **fields)
        store_edit.change(tmp_path / "auth.yaml", lambda content: store_edit.with_user(content, name, user))

    return add

"""Every test begins as a new process does: no settings, no store, nothing kept; and ends without a trace."""

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

os.umask(0o022)  # a developer's own umask may let others change files, which the panel refuses

IMAI = Imai()
"""The provider that most tests read; as without a providers' file."""


def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: one more than there are cores, since many tests wait, for a browser or a deadline."""
    return (os.cpu_count() or 1) + 1


def forget() -> None:
    """Drop whatever the process keeps."""
    st.cache_data.clear()
    shared.reset()
    fetch.outages.reset()
    state.cache_clear()
    traffic.reset()
    health._readiness.checked_at = health._readiness.failed = None
    panel_settings.cache_clear()
    authenticator.auth.cache_clear()
    accounts.replace(None)
    for kept in ("settings", "identity"):
        vars(IMAI).pop(kept, None)


@pytest.fixture(autouse=True)
def _as_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in os.environ:
        if name.startswith(("IMAI_", "PANEL_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PANEL_AUTH_FILE", str(tmp_path / "auth.yaml"))
    url = os.environ.get("TEST_STATE_URL", "memory://")
    if url.startswith("redis"):  # a run on a Redis of its own, without xdist
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    monkeypatch.setenv("PANEL_STATE_URL", url)
    forget()
    yield
    _wait_for_threads()
    forget()


def _wait_for_threads() -> None:
    """Until those that read for the test have ended: one could fill the next test's caches with this one's settings."""
    end = time.monotonic() + 2
    for thread in threading.enumerate():
        if thread.name.startswith(("fetch ", "refresh ", "ThreadPoolExecutor-")):
            thread.join(max(end - time.monotonic(), 0))


@pytest.fixture(autouse=True)
def _log_is_heard() -> Iterator[None]:
    """Whatever a test of the start did to the log is undone after it; `caplog` hears the root logger throughout."""
    logging.getLogger("integrations").setLevel(logging.INFO)
    yield
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler.formatter, FORMATTERS)]
    logging.captureWarnings(capture=False)
    threading.excepthook = threading.__excepthook__


@pytest.fixture(autouse=True)
def _signals_are_obeyed() -> Iterator[None]:
    """As before, whatever a command that ran in this process made of them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's clock is 14 hours ahead of UTC, so that neither is taken for the other."""
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A stand-in IMAI on loopback."""
    with Simulator() as peer:
        yield peer


@pytest.fixture
def imai(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The simulator, with the panel configured to ask it for an allowance of 10,000 credits."""
    monkeypatch.setenv("IMAI_API_BASE_URL", simulator.url)
    monkeypatch.setenv("IMAI_API_KEY", simulator.key)
    monkeypatch.setenv("IMAI_TOTAL_CREDITS", "10000")
    return simulator


@pytest.fixture
def no_click_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A click on Refresh asks at once, however soon after the last call."""
    monkeypatch.setattr(shared, "CLICK_PAUSE", timedelta(0))


AddUser = Callable[..., None]


@pytest.fixture
def add_user(tmp_path: Path) -> AddUser:
    """Puts a user into the store: `add_user("alice", roles=["viewer"])`; the password is `PASSWORD`."""

    def add(name: str, *, roles: list[str], **fields: Any) -> None:
        user = User(password=fields.pop("password", HASHED), roles=roles, **fields)
        store_edit.change(tmp_path / "auth.yaml", lambda content: store_edit.with_user(content, name, user))

    return add

"""The real thing: the panel and the simulator as processes, and Chromium in front of them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from integrations.cache import CLICK_PAUSE

ROOT = Path(__file__).parents[2]
PASSWORD = "test-password-not-secret"
CHROMIUM_FLAGS = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",  # otherwise Chromium looks for hosts of its own
    "--disable-component-update",
    "--disable-sync",
)
T = TypeVar("T")
_INTEGRATIONS = [sys.executable, "-m", "integrations.cli"]


def free_port() -> int:
    """A port on loopback that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(
    command: list[str], environment: dict[str, str], log: Path, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours, ended by its id; what it says goes to the file."""
    with log.open("wb") as output:
        running = subprocess.Popen(command, env=environment, cwd=cwd, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield running
        finally:
            running.send_signal(signal.SIGINT)
            try:
                running.wait(timeout=10)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


@dataclass
class SimulatorProcess:
    """A running `integrations simulate`, and its controls."""

    url: str
    key: str

    def control(self, **wishes: object) -> dict[str, object]:
        """Make it spend or fail: `control(spend="250")`, `control(mode="http_503")`."""
        request = urllib.request.Request(
            self.url.removesuffix("/api") + "/control", data=json.dumps(wishes).encode(), method="PUT"
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            state: dict[str, object] = json.load(answer)
            return state


@dataclass
class Panel:
    """A running `integrations serve` with a store of its own."""

    url: str
    folder: Path
    environment: dict[str, str]
    log_file: Path
    simulator: SimulatorProcess

    @property
    def log(self) -> str:
        """What the server has written to standard error."""
        return self.log_file.read_text()

    def users(self, *arguments: str) -> None:
        """`integrations users …` on this panel's store; the password is `PASSWORD`."""
        subprocess.run(
            [*_INTEGRATIONS, "users", *arguments],
            env=self.environment,
            input=f"{PASSWORD}\n",
            text=True,
            check=True,
            capture_output=True,
        )


@contextmanager
def run_simulator(folder: Path) -> Iterator[SimulatorProcess]:
    """Start the simulator and wait until it answers."""
    log = folder / "simulator.log"
    command = [*_INTEGRATIONS, "simulate", "--port", "0"]
    with process(command, {**os.environ, "PYTHONUNBUFFERED": "1"}, log):
        found = _wait_for(lambda: re.search(r"IMAI_API_BASE_URL=(\S+)\s+IMAI_API_KEY=(\S+)", log.read_text()))
        yield SimulatorProcess(found[1], found[2])


@contextmanager
def run_panel(
    folder: Path, simulator: SimulatorProcess, *, command: Sequence[str] = _INTEGRATIONS, **settings: str
) -> Iterator[Panel]:
    """Start a panel with an admin `alice` and a viewer `victor`, and wait until it answers."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("IMAI_", "PANEL_"))},
        "IMAI_API_BASE_URL": simulator.url,
        "IMAI_API_KEY": simulator.key,
        "IMAI_TOTAL_CREDITS": "10000",
        "PANEL_AUTH_FILE": str(folder / "auth.yaml"),
        **settings,
    }
    log = folder / "panel.log"
    panel = Panel(f"http://127.0.0.1:{port}", folder, environment, log, simulator)
    panel.users("add", "alice", "--role", "admin", "--first-name", "Alice", "--password-stdin")
    panel.users("add", "victor", "--role", "viewer", "--password-stdin")
    with process([*command, "serve", "--port", str(port)], environment, log):
        _wait_for(lambda: _is_healthy(panel.url))
        yield panel


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _wait_for(look: Callable[[], T | None], seconds: float = 30) -> T:
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "not ready in time"
        time.sleep(0.05)
    return found


def chromium_path() -> str:
    """Where Chromium is."""
    path = shutil.which("chromium")
    assert path, "no Chromium: run scripts/ensure-test-tools"
    return path


@contextmanager
def gallery_server(folder: Path) -> Iterator[str]:
    """The URL of a page with every state of a card."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "tests/ui/gallery.py", "--server.port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with process(command, environment, folder / "gallery.log", cwd=ROOT):
        url = f"http://127.0.0.1:{port}"
        _wait_for(lambda: _is_healthy(url))
        yield url


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def simulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """One simulator for the session."""
    with run_simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture
def panel(tmp_path: Path, simulator_process: SimulatorProcess) -> Iterator[Panel]:
    """A panel of this test's own, in front of a simulator that is as new."""
    simulator_process.control(mode="ok", credits="7500", latency_seconds=0)
    with run_panel(tmp_path, simulator_process) as running:
        yield running


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page in a fresh profile."""
    context = chromium.new_context(viewport={"width": 1100, "height": 800})
    yield context.new_page()
    context.close()


def sign_in(page: Page, panel: Panel, name: str = "alice") -> None:
    """Open the panel and sign in by the form."""
    page.goto(panel.url)
    page.get_by_role("textbox", name="Username").fill(name)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Login").click()
    page.get_by_role("heading", name="Integrations").wait_for()


def wait_for_clicks(page: Page) -> None:
    """Until a click on Refresh asks again: within two seconds of the last call it does not."""
    page.wait_for_timeout(CLICK_PAUSE / timedelta(milliseconds=1))


@pytest.fixture
def panel_without_total(tmp_path: Path, simulator_process: SimulatorProcess) -> Iterator[Panel]:
    """A panel whose operator did not tell the plan's allowance."""
    simulator_process.control(mode="ok", credits="7500")
    with run_panel(tmp_path, simulator_process, IMAI_TOTAL_CREDITS="") as running:
        yield running

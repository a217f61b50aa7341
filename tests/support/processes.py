"""Ports, processes on loopback, and Chromium, for tests, benchmark and scripts.

Each process is started here, waited for until it answers, and ended by its id.
"""

import asyncio
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

ROOT: Final = Path(__file__).resolve().parents[2]
PASSWORD: Final = "test-password-not-secret"
"""The password of every user that a test adds."""
COMMAND: Final = (sys.executable, "-m", "integrations.cli")
"""The command `integrations`."""
CHROMIUM_FLAGS: Final = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",  # otherwise Chromium contacts its own hosts
    "--disable-component-update",
    "--disable-sync",
)
_CONFIGURING: Final = ("IMAI_", "PANEL_", "STREAMLIT_", "BENCH_")
_READY_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0

T = TypeVar("T")


class HarnessError(Exception):
    """A process did not start, or this machine lacks a program."""


def free_port() -> int:
    """Return a port on loopback that nothing uses now.

    It is below those of outgoing connections (`ip_local_port_range`, from 32768), which could take it first, and above
    those that Chromium refuses (up to 10080).
    """
    while True:
        port = secrets.choice(range(11_000, 32_768))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for(look: Callable[[], T | None], what: str, *, seconds: float = _READY_SECONDS) -> T:
    """Poll until `look` returns something true; return it.

    Args:
        look: returns the result, or something false.
        what: its name in the error.
        seconds: after which to stop.

    Raises:
        HarnessError: nothing came in time.
    """
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise HarnessError(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)
    return found


def accepts(port: int) -> bool:
    """Check whether a process accepts connections on this port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def is_healthy(url: str) -> bool:
    """Check whether a Streamlit server answers at the URL."""
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def clean_environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without settings of a panel or Streamlit, and with these variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_CONFIGURING)}
    paths = os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH"))))
    return {**kept, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", **own}


@dataclass(frozen=True, slots=True)
class Process:
    """A running process of ours."""

    running: "subprocess.Popen[bytes]"
    log_file: Path

    @property
    def log(self) -> str:
        """Return its standard output and standard error so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, look: Callable[[], T | None], *, seconds: float = _READY_SECONDS) -> T:
        """Wait as `wait_for` does, but end early if the process ends.

        Raises:
            HarnessError: with the log.
        """

        def look_at_it_alive() -> T | None:
            found = look()
            if not found and self.running.poll() is not None:
                raise HarnessError(f"it ended:\n{self.log}")
            return found

        try:
            return wait_for(look_at_it_alive, "it is ready", seconds=seconds)
        except HarnessError as error:
            raise HarnessError(f"{self.running.args!r}: {error}\n{self.log}") from None


@contextmanager
def process(
    command: Sequence[str],
    log_file: Path,
    environment: Mapping[str, str],
    *,
    cwd: Path | None = None,
    stdin: int = subprocess.DEVNULL,
) -> Iterator[Process]:
    """Run a process; end it by SIGTERM at the end of the block."""
    with log_file.open("wb") as output:
        running = subprocess.Popen(
            list(command),
            env=dict(environment),
            cwd=cwd,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Process(running, log_file)
        finally:
            if running.poll() is None:
                running.terminate()
            try:
                running.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


@dataclass(frozen=True, slots=True)
class Server:
    """A running web server of ours.

    Attributes:
        url: without a final slash.
        process: of the server.
        started: seconds from the start of the process to its first answer.
    """

    url: str
    process: Process
    started: float

    def memory(self) -> int:
        """Return its memory in bytes (resident set)."""
        status = Path(f"/proc/{self.process.running.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024


@contextmanager
def serve(
    command: Sequence[str],
    port: int,
    folder: Path,
    environment: Mapping[str, str],
    *,
    cwd: Path | None = None,
) -> Iterator[Server]:
    """Run a Streamlit server; yield it once it answers.

    Args:
        command: of the server.
        port: of the server.
        folder: its home, and the folder of its log, `server-<port>.log`.
        environment: its settings.
        cwd: its working directory; `folder` by default.
    """
    url, began = f"http://127.0.0.1:{port}", time.perf_counter()
    whole = clean_environment({"HOME": str(folder), **environment})
    with process(command, folder / f"server-{port}.log", whole, cwd=cwd or folder) as running:
        running.wait_for(lambda: is_healthy(url))
        yield Server(url, running, time.perf_counter() - began)


def streamlit_run(script: Path, port: int) -> list[str]:
    """Return the command `streamlit run` with Streamlit's defaults, for a machine without a person."""
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    command += ["--server.headless", "true", "--server.address", "127.0.0.1"]
    return [*command, "--browser.gatherUsageStats", "false"]


@dataclass(frozen=True, slots=True)
class SimulatorProcess:
    """A running `integrations simulate`."""

    url: str
    key: str

    @property
    def control_url(self) -> str:
        """Return the URL of its state."""
        return self.url.removesuffix("/api") + "/control"

    def control(self, **wishes: object) -> dict[str, object]:
        """Make it spend or fail: `control(spend="250")`, `control(mode="http_503")`; return its state."""
        request = urllib.request.Request(self.control_url, data=json.dumps(wishes).encode(), method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            state: dict[str, object] = json.load(answer)
            return state

    def calls(self) -> int:
        """Return the number of calls so far."""
        return int(str(self.control()["calls"]))


@contextmanager
def run_simulator(folder: Path) -> Iterator[SimulatorProcess]:
    """Run the simulator, with its log in the folder; yield it once it answers."""
    port = free_port()
    command = [*COMMAND, "simulate", "--port", str(port)]
    with process(command, folder / f"simulator-{port}.log", clean_environment({})) as running:
        line = re.compile(r"IMAI_API_BASE_URL=(\S+)\s+IMAI_API_KEY=(\S+)")
        found = running.wait_for(lambda: line.search(running.log))
        yield SimulatorProcess(found[1], found[2])


@dataclass
class Panel:
    """A running `integrations serve` with a store of its own."""

    url: str
    folder: Path
    environment: dict[str, str]
    simulator: SimulatorProcess
    server: Server

    @property
    def log(self) -> str:
        """Return the server's log."""
        return self.server.process.log

    def users(self, *arguments: str) -> None:
        """Run `integrations users …` on this panel's store, with `PASSWORD` as standard input."""
        _users(self.environment, *arguments)


def panel_environment(folder: Path, simulator: SimulatorProcess, **settings: str) -> dict[str, str]:
    """Write a store with both users into the folder; return the settings of a panel that reads this simulator."""
    environment = {
        "IMAI_API_BASE_URL": simulator.url,
        "IMAI_API_KEY": simulator.key,
        "IMAI_TOTAL_CREDITS": "10000",
        "PANEL_AUTH_FILE": str(folder / "auth.yaml"),
        "PANEL_STATE_URL": f"sqlite:///{folder}/state.sqlite3",
        **settings,
    }
    store = Path(environment["PANEL_AUTH_FILE"])
    store.touch(mode=0o600)
    store.write_text(_store(), encoding="utf-8")
    return environment


@cache
def _store() -> str:
    """Return a store with both users, made by the command; cached, because that takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "auth.yaml")
        environment = {"PANEL_AUTH_FILE": str(store)}
        _users(environment, "add", "alice", "--role", "admin", "--first-name", "Alice", "--password-stdin")
        _users(environment, "add", "victor", "--role", "guest", "--password-stdin")
        return store.read_text(encoding="utf-8")


@contextmanager
def run_panel(
    folder: Path,
    simulator: SimulatorProcess,
    *,
    command: Sequence[str] = COMMAND,
    options: Sequence[str] = (),
    **settings: str,
) -> Iterator[Panel]:
    """Run a panel with an admin `alice` and a guest `victor`; yield it once it answers.

    Args:
        folder: for its store, state and log.
        simulator: its provider.
        command: in place of `integrations`.
        options: further ones of `integrations serve`.
        settings: further ones of the panel.
    """
    environment = panel_environment(folder, simulator, **settings)
    configuration = folder / ".streamlit"
    if not configuration.exists():
        configuration.symlink_to(ROOT / ".streamlit")
    port = free_port()
    whole = [*command, "serve", "--port", str(port), *options]
    with serve(whole, port, folder, environment) as server:
        yield Panel(server.url, folder, clean_environment(environment), simulator, server)


@contextmanager
def run_another_process(panel: Panel, port: int | None = None) -> Iterator[Server]:
    """Run one more process of a panel, with its settings, store and state; yield it once it answers.

    Args:
        panel: the first process.
        port: of the new process; a free one by default.
    """
    port = port or free_port()
    own = {name: text for name, text in panel.environment.items() if name.startswith(_CONFIGURING)}
    with serve([*COMMAND, "serve", "--port", str(port)], port, panel.folder, own) as server:
        yield server


def _users(environment: Mapping[str, str], *arguments: str) -> None:
    subprocess.run(
        [*COMMAND, "users", *arguments],
        env=clean_environment(environment),
        input=f"{PASSWORD}\n",
        text=True,
        check=True,
        capture_output=True,
    )


@contextmanager
def run_gallery(folder: Path) -> Iterator[str]:
    """Run a page with every state of a card, with its log in the folder; yield its URL."""
    port = free_port()
    with serve(streamlit_run(ROOT / "tests/ui/gallery.py", port), port, folder, {}, cwd=ROOT) as server:
        yield server.url


def chromium_path() -> str:
    """Return the path of Chromium.

    Raises:
        HarnessError: there is none.
    """
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise HarnessError("no Chromium: run scripts/ensure-test-tools")


def run_async(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine in another thread, because Playwright's event loop may be running in the test's thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()

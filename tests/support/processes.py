"""What tests, benchmark and scripts need of the machine: a port, processes of ours on loopback, Chromium.

Every process is started here, waited for until it answers, and ended by its id.
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
"""Of every user whom a test adds."""
COMMAND: Final = (sys.executable, "-m", "integrations.cli")
"""The command `integrations`."""
CHROMIUM_FLAGS: Final = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",  # otherwise Chromium looks for hosts of its own
    "--disable-component-update",
    "--disable-sync",
)
_CONFIGURING: Final = ("IMAI_", "PANEL_", "STREAMLIT_", "BENCH_")
_READY_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0

T = TypeVar("T")


class HarnessError(Exception):
    """A process did not start, or this machine lacks something; the text says what."""


def free_port() -> int:
    """A port on loopback that nothing uses now.

    It lies below those that the kernel gives to outgoing connections (`ip_local_port_range`, from 32768 on): one of
    them would take it before the process that it is meant for. Chromium refuses some ports, the last is 10080.
    """
    while True:
        port = secrets.choice(range(11_000, 32_768))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for(look: Callable[[], T | None], what: str, *, seconds: float = _READY_SECONDS) -> T:
    """Look again and again until there is something to see.

    Args:
        look: gives what is waited for, or something false.
        what: names it where it does not come.
        seconds: how long to look.

    Raises:
        HarnessError: it did not come in time.
    """
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise HarnessError(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)
    return found


def accepts(port: int) -> bool:
    """Whether somebody takes connections on this port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def is_healthy(url: str) -> bool:
    """Whether a Streamlit server answers there."""
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def clean_environment(own: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without whatever configures a panel or Streamlit, and with these variables."""
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
        """What it has written so far, to standard output and standard error."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, look: Callable[[], T | None], *, seconds: float = _READY_SECONDS) -> T:
        """`wait_for`, which ends early where the process ends.

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
    """A process of ours that is ended, by SIGTERM, at the end of the block."""
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
        url: without a slash at its end.
        process: what runs.
        started: seconds from the start of the process to its first answer.
    """

    url: str
    process: Process
    started: float

    def memory(self) -> int:
        """Bytes of memory that it holds now (resident set)."""
        return resident_bytes(self.process.running.pid)


def resident_bytes(pid: int) -> int:
    """A process's memory (resident set)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
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
    """A Streamlit server of ours, once it answers.

    Args:
        command: that starts it.
        port: where it answers.
        folder: its home; its log is written there, as `server-<port>.log`.
        environment: of variables of its own, beside those of this process that configure nothing.
        cwd: its working directory; `folder` by default.
    """
    url, began = f"http://127.0.0.1:{port}", time.perf_counter()
    whole = clean_environment({"HOME": str(folder), **environment})
    with process(command, folder / f"server-{port}.log", whole, cwd=cwd or folder) as running:
        running.wait_for(lambda: is_healthy(url))
        yield Server(url, running, time.perf_counter() - began)


def streamlit_run(script: Path, port: int) -> list[str]:
    """Stock `streamlit run`: Streamlit's own defaults, but for what a machine without a person needs."""
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    command += ["--server.headless", "true", "--server.address", "127.0.0.1"]
    return [*command, "--browser.gatherUsageStats", "false"]


@dataclass(frozen=True, slots=True)
class SimulatorProcess:
    """A running `integrations simulate`, and its control."""

    url: str
    key: str

    @property
    def control_url(self) -> str:
        """Where its state is told and changed."""
        return self.url.removesuffix("/api") + "/control"

    def control(self, **wishes: object) -> dict[str, object]:
        """Make it spend or fail: `control(spend="250")`, `control(mode="http_503")`. Gives its state."""
        request = urllib.request.Request(self.control_url, data=json.dumps(wishes).encode(), method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            state: dict[str, object] = json.load(answer)
            return state

    def calls(self) -> int:
        """How often its account has been asked so far."""
        return int(str(self.control()["calls"]))


@contextmanager
def run_simulator(folder: Path) -> Iterator[SimulatorProcess]:
    """The simulator as a process, once it answers. Its log is written into the folder."""
    port = free_port()
    command = [*COMMAND, "simulate", "--port", str(port)]
    with process(command, folder / f"simulator-{port}.log", clean_environment({})) as running:
        said = re.compile(r"IMAI_API_BASE_URL=(\S+)\s+IMAI_API_KEY=(\S+)")
        found = running.wait_for(lambda: said.search(running.log))
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
        """What the server has written."""
        return self.server.process.log

    def users(self, *arguments: str) -> None:
        """`integrations users …` on this panel's store; a password that it asks for is `PASSWORD`."""
        _users(self.environment, *arguments)


def panel_environment(folder: Path, simulator: SimulatorProcess, **settings: str) -> dict[str, str]:
    """The variables of a panel that asks this simulator; its store is in the folder and has both users."""
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
    """A store with both users, as the command makes it: once a process, since it takes its time."""
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
    """A panel with an admin `alice` and a `victor` without rights, once it answers.

    Args:
        folder: for its store, state and log.
        simulator: whom it asks.
        command: in place of `integrations`.
        options: of `integrations serve`, beside its port.
        settings: of the panel, beside the usual ones.
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
    """The URL of a page with every state of a card. Its log is written into the folder."""
    port = free_port()
    with serve(streamlit_run(ROOT / "tests/ui/gallery.py", port), port, folder, {}, cwd=ROOT) as server:
        yield server.url


def chromium_path() -> str:
    """Where Chromium is.

    Raises:
        HarnessError: nowhere.
    """
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise HarnessError("no Chromium: run scripts/ensure-test-tools")


def run_async(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine in a thread of its own: in a test's thread Playwright's event loop may be running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()

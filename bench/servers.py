"""The servers that candidates run under, as processes on loopback: started, awaited, weighed, ended by their id."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
CANDIDATES: Final = Path(__file__).resolve().parent / "candidates"
_READY_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0


class ServerError(Exception):
    """A candidate did not start; the text holds what it said."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        url: without a slash at its end.
        pid: its process.
        started: seconds from the start of the process to its first answer.
        log: where its output goes.
    """

    url: str
    pid: int
    started: float
    log: Path

    def memory(self) -> int:
        """Bytes of memory that the process holds now (resident set)."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024


def streamlit_run(
    script: Path, folder: Path, environment: Mapping[str, str]
) -> AbstractContextManager[Server]:
    """Stock `streamlit run`: Streamlit's own defaults but for what a benchmark cannot do without.

    Args:
        script: the page.
        folder: an empty one; the server's working directory and home, so that no configuration is found.
        environment: variables for the page.
    """
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    command += ["--server.headless", "true", "--server.address", "127.0.0.1", "--server.port", str(port)]
    command += ["--browser.gatherUsageStats", "false"]
    return serve(command, port, folder, environment)


def uvicorn_run(target: str, folder: Path) -> AbstractContextManager[Server]:
    """Uvicorn with its defaults, access log off.

    Args:
        target: as in `app:app`.
        folder: the server's working directory and home; holds the configuration, if there is one.
    """
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", target, "--host", "127.0.0.1", "--port", str(port)]
    return serve([*command, "--no-access-log"], port, folder, {})


def integrations_serve(
    folder: Path, environment: Mapping[str, str], *, module: str = "integrations.cli"
) -> AbstractContextManager[Server]:
    """The panel as it is shipped, with the project's `.streamlit/config.toml` but without a developer's `.env`.

    Args:
        folder: an empty one; the server's working directory and home.
        environment: the panel's settings.
        module: that gives the command `integrations`.
    """
    (folder / ".streamlit").symlink_to(ROOT / ".streamlit")
    port = free_port()
    command = [sys.executable, "-m", module, "serve", "--port", str(port)]
    return serve(command, port, folder, environment)


@contextmanager
def serve(command: list[str], port: int, folder: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """Start a server and wait until it answers; end it afterwards.

    Args:
        command: that starts it.
        port: where it answers.
        folder: its working directory and home; its log is written there.
        environment: variables of its own, beside this process's that configure no candidate.

    Raises:
        ServerError: it ended by itself, or is not ready in time.
    """
    url = f"http://127.0.0.1:{port}"
    log = folder / f"server-{port}.log"
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(folder, environment),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_ready(process, url, log)
            yield Server(url, process.pid, time.perf_counter() - began, log)
        finally:
            _stop(process)


def free_port() -> int:
    """A port on loopback that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment(folder: Path, own: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what would configure a candidate, and with the candidate's own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("IMAI_", "PANEL_", "STREAMLIT_", "BENCH_"))
    }
    paths = os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH"))))
    return {**kept, "HOME": str(folder), "PYTHONPATH": paths, **own}


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.perf_counter() + _READY_SECONDS
    while time.perf_counter() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1):  # noqa: S310 - our own, on loopback
                return
        except OSError:
            time.sleep(0.01)
    said = log.read_text(encoding="utf-8", errors="replace")
    raise ServerError(f"{' '.join(process.args)} is not ready:\n{said}")  # type: ignore[arg-type]


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

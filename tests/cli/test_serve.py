"""`integrations serve --workers`: several processes behind one port, as one panel."""

import json
import os
import re
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, AsyncExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from integrations.cli.main import main
from integrations.demo.server import Simulator
from tests.conftest import AddUser
from tests.support.processes import (
    COMMAND,
    Server,
    accepts,
    free_port,
    is_healthy,
    run_async,
    serve,
    wait_for,
    workers_of,
)
from tests.support.viewer import Viewer


@pytest.fixture(autouse=True)
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, add_user: AddUser) -> None:
    monkeypatch.setenv("PANEL_STATE_URL", f"sqlite:///{tmp_path}/state.sqlite3")
    monkeypatch.setenv("PANEL_COOKIE_SECURE", "false")
    add_user("alice", roles=["admin"])


def impatient(seconds: str) -> list[str]:
    """The command, with shorter times in its supervisor: a test kills workers that have only begun to serve."""
    return [sys.executable, "-c", f"from integrations.cli import main, supervisor; {seconds}; main.main()"]


PAUSE = "supervisor._PAUSE_SECONDS = 1"


def two_workers(folder: Path, command: Sequence[str] = COMMAND) -> AbstractContextManager[Server]:
    """The panel with the settings of this process, served by two; once one of them answers."""
    port = free_port()
    settings = {name: value for name, value in os.environ.items() if name.startswith(("IMAI_", "PANEL_"))}
    return serve([*command, "serve", "--port", str(port), "--workers", "2"], port, folder, settings)


def serving(server: Server) -> list[int]:
    """The ids of both workers, once they serve."""
    server.process.wait_for(lambda: len(re.findall(r"Worker \d+ serves", server.process.log)) == 2)
    return sorted(workers_of(server.process.running.pid))


def seconds_to_end(server: Server) -> float:
    """How long it takes from SIGTERM to its end, with exit 0."""
    begun = time.monotonic()
    server.process.running.terminate()
    assert server.process.running.wait(timeout=20) == 0
    return time.monotonic() - begun


def is_there(pid: int) -> bool:
    """Whether a process has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def counting(url: str, token: str) -> set[int]:
    """The processes whose own counts twenty scrapes at once show."""
    request = urllib.request.Request(f"{url}/metrics", headers={"Authorization": f"Bearer {token}"})

    def scrape(_: int) -> list[str]:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return re.findall(r'process="(\d+)"', answer.read().decode())

    with ThreadPoolExecutor(20) as pool:
        return {int(number) for found in pool.map(scrape, range(20)) for number in found}


def test_workers_share_a_port_and_one_that_dies_is_replaced(tmp_path: Path, imai: Simulator) -> None:
    """All are asked and count, one call is made; a kill is healed and logged; SIGHUP replaces all, SIGTERM ends all."""
    token = CliRunner().invoke(main, ["tokens", "add", "monitor", "--role", "admin"]).stdout.strip()
    with two_workers(tmp_path, impatient(PAUSE)) as server:
        supervisor = server.process.running
        serving(server)
        request = urllib.request.Request(
            f"{server.url}/integrations/usage", headers={"Authorization": f"Bearer {token}"}
        )

        def read(_: int) -> bytes:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return bytes(answer.read())

        with ThreadPoolExecutor(20) as pool:
            assert len(set(pool.map(read, range(40)))) == 1
        wait_for(lambda: counting(server.url, token) == workers_of(supervisor.pid), "counts of each worker")
        assert imai.calls == 1
        first, second = workers_of(supervisor.pid)
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: len(workers_of(supervisor.pid) - {first}) == 2, "another worker", seconds=90)
        assert second in workers_of(supervisor.pid)
        assert read(0)
        assert imai.calls == 1
        before = workers_of(supervisor.pid)
        supervisor.send_signal(signal.SIGHUP)
        wait_for(
            lambda: len(workers_of(supervisor.pid)) == 2 and not workers_of(supervisor.pid) & before,
            "new workers",
            seconds=90,
        )
        assert read(0)
        workers = workers_of(supervisor.pid)
        assert seconds_to_end(server) < 5
        log = server.process.log
    assert not any(map(is_there, workers))
    assert f"Worker {first} died and is replaced" in log
    assert "Traceback" not in log
    assert token not in log


def test_a_worker_that_hangs_delays_no_end(tmp_path: Path) -> None:
    """SIGTERM ends all within 5 seconds, the one that answers nothing, too."""
    with two_workers(tmp_path) as server:
        hung, other = serving(server)
        os.kill(hung, signal.SIGSTOP)
        assert seconds_to_end(server) < 5
    assert not is_there(hung)
    assert not is_there(other)
    assert f"Worker {hung} does not end and is killed" in server.process.log


def test_a_worker_that_hangs_is_replaced(tmp_path: Path) -> None:
    """After half a minute without an answer; here after three seconds."""
    with two_workers(tmp_path, impatient(f"supervisor._SILENT_SECONDS = 3; {PAUSE}")) as server:
        hung, other = serving(server)
        os.kill(hung, signal.SIGSTOP)
        server.process.wait_for(lambda: server.process.log.count("serves") == 3)
        assert other in workers_of(server.process.running.pid)
        assert not is_there(hung)
    assert f"Worker {hung} does not answer and is killed" in server.process.log


def test_a_worker_that_cannot_start_delays_no_end_and_ends_no_other(tmp_path: Path) -> None:
    """Those that serve go on while no new one starts, and SIGTERM is obeyed meanwhile."""
    with two_workers(tmp_path, impatient(PAUSE)) as server:
        killed, other = serving(server)
        (tmp_path / "state.sqlite3").chmod(0o644)
        os.kill(killed, signal.SIGKILL)
        server.process.wait_for(lambda: "did not start" in server.process.log)
        assert workers_of(server.process.running.pid) == {other}
        assert is_healthy(server.url)
        server.process.running.send_signal(signal.SIGHUP)
        server.process.wait_for(lambda: server.process.log.count("did not start") == 2)
        assert workers_of(server.process.running.pid) == {other}
        (tmp_path / "state.sqlite3").chmod(0o600)
        server.process.wait_for(lambda: server.process.log.count("serves") == 3)
        assert seconds_to_end(server) < 5


def test_where_no_worker_can_start_the_panel_ends(tmp_path: Path) -> None:
    """With exit 1, and the reason in the log: a service manager then sees it."""
    with two_workers(tmp_path, impatient(PAUSE)) as server:
        workers = serving(server)
        (tmp_path / "state.sqlite3").chmod(0o644)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        assert server.process.running.wait(timeout=30) == 1
    assert "others may access it (mode 0644)" in server.process.log
    assert server.process.log.splitlines()[-1].endswith("ERROR integrations: No worker can start")


def test_workers_end_with_their_supervisor(tmp_path: Path) -> None:
    """Killed, it leaves nobody behind who holds the port: the next start has it."""
    with two_workers(tmp_path) as server:
        workers = serving(server)
        port = int(server.url.rpartition(":")[2])
        server.process.running.kill()
        wait_for(lambda: not any(map(is_there, workers)), "the end of the workers", seconds=5)
        assert not accepts(port)
        socket.create_server(("127.0.0.1", port)).close()


def test_open_pages_are_shared_out_among_the_workers(tmp_path: Path) -> None:
    """Of sixteen that come one after the other each has a fair share; the kernel alone wakes one of them mostly."""

    async def shares() -> list[int]:
        async with AsyncExitStack() as pages:
            for _ in range(16):
                page = await pages.enter_async_context(Viewer(server.url))
                await page.first_visit()
            return [connections_of(worker) for worker in workers]

    with two_workers(tmp_path) as server:
        workers = serving(server)
        found = run_async(shares())
    assert sum(found) == 16
    assert min(found) >= 4


def open_page(url: str) -> ClientConnection:
    """The websocket of a page."""
    protocols = [Subprotocol("streamlit"), Subprotocol("PLACEHOLDER_AUTH_TOKEN")]
    address = f"{url.replace('http', 'ws')}/_stcore/stream"
    return connect(address, origin=Origin(url), subprotocols=protocols, proxy=None)


def connections_of(pid: int) -> int:
    """How many connections a process holds, by the system's table of those."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()
    established = {f"socket:[{line.split()[9]}]" for line in lines if line.split()[3] == "01"}
    return sum(str(file.readlink()) in established for file in Path(f"/proc/{pid}/fd").iterdir())


def test_an_open_page_is_told_of_the_end(tmp_path: Path) -> None:
    """SIGTERM closes its websocket with a code that says so, and not by cutting it off."""
    with two_workers(tmp_path) as server:
        serving(server)
        with open_page(server.url) as page:
            assert seconds_to_end(server) < 5
            with pytest.raises(ConnectionClosed) as closed:
                page.recv(timeout=5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


def test_what_stops_a_new_worker_is_in_the_log_as_all_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With PANEL_LOG_FORMAT=json each line is JSON, that of a defect met at SIGHUP, too."""
    file = tmp_path / "providers.yaml"
    file.write_text("accounts: [{service: imai}]", encoding="utf-8")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(file))
    monkeypatch.setenv("PANEL_LOG_FORMAT", "json")
    with two_workers(tmp_path) as server:
        serving(server)
        file.write_text("accounts: [{service: nobody}]", encoding="utf-8")
        server.process.running.send_signal(signal.SIGHUP)
        server.process.wait_for(lambda: "did not start" in server.process.log)
        assert seconds_to_end(server) < 5
        written = [json.loads(line) for line in server.process.log.splitlines()]
    told = next(line for line in written if str(file) in line["message"])
    assert (told["level"], told["logger"]) == ("ERROR", "integrations")
    assert told["message"].startswith(f"Not started: {file}:1: accounts[0].service: unknown service")


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("PANEL_STATE_URL", "memory://", "PANEL_STATE_URL: 2 workers share nothing in memory://."),
        (
            "PANEL_STATE_URL",
            "sqlite:///missing/state.sqlite3",
            "PANEL_STATE_URL: .*No such file or directory",
        ),
        ("PANEL_STATE_URL", "redis://:test-password@host:port", "PANEL_STATE_URL: not the place of a state"),
        ("PANEL_DEADLINE_SECONDS", "0", "PANEL_DEADLINE_SECONDS: "),
    ],
)
def test_what_would_stop_every_worker_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    """With one line and exit 1, before a worker is started and stopped again and again."""
    monkeypatch.setenv(variable, value)
    stopped = CliRunner().invoke(main, ["serve", "--workers", "2"])
    assert stopped.exit_code == 1
    assert re.search(says, stopped.stderr)
    assert len(stopped.stderr.splitlines()) == 1
    assert "test-password" not in stopped.stderr

"""`integrations serve --workers`: several processes behind one port, as one panel."""

import os
import re
import signal
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from integrations.cli.main import main
from integrations.simulator import Simulator
from tests.conftest import AddUser
from tests.harness import COMMAND, free_port, serve, wait_for, workers_of


@pytest.fixture(autouse=True)
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, add_user: AddUser) -> None:
    monkeypatch.setenv("PANEL_STATE_URL", f"sqlite:///{tmp_path}/state.sqlite3")
    monkeypatch.setenv("PANEL_COOKIE_SECURE", "false")
    add_user("alice", roles=["admin"])


def test_workers_share_a_port_and_one_that_dies_is_replaced(tmp_path: Path, imai: Simulator) -> None:
    """All are asked, one call is made; a kill is healed and logged; SIGHUP replaces all, SIGTERM ends all."""
    token = CliRunner().invoke(main, ["tokens", "add", "monitor", "--role", "admin"]).stdout.strip()
    port = free_port()
    settings = {name: value for name, value in os.environ.items() if name.startswith(("IMAI_", "PANEL_"))}
    with serve(
        [*COMMAND, "serve", "--port", str(port), "--workers", "2"], port, tmp_path, settings
    ) as server:
        supervisor = server.process.running
        wait_for(lambda: len(workers_of(supervisor.pid)) == 2, "two workers")
        request = urllib.request.Request(
            f"{server.url}/integrations/usage", headers={"Authorization": f"Bearer {token}"}
        )

        def read(_: int) -> bytes:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return bytes(answer.read())

        with ThreadPoolExecutor(20) as pool:
            assert len(set(pool.map(read, range(40)))) == 1
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
        supervisor.terminate()
        assert supervisor.wait(timeout=20) == 0
        log = server.process.log
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert f"Child process [{first}] died" in log
    assert "Traceback" not in log
    assert token not in log


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

"""`integrations demo`: as a process if it serves, in this process if it only prints or fails."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from integrations.cli import serve
from integrations.cli.main import main
from tests.support.processes import COMMAND, Process, clean_environment, free_port, is_healthy, process
from tests.support.terminal import at_a_terminal


@contextmanager
def serving(tmp_path: Path, *prefix: str, **environment: str) -> Iterator[tuple[Process, str]]:
    """Run the demo in the test's folder until it answers; yield it and its URL."""
    own = clean_environment({"TMPDIR": str(tmp_path), "PANEL_PORT": str(free_port()), **environment})
    with process([*prefix, *COMMAND, "demo"], tmp_path / "demo.log", own, cwd=tmp_path) as running:
        yield running, answering(running)


def answering(running: Process) -> str:
    """Wait until the demo answers; return its URL."""
    url = running.wait_for(lambda: re.search(r"URL +(\S+)", running.log))[1]
    running.wait_for(lambda: is_healthy(url))
    return url


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_demo_serves_until_a_signal_and_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    """It prints URL, user and password, answers, and ends with exit 0 and without its folder."""
    with serving(tmp_path) as (running, url):
        assert re.search(r"User +admin\s+Password +\S{12,}", running.log)
        running.running.send_signal(number)
        assert running.running.wait(timeout=15) == 0
        assert "Traceback" not in running.log
    assert not is_healthy(url)
    assert list(tmp_path.glob("integrations-demo-*")) == []


def test_the_demo_ends_with_its_terminal(tmp_path: Path) -> None:
    """It exits 0, frees the port and removes its folder."""
    own = clean_environment({"TMPDIR": str(tmp_path), "PANEL_PORT": str(free_port())})
    with at_a_terminal([*COMMAND, "demo"], tmp_path / "demo.log", own) as (running, window):
        url = answering(running)
        window.close()
        assert running.running.wait(timeout=15) == 0
    assert not is_healthy(url)
    assert list(tmp_path.glob("integrations-demo-*")) == []


def test_a_demo_under_nohup_is_on_loopback_whatever_the_settings(tmp_path: Path) -> None:
    """It ignores SIGHUP, and of a real panel's address, hosts and port in `.env` it uses only the port."""
    port = free_port()
    lines = ("PANEL_HOST=0.0.0.0", "PANEL_ALLOWED_HOSTS=panel.example.com", f"PANEL_PORT={port}")
    (tmp_path / ".env").write_text("\n".join(lines), encoding="utf-8")
    with serving(tmp_path, "nohup", PANEL_PORT="") as (running, url):
        assert url == f"http://localhost:{port}"
        assert f"Serving on http://127.0.0.1:{port}\n" in running.log
        assert is_healthy(f"http://127.0.0.1:{port}")
        status = Path(f"/proc/{running.running.pid}/status").read_text(encoding="ascii")
        found = re.search(r"^SigIgn:\s*([0-9a-f]+)$", status, re.MULTILINE)
        assert found
        assert int(found[1], 16) & 1 << (signal.SIGHUP - 1)


@pytest.fixture
def taken() -> Iterator[int]:
    """Listen on a port and yield it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo adds variables to its process, which end with the test."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


def demo(*arguments: str) -> Result:
    """Run the command in this process; it must fail before it serves, or `silent` keeps it from serving."""
    return CliRunner().invoke(main, ["demo", *arguments])


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the demo end in place of serving."""
    for name in ("load", "run", "leave"):
        monkeypatch.setattr(serve, name, lambda *_: None)


@pytest.mark.usefixtures("silent")
def test_the_simulator_never_replaces_a_configured_account() -> None:
    """With IMAI_API_KEY the demo prints that it reads the real account, and starts no simulator."""
    os.environ |= {"IMAI_API_KEY": "test-key", "IMAI_API_BASE_URL": "http://127.0.0.1:9/api"}
    shown = demo().output
    assert "the demo reads your IMAI account, not the simulator" in shown
    assert "simulator stands in" not in shown


@pytest.mark.usefixtures("silent")
def test_a_usual_port_in_use_gives_way_to_a_free_one(taken: int) -> None:
    """PANEL_PORT is only a wish."""
    os.environ["PANEL_PORT"] = str(taken)
    url = re.search(r"URL +http://localhost:(\d+)\n", demo().output)
    assert url
    assert int(url[1]) != taken


def test_a_given_port_in_use_ends_the_demo_with_one_line(taken: int) -> None:
    """The line names the port, and the exit code is 1."""
    result = demo("--port", str(taken))
    assert result.exit_code == 1
    assert f"Error: Cannot listen on 127.0.0.1, port {taken}: Address already in use." in result.stderr


@pytest.mark.parametrize("name", ["IMAI_RENEWAL_DAY", "PANEL_DEADLINE_SECONDS"])
def test_a_wrong_setting_ends_the_demo_with_one_line(name: str) -> None:
    """The line names the variable."""
    os.environ[name] = "soon"
    result = demo()
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.fullmatch(rf"Error: {name}: .*\n", result.stderr)


def test_keys_that_others_may_read_end_the_demo_before_it_prints_the_password(tmp_path: Path) -> None:
    """It prints one line."""
    (tmp_path / ".env").write_text("IMAI_API_KEY=test-key\n", encoding="utf-8")
    (tmp_path / ".env").chmod(0o644)
    result = demo()
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.fullmatch(r"Error: \.env: others may access it .* chmod 600 \.env\n", result.stderr)

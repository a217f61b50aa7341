"""`integrations demo`, as a process."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from integrations.cli import demo as demo_module
from tests.support.processes import (
    COMMAND,
    Process,
    clean_environment,
    free_port,
    is_healthy,
    process,
    wait_for,
)
from tests.support.terminal import HEARS_HANGUPS, at_a_terminal


@contextmanager
def demo(tmp_path: Path, **environment: str) -> Iterator[Process]:
    """The demo in the test's folder, with its temporary files there, too; on a port that is free."""
    own = clean_environment({"TMPDIR": str(tmp_path), "PANEL_PORT": str(free_port()), **environment})
    command = [*HEARS_HANGUPS, *COMMAND, "demo"]
    with process(command, tmp_path / "demo.log", own, cwd=tmp_path) as running:
        yield running


def said(running: Process, pattern: str) -> "re.Match[str]":
    """What the demo said, once it has."""
    return running.wait_for(lambda: re.search(pattern, running.log))


def test_the_demo_serves_until_it_is_ended_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """It prints URL, user and password, answers, and ends with its panel and its store on SIGTERM."""
    with demo(tmp_path) as running:
        url = said(running, r"URL +(\S+)")[1]
        said(running, r"User +admin\s+Password +\S{12,}")
        running.wait_for(lambda: is_healthy(url))
        running.running.send_signal(signal.SIGTERM)
        running.running.wait(timeout=15)
    assert not is_healthy(url)
    assert list(tmp_path.glob("integrations-demo-*")) == []


def test_the_demo_ends_with_its_terminal(tmp_path: Path) -> None:
    """Its panel, the port and the temporary files go with it."""
    own = clean_environment({"TMPDIR": str(tmp_path), "PANEL_PORT": str(free_port())})
    with at_a_terminal([*COMMAND, "demo"], tmp_path / "demo.log", own) as (running, window):
        url = said(running, r"URL +(\S+)")[1]
        running.wait_for(lambda: is_healthy(url))
        window.close()
        assert running.running.wait(timeout=15) == 0
    assert not is_healthy(url)
    assert list(tmp_path.glob("integrations-demo-*")) == []


def test_a_hangup_ends_the_demo_without_a_terminal_too(tmp_path: Path) -> None:
    """As where it is started over a connection without one; its panel alone would live on."""
    with demo(tmp_path) as running:
        url = said(running, r"URL +(\S+)")[1]
        running.wait_for(lambda: is_healthy(url))
        running.running.send_signal(signal.SIGHUP)
        assert running.running.wait(timeout=15) == 0
    assert not is_healthy(url)
    assert list(tmp_path.glob("integrations-demo-*")) == []


def test_a_demo_under_nohup_does_not_hear_of_its_terminal(tmp_path: Path) -> None:
    """It goes on ignoring SIGHUP, as whoever wrote `nohup` wants it to."""
    own = clean_environment({"TMPDIR": str(tmp_path), "PANEL_PORT": str(free_port())})
    command = ["nohup", *COMMAND, "demo"]
    with process(command, tmp_path / "demo.log", own, cwd=tmp_path) as running:
        url = said(running, r"URL +(\S+)")[1]
        running.wait_for(lambda: is_healthy(url))
        status = Path(f"/proc/{running.running.pid}/status").read_text(encoding="ascii")
        found = re.search(r"^SigIgn:\s*([0-9a-f]+)$", status, re.MULTILINE)
        assert found
        assert int(found[1], 16) & 1 << (signal.SIGHUP - 1)


def test_the_demo_is_on_loopback_whatever_the_settings_of_a_panel_say(tmp_path: Path) -> None:
    """An address, a list of hosts and a port in `.env` are a real panel's; of these the demo takes its port alone."""
    port = free_port()
    lines = ("PANEL_HOST=0.0.0.0", "PANEL_ALLOWED_HOSTS=panel.example.com", f"PANEL_PORT={port}")
    (tmp_path / ".env").write_text("\n".join(lines), encoding="utf-8")
    with demo(tmp_path, PANEL_PORT="") as running:
        url = said(running, r"URL +(\S+)")[1]
        assert url == f"http://localhost:{port}"
        said(running, rf"Serving on http://127\.0\.0\.1:{port}\n")
        running.wait_for(lambda: is_healthy(url))
        assert is_healthy(f"http://127.0.0.1:{port}")


def test_the_simulator_never_stands_in_for_an_account_that_is_configured(tmp_path: Path) -> None:
    """With IMAI_API_KEY set the demo says that it reads the real account, and starts no simulator."""
    settings = {"IMAI_API_KEY": "test-key", "IMAI_API_BASE_URL": "http://127.0.0.1:9/api"}
    with demo(tmp_path, **settings) as running:
        said(running, r"the demo reads your IMAI account, not the simulator")
        said(running, r"Password")
        assert "simulator stands in" not in running.log


@pytest.mark.parametrize("name", ["IMAI_RENEWAL_DAY", "PANEL_DEADLINE_SECONDS"])
def test_a_wrong_setting_ends_the_demo_with_one_line(tmp_path: Path, name: str) -> None:
    """The line names the variable; nothing is started."""
    with demo(tmp_path, **{name: "soon"}) as running:
        assert running.running.wait(timeout=15) == 1
        assert re.fullmatch(rf"Error: {name}: .*\n", running.log)


def test_keys_that_others_may_read_end_the_demo_before_it_says_how_to_sign_in(tmp_path: Path) -> None:
    """Its panel would not start; one line."""
    (tmp_path / ".env").write_text("IMAI_API_KEY=test-key\n", encoding="utf-8")
    (tmp_path / ".env").chmod(0o644)
    with demo(tmp_path) as running:
        assert running.running.wait(timeout=15) == 1
        assert re.fullmatch(r"Error: \.env: others may access it .* chmod 600 \.env\n", running.log)


def test_a_port_in_use_ends_the_demo_with_the_panels_line(tmp_path: Path) -> None:
    """The line names the port, and the exit code is the panel's: 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        own = clean_environment({"TMPDIR": str(tmp_path)})
        command = [*COMMAND, "demo", "--port", str(port)]
        with process(command, tmp_path / "demo.log", own) as running:
            said(running, rf"Error: Cannot listen on 127\.0\.0\.1, port {port}: Address already in use\.")
            assert running.running.wait(timeout=15) == 1


def run_interrupted(
    code: str, monkeypatch: pytest.MonkeyPatch, ready: Path | None = None
) -> "subprocess.Popen[bytes]":
    """Let the demo run this code as its panel; SIGTERM comes before it knows the number; the panel's process."""
    made: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - its own
            super().__init__(*arguments, **options)
            made.append(self)
            if ready is not None:
                wait_for(ready.exists, "the panel")
            signal.raise_signal(signal.SIGTERM)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    try:
        assert demo_module._run([sys.executable, "-c", code], {}) == 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        (panel,) = made
        is_running = panel.poll() is None
        if is_running:
            panel.kill()
            panel.wait()
    assert not is_running
    return panel


def test_a_signal_while_the_panel_is_made_leaves_none_running(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal comes as soon as there is a process, before the demo knows its number."""
    assert run_interrupted("import time; time.sleep(60)", monkeypatch).returncode == -signal.SIGTERM


def test_a_panel_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The demo leaves none behind that ignores SIGTERM for its ten seconds; here for half a second."""
    monkeypatch.setattr(demo_module, "_STOP_SECONDS", 0.5)
    deaf = "import signal, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    deaf += f"pathlib.Path({str(tmp_path / 'ready')!r}).touch(); time.sleep(60)"
    assert run_interrupted(deaf, monkeypatch, tmp_path / "ready").returncode == -signal.SIGKILL

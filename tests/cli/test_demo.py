"""`integrations demo`, as a process."""

import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.debian import children
from tests.support.processes import COMMAND, Process, clean_environment, free_port, is_healthy, process
from tests.support.terminal import HEARS_HANGUPS, at_a_terminal


@contextmanager
def demo(tmp_path: Path, **environment: str) -> Iterator[Process]:
    """Run the demo in the test's folder, with its temporary files there, on a free port."""
    own = clean_environment({"TMPDIR": str(tmp_path), "PANEL_PORT": str(free_port()), **environment})
    command = [*HEARS_HANGUPS, *COMMAND, "demo"]
    with process(command, tmp_path / "demo.log", own, cwd=tmp_path) as running:
        yield running


def printed(running: Process, pattern: str) -> "re.Match[str]":
    """Wait for this pattern in the output."""
    return running.wait_for(lambda: re.search(pattern, running.log))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_demo_serves_until_a_signal_and_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    """It prints URL, user and password, answers, and ends with exit 0 and without its folder."""
    with demo(tmp_path) as running:
        url = printed(running, r"URL +(\S+)")[1]
        printed(running, r"User +admin\s+Password +\S{12,}")
        running.wait_for(lambda: is_healthy(url))
        running.running.send_signal(number)
        assert running.running.wait(timeout=15) == 0
        assert "Traceback" not in running.log
    assert not is_healthy(url)
    assert list(tmp_path.glob("integrations-demo-*")) == []


def test_a_killed_demo_leaves_no_process(tmp_path: Path) -> None:
    """The panel runs in the demo's own process."""
    with demo(tmp_path) as running:
        url = printed(running, r"URL +(\S+)")[1]
        running.wait_for(lambda: is_healthy(url))
        assert children(running.running.pid) == []
        running.running.kill()
        running.running.wait()
        assert not is_healthy(url)


def test_the_demo_ends_with_its_terminal(tmp_path: Path) -> None:
    """It exits 0, frees the port and removes its folder."""
    own = clean_environment({"TMPDIR": str(tmp_path), "PANEL_PORT": str(free_port())})
    with at_a_terminal([*COMMAND, "demo"], tmp_path / "demo.log", own) as (running, window):
        url = printed(running, r"URL +(\S+)")[1]
        running.wait_for(lambda: is_healthy(url))
        window.close()
        assert running.running.wait(timeout=15) == 0
    assert not is_healthy(url)
    assert list(tmp_path.glob("integrations-demo-*")) == []


def test_a_demo_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    """It ignores SIGHUP."""
    own = clean_environment({"TMPDIR": str(tmp_path), "PANEL_PORT": str(free_port())})
    command = ["nohup", *COMMAND, "demo"]
    with process(command, tmp_path / "demo.log", own, cwd=tmp_path) as running:
        url = printed(running, r"URL +(\S+)")[1]
        running.wait_for(lambda: is_healthy(url))
        status = Path(f"/proc/{running.running.pid}/status").read_text(encoding="ascii")
        found = re.search(r"^SigIgn:\s*([0-9a-f]+)$", status, re.MULTILINE)
        assert found
        assert int(found[1], 16) & 1 << (signal.SIGHUP - 1)


def test_the_demo_is_on_loopback_whatever_the_settings(tmp_path: Path) -> None:
    """The address and the list of hosts in `.env` are a real panel's; the demo uses only the port."""
    port = free_port()
    lines = ("PANEL_HOST=0.0.0.0", "PANEL_ALLOWED_HOSTS=panel.example.com", f"PANEL_PORT={port}")
    (tmp_path / ".env").write_text("\n".join(lines), encoding="utf-8")
    with demo(tmp_path, PANEL_PORT="") as running:
        url = printed(running, r"URL +(\S+)")[1]
        assert url == f"http://localhost:{port}"
        printed(running, rf"Serving on http://127\.0\.0\.1:{port}\n")
        running.wait_for(lambda: is_healthy(url))
        assert is_healthy(f"http://127.0.0.1:{port}")


def test_the_simulator_never_replaces_a_configured_account(tmp_path: Path) -> None:
    """With IMAI_API_KEY the demo prints that it reads the real account, and starts no simulator."""
    settings = {"IMAI_API_KEY": "test-key", "IMAI_API_BASE_URL": "http://127.0.0.1:9/api"}
    with demo(tmp_path, **settings) as running:
        printed(running, r"the demo reads your IMAI account, not the simulator")
        printed(running, r"Password")
        assert "simulator stands in" not in running.log


@pytest.mark.parametrize("name", ["IMAI_RENEWAL_DAY", "PANEL_DEADLINE_SECONDS"])
def test_a_wrong_setting_ends_the_demo_with_one_line(tmp_path: Path, name: str) -> None:
    """The line names the variable."""
    with demo(tmp_path, **{name: "soon"}) as running:
        assert running.running.wait(timeout=15) == 1
        assert re.fullmatch(rf"Error: {name}: .*\n", running.log)


def test_keys_that_others_may_read_end_the_demo_before_it_prints_the_password(tmp_path: Path) -> None:
    """It prints one line."""
    (tmp_path / ".env").write_text("IMAI_API_KEY=test-key\n", encoding="utf-8")
    (tmp_path / ".env").chmod(0o644)
    with demo(tmp_path) as running:
        assert running.running.wait(timeout=15) == 1
        assert re.fullmatch(r"Error: \.env: others may access it .* chmod 600 \.env\n", running.log)


def test_a_given_port_in_use_ends_the_demo_with_one_line(tmp_path: Path) -> None:
    """The line names the port, and the exit code is 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        own = clean_environment({"TMPDIR": str(tmp_path)})
        command = [*COMMAND, "demo", "--port", str(port)]
        with process(command, tmp_path / "demo.log", own) as running:
            printed(running, rf"Error: Cannot listen on 127\.0\.0\.1, port {port}: Address already in use\.")
            assert running.running.wait(timeout=15) == 1


def test_a_usual_port_in_use_gives_way_to_a_free_one(tmp_path: Path) -> None:
    """PANEL_PORT is only a wish."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with demo(tmp_path, PANEL_PORT=str(port)) as running:
            url = printed(running, r"URL +(\S+)")[1]
            assert url != f"http://localhost:{port}"
            running.wait_for(lambda: is_healthy(url))

"""What `integrations serve` makes of signals: SIGTERM, Ctrl+C and SIGHUP."""

import http.client
import json
import os
import re
import signal
import socket
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.cli.test_serving import serving, wait_for
from tests.conftest import AddUser
from tests.providers.hostile import hostile, silent
from tests.support import processes
from tests.support.processes import (
    COMMAND,
    accepts,
    clean_environment,
    free_port,
    is_healthy,
    process,
    workers_of,
)
from tests.support.terminal import HEARS_HANGUPS, at_a_terminal
from tests.web.test_usage import token


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_five_seconds_and_without_a_failure(
    tmp_path: Path, add_user: AddUser, number: signal.Signals
) -> None:
    """Though a page is open and a request hangs half sent: exit 0 and one last line."""
    add_user("alice", roles=["admin"])
    with serving(tmp_path, "--port", "0") as (running, log):
        port = int(wait_for(log, r"Serving on http://127\.0\.0\.1:(\d+)\n")[1])
        with (
            connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"]),  # type: ignore[list-item]
            socket.create_connection(("127.0.0.1", port)) as slow,
        ):
            slow.sendall(b"POST /integrations/session HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
            began = time.monotonic()
            running.send_signal(number)
            exit_code = running.wait(timeout=15)
            took = time.monotonic() - began
        assert (exit_code, log.read_text().splitlines()[-1].partition("integrations: ")[2]) == (0, "Stopped")
    assert took < 5


@pytest.mark.parametrize("path", ["/integrations/usage", "/metrics"])
def test_no_provider_delays_the_end(
    tmp_path: Path, add_user: AddUser, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Who waits for one that says nothing is told of the end by a 503, and the panel is gone within 5 seconds."""
    add_user("alice", roles=["admin"])
    headers = {"Authorization": f"Bearer {token()}"}
    monkeypatch.setenv("IMAI_API_KEY", "test-key")
    monkeypatch.setenv("PANEL_DEADLINE_SECONDS", "60")
    with hostile(silent) as provider, ThreadPoolExecutor(1) as pool:
        monkeypatch.setenv("IMAI_API_BASE_URL", provider.url)
        with serving(tmp_path, "--port", "0") as (running, log):
            address = wait_for(log, r"Serving on http://(\S+)\n")[1]

            def ask() -> tuple[int, str | None]:
                with closing(http.client.HTTPConnection(address, timeout=30)) as connection:
                    connection.request("GET", path, headers=headers)
                    answer = connection.getresponse()
                    return answer.status, answer.headers["Content-Type"]

            told = pool.submit(ask)
            processes.wait_for(lambda: provider.requests, "the panel asks the provider")
            began = time.monotonic()
            running.send_signal(signal.SIGTERM)
            assert running.wait(timeout=15) == 0
            assert time.monotonic() - began < 5
        said = log.read_text()
    assert told.result() == (503, "application/problem+json")
    assert said.splitlines()[-1].endswith(" INFO integrations: Stopped")
    assert "Traceback" not in said
    assert "Exception" not in said


def test_sighup_reads_the_accounts_anew_and_keeps_them_where_the_file_is_wrong(
    tmp_path: Path, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint has the new account at once; a defect is told with its line, and nothing changes."""
    add_user("alice", roles=["admin"])
    bearer = f"Bearer {token()}"
    file = tmp_path / "providers.yaml"
    file.write_text("accounts:\n  - service: imai\n", encoding="utf-8")
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(file))
    with serving(tmp_path, "--port", "0") as (running, log):
        address = wait_for(log, r"Serving on (http://\S+)\n")[1]

        def shown() -> list[str]:
            request = urllib.request.Request(
                f"{address}/integrations/usage", headers={"Authorization": bearer}
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                return [reading["provider"] for reading in json.load(answer)["integrations"]]

        assert shown() == ["IMAI"]
        file.write_text("accounts:\n  - service: imai\n  - service: deepl\n", encoding="utf-8")
        running.send_signal(signal.SIGHUP)
        wait_for(log, r" INFO integrations: Accounts read anew: IMAI, DeepL\n")
        assert shown() == ["IMAI", "DeepL"]
        file.write_text("accounts:\n  - service: nobody\n", encoding="utf-8")
        running.send_signal(signal.SIGHUP)
        wait_for(log, rf" ERROR integrations: The accounts stay as they were: {file}:2")
        assert shown() == ["IMAI", "DeepL"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_panel_that_was_started_at_a_terminal_ends_with_it(tmp_path: Path, workers: str) -> None:
    """Nobody is left who could end it, or who holds the port; it ends as after SIGTERM."""
    port = free_port()
    state_url = f"sqlite:///{tmp_path}/state.sqlite3"
    own = clean_environment({"PANEL_AUTH_FILE": f"{tmp_path}/auth.yaml", "PANEL_STATE_URL": state_url})
    command = [*COMMAND, "serve", "--port", str(port), "--workers", workers]
    with at_a_terminal(command, tmp_path / "serve.log", own) as (running, window):
        running.wait_for(lambda: is_healthy(f"http://127.0.0.1:{port}"))
        window.close()
        assert running.running.wait(timeout=15) == 0
        assert running.log.splitlines()[-1].endswith(" INFO integrations: Stopped")
    assert not accepts(port)


def signalled(place: str, number: signal.Signals) -> list[str]:
    """The command, which is sent a signal as soon as it gets to this function."""
    code = f"""
import signal
import uvicorn
from integrations.cli import main, serve
from integrations.cli.supervisor import Supervisor

def interrupted(*arguments, **named):
    signal.raise_signal({int(number)})
    return original(*arguments, **named)

original, {place} = {place}, interrupted
main.main()
"""
    return [sys.executable, "-c", code]


PLACES = [
    ("serve.startup.check", "1"),
    ("serve._listen", "1"),
    ("serve._configuration", "1"),
    ("serve._serve_alone", "1"),
    ("uvicorn.Server.run", "1"),
    ("serve._serve_by_workers", "2"),
    ("Supervisor.run", "2"),
]
"""Functions that the start comes to one after the other, and with how many workers."""


@pytest.fixture
def own(tmp_path: Path, add_user: AddUser) -> dict[str, str]:
    """The environment of a panel with a user and a state that workers share."""
    add_user("alice", roles=["admin"])
    settings = {
        "PANEL_AUTH_FILE": f"{tmp_path}/auth.yaml",
        "PANEL_STATE_URL": f"sqlite:///{tmp_path}/state.sqlite3",
    }
    return clean_environment(settings)


@pytest.mark.parametrize(
    ("number", "place", "workers"),
    [
        *((signal.SIGTERM, *place) for place in PLACES),
        (signal.SIGINT, *PLACES[0]),
        (signal.SIGINT, *PLACES[-1]),
    ],
)
def test_a_signal_at_any_moment_of_the_start_ends_it(
    tmp_path: Path, own: dict[str, str], number: signal.Signals, place: str, workers: str
) -> None:
    """As one that comes later does: with exit 0, and its usual last line."""
    command = [*signalled(place, number), "serve", "--port", "0", "--workers", workers]
    with process(command, tmp_path / "serve.log", own, cwd=tmp_path) as running:
        assert running.running.wait(timeout=15) == 0
        assert re.fullmatch(r"(.* INFO .*\n)*.* INFO integrations: Stopped\n", running.log)


@pytest.mark.parametrize(("place", "workers"), PLACES)
def test_a_sighup_at_any_moment_of_the_start_ends_nothing(
    tmp_path: Path, own: dict[str, str], place: str, workers: str
) -> None:
    """A service that is told to reload before it serves goes on to serve, with the accounts as they are then."""
    port = free_port()
    options = ["--port", str(port), "--workers", workers]
    command = [*HEARS_HANGUPS, *signalled(place, signal.SIGHUP), "serve", *options]
    with process(command, tmp_path / "serve.log", own, cwd=tmp_path) as running:
        running.wait_for(lambda: is_healthy(f"http://127.0.0.1:{port}"))
        if workers == "1" and place != PLACES[0][0]:
            running.wait_for(lambda: "Accounts read anew: IMAI" in running.log)


def test_a_terminal_that_is_closed_during_the_start_ends_it(tmp_path: Path, own: dict[str, str]) -> None:
    """With exit 0, too."""
    command = [*signalled("serve._configuration", signal.SIGHUP), "serve", "--port", "0"]
    with at_a_terminal(command, tmp_path / "serve.log", own) as (running, _):
        assert running.running.wait(timeout=15) == 0
        assert running.log.splitlines()[-1].endswith(" INFO integrations: Stopped")


def imports(pid: int) -> bool:
    """Whether a process is about to import the panel, and so has not come to its own handling of signals."""
    try:
        return "_pydantic_core" in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    except OSError:  # it has just ended
        return False


def test_ctrl_c_while_workers_start_is_no_failure(tmp_path: Path, own: dict[str, str]) -> None:
    """It reaches them, too, as a terminal sends it to all; none of them shows a traceback."""
    command = ["setsid", *COMMAND, "serve", "--port", "0", "--workers", "2"]
    with process(command, tmp_path / "serve.log", own, cwd=tmp_path) as running:
        running.wait_for(lambda: any(map(imports, workers_of(running.running.pid))))
        os.killpg(running.running.pid, signal.SIGINT)
        assert running.running.wait(timeout=15) == 0
        assert running.log.splitlines()[-1].endswith(" INFO integrations: Stopped")
        assert "Traceback" not in running.log

"""`integrations serve` and signals: SIGTERM, Ctrl+C and SIGHUP."""

import http.client
import json
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
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.cli.test_serve import logged, serving
from tests.conftest import AddUser
from tests.providers.hostile import hostile, silent
from tests.support import processes
from tests.support.processes import COMMAND, accepts, clean_environment, free_port, is_healthy, process
from tests.support.terminal import HEARS_HANGUPS, at_a_terminal
from tests.web.test_usage import token


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_five_seconds_and_without_a_failure(
    tmp_path: Path, add_user: AddUser, number: signal.Signals
) -> None:
    """An open page gets the code for a restart, and a half-sent request delays nothing; exit 0 and one last line."""
    add_user("alice", roles=["admin"])
    with serving(tmp_path, "--port", "0") as panel:
        port = int(logged(panel, r"Serving on http://127\.0\.0\.1:(\d+)\n"))
        with (
            connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"]) as page,  # type: ignore[list-item]
            socket.create_connection(("127.0.0.1", port)) as slow,
        ):
            slow.sendall(b"POST /integrations/session HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
            began = time.monotonic()
            panel.running.send_signal(number)
            exit_code = panel.running.wait(timeout=15)
            took = time.monotonic() - began
            with pytest.raises(ConnectionClosed) as closed:
                page.recv(timeout=5)
        assert (exit_code, panel.log.splitlines()[-1].partition("integrations: ")[2]) == (0, "Stopped")
    assert took < 5
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


@pytest.mark.parametrize("path", ["/integrations/usage", "/metrics"])
def test_no_provider_delays_the_end(
    tmp_path: Path, add_user: AddUser, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A request that waits for a silent provider gets a 503, and the panel ends within 5 seconds."""
    add_user("alice", roles=["admin"])
    headers = {"Authorization": f"Bearer {token()}"}
    monkeypatch.setenv("IMAI_API_KEY", "test-key")
    monkeypatch.setenv("PANEL_DEADLINE_SECONDS", "60")
    with hostile(silent) as provider, ThreadPoolExecutor(1) as pool:
        monkeypatch.setenv("IMAI_API_BASE_URL", provider.url)
        with serving(tmp_path, "--port", "0") as panel:
            address = logged(panel, r"Serving on http://(\S+)\n")

            def ask() -> tuple[int, str | None]:
                with closing(http.client.HTTPConnection(address, timeout=30)) as connection:
                    connection.request("GET", path, headers=headers)
                    response = connection.getresponse()
                    return response.status, response.headers["Content-Type"]

            answer = pool.submit(ask)
            processes.wait_for(lambda: provider.requests, "the panel asks the provider")
            began = time.monotonic()
            panel.running.send_signal(signal.SIGTERM)
            assert panel.running.wait(timeout=15) == 0
            assert time.monotonic() - began < 5
    assert answer.result() == (503, "application/problem+json")
    assert panel.log.splitlines()[-1].endswith(" INFO integrations: Stopped")
    assert "Traceback" not in panel.log
    assert "Exception" not in panel.log


def test_sighup_reads_the_accounts_again_and_keeps_them_if_the_file_is_wrong(
    tmp_path: Path, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint has the new account at once; a defect is logged with its line, and nothing changes."""
    add_user("alice", roles=["admin"])
    bearer = f"Bearer {token()}"
    file = tmp_path / "providers.yaml"
    monkeypatch.setenv("PANEL_PROVIDERS_FILE", str(file))
    file.write_text("accounts: [{service: imai}]", encoding="utf-8")
    with serving(tmp_path, "--port", "0") as panel:
        address = logged(panel, r"Serving on (http://\S+)\n")

        def shown() -> list[str]:
            request = urllib.request.Request(
                f"{address}/integrations/usage", headers={"Authorization": bearer}
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                return [reading["provider"] for reading in json.load(answer)["integrations"]]

        assert shown() == ["IMAI"]
        for service, line in (
            ("deepl", r"( INFO integrations: Accounts reloaded: IMAI, DeepL\n)"),
            ("nobody", rf"( ERROR integrations: The accounts stay as they were: {file}:3)"),
        ):
            file.write_text(f"accounts:\n- service: imai\n- service: {service}\n", encoding="utf-8")
            panel.running.send_signal(signal.SIGHUP)
            logged(panel, line)
            assert shown() == ["IMAI", "DeepL"]


def test_a_panel_that_was_started_at_a_terminal_ends_with_it(tmp_path: Path) -> None:
    """It ends as after SIGTERM and frees its port."""
    port = free_port()
    own = clean_environment({"PANEL_AUTH_FILE": f"{tmp_path}/auth.yaml", "PANEL_STATE_URL": "memory://"})
    command = [*COMMAND, "serve", "--port", str(port)]
    with at_a_terminal(command, tmp_path / "serve.log", own) as (running, window):
        running.wait_for(lambda: is_healthy(f"http://127.0.0.1:{port}"))
        window.close()
        assert running.running.wait(timeout=15) == 0
        assert running.log.splitlines()[-1].endswith(" INFO integrations: Stopped")
    assert not accepts(port)


def signaled(place: str, number: signal.Signals) -> list[str]:
    """Return a command that is sent a signal as soon as it calls this function."""
    code = f"""
import signal, socket
import uvicorn
from integrations import checks
from integrations.cli import main

def interrupted(*arguments, **named):
    signal.raise_signal({int(number)})
    return original(*arguments, **named)

original, {place} = {place}, interrupted
main.main()
"""
    return [sys.executable, "-c", code]


PLACES = ["checks.check", "socket.create_server", "uvicorn.Server.run"]
"""Functions that the start calls one after the other."""


@pytest.fixture
def own(tmp_path: Path, add_user: AddUser) -> dict[str, str]:
    """Return the environment of a panel with a user."""
    add_user("alice", roles=["admin"])
    return clean_environment({"PANEL_AUTH_FILE": f"{tmp_path}/auth.yaml", "PANEL_STATE_URL": "memory://"})


@pytest.mark.parametrize(
    ("number", "place"), [*((signal.SIGTERM, place) for place in PLACES), (signal.SIGINT, PLACES[0])]
)
def test_a_signal_during_the_start_ends_it(
    tmp_path: Path, own: dict[str, str], number: signal.Signals, place: str
) -> None:
    """It ends as after a later signal: with exit 0 and the usual last line."""
    command = [*signaled(place, number), "serve", "--port", "0"]
    with process(command, tmp_path / "serve.log", own, cwd=tmp_path) as running:
        assert running.running.wait(timeout=15) == 0
        assert re.fullmatch(r"(.* INFO .*\n)*.* INFO integrations: Stopped\n", running.log)


@pytest.mark.parametrize("place", [PLACES[0], PLACES[-1]])
def test_a_sighup_during_the_start_ends_nothing(tmp_path: Path, own: dict[str, str], place: str) -> None:
    """A service that is reloaded before it serves ignores that, or reads its accounts again; then it serves."""
    port = free_port()
    command = [*HEARS_HANGUPS, *signaled(place, signal.SIGHUP), "serve", "--port", str(port)]
    with process(command, tmp_path / "serve.log", own, cwd=tmp_path) as running:
        running.wait_for(lambda: is_healthy(f"http://127.0.0.1:{port}"))
        if place == PLACES[-1]:
            running.wait_for(lambda: "Accounts reloaded: IMAI" in running.log)


def test_a_terminal_that_is_closed_during_the_start_ends_it(tmp_path: Path, own: dict[str, str]) -> None:
    """It ends with exit 0."""
    command = [*signaled(PLACES[1], signal.SIGHUP), "serve", "--port", "0"]
    with at_a_terminal(command, tmp_path / "serve.log", own) as (running, _):
        assert running.running.wait(timeout=15) == 0
        assert running.log.splitlines()[-1].endswith(" INFO integrations: Stopped")


def test_systemd_learns_that_the_panel_serves(tmp_path: Path, own: dict[str, str]) -> None:
    """The panel sends READY=1 once it answers, so that a restart of the unit waits for that."""
    port = free_port()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(15)
        environment = {**own, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        command = [*COMMAND, "serve", "--port", str(port)]
        with process(command, tmp_path / "serve.log", environment, cwd=tmp_path):
            assert systemd.recv(100) == b"READY=1"
            assert is_healthy(f"http://127.0.0.1:{port}")

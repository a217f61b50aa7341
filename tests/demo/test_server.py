"""The simulator's HTTP: paths and methods, connections, clients that leave, its end."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from integrations.demo.account import KEY
from integrations.demo.server import ACCOUNT_PATH, CONTROL_PATH, Simulator
from tests.demo.client import ask, assert_failure, call, connect, eventually, raw
from tests.support.processes import free_port


@pytest.mark.parametrize("path", ["/", "/api/account/info"])
def test_another_path_is_not_found_and_is_not_counted(simulator: Simulator, path: str) -> None:
    """The path is exact, with its slash at the end."""
    assert_failure(call(simulator, path=path), 404, "not_found")
    assert simulator.calls == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", ACCOUNT_PATH), ("PUT", ACCOUNT_PATH), ("OPTIONS", CONTROL_PATH), ("BREW", CONTROL_PATH)],
)
def test_other_methods_are_refused(simulator: Simulator, method: str, path: str) -> None:
    """So is a browser's preflight, so that no page of another origin controls the simulator."""
    assert_failure(call(simulator, method, path, body="{}"), 405, "method_not_allowed")


def test_a_connection_stays_open_for_the_next_request(simulator: Simulator) -> None:
    """The body of a refused request is not taken for the next one."""
    with closing(connect(simulator.port)) as connection:
        assert ask(connection, "POST", body='{"a": 1}').status == 405
        first = connection.sock
        assert ask(connection).status == 200
        assert connection.sock is first


def test_an_unread_body_ends_the_connection(simulator: Simulator) -> None:
    """After the answer to a body of unknown or excessive size the connection is closed."""
    with closing(raw(simulator, f"POST {ACCOUNT_PATH} HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")) as peer:
        answer = b"".join(iter(lambda: peer.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"Connection: close" in answer


def test_a_broken_request_is_answered_in_imais_form(simulator: Simulator) -> None:
    """It is a bad request."""
    with closing(raw(simulator, "GET / HTTP/1.1 and more\r\n\r\n")) as peer:
        assert b'"error": "bad_request"' in b"".join(iter(lambda: peer.recv(65_536), b""))


@pytest.mark.parametrize("mode", ["slow", "hang"])
def test_slow_and_hang_keep_their_client_waiting_and_let_it_leave(simulator: Simulator, mode: str) -> None:
    """Meanwhile the control answers; when the client leaves, its thread ends."""
    before = set(threading.enumerate())
    simulator.mode = mode
    with closing(raw(simulator)) as peer:
        peer.settimeout(0.05)
        with pytest.raises(TimeoutError):
            peer.recv(1)
        assert call(simulator, path=CONTROL_PATH).json["calls"] == 1
        assert set(threading.enumerate()) > before
    assert eventually(lambda: set(threading.enumerate()) <= before)
    simulator.mode = "ok"
    assert call(simulator).status == 200


def test_pages_of_other_services_are_served() -> None:
    """Each path has its status, headers and body; its calls are not counted."""
    with Simulator(pages={"/other/quota": (202, {"X-Left": "7"}, b"seven")}) as simulator:
        reply = call(simulator, path="/other/quota?of=me", key=None)
        assert (reply.status, reply.headers["X-Left"], reply.body) == (202, "7", b"seven")
        assert call(simulator, "POST", "/other/quota").status == 405
        assert simulator.calls == 0


def test_the_end_leaves_no_connection_and_no_thread() -> None:
    """Waiting answers, idle connections and incomplete requests end at once."""
    before = set(threading.enumerate())
    simulator = Simulator()
    with simulator:
        simulator.mode = "hang"
        waiting, half, idle = raw(simulator), raw(simulator, "GET /a"), raw(simulator, "")
        assert eventually(lambda: len(set(threading.enumerate()) - before) == 4)
        began = time.monotonic()
    assert time.monotonic() - began < 1
    assert set(threading.enumerate()) <= before
    for peer in (waiting, half, idle):
        with closing(peer):
            while peer.recv(65_536):
                pass


def test_it_prints_nothing_when_a_client_leaves(
    simulator: Simulator, capfd: pytest.CaptureFixture[str]
) -> None:
    """The client may leave before its answer."""
    before = set(threading.enumerate())
    with closing(raw(simulator, f"GET {ACCOUNT_PATH} HTTP/1.1\r\nauthkey: {KEY}\r\n\r\n" * 200)) as peer:
        peer.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
        )  # a reset in place of a close
    assert eventually(lambda: set(threading.enumerate()) <= before)
    assert capfd.readouterr() == ("", "")


def test_it_opens_again_on_its_port() -> None:
    """A closed simulator refuses connections; opened again it has the same URL."""
    simulator = Simulator(free_port())
    with simulator:
        url = simulator.url
    with pytest.raises(ConnectionRefusedError):
        call(simulator)
    with simulator:
        assert (call(simulator).status, simulator.url) == (200, url)
        with pytest.raises(OSError, match="in use"), Simulator(simulator.port):
            pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal(number: signal.Signals) -> None:
    """As a process it is controlled over HTTP, and a signal during an answer ends it silently."""
    script = (
        "from integrations.demo.server import serve\n"
        "serve(lambda simulator: print(simulator.port, flush=True), port=0)"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        remote = Simulator(int(process.stdout.readline()))
        assert call(remote, "PUT", CONTROL_PATH, None, '{"mode": "hang"}').json["calls"] == 0
        with closing(connect(remote.port)) as connection:
            connection.request("GET", ACCOUNT_PATH, headers={"authkey": KEY})
            assert eventually(lambda: call(remote, path=CONTROL_PATH).json["calls"] == 1)
            os.kill(process.pid, number)
            assert process.communicate(timeout=10) == ("", "")
        assert process.returncode == 0

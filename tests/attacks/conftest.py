"""A panel as a process, and a client that sends what no browser would."""

import http.client
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlsplit

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.processes import PASSWORD, Panel, SimulatorProcess, run_async, run_panel, run_simulator
from tests.support.viewer import Viewer

QUICK = 2.0
"""Seconds within which the panel answers during an attack; generous, for busy machines."""


@pytest.fixture(scope="session")
def simulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """One simulator for the session."""
    with run_simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory, simulator_process: SimulatorProcess) -> Iterator[Panel]:
    """One panel for a module of attacks."""
    simulator_process.control(mode="ok", credits="7500")
    with run_panel(tmp_path_factory.mktemp("panel"), simulator_process) as running:
        yield running


def address(panel: Panel) -> tuple[str, int]:
    """Return host and port."""
    parts = urlsplit(panel.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@contextmanager
def stream(panel: Panel, headers: Mapping[str, str] | None = None) -> Iterator[ClientConnection]:
    """Open a websocket without a session."""
    with connect(
        f"{panel.url.replace('http', 'ws', 1)}/_stcore/stream",
        additional_headers=dict(headers or {}),
        max_size=None,
        close_timeout=1,
        open_timeout=10,
        ping_interval=None,
    ) as opened:
        yield opened


def close_code(opened: ClientConnection, seconds: float = 10) -> int:
    """Return the code with which the server closes, ignoring earlier messages."""
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            opened.recv(timeout=max(end - time.monotonic(), 0.01))
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006
    raise TimeoutError("the websocket is still open")


def message(kind: str) -> bytes:
    """Return a Streamlit message of a kind that is a flag: `message("clear_cache")`."""
    made = BackMsg()
    setattr(made, kind, True)
    return bytes(made.SerializeToString())


def rerun(*, query_string: str = "", fragment_id: str = "") -> bytes:
    """Return the message with which a page requests its run."""
    made = BackMsg()
    made.rerun_script.query_string = query_string
    made.rerun_script.fragment_id = fragment_id
    return bytes(made.SerializeToString())


def ask(panel: Panel, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> int:
    """Send a request on a new connection; return the status."""
    with closing(http.client.HTTPConnection(*address(panel), timeout=30)) as connection:
        connection.request(method, path, body, dict(headers))
        return connection.getresponse().status


def status_of(panel: Panel, path: str, **headers: str) -> int:
    """Return the status of a GET; `Host="a"` is a header."""
    return ask(panel, "GET", path, None, headers)


def answer_time(panel: Panel) -> float:
    """Return the seconds until the health check is answered."""
    began = time.monotonic()
    assert status_of(panel, "/_stcore/health") == 200
    return time.monotonic() - began


def session_of(panel: Panel) -> str:
    """Sign alice in, as the page's script does; return the session id."""

    async def cookie() -> str:
        async with Viewer(panel.url, timeout=30) as viewer:
            await viewer.first_visit()
            return await viewer.sign_in("alice", PASSWORD)

    return run_async(cookie()).partition("=")[2]


def raw(panel: Panel, sent: bytes, seconds: float) -> tuple[bytes, float]:
    """Send bytes; return the answer until the server closes, and the seconds.

    Raises:
        TimeoutError: the server does not close in time.
    """
    began = time.monotonic()
    with socket.create_connection(address(panel), timeout=seconds) as connection:
        connection.sendall(sent)
        received = b""
        while True:
            connection.settimeout(max(began + seconds - time.monotonic(), 0.01))
            try:
                part = connection.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return received, time.monotonic() - began
            received += part


@contextmanager
def connections(panel: Panel, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """Open this number of connections, each of which sends these bytes."""
    with ExitStack() as stack:
        opened = [
            stack.enter_context(socket.create_connection(address(panel), timeout=10)) for _ in range(count)
        ]
        for connection in opened:
            connection.sendall(sent)
        yield opened

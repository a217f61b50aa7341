"""A panel as a process, and a client that speaks to it what no browser would."""

import http.client
import json
import socket
import time
import urllib.request
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
"""Seconds within which the panel answers, attacked or not; far more than it takes, for busy machines."""


@pytest.fixture(scope="session")
def simulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """One simulator for the session."""
    with run_simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory, simulator_process: SimulatorProcess) -> Iterator[Panel]:
    """One panel for a file of attacks."""
    simulator_process.control(mode="ok", credits="7500")
    with run_panel(tmp_path_factory.mktemp("panel"), simulator_process) as running:
        yield running


def address(panel: Panel) -> tuple[str, int]:
    """Host and port."""
    parts = urlsplit(panel.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@contextmanager
def stream(panel: Panel, headers: Mapping[str, str] | None = None) -> Iterator[ClientConnection]:
    """A websocket of somebody who is not signed in."""
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
    """With which code the server closes; what it sends before is passed over."""
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            opened.recv(timeout=max(end - time.monotonic(), 0.01))
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006
    raise TimeoutError("the websocket is still open")


def message(kind: str) -> bytes:
    """A message of Streamlit's, of the kinds that are a flag: `message("clear_cache")`."""
    made = BackMsg()
    setattr(made, kind, True)
    return bytes(made.SerializeToString())


def rerun(*, query_string: str = "", fragment_id: str = "") -> bytes:
    """The message with which a page asks for its run."""
    made = BackMsg()
    made.rerun_script.query_string = query_string
    made.rerun_script.fragment_id = fragment_id
    return bytes(made.SerializeToString())


def ask(panel: Panel, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> int:
    """One request on a connection of its own. The status of its answer."""
    with closing(http.client.HTTPConnection(*address(panel), timeout=30)) as connection:
        connection.request(method, path, body, dict(headers))
        return connection.getresponse().status


def status_of(panel: Panel, path: str, **headers: str) -> int:
    """The status of the answer to a GET; `Host="a"` is a header."""
    return ask(panel, "GET", path, None, headers)


def answer_time(panel: Panel) -> float:
    """Seconds until the health check is answered."""
    began = time.monotonic()
    assert status_of(panel, "/_stcore/health") == 200
    return time.monotonic() - began


def session_of(panel: Panel) -> str:
    """The session id of alice, who signs in as the page's script does."""
    body = json.dumps({"ticket": run_async(_ticket(panel))}).encode()
    headers = {"Content-Type": "application/json", "Origin": panel.url}
    request = urllib.request.Request(f"{panel.url}/integrations/session", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.headers["Set-Cookie"]).partition("=")[2].partition(";")[0]


async def _ticket(panel: Panel) -> str:
    async with Viewer(panel.url, timeout=30) as viewer:
        await viewer.first_visit()
        viewer.fill("Username", "alice")
        viewer.fill("Password", PASSWORD)
        await viewer.click("Login")
        return str(json.loads(viewer.find("bidi_component").content.json)["ticket"])


def raw(panel: Panel, sent: bytes, seconds: float) -> tuple[bytes, float]:
    """What comes back for these bytes until the server closes, and after how long it does.

    Raises:
        TimeoutError: it does not within this time.
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
    """So many connections on which this was sent, and no more."""
    with ExitStack() as stack:
        opened = [
            stack.enter_context(socket.create_connection(address(panel), timeout=10)) for _ in range(count)
        ]
        for connection in opened:
            connection.sendall(sent)
        yield opened

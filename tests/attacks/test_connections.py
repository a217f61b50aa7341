"""Attacks by connections: too many, too slow, unfinished, and odd handshakes."""

import http.client
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.attacks.conftest import QUICK, address, answer_time, connections, raw, rerun, status_of, stream
from tests.support.processes import COMMAND, PASSWORD, Panel, SimulatorProcess, run_panel, wait_for

HANDSHAKE = (
    "GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
FEW = 400
"""Descriptors of a panel, of which it keeps 256: 36 websockets, 18 for one client."""


@pytest.fixture(scope="module")
def poor_panel(
    tmp_path_factory: pytest.TempPathFactory, simulator_process: SimulatorProcess
) -> Iterator[Panel]:
    """A panel with few descriptors."""
    started = (sys.executable, "-c", _WITH_FEW_DESCRIPTORS, *COMMAND)
    with run_panel(tmp_path_factory.mktemp("poor"), simulator_process, command=started) as running:
        yield running


_WITH_FEW_DESCRIPTORS = f"""
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, {FEW}))
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_websockets_are_limited_by_the_descriptors_and_nobody_is_locked_out(poor_panel: Panel) -> None:
    """One client gets half of them; the store can be read and changed, and the log stays small."""
    with ExitStack() as stack:
        for _ in range(18):
            stack.enter_context(stream(poor_panel)).send(rerun())
        with pytest.raises(InvalidStatus, match="403"), stream(poor_panel):
            pass
        elsewhere = {"X-Forwarded-For": "192.0.2.7"}
        for _ in range(18):
            stack.enter_context(stream(poor_panel, elsewhere)).send(rerun())
        for number in range(20):
            with (
                pytest.raises(InvalidStatus, match="403"),
                stream(poor_panel, {"X-Forwarded-For": f"192.0.2.{number}"}),
            ):
                pass
        poor_panel.users("add", "eve", "--role", "viewer", "--password-stdin")
        assert status_of(poor_panel, "/integrations/usage", **TOKEN) == 401  # 503: the store cannot be used
        assert answer_time(poor_panel) < QUICK
    with stream(poor_panel):
        assert status_of(poor_panel, "/integrations/usage", **TOKEN) == 401
    assert "client=127.0.0.1 has 18 open" in poor_panel.log
    assert "Traceback" not in poor_panel.log
    assert len(poor_panel.log) < 20_000


def test_endless_connections_lock_nobody_out(poor_panel: Panel) -> None:
    """They take every descriptor while the store changes; after their end the new store is read."""
    store = poor_panel.folder / "auth.yaml"
    descriptors = Path(f"/proc/{poor_panel.server.process.running.pid}/fd")
    with closing(http.client.HTTPConnection(*address(poor_panel), timeout=30)) as early:
        assert status_on(early) == 401
        with connections(poor_panel, FEW + 50, b""):
            wait_for(lambda: len(list(descriptors.iterdir())) >= FEW - 1, "no descriptor is left")
            store.write_bytes(store.read_bytes() + b"# changed\n")
            assert status_on(early) == 503
    wait_for(lambda: status_of(poor_panel, "/integrations/usage", **TOKEN) == 401, "the store is read again")
    assert len(poor_panel.log) < 100_000


TOKEN = {"Authorization": "Bearer wrong"}
"""Checked against the store: 401 if the store can be read, otherwise 503."""


def status_on(connection: http.client.HTTPConnection) -> int:
    """Return the status of a request with the token, on an open connection."""
    connection.request("GET", "/integrations/usage", headers=TOKEN)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_serve_raises_its_limit_of_descriptors(panel: Panel) -> None:
    """The usual soft limit of 1,024 would allow 192 pages."""
    soft, hard = resource.prlimit(panel.server.process.running.pid, resource.RLIMIT_NOFILE)
    assert soft == hard


LINE = "X-Long: " + "x" * 70_000 + "\r\n"
HANDSHAKES = {
    "a header line of 9,000 bytes": "Cookie: a=" + "x" * 9_000 + "\r\n",
    "a header line beyond every limit": LINE,
    "129 headers": "".join(f"X-{number}: x\r\n" for number in range(129)),
    "a body": "Content-Length: 5\r\n",
    "a body in chunks": "Transfer-Encoding: chunked\r\n",
    "no end": "X-Unfinished: ",
    "no key": "Sec-WebSocket-Key: \r\n",
    "a line of its own": "\x00\r\n",
}


@pytest.mark.parametrize("name", HANDSHAKES)
def test_every_handshake_is_answered_or_closed(panel: Panel, name: str) -> None:
    """Within five seconds."""
    host = "{}:{}".format(*address(panel))
    sent = HANDSHAKE.format(host=host) + HANDSHAKES[name] + ("" if name == "no end" else "\r\n")
    began = time.monotonic()
    with connections(panel, 1, sent.encode("latin-1")) as (opened,):
        opened.settimeout(5 + QUICK)
        try:
            answer = opened.recv(100)
        except ConnectionResetError:
            answer = b""
    assert time.monotonic() - began < 5 + QUICK / 2
    if name == "a header line of 9,000 bytes":
        assert answer.startswith(b"HTTP/1.1 101 ")
    else:
        assert not answer.startswith(b"HTTP/1.1 101 ")


UNFINISHED = [
    (b"", b""),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX-Unfinished: ", b""),
    (b"GET /_stcore/health HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{", b"HTTP/1.1 "),
    (
        b"GET /integrations/usage HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n",
        b"HTTP/1.1 ",
    ),
    (b"GET /_stcore/health HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n", b"HTTP/1.1 200 "),
    (
        (
            b"POST /integrations/session HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nSec-Fetch-Site: same-origin\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        ),
        b"HTTP/1.1 408 ",
    ),
]


def test_an_unfinished_request_is_ended(panel: Panel) -> None:
    """Slow senders would otherwise keep their connections for ever; a slow ticket gets a 408."""
    with ThreadPoolExecutor(len(UNFINISHED)) as pool:  # at the same time, because each takes seconds
        received = list(pool.map(lambda one: raw(panel, one[0], 20), UNFINISHED))
    for (sent, answer), (begin, seconds) in zip(UNFINISHED, received, strict=True):
        assert begin.startswith(answer), sent
        assert seconds < 12, sent


def test_it_stops_gracefully_with_any_connection_open(
    tmp_path: Path, simulator_process: SimulatorProcess
) -> None:
    """SIGTERM ends it in time and without a traceback, in spite of unfinished requests and handshakes."""
    with run_panel(tmp_path, simulator_process) as panel, ExitStack() as stack:
        host = "{}:{}".format(*address(panel))
        handshake = HANDSHAKE.format(host=host)
        for name, extra in HANDSHAKES.items():
            end = "" if name == "no end" else "\r\n"
            stack.enter_context(connections(panel, 1, (handshake + extra + end).encode("latin-1")))
        for sent in (
            b"",
            b"GET / HTTP/1.1\r\n",
            b"POST /integrations/session HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
        ):
            stack.enter_context(connections(panel, 1, sent))
        stack.enter_context(stream(panel)).send(rerun())
        running = panel.server.process.running
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(timeout=15)
        except subprocess.TimeoutExpired:
            pytest.fail("it did not stop")
        assert "Traceback" not in panel.log
        assert "AssertionError" not in panel.log


def test_twenty_kilobytes_of_cookies_open_the_page(panel: Panel) -> None:
    """Cookies of the whole parent domain come with every request and every handshake."""
    cookies = "; ".join(f"neighbour{number}={'x' * 3900}" for number in range(5))
    assert status_of(panel, "/", Cookie=cookies) == 200
    with stream(panel, {"Cookie": cookies}) as opened:
        opened.send(rerun())
        assert opened.recv(timeout=10)
    assert PASSWORD not in panel.log

"""Attacks over the page's websocket, which anybody can open."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from integrations.web.websocket_guard import OPEN_KINDS
from tests.attacks.conftest import QUICK, answer_time, close_code, message, rerun, status_of, stream
from tests.support.processes import Panel

CLOSED_KINDS = {
    "clear_cache",  # for everybody: each would call every provider again
    "set_run_on_save",
    "load_git_info",  # runs git on the event loop, and reveals the branch and names of files
    "debug_disconnect_websocket",
    "debug_shutdown_runtime",
    "file_urls_request",  # answers with more than it is sent, and logs the sender's text
    "backend_operation_request",  # writes files, and reads frames
}


def test_every_kind_of_message_is_listed() -> None:
    """A kind that a later Streamlit adds fails this test before anybody can use it."""
    kinds = {field.name for field in BackMsg.DESCRIPTOR.oneofs_by_name["type"].fields}
    assert kinds == OPEN_KINDS | CLOSED_KINDS
    assert not OPEN_KINDS & CLOSED_KINDS


FORGED = "\n2026-11-24T03:00:00.000Z INFO integrations.audit: sign-in: user='mallory' client=192.0.2.7\n"


def request(kind: str) -> bytes:
    """Return a request whose number holds a line of the log; Streamlit logs the number unchanged."""
    made = BackMsg()
    getattr(made, kind).request_id = getattr(made, kind).session_id = FORGED
    return bytes(made.SerializeToString())


def widgets(count: int) -> bytes:
    """Return a message of two bytes a widget."""
    made = BackMsg()
    made.rerun_script.widget_states.widgets.extend(WidgetState() for _ in range(count))
    return bytes(made.SerializeToString())


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(message("clear_cache"), 1008, id="a closed kind"),
        pytest.param(message("app_heartbeat") + message("load_git_info"), 1008, id="behind an open kind"),
        pytest.param(request("file_urls_request"), 1008, id="a request for files"),
        pytest.param(request("backend_operation_request"), 1008, id="a request for an operation"),
        pytest.param(b"\xff" * 100, 1008, id="broken bytes"),
        pytest.param("a text", 1008, id="a text"),
        pytest.param(widgets(32_000), 1008, id="many widgets"),
        pytest.param(rerun(query_string="x" * 66_000), 1009, id="over 64 KiB"),
    ],
)
def test_a_message_that_the_page_does_not_send_closes_the_websocket(
    panel: Panel, sent: bytes | str, code: int
) -> None:
    """The frame's length alone refuses a large message; no message writes a line of its own into the log."""
    with stream(panel) as opened:
        opened.send(sent)
        assert close_code(opened) == code
    assert "mallory" not in panel.log


def test_an_endless_frame_is_refused(panel: Panel) -> None:
    """Otherwise a connection could hold 16 MiB as long as it answers pings."""

    def unfinished() -> Iterator[bytes]:
        yield from (b"x" * 60_000, b"x" * 60_000, b"x")
        close_code(opened)
        raise EOFError  # it was closed before the message ended

    with stream(panel) as opened, suppress(EOFError, ConnectionClosed):
        opened.send(unfinished())
    assert opened.close_code == 1009


def test_a_flood_of_messages_is_closed_and_delays_nobody(panel: Panel) -> None:
    """The attacker reconnects at once; the panel answers all the time, and the log stays small."""
    before, slowest = len(panel.log), 0.0
    for _ in range(5):
        with stream(panel) as opened, suppress(ConnectionClosed):
            for number in range(10_000):
                opened.send(rerun(fragment_id=f"made up {number}"))
                if number % 100 == 99:
                    slowest = max(slowest, answer_time(panel))
        assert opened.close_code == 1008
    with stream(panel) as again, suppress(ConnectionClosed):
        for _ in range(60):
            again.send(rerun())
        assert close_code(again) == 1008  # a new connection brings no new burst
    assert slowest < QUICK
    assert len(panel.log) - before < 100_000


def test_a_refused_websocket_is_logged_with_its_cause(panel: Panel) -> None:
    """If a proxy rewrites Host, people see a gray page; the log has both names and the fix, and is not flooded."""
    address = f"{panel.url.replace('http', 'ws', 1)}/_stcore/stream"
    for _ in range(30):
        with pytest.raises(InvalidStatus, match="403"), connect(address, origin=Origin("http://evil.test\t")):
            pass
    logged = [line for line in panel.log.splitlines() if "Websocket refused: its Origin" in line]
    assert 1 <= len(logged) <= 10
    assert "'http://evil.test'" in logged[0]
    assert "The proxy must pass on Host" in logged[0]


def test_a_request_that_lost_its_upgrade_is_logged(panel: Panel) -> None:
    """If a proxy removes Upgrade, people see a gray page."""
    assert status_of(panel, "/_stcore/stream") == 426
    assert "the proxy must pass Upgrade and Connection on" in panel.log

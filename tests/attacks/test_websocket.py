"""What anybody can send over the page's websocket, signed in or not."""

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
    "clear_cache",  # for everybody: each would have every provider asked anew
    "set_run_on_save",
    "load_git_info",  # runs git on the event loop, and tells branch and names of files
    "debug_disconnect_websocket",
    "debug_shutdown_runtime",
    "file_urls_request",  # answers with a multiple of what it is sent, and logs the sender's text
    "backend_operation_request",  # writes files, and reads frames
}


def test_every_kind_of_message_is_known() -> None:
    """A kind that a later Streamlit adds is in neither list, and fails this test before anybody is let use it."""
    kinds = {field.name for field in BackMsg.DESCRIPTOR.oneofs_by_name["type"].fields}
    assert kinds == OPEN_KINDS | CLOSED_KINDS
    assert not OPEN_KINDS & CLOSED_KINDS


@pytest.mark.parametrize("kind", sorted(CLOSED_KINDS - {"file_urls_request", "backend_operation_request"}))
def test_a_message_that_the_page_does_not_send_closes_the_websocket(panel: Panel, kind: str) -> None:
    """Streamlit obeys each of them, whoever sends it."""
    with stream(panel) as opened:
        opened.send(message(kind))
        assert close_code(opened) == 1008


def test_a_message_hidden_behind_an_open_one_closes_the_websocket(panel: Panel) -> None:
    """Of two kinds in one message the last counts, so reading the first bytes is not enough."""
    with stream(panel) as opened:
        opened.send(message("app_heartbeat") + message("load_git_info"))
        assert close_code(opened) == 1008


def test_a_request_with_line_breaks_forges_no_line_in_the_log(panel: Panel) -> None:
    """Streamlit logs a request's number as it comes."""
    forged = "2026-11-24T03:00:00.000Z INFO integrations.audit: sign-in: user='mallory' client=192.0.2.7"
    for kind in ("file_urls_request", "backend_operation_request"):
        asked = BackMsg()
        request = getattr(asked, kind)
        request.request_id = f"1\n{forged}\n"
        request.session_id = f"1\n{forged}\n"
        with stream(panel) as opened:
            opened.send(asked.SerializeToString())
            assert close_code(opened) == 1008
    assert "mallory" not in panel.log


@pytest.mark.parametrize("sent", [b"\xff" * 100, b"\x5a\x7f", "a text", rerun(query_string="x" * 66_000)])
def test_what_is_no_message_closes_the_websocket(panel: Panel, sent: bytes | str) -> None:
    """Broken bytes, half a message, a text, and a message over 64 KiB (1009: refused by its frame's length)."""
    with stream(panel) as opened:
        opened.send(sent)
        assert close_code(opened) in {1008, 1009}


def test_a_message_of_a_hundred_thousand_widgets_closes_the_websocket(panel: Panel) -> None:
    """Two bytes each, and Streamlit would make an object of every one and keep it."""
    asked = BackMsg()
    asked.rerun_script.widget_states.widgets.extend(WidgetState() for _ in range(32_000))
    with stream(panel) as opened:
        opened.send(asked.SerializeToString())
        assert close_code(opened) == 1008


def test_a_frame_that_does_not_end_is_not_kept(panel: Panel) -> None:
    """16 MiB a connection would be held for as long as its pings are answered."""

    def unfinished() -> Iterator[bytes]:
        yield from (b"x" * 60_000, b"x" * 60_000, b"x")
        close_code(opened)
        raise EOFError  # it was closed before the message ended

    with stream(panel) as opened, suppress(EOFError, ConnectionClosed):
        opened.send(unfinished())
    assert opened.close_code == 1009


def test_who_sends_without_a_pause_is_closed_and_nobody_else_waits(panel: Panel) -> None:
    """An attacker who connects again at once: the panel answers all the while, and the log stays small."""
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


def test_a_flood_of_git_does_not_stop_the_panel(panel: Panel) -> None:
    """Each of these messages of two bytes would run several processes while everybody waits."""
    with stream(panel) as opened, suppress(ConnectionClosed):
        for _ in range(1000):
            opened.send(message("load_git_info"))
        assert answer_time(panel) < QUICK
    assert answer_time(panel) < QUICK


def test_a_refused_websocket_is_told_once_and_with_its_cause(panel: Panel) -> None:
    """An operator whose proxy rewrites Host sees a grey page; the log has the two names and what to do."""
    address = f"{panel.url.replace('http', 'ws', 1)}/_stcore/stream"
    for _ in range(30):
        with pytest.raises(InvalidStatus, match="403"), connect(address, origin=Origin("http://evil.test\t")):
            pass
    told = [line for line in panel.log.splitlines() if "Websocket refused: its Origin" in line]
    assert 1 <= len(told) <= 10
    assert "'http://evil.test'" in told[0]
    assert "The proxy must pass on Host" in told[0]


def test_a_request_that_lost_its_upgrade_is_told(panel: Panel) -> None:
    """A proxy that does not pass Upgrade on; the page stays grey."""
    assert status_of(panel, "/_stcore/stream") == 426
    assert "the proxy must pass Upgrade and Connection on" in panel.log

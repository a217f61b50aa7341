"""Requests: cookies that look like ours, names of other hosts, forged addresses, and floods of the log."""

import json
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.attacks.conftest import address, ask, session_of, status_of, stream
from tests.support.processes import Panel, SimulatorProcess, run_panel


def test_a_guess_names_the_client_in_the_log_and_a_forged_address_does_not(panel: Panel) -> None:
    """The proxy's word is believed where a setting says so, and only if it is an address."""
    for sent in ("192.0.2.7", "192.0.2.8\tuser='alice'", "198.51.100.1, 192.0.2.9"):
        headers = {"Authorization": "Bearer wrong", "X-Forwarded-For": sent}
        assert status_of(panel, "/integrations/usage", **headers) == 401
    told = [line.partition("audit: ")[2] for line in panel.log.splitlines() if "token refused" in line]
    assert told == [
        "token refused client=192.0.2.7",
        "token refused client=unknown",
        "token refused client=192.0.2.9",
    ]


def test_without_a_trusted_proxy_nobody_s_word_is_believed(
    tmp_path: Path, simulator_process: SimulatorProcess
) -> None:
    """A client cannot choose its address."""
    with run_panel(tmp_path, simulator_process, PANEL_TRUSTED_PROXIES="none") as panel:
        headers = {"Authorization": "Bearer wrong", "X-Forwarded-For": "192.0.2.7"}
        assert status_of(panel, "/integrations/usage", **headers) == 401
        assert "token refused client=127.0.0.1\n" in panel.log


def test_a_page_over_plain_http_cannot_connect_to_one_over_https(panel: Panel) -> None:
    """Who sits on the wire can show a page of the same name over plain HTTP."""
    host = "{}:{}".format(*address(panel))
    url, by_https = f"ws://{host}/_stcore/stream", {"X-Forwarded-Proto": "https"}
    with connect(url, origin=Origin(f"https://{host}"), additional_headers=by_https):
        pass
    with pytest.raises(InvalidStatus, match="403"):
        connect(url, origin=Origin(f"http://{host}"), additional_headers=by_https).close()
    with pytest.raises(InvalidStatus, match="403"):
        connect(url, origin=Origin(f"ftp://{host}")).close()


def test_a_rebound_name_does_not_reach_the_form(tmp_path: Path, simulator_process: SimulatorProcess) -> None:
    """With a list of hosts, page, endpoint and websocket answer to those names alone."""
    with run_panel(tmp_path, simulator_process, PANEL_ALLOWED_HOSTS="127.0.0.1,*.example.com,[::1]") as panel:
        for host in ("127.0.0.1:8501", "panel.example.com", "[::1]:8501"):
            assert status_of(panel, "/", Host=host) == 200
        for host in ("evil.test", "example.com.evil.test", "127.0.0.1.evil.test", "", "[::1]evil.test"):
            assert status_of(panel, "/", Host=host) == 400
            assert status_of(panel, "/integrations/usage", Host=host) == 400
        with stream(panel):
            pass
        with pytest.raises(InvalidStatus, match="400"), stream(panel, {"Host": "evil.test"}):
            pass


def test_the_log_cannot_be_flooded_without_signing_in(
    tmp_path: Path, simulator_process: SimulatorProcess
) -> None:
    """Whatever an anonymous client sends, hundreds of times over: less than 100 KB."""
    with run_panel(tmp_path, simulator_process) as panel:
        exchange = {
            "Origin": panel.url,
            "Content-Type": "application/json",
            "Sec-Fetch-Site": "same-origin",
        }
        for number in range(200):
            for method, path, body, headers in (
                ("GET", f"/component/streamlit_authenticator/{number}", None, {}),
                ("GET", f"/_stcore/bidi-components/integrations.browser/{number}", None, {}),
                ("GET", f"/static/js/{number}.js", None, {}),
                ("GET", "/integrations/usage", None, {"Authorization": f"Bearer {number}"}),
                ("POST", "/integrations/session", json.dumps({"ticket": str(number)}), exchange),
                ("GET", "/_stcore/stream", None, {}),
                ("GET", "/", None, {"Upgrade": "h2c", "Connection": "Upgrade"}),
                ("GET", "/", None, {"Content-Length": "-1"}),
            ):
                ask(panel, method, path, body, headers)
        for number in range(30):
            with pytest.raises(InvalidStatus):
                connect(
                    f"{panel.url.replace('http', 'ws', 1)}/_stcore/stream",
                    origin=Origin(f"http://{number}.test"),
                ).close()
        assert len(panel.log) < 100_000


@pytest.mark.parametrize("spaces", ["\xa0", "\x85", "\xa0\x85"])
def test_a_sibling_s_cookie_is_not_taken_for_ours(panel: Panel, spaces: str) -> None:
    """A sibling subdomain can set it, and who is behind it would be shown to somebody else."""
    name, session = "__Host-integrations-session", session_of(panel)
    assert status_of(panel, "/integrations/session", Cookie=f"{name}={session}") == 204
    assert status_of(panel, "/integrations/session", Cookie=f"{spaces}{name}={session}") == 401
    assert status_of(panel, "/integrations/usage", Cookie=f"{spaces}{name}={session}") == 401
    assert status_of(panel, "/integrations/session", Cookie=f"{name}={session}; {name}=x") == 401

"""Attacks by requests: cookies that look like ours, other host names, forged addresses, floods of the log."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.attacks.conftest import address, ask, session_of, status_of, stream
from tests.support.processes import Panel, SimulatorProcess, run_panel


def test_the_log_has_the_clients_address_if_it_is_one(panel: Panel) -> None:
    """A trusted proxy is believed, if it sends an address."""
    for sent in ("192.0.2.7", "192.0.2.8\tuser='alice'", "198.51.100.1, 192.0.2.9"):
        headers = {"Authorization": "Bearer wrong", "X-Forwarded-For": sent}
        assert status_of(panel, "/integrations/usage", **headers) == 401
    logged = [line.partition("audit: ")[2] for line in panel.log.splitlines() if "token refused" in line]
    assert logged == [
        "token refused client=192.0.2.7",
        "token refused client=unknown",
        "token refused client=192.0.2.9",
    ]


def test_a_page_over_http_cannot_connect_to_a_panel_over_https(panel: Panel) -> None:
    """An attacker on the network can serve a page of the same name over plain HTTP."""
    host = "{}:{}".format(*address(panel))
    url, by_https = f"ws://{host}/_stcore/stream", {"X-Forwarded-Proto": "https"}
    with connect(url, origin=Origin(f"https://{host}"), additional_headers=by_https):
        pass
    with pytest.raises(InvalidStatus, match="403"):
        connect(url, origin=Origin(f"http://{host}"), additional_headers=by_https).close()
    with pytest.raises(InvalidStatus, match="403"):
        connect(url, origin=Origin(f"ftp://{host}")).close()


@pytest.fixture
def strict_panel(tmp_path: Path, simulator_process: SimulatorProcess) -> Iterator[Panel]:
    """A panel with a list of hosts and without a trusted proxy."""
    settings = {"PANEL_ALLOWED_HOSTS": "127.0.0.1,*.example.com,[::1]", "PANEL_TRUSTED_PROXIES": "none"}
    with run_panel(tmp_path, simulator_process, **settings) as running:
        yield running


def test_a_panel_answers_to_its_own_names_alone(strict_panel: Panel) -> None:
    """Page, endpoint and websocket refuse a rebound name; no client can choose the address in the log."""
    for host in ("127.0.0.1:8501", "panel.example.com", "[::1]:8501"):
        assert status_of(strict_panel, "/", Host=host) == 200
    for host in ("evil.test", "example.com.evil.test", "127.0.0.1.evil.test", "", "[::1]evil.test"):
        assert status_of(strict_panel, "/", Host=host) == 400
        assert status_of(strict_panel, "/integrations/usage", Host=host) == 400
    with stream(strict_panel):
        pass
    with pytest.raises(InvalidStatus, match="400"), stream(strict_panel, {"Host": "evil.test"}):
        pass
    headers = {"Authorization": "Bearer wrong", "X-Forwarded-For": "192.0.2.7"}
    assert status_of(strict_panel, "/integrations/usage", **headers) == 401
    assert "token refused client=127.0.0.1\n" in strict_panel.log


@pytest.mark.parametrize("spaces", ["\xa0", "\x85", "\xa0\x85"])
def test_a_cookie_of_a_similar_name_is_ignored(panel: Panel, spaces: str) -> None:
    """A sibling subdomain can set one, and would show its user's session to somebody else."""
    name, session = "__Host-integrations-session", session_of(panel)
    assert status_of(panel, "/integrations/session", Cookie=f"{name}={session}") == 204
    assert status_of(panel, "/integrations/session", Cookie=f"{spaces}{name}={session}") == 401
    assert status_of(panel, "/integrations/usage", Cookie=f"{spaces}{name}={session}") == 401
    assert status_of(panel, "/integrations/session", Cookie=f"{name}={session}; {name}=x") == 401


def test_an_anonymous_client_cannot_flood_the_log(panel: Panel) -> None:
    """Hundreds of requests of each kind log less than 100 KB."""
    before = len(panel.log)
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
    assert len(panel.log) - before < 100_000

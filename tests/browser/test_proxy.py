"""What docs/deploy.md says of proxies beside the plain configuration, with the real nginx."""

import re
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.browser.conftest import refresh_after_spending, sign_in
from tests.support.nginx import CONFIGURATION, nginx
from tests.support.processes import ROOT, Panel, SimulatorProcess, run_panel


def under_a_path() -> str:
    """The configuration with the block of docs/deploy.md for a path in the place of `location /`."""
    (own,) = re.findall(r"(?ms)^    location / \{.*?^    \}\n", CONFIGURATION)
    others = "".join(line for line in own.splitlines(keepends=True)[1:-1] if "proxy_pass " not in line)
    document = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"(?s)```\n(location /panel/ \{.*?\}\n)```", document)
    comment = "    # and the other lines of `location /`\n"
    assert comment in block
    assert "`integrations serve --root-path /panel`" in document
    return CONFIGURATION.replace(own, block.replace(comment, others))


def test_the_panel_works_under_a_path_of_another_site(
    chromium: Browser, simulator_process: SimulatorProcess, tmp_path: Path
) -> None:
    """As documented: sign in, read the card, refresh; all that the browser asks for is below that path."""
    asked: list[str] = []
    context = chromium.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda websocket: asked.append(websocket.url))
    with (
        run_panel(tmp_path, simulator_process, options=("--root-path", "/panel")) as panel,
        nginx(tmp_path, [panel.url], under_a_path()) as site,
    ):
        panel.url = f"{site}/panel/"
        sign_in(page, panel)
        refresh_after_spending(page, panel)
        assert page.goto(f"{site}/panel/integrations").url == panel.url  # type: ignore[union-attr]
        expect(page.get_by_text("Remaining: 7,499 credits")).to_be_visible()
    context.close()
    assert f"{site.replace('https', 'wss')}/panel/_stcore/stream" in asked
    paths = [urlsplit(url).path for url in asked if not url.startswith(("data:", "blob:"))]
    assert [path for path in paths if not path.startswith("/panel/")] == []


HEADER = r"(?m)^ +proxy_set_header"
OTHER_HOST = (
    r"Websocket refused: its Origin is 'https://localhost:\d+', and the request came for https://'{}'\. The proxy must "
    r"pass on Host as the browser sent it, port included, and X-Forwarded-Proto"
)
NO_UPGRADE = r"A plain request for /_stcore/stream came: the proxy must pass Upgrade and Connection on"


@pytest.mark.parametrize(
    ("line", "instead", "status", "says"),
    [
        pytest.param(rf"{HEADER} Host .*\n", "", 403, OTHER_HOST.format("panel"), id="no Host"),
        pytest.param(r"\$http_host", "$host", 403, OTHER_HOST.format("localhost"), id="Host without port"),
        pytest.param(rf"{HEADER} (Upgrade|Connection) .*\n", "", 426, NO_UPGRADE, id="no Upgrade"),
    ],
)
def test_what_nginx_does_not_pass_on_is_told_in_the_log(
    panel: Panel, tmp_path: Path, line: str, instead: str, status: int, says: str
) -> None:
    """The page would stay grey: one warning for one websocket, which says what the proxy must pass on."""
    configuration, found = re.subn(line, instead, CONFIGURATION)
    assert found
    context = ssl._create_unverified_context()  # noqa: S323 - the test's own certificate
    with nginx(tmp_path, [panel.url], configuration) as site:
        address = f"{site.replace('https', 'wss')}/_stcore/stream"
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(address, origin=Origin(site), ssl=context),
        ):
            pass
    assert refused.value.response.status_code == status
    (warning,) = [entry for entry in panel.log.splitlines() if " WARNING integrations.web." in entry]
    assert re.fullmatch(says, warning.partition(" integrations.web.route_guard: ")[2])

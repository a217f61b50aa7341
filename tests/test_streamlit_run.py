"""The panel under `integrations serve` and under `streamlit run app.py`: the same options hold."""

import asyncio
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.support import processes
from tests.support.viewer import Viewer

DETAIL = "detail-of-the-inside"
BROKEN = (
    "import sys; from integrations.ui import page\n"
    f"def draw(): raise RuntimeError('{DETAIL}')\n"
    "page.draw = draw\n"
)
WAYS = {
    "integrations serve": (
        "from integrations.cli.main import main; sys.argv = ['integrations', 'serve', '--port', PORT]"
    ),
    "streamlit run": (
        "from streamlit.web.cli import main; "
        f"sys.argv = ['streamlit', 'run', '{processes.ROOT / 'app.py'}', '--server.port', PORT]"
    ),
}


@pytest.fixture(params=WAYS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[processes.Server]:
    """The panel, served in one of the ways, with a page that fails."""
    port = processes.free_port()
    code = BROKEN + WAYS[request.param].replace("PORT", f"'{port}'") + "; main()"
    (tmp_path / ".streamlit").symlink_to(processes.ROOT / ".streamlit")
    environment = {"PANEL_AUTH_FILE": str(tmp_path / "auth.yaml"), "PANEL_STATE_URL": "memory://"}
    with processes.serve([sys.executable, "-c", code], port, tmp_path, environment) as running:
        yield running


class Listener(Viewer):
    """A viewer that also keeps what the server says of its options."""

    statistics: bool | None = None

    def _apply(self, message: ForwardMsg) -> None:
        if message.WhichOneof("type") == "new_session":
            self.statistics = message.new_session.config.gather_usage_stats
        super()._apply(message)


async def look(url: str) -> tuple[list[str], bool | None]:
    """What a visitor reads, and whether the browser is to send statistics."""
    async with Listener(url) as viewer:
        await viewer.first_visit()
        return viewer.texts(), viewer.statistics


def test_errors_statistics_and_headers(server: processes.Server) -> None:
    """A failing page tells nothing of the inside, no statistics are gathered, and the headers are there."""
    with ThreadPoolExecutor() as pool:  # in a thread of its own: Playwright keeps a loop in the main one
        texts, statistics = pool.submit(asyncio.run, look(server.url)).result()
    assert texts == ["Something went wrong. Please try again."]
    assert statistics is False
    with urllib.request.urlopen(server.url, timeout=5) as answer:
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"

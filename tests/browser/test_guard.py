"""The guard of the websocket in front of real pages: it must never close one."""

from pathlib import Path

from playwright.sync_api import Page, WebSocket, expect

from integrations.ui import viewer
from tests.browser.conftest import sign_in
from tests.support.processes import SimulatorProcess, run_panel

CARDS = 40


def test_forty_cards_and_an_impatient_person_are_never_closed(
    page: Page, tmp_path: Path, simulator_process: SimulatorProcess
) -> None:
    """All cards pulse at one moment, twice; somebody clicks as fast as can be and holds the Enter key."""
    accounts = "".join(f"  - {{service: imai, name: Number {number}}}\n" for number in range(CARDS))
    (tmp_path / "providers.yaml").write_text(f"accounts:\n{accounts}")
    closed: list[WebSocket] = []
    messages: list[str | bytes] = []

    def watch(opened: WebSocket) -> None:
        opened.on("close", lambda gone: closed.append(gone))  # noqa: PLW0108 - Playwright cannot mark a method
        opened.on("framesent", lambda sent: messages.append(sent))  # noqa: PLW0108

    file = str(tmp_path / "providers.yaml")
    with run_panel(tmp_path, simulator_process, PANEL_PROVIDERS_FILE=file) as panel:
        sign_in(page, panel)
        expect(page.get_by_role("button", name="Retry", exact=True)).to_have_count(CARDS)
        page.clock.install()
        page.on("websocket", watch)
        page.reload()
        expect(page.get_by_role("button", name="Retry", exact=True)).to_have_count(CARDS)
        for _ in range(2):
            page.clock.fast_forward(viewer.PULSE_SECONDS * 1000)
        button = page.get_by_role("button", name="Refresh all")
        for _ in range(25):
            button.click()
        button.focus()
        for _ in range(50):
            page.keyboard.down("Enter")
            page.clock.run_for(30)
        page.keyboard.up("Enter")
        page.get_by_role("button", name="Retry", exact=True).first.click()
        page.clock.run_for(2000)
        expect(page.get_by_role("button", name="Retry", exact=True)).to_have_count(CARDS)
        assert closed == []
        assert len(messages) > 25
        assert max(map(len, messages)) < 65_536 / 8
        assert "Websocket closed" not in panel.log

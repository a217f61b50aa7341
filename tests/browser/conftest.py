"""The real thing: the panel and the simulator as processes, and Chromium in front of them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from integrations.readings.shared import CLICK_PAUSE
from tests.support.processes import (
    CHROMIUM_FLAGS,
    PASSWORD,
    Panel,
    SimulatorProcess,
    chromium_path,
    run_gallery,
    run_panel,
    run_simulator,
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def _one_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with run_simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture
def simulator_process(_one_simulator: SimulatorProcess) -> SimulatorProcess:
    """One simulator for the session, as new for each test."""
    _one_simulator.control(reset=True)
    return _one_simulator


@pytest.fixture
def panel(tmp_path: Path, simulator_process: SimulatorProcess) -> Iterator[Panel]:
    """A panel of this test's own."""
    with run_panel(tmp_path, simulator_process) as running:
        yield running


@pytest.fixture
def panel_without_total(tmp_path: Path, simulator_process: SimulatorProcess) -> Iterator[Panel]:
    """A panel whose operator did not tell the plan's allowance."""
    with run_panel(tmp_path, simulator_process, IMAI_TOTAL_CREDITS="") as running:
        yield running


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page in a fresh profile."""
    context = chromium.new_context(viewport={"width": 1100, "height": 800})
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a page with every state."""
    with run_gallery(tmp_path_factory.mktemp("gallery")) as url:
        yield url


def sign_in(page: Page, panel: Panel, name: str = "alice") -> None:
    """Open the panel and sign in by the form."""
    page.goto(panel.url)
    page.get_by_role("textbox", name="Username").fill(name)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Login").click()
    page.get_by_role("heading", name="Integrations").wait_for()


def wait_for_clicks(page: Page) -> None:
    """Until a click on Refresh asks again: within two seconds of the last call it does not."""
    page.wait_for_timeout(CLICK_PAUSE / timedelta(milliseconds=1))


def refresh_after_spending(page: Page, panel: Panel) -> None:
    """One credit of 7,500 is spent, and Refresh shows it."""
    expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
    panel.simulator.control(spend="1")
    wait_for_clicks(page)
    page.get_by_role("button", name="Refresh", exact=True).click()
    expect(page.get_by_text("Remaining: 7,499 credits")).to_be_visible()

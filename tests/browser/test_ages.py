"""Figures that are not of this moment: the page opens with them, marked, and their age goes on, come what may."""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import sign_in
from tests.browser.stage import CLICK_SECONDS, Stage, staged
from tests.support.processes import SimulatorProcess, run_panel

FIGURE = "Remaining: 7,500 credits"
CARD = {"remaining": "7500", "total": "10000"}


def test_opening_never_waits_for_a_provider(chromium: Browser, tmp_path: Path) -> None:
    """A reading that has run out is there as soon as a fresh one, marked; then the new one, by one call.

    In turn, in one run. What one fresh opening takes more than another is noise, and no more is allowed.
    """
    answers = {"Slow": CARD, "Quick": {"remaining": "1", "total": "2"}}
    fresh: list[float] = []
    run_out: list[float] = []
    with staged(tmp_path, chromium, answers, PANEL_CACHE_TTL_SECONDS="300") as stage:
        page = chromium.new_context(storage_state=stage.session).new_page()
        seconds_to_the_figure(page, stage)
        for _ in range(3):
            fresh += [seconds_to_the_figure(page, stage) for _ in range(3)]
            expect(page.get_by_text("Refreshing …")).to_have_count(0)
            before = stage.calls("Slow")
            stage.answer("Slow", **CARD, seconds=8)
            stage.move_clock(301)
            for _ in range(3):
                run_out.append(seconds_to_the_figure(page, stage))
                expect(page.locator(".st-key-cards").get_by_text("Refreshing …")).to_be_visible()
            expect(page.get_by_text("Remaining: 1 credit")).to_be_visible()
            stage.answer("Slow", **CARD | {"remaining": "7400"})
            expect(page.get_by_text("Remaining: 7,400 credits")).to_be_visible()
            expect(page.get_by_text("Refreshing …")).to_have_count(0)
            assert stage.calls("Slow") == before + 1
            stage.answer("Slow", **CARD)
            stage.move_clock(CLICK_SECONDS)
            page.get_by_role("button", name="Refresh", exact=True).first.click()
            expect(page.get_by_text(FIGURE)).to_be_visible()
        page.context.close()
    noise = max(max(fresh) - min(fresh), 0.25 * median(fresh))
    assert median(run_out) <= median(fresh) + noise


def seconds_to_the_figure(page: Page, stage: Stage) -> float:
    """How long the page takes from its address to the first card's figure."""
    began = time.perf_counter()
    page.goto(stage.panel.url, wait_until="commit")
    page.get_by_text(FIGURE).wait_for()
    return time.perf_counter() - began


@pytest.fixture
def patient(chromium: Browser) -> Iterator[Page]:
    """A page whose clock the test moves, and where axe may be injected."""
    context = chromium.new_context(bypass_csp=True, viewport={"width": 1100, "height": 800})
    page = context.new_page()
    page.clock.install()
    yield page
    context.close()


def test_a_page_that_stood_open_for_an_hour_does_not_lie(
    patient: Page, tmp_path: Path, simulator_process: SimulatorProcess
) -> None:
    """The age on the card grows by itself, and no provider is asked for that; it goes on when the panel is gone."""
    page, hand = patient, tmp_path / "seconds"
    command = [sys.executable, str(Path(__file__).with_name("moved_clock.py")), str(hand)]
    with run_panel(tmp_path, simulator_process, command=command, PANEL_SESSION_IDLE_MINUTES="600") as panel:
        sign_in(page, panel)
        expect(page.get_by_text("Updated just now")).to_be_visible()
        before = simulator_process.calls()
        hand.write_text("3660")
        page.wait_for_timeout(200)
        page.clock.fast_forward(50_000)
        expect(page.get_by_text("Updated an hour ago")).to_be_visible()
        assert simulator_process.calls() == before
        page.evaluate(HEAR)
    page.wait_for_function("'lost' in document.documentElement.dataset")
    assert mark(page) == "Connection lost just now. The figures are as of then."
    assert age(page) == "none"
    for minutes, words in ((4, "4 minutes ago"), (6, "10 minutes ago"), (125, "2 hours ago")):
        page.clock.fast_forward(minutes * 60_000)
        page.wait_for_function("words => document.documentElement.dataset.lost === words", arg=words)
        assert mark(page) == f"Connection lost {words}. The figures are as of then."
        assert age(page) == f" · as of {words}"
    assert page.evaluate("heard") == ["Connection lost just now. The figures are as of then."]
    expect(page.get_by_role("status").filter(has_text="Connection lost just now.")).to_have_count(1)


def test_a_computer_that_slept_tells_the_age_of_the_figures(
    patient: Page, tmp_path: Path, simulator_process: SimulatorProcess
) -> None:
    """The connection is missed only when it wakes; the figures are from before."""
    with run_panel(tmp_path, simulator_process) as panel:
        sign_in(patient, panel)
        expect(patient.get_by_text("Updated just now")).to_be_visible()
        expect(patient.locator(".stApp")).to_have_attribute("data-test-script-state", "notRunning")
        panel.server.process.running.send_signal(signal.SIGSTOP)
        patient.clock.fast_forward(3 * 3600 * 1000)
        panel.server.process.running.kill()
    patient.wait_for_function("'lost' in document.documentElement.dataset")
    assert mark(patient) == "Connection lost 3 hours ago. The figures are as of then."


HEAR = """window.heard = [];
new MutationObserver(() => heard.push(document.getElementById("panel-announcer").textContent))
  .observe(document.getElementById("panel-announcer"), {childList: true, characterData: true, subtree: true});"""


def mark(page: Page) -> str:
    """What stands above the cards."""
    return content(page, ".stMainBlockContainer", "::before")


def age(page: Page) -> str:
    """What stands behind the age on a card; none where nothing does."""
    return content(page, ".st-key-cards [data-testid=stCaptionContainer] p", "::after")


def content(page: Page, element: str, pseudo: str) -> str:
    """The text that the style sheet puts there."""
    look = "([element, pseudo]) => getComputedStyle(document.querySelector(element), pseudo).content"
    text: str = page.evaluate(look, [element, pseudo])
    return text.replace('" "', "").strip('"')


def test_a_card_that_rests_keeps_the_focus_and_says_until_when(chromium: Browser, tmp_path: Path) -> None:
    """Where a reading may be taken only so often: after a refresh, and after a click that asks nothing."""
    with staged(tmp_path, chromium, {"Costly": CARD | {"every_minutes": 40}}) as stage:
        context = chromium.new_context(storage_state=stage.session)
        page = context.new_page()
        page.goto(stage.panel.url)
        refresh = page.get_by_role("button", name="Refresh", exact=True)
        expect(page.get_by_text("Refresh possible in 40 minutes")).to_be_visible()
        stage.move_clock(40 * 60 + 1)
        stage.answer("Costly", **CARD | {"remaining": "7400"})
        refresh.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("Remaining: 7,400 credits")).to_be_visible()
        expect(page.locator("#panel-announcer")).to_have_text("Refreshed.")
        expect(refresh).to_be_focused()
        before = stage.calls("Costly")
        page.keyboard.press("Enter")
        expect(page.locator("#panel-announcer")).to_contain_text("Refresh possible in 40 minutes")
        expect(refresh).to_be_focused()
        assert stage.calls("Costly") == before
        context.close()

"""A provider that takes its time: nothing else on the page waits for it, and its reading comes by itself."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from integrations.ui import viewer
from tests.browser.stage import CLICK_SECONDS, Stage, page_of, staged

SECONDS = 4.0
"""What the slow provider takes: longer than a run of the page waits."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Stage]:
    """One panel of two cards for this module's tests."""
    answers = {label: {"remaining": "900", "total": "1000"} for label in ("Slow", "Quick")}
    with staged(tmp_path_factory.mktemp("slow"), chromium, answers, PANEL_DEADLINE_SECONDS="9") as running:
        yield running


@pytest.fixture
def page(chromium: Browser, stage: Stage) -> Iterator[Page]:
    """The page with both cards, which may be refreshed now, and whose clock a test may move."""
    with page_of(chromium, stage) as page:
        page.goto(stage.panel.url)
        expect(page.get_by_text("Active 2")).to_be_visible()
        # All is drawn.
        expect(page.locator(".stApp")).to_have_attribute("data-test-script-state", "notRunning")
        stage.move_clock(CLICK_SECONDS)
        stage.script.with_suffix(".calls").write_text("")
        yield page


def test_a_click_on_another_card_is_heard_meanwhile(page: Page, stage: Stage) -> None:
    """Its reading is there before the slow one's; each is told once, asked once, and the focus stays where it is."""
    stage.answer("Slow", remaining="800", total="1000", seconds=SECONDS)
    stage.answer("Quick", remaining="801", total="1000")
    slow, quick = (page.get_by_role("button", name="Refresh", exact=True).nth(number) for number in (0, 1))
    slow.focus()
    slow.evaluate("button => { button.isTheSame = true; }")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Refreshing …")).to_be_visible()
    quick.click()
    expect(page.get_by_text("Remaining: 801 credits")).to_be_visible()
    expect(page.get_by_text("Refreshing …")).to_be_visible()
    expect(page.get_by_text("Remaining: 900 credits")).to_be_visible()
    slow.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Remaining: 800 credits")).to_be_visible(timeout=2 * SECONDS * 1000)
    expect(page.get_by_text("Refreshing …")).to_have_count(0)
    expect(slow).to_be_focused()
    assert slow.evaluate("button => button.isTheSame")
    assert (stage.calls("Slow"), stage.calls("Quick")) == (1, 1)
    stage.move_clock(CLICK_SECONDS)
    stage.answer("Slow", remaining="800", total="1000")
    page.get_by_role("button", name="Refresh all").first.click()
    expect(page.locator("#panel-announcer")).to_have_text("Refreshed.")


def test_the_page_s_own_looks_neither_end_the_waiting_nor_ask_anybody(page: Page, stage: Stage) -> None:
    """The pulse comes while the slow one is asked, and the other's reading runs out: one figure comes, by one call."""
    stage.answer("Slow", remaining="600", total="1000", seconds=2 * SECONDS)
    with page.expect_websocket() as opened:
        page.reload()
    expect(page.get_by_text("Active 2")).to_be_visible()
    page.get_by_role("button", name="Refresh", exact=True).first.click()
    expect(page.get_by_text("Refreshing …")).to_be_visible()
    expect(page.locator(".stApp")).to_have_attribute("data-test-script-state", "notRunning")
    with opened.value.expect_event("framesent"):
        page.clock.fast_forward(viewer.PULSE_SECONDS * 1000)
    expect(page.locator(".stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.locator(".st-key-cards").get_by_text("Refreshing …")).to_be_visible()
    stage.move_clock(301)
    stage.answer("Slow", remaining="600", total="1000")
    expect(page.get_by_text("Remaining: 600 credits")).to_be_visible()
    assert (stage.calls("Slow"), stage.calls("Quick")) == (1, 0)


def test_neither_refresh_all_nor_log_out_waits(page: Page, stage: Stage) -> None:
    """The quick one is there at once, and the end is told with the last one; Log out ends a page that waits."""
    stage.answer("Slow", remaining="700", total="1000", seconds=SECONDS)
    stage.answer("Quick", remaining="701", total="1000")
    page.get_by_role("button", name="Refresh all").first.click()
    expect(page.get_by_text("Remaining: 701 credits")).to_be_visible()
    expect(page.get_by_text("Refreshing …")).to_be_visible()
    expect(page.get_by_text("Remaining: 700 credits")).to_be_visible(timeout=2 * SECONDS * 1000)
    expect(page.locator("#panel-announcer")).to_have_text("Refreshed.")
    assert (stage.calls("Slow"), stage.calls("Quick")) == (1, 1)
    stage.move_clock(CLICK_SECONDS)
    page.get_by_role("button", name="Refresh", exact=True).first.click()
    expect(page.get_by_text("Refreshing …")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Login")).to_be_visible(timeout=SECONDS * 1000 / 2)

"""A provider that comes back with other quotas than were known: other cards, drawn without a person's doing."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from integrations.ui import viewer
from tests.browser.stage import CLICK_SECONDS, Stage, page_of, staged

ONE = {"remaining": "1", "total": "2"}
TWO = (
    {"name": "Searches", "remaining": "4", "total": "5"},
    {"name": "Exports", "remaining": "4", "total": "5"},
)
SLOW = ({"name": "Searches", "remaining": "4", "total": "5", "seconds": 9}, TWO[1])
"""Likewise, when the test lets it."""


@pytest.fixture
def stage(tmp_path: Path, chromium: Browser) -> Iterator[Stage]:
    """A panel where nothing is known of Hunter yet but that it failed."""
    answers = {"Hunter": {"error": "timeout"}, "Quick": ONE}
    with staged(tmp_path, chromium, answers, PANEL_DEADLINE_SECONDS="12") as running:
        yield running


@pytest.fixture
def page(chromium: Browser, stage: Stage) -> Iterator[Page]:
    """A page in its session, whose clock a test may move."""
    with page_of(chromium, stage) as page:
        yield page


def open_to_retry(page: Page, stage: Stage) -> None:
    """Open the page with the failure, after which a click asks again."""
    page.goto(stage.panel.url)
    expect(page.get_by_text("Unavailable Hunter")).to_be_visible()
    expect(page.locator(".stApp")).to_have_attribute("data-test-script-state", "notRunning")
    stage.move_clock(CLICK_SECONDS)


def test_a_click_meanwhile_does_not_stop_the_page(page: Page, stage: Stage) -> None:
    """The new cards come, the other card's click is done, each by one call, and the ages go on growing."""
    with page.expect_websocket() as opened:
        open_to_retry(page, stage)
    before = stage.calls("Hunter"), stage.calls("Quick")
    stage.answer("Hunter", *SLOW)
    stage.answer("Quick", remaining="0", total="2")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".st-key-cards").get_by_text("Refreshing …")).to_be_visible()
    with opened.value.expect_event("framesent"):
        page.get_by_role("button", name="Refresh", exact=True).click()
    stage.answer("Hunter", *TWO)
    expect(page.get_by_role("heading", name="Hunter Exports")).to_be_visible()
    expect(page.get_by_text("Remaining: 0 credits")).to_be_visible()
    expect(page.get_by_text("Refreshing …")).to_have_count(0)
    assert (stage.calls("Hunter"), stage.calls("Quick")) == (before[0] + 1, before[1] + 1)
    expect(page.locator(".stApp")).to_have_attribute("data-test-script-state", "notRunning")
    stage.move_clock(125)
    page.clock.fast_forward(viewer.PULSE_SECONDS * 1000)
    expect(page.get_by_text("Updated 2 minutes ago")).to_have_count(3)


WRONG = """window.wrong = [];
new MutationObserver(() => {
  for (const heading of document.querySelectorAll(".st-key-cards h2")) {
    const card = heading.closest('[data-testid="stVerticalBlock"]').innerText;
    if (heading.innerText.trim().endsWith("Hunter") && card.includes("Remaining")) wrong.push(card);
  }
}).observe(document, {childList: true, subtree: true, characterData: true});"""


def test_opening_shows_no_quota_under_another_s_name(page: Page, stage: Stage) -> None:
    """While another card still waits, the one of before says that it is being refreshed, and nothing fails."""
    page.add_init_script(WRONG)
    stage.answer("Hunter", *SLOW)
    stage.answer("Quick", **ONE, seconds=9)
    stage.move_clock(301)
    page.goto(stage.panel.url)
    expect(page.locator(".st-key-cards").get_by_text("Refreshing …")).to_have_count(2)
    stage.answer("Hunter", *TWO)
    expect(page.get_by_role("heading", name="Hunter Exports")).to_be_visible()
    assert page.evaluate("wrong") == []
    assert "Traceback" not in stage.panel.log


def test_the_focus_stays_on_the_button_that_was_pressed(page: Page, stage: Stage) -> None:
    """Retry becomes the first card's Refresh: it is the same button."""
    open_to_retry(page, stage)
    stage.answer("Hunter", *TWO)
    page.get_by_role("button", name="Retry").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Hunter Exports")).to_be_visible()
    focused = page.locator(":focus")
    expect(focused).to_have_accessible_name("Refresh")
    expect(focused).to_have_accessible_description(re.compile("^Hunter Searches"))

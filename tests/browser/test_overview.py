"""Where the focus is while the overview changes."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.stage import CLICK_SECONDS, Stage, page_of, staged
from tests.support.processes import wait_for

ALL, SOME, FEW, NOTHING = ({"remaining": str(remaining), "total": "1000"} for remaining in (900, 160, 20, 0))
ANSWERS: dict[str, Any] = {"IMAI": ALL, "Hunter": ALL, "Mapbox": NOTHING, "SendGrid": ALL, "DeepL": FEW}
BOTH = {"Exhausted": {"IMAI", "Mapbox"}, "Almost exhausted": {"DeepL"}, "Active": set()}
LOW: Any = {"width": 1440, "height": 400}
"""A window too low for the overview and the last card."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Stage]:
    """One panel for this module's tests."""
    with staged(tmp_path_factory.mktemp("stage"), chromium, ANSWERS) as running:
        yield running


@pytest.fixture
def page(chromium: Browser, stage: Stage) -> Iterator[Page]:
    """The page, on which all cards are as at the start."""
    with page_of(chromium, stage) as opened:
        opened.set_viewport_size(LOW)
        opened.goto(stage.panel.url)
        expect(opened.get_by_role("heading", level=2)).to_have_count(len(ANSWERS))
        change(
            opened, stage, ANSWERS, {"Exhausted": {"Mapbox"}, "Almost exhausted": {"DeepL"}, "Active": set()}
        )
        yield opened


def change(page: Page, stage: Stage, answers: dict[str, Any], states: dict[str, set[str]]) -> None:
    """Let a refresh of all that leaves the focus where it is bring these answers and this overview."""
    for label, answer in answers.items():
        stage.answer(label, **answer)
    stage.move_clock(CLICK_SECONDS)
    page.get_by_role("button", name="Refresh all").evaluate("button => button.click()")
    wait_for(lambda: overview(page) == states, f"the overview says {states}")


def overview(page: Page) -> dict[str, set[str]]:
    """Return the cards that the overview links, by their state."""
    lines = page.evaluate("""[...document.querySelectorAll('.st-key-overview li')].map(line => [
      line.querySelector('.stMarkdownBadge').textContent, [...line.querySelectorAll('a')].map(a => a.textContent)])""")
    return {badge.split(maxsplit=1)[1].strip(): set(names) for badge, names in lines}


def link(page: Page, name: str) -> Locator:
    """A card's link in the overview."""
    return page.locator(".st-key-overview").get_by_role("link", name=name)


def test_the_focus_stays_on_the_link_of_the_same_card(page: Page, stage: Stage) -> None:
    """When another card comes before it, and when its own state changes."""
    link(page, "Mapbox").focus()
    change(page, stage, {"IMAI": NOTHING}, BOTH)
    expect(link(page, "Mapbox")).to_be_focused()
    change(
        page,
        stage,
        {"Mapbox": SOME},
        {"Exhausted": {"IMAI"}, "Almost exhausted": {"DeepL"}, "Low": {"Mapbox"}, "Active": set()},
    )
    expect(link(page, "Mapbox")).to_be_focused()
    change(
        page,
        stage,
        {"Mapbox": FEW},
        {"Exhausted": {"IMAI"}, "Almost exhausted": {"Mapbox", "DeepL"}, "Active": set()},
    )
    expect(link(page, "Mapbox")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Mapbox")).to_be_in_viewport()


def test_a_link_that_is_gone_gives_the_focus_to_no_other_card_s(page: Page, stage: Stage) -> None:
    """The link that takes its place is not focused, and Tab goes on from there."""
    link(page, "Mapbox").focus()
    change(page, stage, {"Mapbox": ALL}, {"Almost exhausted": {"DeepL"}, "Active": set()})
    expect(page.locator(":focus")).to_have_count(0)
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_accessible_description(re.compile("^(Mapbox|IMAI)"))


def test_nobody_is_called_back_to_a_link_that_they_left(page: Page, stage: Stage) -> None:
    """For another element, or with a click on what cannot have the focus."""
    refresh = page.get_by_role("button", name="Refresh", exact=True).first
    link(page, "Mapbox").focus()
    refresh.focus()
    change(page, stage, {"IMAI": NOTHING}, BOTH)
    expect(refresh).to_be_focused()

    link(page, "IMAI").focus()
    page.get_by_test_id("stSidebar").click()
    expect(page.locator(":focus")).to_have_count(0)
    change(
        page,
        stage,
        {"IMAI": SOME},
        {"Exhausted": {"Mapbox"}, "Almost exhausted": {"DeepL"}, "Low": {"IMAI"}, "Active": set()},
    )
    expect(page.locator(":focus")).to_have_count(0)


def test_the_page_is_not_scrolled_to_a_link_that_keeps_the_focus(page: Page, stage: Stage) -> None:
    """Whoever has scrolled on reads on."""
    link(page, "Mapbox").focus()
    page.get_by_role("heading", level=2).last.scroll_into_view_if_needed()
    expect(link(page, "Mapbox")).not_to_be_in_viewport()
    change(page, stage, {"IMAI": NOTHING}, BOTH)
    expect(link(page, "Mapbox")).to_be_focused()
    expect(link(page, "Mapbox")).not_to_be_in_viewport()

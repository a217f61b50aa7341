"""A new panel, of whose providers nothing is known: what stands in the place of the figures, and what they move."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.stage import PHONE, WIDE, shift, unopened, watch_shifts

AT_ONCE, SOON, LATE = ({"seconds": seconds} for seconds in (0.1, 0.5, 3))
"""How long a provider takes: the last one longer than a run of the page waits."""
MIX: dict[str, Any] = {
    "IMAI": {"remaining": "7500", "total": "10000", "renews_days": 4, **SOON},
    "Hunter": [
        {
            "name": "Searches",
            "remaining": "483",
            "total": "500",
            "unit": "searches",
            "renews_days": 9,
            **SOON,
        },
        {
            "name": "Verifications",
            "remaining": "40",
            "total": "1000",
            "unit": "verifications",
            "renews_days": 9,
        },
    ],
    "Mapbox": {"error": "timeout", **SOON},
    "SendGrid": {"remaining": "8000", "total": "50000", "unit": "e-mails", "renews_days": 12, **AT_ONCE},
    "Bright Data": {"remaining": "0", "total": "250", "unit": "USD", **AT_ONCE},
    "DeepL": {"remaining": "123456", "unit": "characters", **AT_ONCE},
    "Bulk Mail": {"remaining": "123456789012", "total": "987654321098", "renews_days": 3, **SOON},
    "Brave Search": [
        {"name": "a second", "remaining": "19", "total": "20", "unit": "requests", **SOON},
        {"name": "a day", "remaining": "900", "total": "1000", "unit": "requests"},
        {"name": "a month", "remaining": "1900", "total": "2000", "unit": "requests"},
    ],
    "Tavily": {"remaining": "900", "total": "1000", **AT_ONCE},
    "Apify": {"remaining": "74.75", "total": "100", "unit": "USD", "renews_days": 20, **LATE},
}
CARDS = 13


@pytest.mark.parametrize("viewport", [WIDE, PHONE, {"width": 320, "height": 640}])
def test_figures_that_come_one_after_the_other_move_little(page: Page, tmp_path: Path, viewport: Any) -> None:
    """From the first skeleton on the layout shifts by less than 0.35, though no two cards are alike."""
    page.set_viewport_size(viewport)
    watch_shifts(page)
    with unopened(tmp_path, MIX) as stage:
        sign_in(page, stage.panel)
        assert shift(page, cards=CARDS) < 0.35


def test_failures_move_little(page: Page, tmp_path: Path) -> None:
    """Though they are lower than the figures that were expected: eight of them, and one that is well below them."""
    page.set_viewport_size(PHONE)
    watch_shifts(page)
    answers = {f"Account {number}": {"error": "timeout", **SOON} for number in range(1, 9)}
    with unopened(tmp_path, answers | {"Well": {"remaining": "9", "total": "10", **AT_ONCE}}) as stage:
        sign_in(page, stage.panel)
        assert shift(page, cards=9) < 0.35


def test_forty_move_little_on_a_phone(page: Page, tmp_path: Path) -> None:
    """The overview names some of those that are asked, as many as are likely to stand there, and counts the others."""
    page.set_viewport_size(PHONE)
    watch_shifts(page)
    answers = {f"Account {number}": {"remaining": "9", "total": "10", **SOON} for number in range(1, 41)}
    with unopened(tmp_path, answers) as stage:
        sign_in(page, stage.panel)
        assert shift(page, cards=40) < 0.35


def test_each_quota_that_is_sure_to_come_has_its_place(page: Page, tmp_path: Path) -> None:
    """Two for a provider of two; where it fails, its one card has the first, and the other goes."""
    two = [{"name": name, "remaining": "4", "total": "5", "seconds": 60} for name in ("Searches", "Exports")]
    answers = {"Hunter": two, "Quick": {"remaining": "4", "total": "5"}}
    with unopened(tmp_path, answers, PANEL_DEADLINE_SECONDS="60") as stage:
        sign_in(page, stage.panel)
        expect(page.get_by_role("heading", name="Quick")).to_be_visible()
        expect(page.locator(PLACES)).to_have_count(3)
        assert stacked(page)
        stage.answer("Hunter", error="timeout")
        expect(page.get_by_role("heading", name="Hunter")).to_be_visible()
        expect(page.locator(PLACES)).to_have_count(2)
        assert stacked(page)


PLACES = '[class*="st-key-card-"], .st-key-cards [data-testid="stSkeletonElement"]'


def stacked(page: Page) -> bool:
    """Whether the places stand one below the other, 16 pixels apart."""
    boxes = page.locator(PLACES).evaluate_all(
        "places => places.map(one => one.getBoundingClientRect().toJSON())"
    )
    return all(abs(below["top"] - above["bottom"] - 16) < 0.5 for above, below in pairwise(boxes))

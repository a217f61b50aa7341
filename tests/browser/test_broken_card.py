"""A card that the page's own code fails to draw."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.stage import LAUNCHER, unopened

SENTENCE = "Something went wrong. Please try again."
_BROKEN = """
import runpy
from integrations.ui import card
draw = card.{function}
def fail(provider, *rest, **options):
    if provider.label == "Broken":
        raise RuntimeError("a secret of the inside")
    return draw(provider, *rest, **options)
card.{function} = fail
runpy.run_path({panel!r}, run_name="__main__")
"""


@pytest.mark.parametrize("function", ["_draw_figures", "draw"])
def test_a_card_that_cannot_be_drawn_is_the_only_one_that_fails(
    page: Page, tmp_path: Path, function: str
) -> None:
    """A sentence stands in the place of each, at the first opening and later; the rest of the page is whole."""
    launcher = tmp_path / "launcher.py"
    launcher.write_text(_BROKEN.format(function=function, panel=str(LAUNCHER)))
    card = {"remaining": "7500", "total": "10000"}
    two = [card | {"name": "Searches", "seconds": 0.5}, card | {"name": "Exports"}]
    answers = {"First": card, "Broken": two, "Last": card}
    with unopened(tmp_path, answers, launcher) as stage:
        sign_in(page, stage.panel)
        for _ in ("first opening", "reload"):
            expect(page.get_by_text(SENTENCE)).to_have_count(2)
            expect(page.get_by_test_id("stSkeletonElement")).to_have_count(0)
            for label in ("First", "Last"):
                expect(page.get_by_role("heading", name=label)).to_be_visible()
            expect(page.locator(".st-key-overview")).to_contain_text("Active 4")
            assert "secret of the inside" not in page.content()
            page.reload()
        assert "RuntimeError: a secret of the inside" in stage.panel.log
        assert "The card of Broken Searches could not be drawn" in stage.panel.log

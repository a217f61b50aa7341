"""The page of many cards, as it is seen, heard and used."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import sign_in
from tests.browser.stage import CLICK_SECONDS, PHONE, WIDE, Stage, shift, staged, watch_shifts
from tests.support.processes import wait_for

ANSWERS: dict[str, Any] = {
    "IMAI": {"remaining": "7500", "total": "10000", "renews_days": 4},
    "Hunter": [
        {"name": "Searches", "remaining": "483", "total": "500", "unit": "searches"},
        {"name": "Verifications", "remaining": "40", "total": "1000", "unit": "verifications"},
    ],
    "Mapbox": {"error": "timeout"},
    "SendGrid": {"remaining": "8000", "total": "50000", "unit": "e-mails"},
    "Bright Data": {"remaining": "0", "total": "250", "unit": "USD"},
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Stage]:
    """One panel for this module's tests."""
    with staged(tmp_path_factory.mktemp("stage"), chromium, ANSWERS) as running:
        yield running


@contextmanager
def opened(chromium: Browser, stage: Stage, **options: Any) -> Iterator[Page]:
    """The page in a fresh browser that holds the session, once every card is there."""
    context = chromium.new_context(storage_state=stage.session, **options)
    page = context.new_page()
    page.goto(stage.panel.url)
    expect(page.get_by_role("heading", level=2)).to_have_count(6)
    yield page
    context.close()


def card(page: Page, name: str) -> Locator:
    """Return a card by the beginning of its heading."""
    heading = page.get_by_role("heading", name=re.compile(f"^{name}"))
    return page.locator('[class*="st-key-card-"]').filter(has=heading)


def overview(page: Page) -> list[str]:
    """The lines of the overview, without the icons."""
    return [" ".join(line.split()[1:]) for line in page.locator(".st-key-overview li").all_inner_texts()]


CALM = [
    "Exhausted Bright Data", "Almost exhausted Hunter Verifications 40", "Unavailable Mapbox", "Low SendGrid 8,000",
    "Active 2",
]  # fmt: skip


def test_the_overview_leads_to_what_needs_a_person_and_every_refresh_keeps_it_true(
    chromium: Browser, stage: Stage
) -> None:
    """By urgency, with links that the keyboard follows; Refresh and Refresh all change it; each is told once."""
    with opened(chromium, stage, viewport=WIDE) as page:
        expect(page.get_by_text("Active 2")).to_be_visible()
        page.wait_for_function("document.querySelectorAll('.st-key-overview li').length === 5")
        assert overview(page) == CALM
        page.get_by_role("link", name="Bright Data").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Bright Data")).to_be_in_viewport()
        page.keyboard.press("Tab")
        retry = page.locator(":focus")
        expect(retry).to_have_accessible_name("Refresh")
        expect(retry).to_have_accessible_description(re.compile("^Bright Data"))

        stage.answer("IMAI", remaining="300", total="10000", seconds=0.7)
        stage.move_clock(CLICK_SECONDS)
        refresh = card(page, "IMAI").get_by_role("button", name="Refresh", exact=True)
        refresh.focus()
        page.keyboard.press("Enter")
        expect(page.locator(".st-key-cards").get_by_text("Refreshing …")).to_be_visible()
        expect(page.get_by_text("Remaining: 300 credits")).to_be_visible()
        expect(page.get_by_role("link", name="IMAI")).to_be_visible()
        assert overview(page)[1].startswith("Almost exhausted ")
        expect(refresh).to_be_focused()

        stage.answer("IMAI", **ANSWERS["IMAI"])
        stage.move_clock(CLICK_SECONDS)
        page.get_by_role("button", name="Refresh all").click()
        expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
        assert overview(page) == CALM


def test_the_focus_stays_on_a_link_of_the_overview(chromium: Browser, stage: Stage) -> None:
    """While the overview changes, as a card's refresh makes it."""
    with opened(chromium, stage, viewport=WIDE) as page:
        link = page.get_by_role("link", name="Bright Data")
        link.focus()
        stage.answer("IMAI", remaining="300", total="10000", seconds=0.7)
        stage.move_clock(CLICK_SECONDS)
        click_refresh_of_imai(page)
        expect(page.get_by_role("link", name="IMAI")).to_be_visible()
        expect(link).to_be_focused()
        stage.answer("IMAI", **ANSWERS["IMAI"])
        stage.move_clock(CLICK_SECONDS)
        click_refresh_of_imai(page)
        expect(page.get_by_text("Active 2")).to_be_visible()
        expect(link).to_be_focused()


def click_refresh_of_imai(page: Page) -> None:
    """Click it, and leave the focus where it is."""
    button = card(page, "IMAI").get_by_role("button", name="Refresh", exact=True)
    button.evaluate("button => button.click()")


def test_a_phone_refreshes_everything_with_one_tap(chromium: Browser, stage: Stage) -> None:
    """Refresh all is on the first screen with the overview and the first card; fingers hit what is there."""
    with opened(chromium, stage, viewport=PHONE, has_touch=True) as page:
        everything = page.get_by_role("button", name="Refresh all")
        expect(everything).to_have_count(1)
        first_card = page.get_by_text("Remaining: $0.00"), page.get_by_role("progressbar").first
        for element in (everything, *first_card):
            expect(element).to_be_in_viewport()
        for button in (everything, *page.get_by_role("button", name="Refresh", exact=True).all()):
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44
        for link in page.locator(".st-key-overview a").all():
            box = link.bounding_box()
            assert box is not None
            assert box["height"] >= 24
        before = stage.calls("SendGrid")
        stage.move_clock(CLICK_SECONDS)
        everything.tap()
        wait_for(lambda: stage.calls("SendGrid") == before + 1, "SendGrid is asked")
    with opened(chromium, stage, viewport=WIDE) as page:
        expect(page.get_by_role("button", name="Refresh all")).to_have_count(1)


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_what_comes_later_moves_nothing(chromium: Browser, stage: Stage, viewport: Any) -> None:
    """After the first card the layout shifts by less than 0.1, the limit of a good page (web.dev, CLS)."""
    context = chromium.new_context(storage_state=stage.session, viewport=viewport)
    page = context.new_page()
    watch_shifts(page)
    page.goto(stage.panel.url)
    assert shift(page, cards=6) < 0.25
    context.close()


def test_the_sign_in_is_ready_to_type_into_and_leaves_nothing_behind(chromium: Browser, stage: Stage) -> None:
    """Focus on Username, known to password managers, 400 pixels, one h1; after log-out no sidebar is left."""
    context = chromium.new_context(viewport=WIDE)
    page = context.new_page()
    page.goto(stage.panel.url)
    username, password = page.get_by_label("Username"), page.get_by_role("textbox", name="Password")
    expect(username).to_be_focused()
    expect(username).to_have_attribute("autocomplete", "username")
    expect(password).to_have_attribute("autocomplete", "current-password")
    expect(page.get_by_role("heading")).to_have_text(["Login"])
    form = page.get_by_test_id("stForm").bounding_box()
    assert form is not None
    assert form["width"] == 400
    sign_in(page, stage.panel)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Username")).to_be_focused()
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    context.close()


def test_on_paper_there_are_cards_alone(chromium: Browser, stage: Stage) -> None:
    """Printed: no sidebar, no button, no overview."""
    with opened(chromium, stage, viewport=WIDE) as page:
        page.emulate_media(media="print")
        expect(page.get_by_role("button")).to_have_count(0)
        expect(page.get_by_test_id("stSidebar")).to_be_hidden()
        expect(page.locator(".st-key-overview")).to_be_hidden()
        expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()

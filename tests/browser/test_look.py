"""What the page is like for people: with a screen reader, a keyboard and a phone."""

from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import violations
from tests.browser.conftest import sign_in, wait_for_clicks
from tests.support.processes import PASSWORD, Panel, wait_for

Scheme = Literal["light", "dark"]


def fits(page: Page, width: int) -> bool:
    """Whether nothing has to be scrolled sideways."""
    page.set_viewport_size({"width": width, "height": 800})
    return bool(page.evaluate("document.documentElement.scrollWidth") <= width)


def expect_clean(page: Page) -> None:
    """Nothing for axe to find, at 1,100 and 320 pixels, nor in a contrast theme."""
    for width in (1100, 320):
        assert fits(page, width)
        assert violations(page) == []
    page.emulate_media(forced_colors="active")
    assert violations(page) == []
    page.emulate_media(forced_colors="none")
    page.set_viewport_size({"width": 1100, "height": 800})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_way_through_the_panel(
    chromium: Browser, panel: Panel, scheme: Scheme
) -> None:
    """Sign-in, wrong password, card, failure, refusal: light and dark, at 320 pixels and in a contrast theme."""
    context = chromium.new_context(color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    page = context.new_page()
    page.goto(panel.url)
    page.get_by_role("textbox", name="Username").fill("alice")
    expect_clean(page)
    page.get_by_role("textbox", name="Password").fill("wrong")
    page.get_by_role("button", name="Login").click()
    page.get_by_text("Username or password is incorrect.").wait_for()
    expect_clean(page)
    sign_in(page, panel)
    expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
    expect_clean(page)
    panel.simulator.control(mode="subscription_expired")
    wait_for_clicks(page)
    page.get_by_role("button", name="Refresh", exact=True).click()
    page.get_by_role("button", name="Retry").wait_for()
    expect_clean(page)
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("textbox", name="Username").wait_for()
    sign_in(page, panel, "victor")
    expect_clean(page)
    context.close()


def test_the_figure_is_on_the_first_screen_of_a_phone_and_of_a_zoomed_page(page: Page, panel: Panel) -> None:
    """390 pixels wide: card, bar and button without scrolling.

    200 % zoom of a window of 1,280 by 1,024 pixels is a page of 640 by 512: nothing is scrolled sideways; at 400 % the
    figure is still on the first screen.
    """
    sign_in(page, panel)
    figure = page.get_by_text("Remaining: 7,500 credits")
    button = page.get_by_role("button", name="Refresh", exact=True)
    expect(figure).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    for element in (figure, page.get_by_role("progressbar"), button):
        expect(element).to_be_in_viewport()
    assert fits(page, 640)
    expect(figure).to_be_visible()
    expect(button).to_be_visible()
    page.set_viewport_size({"width": 320, "height": 256})
    expect(figure).to_be_in_viewport(ratio=1)


def test_everything_can_be_done_by_keyboard(page: Page, panel: Panel) -> None:
    """Sign in, refresh and log out without a mouse, the focus visible all the way."""
    page.goto(panel.url)
    page.get_by_role("textbox", name="Username").focus()
    page.keyboard.type("alice")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
    panel.simulator.control(spend="100")
    wait_for_clicks(page)
    reach(page, "Refresh")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Remaining: 7,400 credits")).to_be_visible()
    reach(page, "Log out")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Login")).to_be_visible()


LOOK = "element => { const s = getComputedStyle(element); return s.boxShadow + s.outline }"


def reach(page: Page, button: str) -> None:
    """Tab to a button, and see that the focus shows."""
    wanted = page.get_by_role("button", name=button, exact=True)
    plain = wanted.evaluate(LOOK)
    for _ in range(40):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            break
    expect(wanted).to_be_focused()
    wait_for(lambda: wanted.evaluate(LOOK) != plain, f"{button} looks focused")


def test_refresh_shows_at_once_that_something_happens(page: Page, panel: Panel) -> None:
    """The figures stay while the provider takes its time; then comes the new one, and a word for those who listen.

    Where there are none yet, what holds the card's place has its height.
    """
    panel.simulator.control(latency_seconds=1)
    sign_in(page, panel)
    expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
    panel.simulator.control(spend="100", latency_seconds=1.5)
    wait_for_clicks(page)
    page.get_by_role("button", name="Refresh", exact=True).click()
    expect(page.get_by_text("Refreshing …")).to_be_visible(timeout=1000)
    expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
    expect(page.get_by_text("Remaining: 7,400 credits")).to_be_visible()
    expect(page.get_by_text("Updated just now")).to_be_visible()
    expect(page.get_by_text("Refreshing …")).to_have_count(0)

"""What the page is like for people: with a screen reader, a keyboard, a phone, and after an hour."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import sign_in, wait_for_clicks
from tests.harness import PASSWORD, Panel, SimulatorProcess, run_panel
from tests.ui.gallery import STATES

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
Scheme = Literal["light", "dark"]


def violations(page: Page) -> list[str]:
    """What axe-core finds, but for Streamlit's own toast: its role is alertdialog and it has no name."""
    page.wait_for_timeout(300)  # transitions end
    page.evaluate(AXE)
    context = "{exclude: [['[data-testid=stToast]']]}"
    found: dict[str, Any] = page.evaluate(f"axe.run({context}, {{runOnly: {RULES}}})")
    return [f"{rule['id']}: {[node['html'][:120] for node in rule['nodes']]}" for rule in found["violations"]]


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> Scheme:
    """Both of them."""
    chosen: Scheme = request.param
    return chosen


@pytest.fixture
def seen(chromium: Browser, scheme: Scheme) -> Iterator[Page]:
    """A page in this colour scheme, where axe may be injected in spite of the Content-Security-Policy."""
    context = chromium.new_context(
        color_scheme=scheme, bypass_csp=True, reduced_motion="reduce", viewport={"width": 1100, "height": 800}
    )
    yield context.new_page()
    context.close()


def fits(page: Page, width: int) -> bool:
    """Whether nothing has to be scrolled sideways."""
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_timeout(300)
    return bool(page.evaluate("document.documentElement.scrollWidth") <= width)


def test_axe_finds_nothing_on_the_way_through_the_panel(seen: Page, panel: Panel) -> None:
    """Sign-in, wrong password, card, failure, no permission: light and dark, and at 320 pixels without scrolling."""
    seen.goto(panel.url)
    seen.get_by_role("textbox", name="Username").fill("alice")
    assert violations(seen) == []
    seen.get_by_role("textbox", name="Password").fill("wrong")
    seen.get_by_role("button", name="Login").click()
    seen.get_by_text("Username or password is incorrect.").wait_for()
    assert violations(seen) == []
    sign_in(seen, panel)
    expect(seen.get_by_text("Remaining: 7,500 credits")).to_be_visible()
    assert violations(seen) == []
    panel.simulator.control(mode="subscription_expired")
    wait_for_clicks(seen)
    seen.get_by_role("button", name="Refresh", exact=True).click()
    seen.get_by_role("button", name="Retry").wait_for()
    assert violations(seen) == []
    assert fits(seen, 320)
    assert violations(seen) == []


def test_axe_finds_nothing_without_permission(seen: Page, panel: Panel) -> None:
    """The refusal is a page like any other."""
    sign_in(seen, panel, "victor")
    assert violations(seen) == []


def test_axe_finds_nothing_in_any_state(seen: Page, gallery: str) -> None:
    """Every card of the gallery, wide and at 320 pixels, is in contrast, in order and without sideways scrolling."""
    seen.goto(gallery)
    expect(seen.get_by_role("heading", level=2)).to_have_count(len(STATES) + 1)
    assert violations(seen) == []
    assert fits(seen, 320)
    assert violations(seen) == []


def test_at_twice_the_size_nothing_is_lost(page: Page, panel: Panel) -> None:
    """200 % zoom of a window of 1,280 by 1,024 pixels is a page of 640 by 512: nothing is scrolled sideways.

    At 400 % the figure is still on the first screen.
    """
    sign_in(page, panel)
    assert fits(page, 640)
    expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
    expect(page.get_by_role("button", name="Refresh", exact=True)).to_be_visible()
    page.set_viewport_size({"width": 320, "height": 256})
    expect(page.get_by_text("Remaining: 7,500 credits")).to_be_in_viewport(ratio=1)


def test_on_a_phone_the_figure_is_on_the_first_screen(page: Page, panel: Panel) -> None:
    """390 pixels wide: card, bar and button without scrolling."""
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, panel)
    for element in (
        page.get_by_text("Remaining: 7,500 credits"),
        page.get_by_role("progressbar"),
        page.get_by_role("button", name="Refresh", exact=True),
    ):
        expect(element).to_be_in_viewport()


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


def reach(page: Page, button: str) -> None:
    """Tab to a button, and see that the focus shows."""
    wanted = page.get_by_role("button", name=button, exact=True)
    plain = wanted.evaluate(
        "element => { const s = getComputedStyle(element); return s.boxShadow + s.outline }"
    )
    for _ in range(40):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            break
    expect(wanted).to_be_focused()
    page.wait_for_timeout(300)
    focused = wanted.evaluate(
        "element => { const s = getComputedStyle(element); return s.boxShadow + s.outline }"
    )
    assert focused != plain


def test_refresh_shows_at_once_that_something_happens(page: Page, panel: Panel) -> None:
    """The figures stay while the provider takes its time; then comes the new one, and a word for those who listen."""
    sign_in(page, panel)
    expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
    panel.simulator.control(spend="100", latency_seconds=1.5)
    wait_for_clicks(page)
    page.get_by_role("button", name="Refresh", exact=True).click()
    expect(page.get_by_text("Refreshing …")).to_be_visible(timeout=1000)
    expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
    expect(page.get_by_text("Remaining: 7,400 credits")).to_be_visible()
    expect(page.get_by_text("Updated just now")).to_be_visible()
    expect(page.get_by_role("alertdialog")).to_contain_text("IMAI: a new reading.")
    expect(page.get_by_text("Refreshing …")).to_have_count(0)


def test_a_page_that_stood_open_for_an_hour_does_not_lie(
    page: Page, tmp_path: Path, simulator_process: SimulatorProcess
) -> None:
    """The age on the card grows by itself, and no provider is asked for that."""
    hand = tmp_path / "seconds"
    command = [sys.executable, str(Path(__file__).with_name("moved_clock.py")), str(hand)]
    with run_panel(tmp_path, simulator_process, command=command, PANEL_SESSION_IDLE_MINUTES="600") as panel:
        page.clock.install()
        sign_in(page, panel)
        expect(page.get_by_text("Updated just now")).to_be_visible()
        before = simulator_process.control()["calls"]
        hand.write_text("3660")
        page.wait_for_timeout(200)
        page.clock.fast_forward(50_000)
        expect(page.get_by_text("Updated an hour ago")).to_be_visible()
        assert simulator_process.control()["calls"] == before

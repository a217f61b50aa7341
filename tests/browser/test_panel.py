"""An admin's way through the panel, in a real browser."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in, wait_for_clicks
from tests.support.processes import Panel


def test_an_admin_reads_the_figure_spends_refreshes_and_sees_it_fail(page: Page, panel: Panel) -> None:
    """The card follows the provider: the live figure, the new figure, the failure, and the recovery by Retry."""
    sign_in(page, panel)
    expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
    expect(page.get_by_text("Used: 2,500 / 10,000 credits")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "25")

    panel.simulator.control(spend="250.5")
    wait_for_clicks(page)
    page.get_by_role("button", name="Refresh", exact=True).click()
    expect(page.get_by_text("Remaining: 7,249.5 credits")).to_be_visible()
    expect(page.get_by_text("Updated just now")).to_be_visible()

    panel.simulator.control(mode="internal_server_error")
    wait_for_clicks(page)
    page.get_by_role("button", name="Refresh all").click()
    expect(page.get_by_text("Unable to fetch quota. Please try again.")).to_be_visible()
    expect(page.get_by_text("Remaining: 7,249.5 credits")).to_be_visible()
    expect(page.get_by_text("Last good reading just now")).to_be_visible()

    panel.simulator.control(mode="ok")
    wait_for_clicks(page)
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("Updated just now")).to_be_visible()
    assert panel.simulator.key not in panel.log
    assert panel.simulator.key not in page.content()


def test_without_the_total_the_card_says_so(page: Page, panel_without_total: Panel) -> None:
    """No bar and no percentage are drawn for a total that nobody told."""
    sign_in(page, panel_without_total)
    expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
    expect(page.get_by_text("Total unknown: set IMAI_TOTAL_CREDITS to see usage.")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)


def test_without_permission_nothing_is_shown_and_nobody_is_asked(page: Page, panel: Panel) -> None:
    """Somebody without `integration:Read` gets the sentence, no sidebar entry, and causes no call."""
    before = panel.simulator.control()["calls"]
    sign_in(page, panel, "victor")
    expect(page.get_by_text("You don't have permission to view integrations.")).to_be_visible()
    expect(page.get_by_role("button", name="Refresh all")).to_have_count(0)
    expect(page.get_by_role("link", name="Integrations")).to_have_count(0)
    assert panel.simulator.control()["calls"] == before

"""The page and the endpoint are two faces of one cache."""

import json
import subprocess
import urllib.request

from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.support.processes import COMMAND, Panel


def test_browser_curl_and_monitor_read_the_same_figures(page: Page, panel: Panel) -> None:
    """The page in Chromium, curl with its cookie, a monitor with a token: one reading, one call to the provider."""
    before = int(str(panel.simulator.control(credits="7499.98")["calls"]))
    sign_in(page, panel)
    expect(page.get_by_text("Remaining: 7,499.98 credits")).to_be_visible()
    url = f"{panel.url}/integrations/usage"

    (cookie,) = [kept for kept in page.context.cookies() if "integrations-session" in str(kept.get("name"))]
    curl = ["curl", "-sf", "-H", f"Cookie: {cookie.get('name')}={cookie.get('value')}", url]
    by_curl = json.loads(subprocess.run(curl, capture_output=True, check=True).stdout)

    add = [*COMMAND, "tokens", "add", "monitor", "--role", "admin"]
    token = subprocess.run(
        add, env=panel.environment, capture_output=True, check=True, text=True
    ).stdout.strip()
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        by_monitor = json.load(answer)

    assert by_curl == by_monitor
    assert by_curl["integrations"][0]["remainingQuota"] == 7499.98
    assert page.evaluate("fetch('integrations/usage').then(answer => answer.json())") == by_curl
    assert panel.simulator.control()["calls"] == before + 1

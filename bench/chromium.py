"""A real browser in front of a candidate: from navigation to the figure."""

import asyncio
import tempfile
from typing import Final

from playwright.async_api import BrowserContext, BrowserType

from bench.lineup import FIGURE, Candidate
from tests.support.processes import CHROMIUM_FLAGS, chromium_path

_WATCH: Final = """
(() => {
  const observer = new MutationObserver(() => {
    if (document.body?.textContent.includes("FIGURE")) {
      observer.disconnect();
      window.figureStands(performance.now());
    }
  });
  observer.observe(document, { childList: true, subtree: true, characterData: true });
})();
""".replace("FIGURE", FIGURE)
"""Runs in the page before its own scripts, and tells when the figure comes: milliseconds since navigation began."""
_TIMEOUT_SECONDS: Final = 30


async def visit(browser: BrowserType, candidate: Candidate) -> tuple[float, float]:
    """Open the page in a browser with a fresh profile, then reload it.

    Returns:
        Seconds from navigation until the figure stands in the page: the first time, and on the reload.
    """
    with tempfile.TemporaryDirectory(prefix="bench-profile-", ignore_cleanup_errors=True) as profile:
        context = await browser.launch_persistent_context(
            profile, executable_path=chromium_path(), args=list(CHROMIUM_FLAGS)
        )
        try:
            return await _visit(context, candidate)
        finally:
            await context.close()


async def _visit(context: BrowserContext, candidate: Candidate) -> tuple[float, float]:
    url = candidate.server.url
    if candidate.cookie:
        name, _, value = candidate.cookie.partition("=")
        # As if set over HTTPS: Chromium sends a Secure cookie to loopback, but takes none for an http address here.
        secure_url = url.replace("http://", "https://", 1)
        await context.add_cookies([{"name": name, "value": value, "url": secure_url, "secure": True}])
    page = context.pages[0]
    figures: asyncio.Queue[float] = asyncio.Queue()
    await page.expose_function("figureStands", figures.put_nowait)
    await page.add_init_script(_WATCH)
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        await page.goto(url, wait_until="commit")
        first = await figures.get()
        await page.wait_for_load_state("networkidle")
        await page.reload(wait_until="commit")
        return first / 1000, await figures.get() / 1000

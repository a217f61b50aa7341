"""axe-core, run on what a page shows now."""

from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Page

_AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
_STILL = """Promise.allSettled(
  document.getAnimations()
    .filter(one => Number.isFinite(one.effect.getComputedTiming().endTime))
    .map(one => one.finished)
)"""


def violations(page: Page) -> list[str]:
    """What axe-core finds, but for Streamlit's own toast: its role is alertdialog and it has no name.

    The page's context must let scripts in (`bypass_csp=True`).
    """
    page.evaluate(_STILL)  # a colour half way is not the one that people see
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE)
    found: dict[str, Any] = page.evaluate(
        "options => axe.run({exclude: [['[data-testid=stToast]']]}, options)", _OPTIONS
    )
    return [f"{rule['id']}: {[node['html'][:120] for node in rule['nodes']]}" for rule in found["violations"]]

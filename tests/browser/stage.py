"""A panel of many cards, whose providers do what a test says."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, StorageState, expect

from integrations.readings.shared import CLICK_PAUSE
from tests.browser.conftest import sign_in
from tests.support.processes import Panel, SimulatorProcess, run_panel

LAUNCHER = Path(__file__).with_name("many_providers.py")
WIDE: Any = {"width": 1440, "height": 900}
CLICK_SECONDS = CLICK_PAUSE.total_seconds()
"""After a call a click asks again once they have passed."""
PHONE: Any = {"width": 390, "height": 844}
_WATCH = """window.shifts = []; window.first = Infinity;
new PerformanceObserver(list => window.shifts.push(...list.getEntries().map(one => [one.startTime, one.value])))
  .observe({type: "layout-shift", buffered: true});
new MutationObserver((_, watch) => {
  if (!document.querySelector('.st-key-cards :is(h2, [data-testid="stSkeletonElement"])')) return;
  watch.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => { window.first = performance.now(); }));
}).observe(document, {childList: true, subtree: true});"""


@dataclass
class Stage:
    """A panel whose providers do what the test says, and a session in it, if somebody has signed in."""

    panel: Panel
    script: Path
    session: StorageState | None = None
    ahead: float = 0
    """By how many seconds the panel's clock is."""

    def answer(self, label: str, *quotas: dict[str, Any], **answer: object) -> None:
        """Let a provider answer this from now on: several quotas, or one."""
        answers = json.loads(self.script.read_text())
        _write(self.script, json.dumps(answers | {label: quotas or answer}))

    def calls(self, label: str) -> int:
        """How often a provider has been asked."""
        return self.script.with_suffix(".calls").read_text().split("\n").count(label)

    def move_clock(self, seconds: float) -> None:
        """Let this time pass for the panel."""
        self.ahead += seconds
        _write(self.script.with_suffix(".seconds"), str(self.ahead))
        time.sleep(0.1)  # it looks twice as often


def _write(file: Path, text: str) -> None:
    """In one piece: whoever reads the file just then finds the one text or the other."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@contextmanager
def unopened(
    folder: Path, answers: dict[str, Any], launcher: Path = LAUNCHER, /, **settings: str
) -> Iterator[Stage]:
    """Start such a panel: nobody has opened it yet, so nothing is known of any provider."""
    script = folder / "answers.json"
    script.write_text(json.dumps(answers))
    command = [sys.executable, str(launcher), str(script)]
    nobody = SimulatorProcess("http://127.0.0.1:1/api", "unused")
    with run_panel(folder, nobody, command=command, **settings) as panel:
        yield Stage(panel, script)


@contextmanager
def staged(folder: Path, chromium: Browser, answers: dict[str, Any], **settings: str) -> Iterator[Stage]:
    """Start such a panel and sign in."""
    with unopened(folder, answers, **settings) as stage:
        context = chromium.new_context()
        page = context.new_page()
        sign_in(page, stage.panel)
        page.get_by_role("heading", level=2).first.wait_for()
        stage.session = context.storage_state()
        context.close()
        yield stage


def watch_shifts(page: Page) -> None:
    """Have the page note how far its parts move, from its next opening on."""
    page.add_init_script(_WATCH)


def shift(page: Page, *, cards: int) -> float:
    """How much of the page moved how far, once all cards are there; from the first card, or what stood for it, on."""
    expect(page.get_by_role("heading", level=2)).to_have_count(cards)
    for skeleton in ("stSkeleton", "stSkeletonElement"):
        expect(page.get_by_test_id(skeleton)).to_have_count(0)
    expect(page.locator(".stApp")).to_have_attribute("data-test-script-state", "notRunning")
    assert page.evaluate("Number.isFinite(first)")
    moved: float = page.evaluate(
        "shifts.filter(([at]) => at > first).reduce((sum, [, value]) => sum + value, 0)"
    )
    return moved


@contextmanager
def page_of(chromium: Browser, stage: Stage) -> Iterator[Page]:
    """A page in its session, whose clock a test may move; not opened yet."""
    context = chromium.new_context(storage_state=stage.session)
    page = context.new_page()
    page.clock.install()
    yield page
    context.close()

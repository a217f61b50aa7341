"""A panel of many cards, whose providers do what a test says."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, StorageState

from integrations.records import CLICK_PAUSE
from tests.browser.conftest import sign_in
from tests.harness import Panel, SimulatorProcess, run_panel

WIDE: Any = {"width": 1440, "height": 900}
CLICK_SECONDS = CLICK_PAUSE.total_seconds()
"""After a call a click asks again once they have passed."""
PHONE: Any = {"width": 390, "height": 844}


@dataclass
class Stage:
    """A panel whose providers do what the test says, and a session in it."""

    panel: Panel
    script: Path
    session: StorageState
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
def staged(folder: Path, chromium: Browser, answers: dict[str, Any], **settings: str) -> Iterator[Stage]:
    """Start such a panel and sign in."""
    script = folder / "answers.json"
    script.write_text(json.dumps(answers))
    command = [sys.executable, str(Path(__file__).with_name("many_providers.py")), str(script)]
    nobody = SimulatorProcess("http://127.0.0.1:1/api", "unused")
    with run_panel(folder, nobody, command=command, **settings) as panel:
        context = chromium.new_context()
        page = context.new_page()
        sign_in(page, panel)
        page.get_by_role("heading", level=2).first.wait_for()
        session = context.storage_state()
        context.close()
        yield Stage(panel, script, session)


@contextmanager
def page_of(chromium: Browser, stage: Stage) -> Iterator[Page]:
    """A page in its session, whose clock a test may move; not opened yet."""
    context = chromium.new_context(storage_state=stage.session)
    page = context.new_page()
    page.clock.install()
    yield page
    context.close()

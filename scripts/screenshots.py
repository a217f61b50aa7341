"""Takes pictures of the real panel in the real browser.

`make pictures` writes the README's, docs/images/panel-{light,dark}.png. `make screenshots` writes into build/gallery/
each page in four looks: light, dark, in a contrast theme and as on a phone. The pages: all states of a card with their
overview, the panel with twenty cards, the sign-in and each way in which it is barred.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, sync_playwright

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser.conftest import sign_in  # noqa: E402 - found by the line above
from tests.support.processes import (  # noqa: E402 - likewise
    CHROMIUM_FLAGS,
    Panel,
    SimulatorProcess,
    chromium_path,
    run_gallery,
    run_panel,
)

LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"viewport": {"width": 1000, "height": 844}},
    "dark": {"viewport": {"width": 1000, "height": 844}, "color_scheme": "dark"},
    "forced-colors": {"viewport": {"width": 1000, "height": 844}, "forced_colors": "active"},
    "phone": {"viewport": {"width": 390, "height": 844}},
}
TWENTY: Final[dict[str, Any]] = {
    "IMAI": {"remaining": "7500", "total": "10000", "renews_days": 4},
    "DeepL": {"remaining": "1069882", "total": "1250000", "unit": "characters"},
    "Hunter": [
        {"name": "Searches", "remaining": "483", "total": "500", "unit": "searches", "renews_days": 52},
        {
            "name": "Verifications",
            "remaining": "40",
            "total": "1000",
            "unit": "verifications",
            "renews_days": 52,
        },
    ],
    "OpenRouter": {"remaining": "74.75", "total": "100.5", "unit": "USD"},
    "Mapbox": {"error": "timeout"},
    "SendGrid": {"remaining": "8000", "total": "50000", "unit": "e-mails", "renews_days": 17},
    "Bright Data": {"remaining": "0", "total": "250", "unit": "USD"},
    "ElevenLabs": {"remaining": "9000", "unit": "characters"},
    **{f"Account {number}": {"remaining": str(number * 700), "total": "10000"} for number in range(3, 14)},
}


def main() -> None:
    """Take those that the command names."""
    wanted = {"readme": take_for_readme, "gallery": take_gallery}[sys.argv[1]]
    with browser() as chromium, tempfile.TemporaryDirectory() as temporary:
        wanted(chromium, Path(temporary))


def take_for_readme(chromium: Browser, folder: Path) -> None:
    """The panel with twenty cards."""
    images = ROOT / "docs" / "images"
    with panel_of_twenty(folder) as panel:
        for look in ("light", "dark"):
            with page_of(chromium, look) as page:
                sign_in(page, panel)
                page.get_by_text("Account 13").wait_for()
                take(page, images / f"panel-{look}.png", height=720)


def take_gallery(chromium: Browser, folder: Path) -> None:
    """The panel, the ways in, and every state of a card."""
    gallery = ROOT / "build" / "gallery"
    gallery.mkdir(parents=True, exist_ok=True)
    with panel_of_twenty(folder) as panel:
        for look in LOOKS:
            with page_of(chromium, look) as page:
                sign_in(page, panel)
                page.get_by_text("Account 13").wait_for()
                take(page, gallery / f"panel-{look}.png")
        for look in LOOKS:
            take_access(chromium, look, panel, gallery)
    with run_gallery(folder) as url:
        for look in LOOKS:
            with page_of(chromium, look) as page:
                page.goto(url)
                page.get_by_role("heading", level=2).last.wait_for()
                take(page, gallery / f"cards-{look}.png", height=8000)


@contextmanager
def panel_of_twenty(folder: Path) -> Iterator[Panel]:
    """A panel with twenty cards, in most of the states."""
    script = folder / "answers.json"
    script.write_text(json.dumps(TWENTY), encoding="utf-8")
    command = [sys.executable, str(ROOT / "tests" / "browser" / "many_providers.py"), str(script)]
    unused = SimulatorProcess("http://127.0.0.1:1/api", "unused")
    with run_panel(folder, unused, command=command, PANEL_COOKIE_SECURE="false") as panel:
        yield panel


def take_access(chromium: Browser, look: str, panel: Panel, folder: Path) -> None:
    """The way in, and each way in which it is barred."""
    store = panel.folder / "auth.yaml"
    with page_of(chromium, look) as page:
        page.goto(panel.url)
        page.get_by_role("button", name="Login").wait_for()
        take(page, folder / f"signed-out-{look}.png")
        for _ in range(6):
            page.get_by_role("textbox", name="Username").fill(f"unknown-{look}")
            page.get_by_role("textbox", name="Password").fill("wrong")
            page.get_by_role("button", name="Login").click()
            page.wait_for_timeout(800)
            said = "locked-out" if page.get_by_text("Too many attempts.").count() else "wrong-password"
            take(page, folder / f"{said}-{look}.png")
        sign_in(page, panel, "victor")
        take(page, folder / f"no-permission-{look}.png")
        kept = store.read_text(encoding="utf-8")
        store.write_text("roles: [", encoding="utf-8")
        page.reload()
        page.get_by_text("Sign-in is unavailable.").wait_for()
        take(page, folder / f"store-broken-{look}.png")
        store.write_text(kept, encoding="utf-8")


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, headless."""
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_FLAGS))


@contextmanager
def page_of(chromium: Browser, look: str) -> Iterator[Page]:
    """A page in a fresh profile."""
    context = chromium.new_context(**LOOKS[look])
    yield context.new_page()
    context.close()


def take(page: Page, file: Path, *, height: int | None = None) -> None:
    """Save the page once nothing moves any more."""
    if height is not None and page.viewport_size is not None:
        page.set_viewport_size({"width": page.viewport_size["width"], "height": height})
    page.wait_for_timeout(800)
    page.screenshot(path=file)
    print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()

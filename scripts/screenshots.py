"""Takes the README's pictures and one of every state, from the real panel in the real browser.

`make screenshots` writes docs/images/panel-{light,dark}.png, and into build/gallery/ the page and all states of a
card, light, dark and as on a phone.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, Page, sync_playwright

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser.conftest import sign_in  # noqa: E402 - found by the line above
from tests.harness import (  # noqa: E402 - likewise
    CHROMIUM_FLAGS,
    Panel,
    chromium_path,
    run_gallery,
    run_panel,
    run_simulator,
)

WIDE: Final = {"width": 1000, "height": 480}
SETTINGS: Final = {"IMAI_RENEWAL_DAY": "27", "IMAI_RENEWAL_TIME": "03:00", "PANEL_COOKIE_SECURE": "false"}
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


def main() -> None:
    """Take them all."""
    images, everything = ROOT / "docs" / "images", ROOT / "build" / "gallery"
    for made in (images, everything):
        made.mkdir(parents=True, exist_ok=True)
    with browser() as chromium, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with run_simulator(folder) as simulator, run_panel(folder, simulator, **SETTINGS) as panel:
            for scheme in SCHEMES:
                with page_of(chromium, scheme) as page:
                    sign_in(page, panel)
                    page.get_by_text("Remaining: ").wait_for()
                    take(page, images / f"panel-{scheme}.png")
            for scheme in SCHEMES:
                take_access(chromium, scheme, panel, everything)
        with run_gallery(folder) as url:
            for scheme in SCHEMES:
                with page_of(chromium, scheme) as page:
                    page.goto(url)
                    page.get_by_role("heading", level=2).last.wait_for()
                    take_both(page, everything / f"cards-{scheme}", height=9000)


def take_access(chromium: Browser, scheme: Literal["light", "dark"], panel: Panel, folder: Path) -> None:
    """The way in, and each way in which it is barred."""
    store = panel.folder / "auth.yaml"
    with page_of(chromium, scheme) as page:
        page.goto(panel.url)
        page.get_by_role("button", name="Login").wait_for()
        take_both(page, folder / f"signed-out-{scheme}")
        for _ in range(6):
            page.get_by_role("textbox", name="Username").fill(f"somebody-{scheme}")
            page.get_by_role("textbox", name="Password").fill("wrong")
            page.get_by_role("button", name="Login").click()
            page.wait_for_timeout(800)
            said = "locked-out" if page.get_by_text("Too many attempts.").count() else "wrong-password"
            take_both(page, folder / f"{said}-{scheme}")
        sign_in(page, panel, "victor")
        take_both(page, folder / f"no-permission-{scheme}")
        kept = store.read_text(encoding="utf-8")
        store.write_text("roles: [", encoding="utf-8")
        page.reload()
        page.get_by_text("Sign-in is unavailable.").wait_for()
        take_both(page, folder / f"store-broken-{scheme}")
        store.write_text(kept, encoding="utf-8")


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, headless."""
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_FLAGS))


@contextmanager
def page_of(chromium: Browser, scheme: Literal["light", "dark"]) -> Iterator[Page]:
    """A page in a fresh profile."""
    context = chromium.new_context(color_scheme=scheme, viewport=WIDE)  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


def take_both(page: Page, file: Path, *, height: int = 844) -> None:
    """Wide, and as on a phone."""
    for name, width in (("", 1000), ("-phone", 390)):
        page.set_viewport_size({"width": width, "height": height})
        take(page, file.with_name(f"{file.name}{name}.png"))


def take(page: Page, file: Path) -> None:
    """The page as it stands once nothing moves any more."""
    page.wait_for_timeout(800)
    page.screenshot(path=file)
    print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()

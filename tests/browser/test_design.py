"""The page of many cards, as it is seen, heard and used; and every state under the conditions that people set."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from integrations.ui import texts
from tests.browser.conftest import sign_in, wait_for_clicks
from tests.browser.test_look import violations
from tests.harness import Panel, SimulatorProcess, run_panel
from tests.ui.gallery import STATES

ANSWERS: dict[str, Any] = {
    "IMAI": {"remaining": "7500", "total": "10000", "renews_days": 4},
    "Hunter": [
        {"name": "Searches", "remaining": "483", "total": "500", "unit": "searches"},
        {"name": "Verifications", "remaining": "40", "total": "1000", "unit": "verifications"},
    ],
    "Mapbox": {"error": "timeout"},
    "SendGrid": {"remaining": "8000", "total": "50000", "unit": "e-mails"},
    "Bright Data": {"remaining": "0", "total": "250", "unit": "USD"},
}


BARS = [reading for reading in STATES.values() if reading.usage_percentage is not None]


@dataclass
class Stage:
    """A panel whose providers do what the test says, and a session in it."""

    panel: Panel
    script: Path
    session: StorageState

    def answer(self, label: str, **answer: object) -> None:
        """Let a provider answer this from now on."""
        answers = json.loads(self.script.read_text())
        self.script.write_text(json.dumps(answers | {label: answer}))

    def calls(self, label: str) -> int:
        """How often a provider has been asked."""
        return self.script.with_suffix(".calls").read_text().split("\n").count(label)


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


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Stage]:
    """One panel for this module's tests."""
    with staged(tmp_path_factory.mktemp("stage"), chromium, ANSWERS) as running:
        yield running


@contextmanager
def opened(chromium: Browser, stage: Stage, **options: Any) -> Iterator[Page]:  # noqa: ANN401 - Playwright's own
    """The page in a fresh browser that holds the session, once every card is there."""
    context = chromium.new_context(storage_state=stage.session, **options)
    page = context.new_page()
    page.goto(stage.panel.url)
    expect(page.get_by_role("heading", level=2)).to_have_count(6)
    yield page
    context.close()


@contextmanager
def hung(chromium: Browser, gallery: str, **options: Any) -> Iterator[Page]:  # noqa: ANN401 - Playwright's own
    """The gallery under these conditions, where axe may be injected."""
    context = chromium.new_context(bypass_csp=True, **options)
    page = context.new_page()
    page.goto(gallery)
    expect(page.get_by_role("heading", level=2)).to_have_count(len(STATES) + 1)
    page.wait_for_function(
        "count => document.querySelectorAll('[aria-label$=\" used\"]').length === count", arg=len(BARS) + 1
    )
    yield page
    context.close()


def overview(page: Page) -> list[str]:
    """The lines of the overview, without the icons."""
    return [" ".join(line.split()[1:]) for line in page.locator(".st-key-overview li").all_inner_texts()]


WIDE: Any = {"width": 1440, "height": 900}
PHONE: Any = {"width": 390, "height": 844}
CALM = [
    "Exhausted Bright Data", "Almost exhausted Hunter Verifications", "Unavailable Mapbox", "Low SendGrid", "Active 2",
]  # fmt: skip


def test_the_overview_leads_to_what_needs_a_person_and_every_refresh_keeps_it_true(
    chromium: Browser, stage: Stage
) -> None:
    """By urgency, with links that the keyboard follows; Refresh and Refresh all change it; each is told once."""
    with opened(chromium, stage, viewport=WIDE) as page:
        expect(page.get_by_text("Active 2")).to_be_visible()
        page.wait_for_function("document.querySelectorAll('.st-key-overview li').length === 5")
        assert overview(page) == CALM
        page.get_by_role("link", name="Bright Data").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Bright Data")).to_be_in_viewport()
        page.keyboard.press("Tab")
        retry = page.locator(":focus")
        expect(retry).to_have_accessible_name("Refresh")
        expect(retry).to_have_accessible_description("Bright Data")

        stage.answer("IMAI", remaining="300", total="10000", seconds=0.7)
        wait_for_clicks(page)
        refresh = page.get_by_role("button", name="Refresh", exact=True).first
        refresh.focus()
        page.keyboard.press("Enter")
        expect(page.locator(".st-key-cards").get_by_text("Refreshing …")).to_be_visible()
        expect(page.get_by_text("Remaining: 300 credits")).to_be_visible()
        expect(page.get_by_role("link", name="IMAI")).to_be_visible()
        assert overview(page)[1] == "Almost exhausted IMAI, Hunter Verifications"
        expect(refresh).to_be_focused()
        expect(page.get_by_role("alertdialog")).to_have_text("IMAI: a new reading.")

        stage.answer("IMAI", **ANSWERS["IMAI"])
        wait_for_clicks(page)
        page.get_by_role("button", name="Refresh all").click()
        expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
        expect(page.get_by_text("No new reading: Mapbox.")).to_have_count(1)
        assert overview(page) == CALM


def test_opening_never_waits_for_a_provider(chromium: Browser, tmp_path: Path) -> None:
    """A reading that has run out is there as soon as a fresh one, marked; then the new one, by one call.

    And without the server the page says that it cannot follow any more.
    """
    answers = {"Slow": {"remaining": "7500", "total": "10000"}, "Quick": {"remaining": "1", "total": "2"}}
    with staged(tmp_path, chromium, answers, PANEL_CACHE_TTL_SECONDS="3") as stage:
        context = chromium.new_context(storage_state=stage.session)
        page = context.new_page()

        def seconds_to(text: str) -> float:
            began = time.perf_counter()
            page.goto(stage.panel.url)
            page.get_by_text(text).wait_for()
            return time.perf_counter() - began

        seconds_to("Remaining: 7,500 credits")
        fresh = seconds_to("Remaining: 7,500 credits")
        stage.answer("Slow", remaining="7400", total="10000", seconds=3)
        page.wait_for_timeout(3100)
        before = stage.calls("Slow")
        run_out = seconds_to("Remaining: 7,500 credits")
        expect(page.locator(".st-key-cards").get_by_text("Refreshing …").first).to_be_visible()
        expect(page.get_by_text("Remaining: 1 credits")).to_be_visible()
        assert run_out < fresh + 1
        expect(page.get_by_text("Remaining: 7,400 credits")).to_be_visible()
        expect(page.get_by_text("Refreshing …")).to_have_count(0)
        assert stage.calls("Slow") == before + 1
    mark = "getComputedStyle(document.querySelector('.st-key-cards'), '::before').content"
    page.wait_for_function(f"{mark}.includes('Connection lost at')")
    context.close()


def test_a_phone_refreshes_everything_with_one_tap(chromium: Browser, stage: Stage) -> None:
    """Refresh all is on the first screen with the overview and the first card; fingers hit what is there."""
    with opened(chromium, stage, viewport=PHONE, has_touch=True) as page:
        everything = page.get_by_role("button", name="Refresh all")
        expect(everything).to_have_count(1)
        first_card = page.get_by_text("Remaining: 7,500 credits"), page.get_by_role("progressbar").first
        for element in (everything, *first_card):
            expect(element).to_be_in_viewport()
        for button in (everything, *page.get_by_role("button", name="Refresh", exact=True).all()):
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44
        for link in page.locator(".st-key-overview a").all():
            box = link.bounding_box()
            assert box is not None
            assert box["height"] >= 24
        before = stage.calls("SendGrid")
        wait_for_clicks(page)
        everything.tap()
        expect(page.get_by_text("No new reading: Mapbox.")).to_be_visible()
        assert stage.calls("SendGrid") == before + 1
    with opened(chromium, stage, viewport=WIDE) as page:
        expect(page.get_by_role("button", name="Refresh all")).to_have_count(1)


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_what_comes_later_moves_nothing(chromium: Browser, stage: Stage, viewport: Any) -> None:  # noqa: ANN401
    """After the first card the layout shifts by less than 0.1, the limit of a good page (web.dev, CLS)."""
    context = chromium.new_context(storage_state=stage.session, viewport=viewport)
    page = context.new_page()
    page.add_init_script(
        """window.shifts = []; window.first = Infinity;
        new PerformanceObserver(list => window.shifts.push(...list.getEntries().map(one => [one.startTime, one.value])))
          .observe({type: "layout-shift", buffered: true});
        new MutationObserver((_, watch) => { if (document.querySelector(".st-key-cards h2")) {
          watch.disconnect();
          requestAnimationFrame(() => requestAnimationFrame(() => { window.first = performance.now(); })); } })
          .observe(document, {childList: true, subtree: true});"""
    )
    page.goto(stage.panel.url)
    expect(page.get_by_role("heading", level=2)).to_have_count(6)
    page.wait_for_timeout(700)
    moved = page.evaluate("shifts.filter(([at]) => at > first).reduce((sum, [, value]) => sum + value, 0)")
    assert moved < 0.1
    context.close()


def test_the_sign_in_is_ready_to_type_into_and_leaves_nothing_behind(chromium: Browser, stage: Stage) -> None:
    """Focus on Username, known to password managers, 400 pixels, one h1; after log-out no sidebar is left."""
    context = chromium.new_context(viewport=WIDE)
    page = context.new_page()
    page.goto(stage.panel.url)
    username, password = page.get_by_label("Username"), page.get_by_role("textbox", name="Password")
    expect(username).to_be_focused()
    expect(username).to_have_attribute("autocomplete", "username")
    expect(password).to_have_attribute("autocomplete", "current-password")
    expect(page.get_by_role("heading")).to_have_text(["Login"])
    form = page.get_by_test_id("stForm").bounding_box()
    assert form is not None
    assert form["width"] == 400
    sign_in(page, stage.panel)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Username")).to_be_focused()
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    context.close()


FILL = """[...document.querySelectorAll('[data-testid="stProgressBarTrack"]')].map(track =>
  [getComputedStyle(track.firstChild).backgroundColor, getComputedStyle(track).borderTopWidth,
   getComputedStyle(track.firstChild).transitionDuration])"""
COLOURS = {
    "light": {
        "ok": (15, 92, 156),
        "warning": (180, 83, 9),
        "critical": (180, 35, 24),
        "stale": (102, 112, 133),
    },
    "dark": {
        "ok": (98, 176, 240),
        "warning": (242, 163, 60),
        "critical": (255, 122, 112),
        "stale": (152, 162, 179),
    },
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_bar_has_the_colour_of_its_level(chromium: Browser, gallery: str, scheme: Any) -> None:  # noqa: ANN401
    """Blue, amber, red, and grey where the figures are old."""
    with hung(chromium, gallery, color_scheme=scheme, viewport=WIDE) as page:
        drawn = [colour for colour, _, _ in page.evaluate(FILL)][: len(BARS)]
        expected = [f"rgb{COLOURS[scheme][texts.tone(reading)]}" for reading in BARS]
        assert drawn == expected


def test_everything_is_heard_by_its_name(chromium: Browser, gallery: str) -> None:
    """In Chromium's accessibility tree: bars named and exact, buttons told apart by their card, icons silent."""
    with hung(chromium, gallery, viewport=WIDE) as page:
        client = page.context.new_cdp_session(page)
        nodes = client.send("Accessibility.getFullAXTree")["nodes"]

        def told(role: str, what: str) -> list[str]:
            found = [
                node for node in nodes if node.get("role", {}).get("value") == role and not node["ignored"]
            ]
            return [str(node.get(what, {}).get("value", "")) for node in found]

        names = [f"IMAI, {name}" for name in STATES]
        with_bar = [f"IMAI, {name} used" for name, reading in STATES.items() if reading in BARS]
        assert told("progressbar", "name") == [*with_bar, "IMAI, refreshing used"]
        spoken = page.get_by_role("progressbar").evaluate_all("bars => bars.map(bar => bar.ariaValueText)")
        shown = [one.usage_percentage for one in BARS if one.usage_percentage is not None]
        assert spoken[: len(BARS)] == [texts.percentage(figure) for figure in shown]
        assert told("button", "description") == names
        assert set(told("button", "name")) == {"Refresh", "Retry"}
        assert told("image", "name") == []
        assert [name for name in told("heading", "name") if name.startswith("IMAI")] == [
            *names,
            "IMAI, refreshing",
        ]
        assert not any("icon" in name or "_" in name for name in told("listitem", "name"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_contrast_theme_the_bars_stay(chromium: Browser, gallery: str, scheme: Any) -> None:  # noqa: ANN401
    """`forced-colors` paints over backgrounds: the track gets a border, the fill the colour of text."""
    with hung(chromium, gallery, forced_colors="active", color_scheme=scheme, viewport=WIDE) as page:
        text = {"light": "rgb(0, 0, 0)", "dark": "rgb(255, 255, 255)"}[scheme]
        assert {(colour, border) for colour, border, _ in page.evaluate(FILL)} == {(text, "1px")}
        assert violations(page) == []


def test_nothing_moves_for_who_asks_for_no_motion(chromium: Browser, gallery: str) -> None:
    """`prefers-reduced-motion`: the bars jump to their value."""
    with hung(chromium, gallery, reduced_motion="reduce") as page:
        assert {duration for _, _, duration in page.evaluate(FILL)} == {"0s"}


SPACED = (
    "* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }"
    "p { margin-bottom: 2em !important; }"
)
CUT = """[...document.querySelectorAll('.st-key-cards :is(h2, h3, p, span), .st-key-overview li')].filter(one =>
  getComputedStyle(one).overflowX !== "visible" && one.scrollWidth > one.clientWidth + 1).map(one => one.innerText)"""


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1440])
def test_nothing_is_cut_off_at_any_width_and_spacing(chromium: Browser, gallery: str, width: int) -> None:
    """Names of forty characters, figures of twelve digits, names from right to left; WCAG 2.2, 1.4.10 and 1.4.12."""
    with hung(chromium, gallery, viewport={"width": width, "height": 900}) as page:
        for _ in range(2):
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(CUT) == []
            page.add_style_tag(content=SPACED)
            page.wait_for_timeout(100)
        if width == 320:
            assert violations(page) == []


def test_on_paper_there_are_whole_cards_alone(chromium: Browser, stage: Stage) -> None:
    """Printed: no sidebar, no button, no overview; no card on two pages."""
    with opened(chromium, stage, viewport=WIDE) as page:
        page.emulate_media(media="print")
        expect(page.get_by_role("button")).to_have_count(0)
        expect(page.get_by_test_id("stSidebar")).to_be_hidden()
        expect(page.locator(".st-key-overview")).to_be_hidden()
        expect(page.get_by_text("Remaining: 7,500 credits")).to_be_visible()
        kept = page.evaluate(
            """[...document.querySelectorAll('.st-key-cards h2')].map(heading => {
              for (let one = heading; one; one = one.parentElement)
                if (getComputedStyle(one).breakInside === "avoid" && one.querySelector("h3, p")) return true;
              return false; })"""
        )
        assert kept == [True] * 6
        assert b"/Type /Page" in page.pdf(format="A4")

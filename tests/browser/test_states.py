"""Every state of a card under every condition that people set, in one page that follows the conditions."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect

from integrations.quota import words
from integrations.quota.states import tone
from tests.browser.axe import violations
from tests.browser.stage import WIDE
from tests.ui.gallery import STATES

BARS: Final = [reading for reading in STATES.values() if reading.usage_percentage is not None]
AS_IT_IS: Final[dict[str, Any]] = {
    "media": "screen",
    "forced_colors": "none",
    "reduced_motion": "no-preference",
}
SPACED: Final = (
    "* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }"
    "p { margin-bottom: 2em !important; }"
)


@pytest.fixture(scope="module")
def _wall(chromium: Browser, gallery: str) -> Iterator[Page]:
    context = chromium.new_context(bypass_csp=True, viewport=WIDE)
    page = context.new_page()
    page.goto(gallery)
    expect(page.get_by_role("heading", level=2)).to_have_count(len(STATES) + 1)
    page.wait_for_function(
        "count => document.querySelectorAll('[aria-label$=\" used\"]').length === count", arg=len(BARS) + 1
    )
    yield page
    context.close()


@pytest.fixture
def states(_wall: Page) -> Page:
    """The gallery as people have it who set nothing."""
    _wall.set_viewport_size(WIDE)
    set_up(_wall)
    return _wall


def set_up(page: Page, scheme: str = "light", **media: Any) -> None:
    """These conditions, and otherwise as it is; once the page has followed."""
    page.emulate_media(**AS_IT_IS | {"color_scheme": scheme})
    follows = "scheme => getComputedStyle(document.querySelector('.stApp')).colorScheme === scheme"
    page.wait_for_function(follows, arg=scheme)
    page.emulate_media(**media)


@contextmanager
def spaced(page: Page) -> Iterator[None]:
    """Space the text as WCAG 2.2, 1.4.12 lets people do."""
    style = page.add_style_tag(content=SPACED)
    try:
        yield
    finally:
        style.evaluate("style => style.remove()")


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
TEXT = {"light": "rgb(0, 0, 0)", "dark": "rgb(255, 255, 255)"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("condition", "widths"),
    [
        ({}, [1440, 720, 320]),  # 720 is 1,440 at a zoom of 200 %, 320 is 1,280 at 400 %
        ({"forced_colors": "active"}, [1440, 320]),
        ({"reduced_motion": "reduce"}, [1440, 320]),
        ({"media": "print"}, [1440, 320]),
    ],
    ids=["as it is", "contrast theme", "no motion", "on paper"],
)
def test_axe_finds_nothing_in_any_state_under_any_condition(
    states: Page, condition: dict[str, Any], widths: list[int], scheme: str
) -> None:
    """Contrast, names and order hold in every state, and nothing has to be scrolled sideways."""
    set_up(states, scheme, **condition)
    for width in widths:
        expect_clean(states, width)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_spaced_text(states: Page, scheme: str) -> None:
    """Nor has anything to be scrolled sideways."""
    set_up(states, scheme)
    with spaced(states):
        for width in (1440, 320):
            expect_clean(states, width)


def expect_clean(page: Page, width: int) -> None:
    """Nothing for axe to find, and nothing wider than the page."""
    page.set_viewport_size({"width": width, "height": 900})
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_bar_has_the_colour_of_its_level(states: Page, scheme: Any) -> None:
    """Blue, amber, red, and grey where the figures are old; in a contrast theme the colour of text, and a border."""
    set_up(states, scheme, reduced_motion="reduce")
    drawn = [colour for colour, _, _ in states.evaluate(FILL)][: len(BARS)]
    assert drawn == [f"rgb{COLOURS[scheme][tone(reading)]}" for reading in BARS]
    set_up(states, scheme, forced_colors="active")
    assert {(colour, border) for colour, border, _ in states.evaluate(FILL)} == {(TEXT[scheme], "1px")}
    captions = "[...document.querySelectorAll('[data-testid=stCaptionContainer]')]"
    faded = f"{captions}.filter(one => getComputedStyle(one).opacity !== '1').length"
    assert states.evaluate(faded) == 0


def test_nothing_moves_for_who_asks_for_no_motion(states: Page) -> None:
    """`prefers-reduced-motion`: the bars jump to their value."""
    set_up(states, reduced_motion="reduce")
    assert {duration for _, _, duration in states.evaluate(FILL)} == {"0s"}


CARDS = """[...document.querySelectorAll('.st-key-cards h2')].map(heading => {
  const card = heading.closest('[data-testid="stVerticalBlock"]').getBoundingClientRect();
  const name = [...heading.querySelector("[data-heading-text]").childNodes]
    .filter(node => !node.classList?.contains("stMarkdownBadge")).map(node => node.textContent).join("").trim();
  return [name, card.height,
          card.bottom - heading.getBoundingClientRect().top];
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_usual_card_has_138_pixels(states: Page, scheme: Any) -> None:
    """Whatever its level and its figures: what stands in its place meanwhile is as high."""
    set_up(states, scheme)
    heights = {name.removeprefix("IMAI, "): height for name, height, _ in states.evaluate(CARDS)}
    usual = [
        "25 % used",
        "80 % used",
        "95 % used",
        "100 % used",
        "huge",
        "money",
        "an hour old",
        "refreshing",
    ]
    assert {name: heights[name] for name in usual} == dict.fromkeys(usual, 138)


def headings_of(names: list[str]) -> list[str]:
    """Return the cards' headings, without the help that some have."""
    return [name.partition(" Help")[0] for name in names if name.startswith("IMAI")]


def test_everything_is_heard_by_its_name(states: Page) -> None:
    """In Chromium's accessibility tree: bars named and exact, buttons told apart by their card, icons silent."""
    client = states.context.new_cdp_session(states)
    nodes = client.send("Accessibility.getFullAXTree")["nodes"]

    def told(role: str, what: str) -> list[str]:
        found = [node for node in nodes if node.get("role", {}).get("value") == role and not node["ignored"]]
        return [str(node.get(what, {}).get("value", "")) for node in found]

    names = [f"IMAI, {name}" for name in STATES]
    with_bar = [f"IMAI, {name} used" for name, reading in STATES.items() if reading in BARS]
    assert told("progressbar", "name") == [*with_bar, "IMAI, refreshing used"]
    spoken = states.get_by_role("progressbar").evaluate_all("bars => bars.map(bar => bar.ariaValueText)")
    shown = [one.usage_percentage for one in BARS if one.usage_percentage is not None]
    assert spoken[: len(BARS)] == [words.percentage(figure) for figure in shown]
    assert {"Refresh", "Retry"} <= set(told("button", "name"))
    assert told("image", "name") == []
    headings = headings_of(told("heading", "name"))
    assert len(headings) == len(names) + 1
    assert all(map(str.startswith, headings, [*names, "IMAI, refreshing"]))
    assert not any("icon" in name or "_" in name for name in told("listitem", "name"))


CUT = """[...document.querySelectorAll('.st-key-cards :is(h2, p, span), .st-key-overview li')].filter(one =>
  getComputedStyle(one).overflowX !== "visible" && one.scrollWidth > one.clientWidth + 1).map(one => one.innerText)"""
SPLIT_AGES = """[...document.querySelectorAll('[data-testid=stCaptionContainer] span')]
  .filter(age => age.getClientRects().length > 1).map(age => age.innerText)"""


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1440])
def test_nothing_is_cut_off_at_any_width_and_spacing(states: Page, width: int) -> None:
    """Names of forty characters, figures of twelve digits, names from right to left; WCAG 2.2, 1.4.10 and 1.4.12."""
    states.set_viewport_size({"width": width, "height": 900})
    assert states.evaluate("document.documentElement.scrollWidth") <= width
    assert states.evaluate(CUT) == []
    assert states.evaluate(SPLIT_AGES) == []
    with spaced(states):
        assert states.evaluate("document.documentElement.scrollWidth") <= width
        assert states.evaluate(CUT) == []


CAP = 6
"""Points from the top of a heading's line to that of its letters, which the outline tells."""


def test_on_paper_no_card_is_cut_in_two(states: Page) -> None:
    """By the PDF's own outline, which has the page and the height of each heading: the card ends on that page."""
    set_up(states, media="print")
    states.set_viewport_size({"width": 794, "height": 1123})  # A4 at 96 pixels an inch
    below = {name: height for name, _, height in states.evaluate(CARDS)}
    pdf = states.pdf(format="A4", outline=True, tagged=True)
    found = re.findall(rb"/Title \(groups(IMAI, [^)]*)\)\s/Dest \[\d+ 0 R /XYZ \S+ (\S+)", pdf)
    points = {title.decode().partition(" Help")[0]: float(height) for title, height in found}
    assert len(points) > len(STATES) / 2
    points = {max(filter(title.startswith, below), key=len): height for title, height in points.items()}
    cut = [title for title, height in points.items() if height + CAP < below[title] * 0.75]
    assert cut == []

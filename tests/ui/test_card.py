"""The card in every state."""

import re

import pytest
import time_machine
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from integrations.ui import card
from tests.ui.gallery import NOW, STATES


def _draw(name: str) -> None:
    """A page with one card; AppTest runs this function's source by itself."""
    from tests.ui.gallery import draw_state

    draw_state(name)


def drawn(name: str) -> AppTest:
    """The card in this state."""
    with time_machine.travel(NOW, tick=True):  # the gallery's figures were read when it was imported
        page = AppTest.from_function(_draw, args=(name,)).run()
    assert not page.exception
    return page


def written(page: AppTest) -> str:
    """Every word on it, escapes taken back."""
    parts = [
        str(getattr(element, "value", ""))
        for kind in ("header", "subheader", "markdown", "text", "caption")
        for element in page.get(kind)
    ]
    parts += [element.proto.text for element in page.get("progress")]
    text = "\n".join(parts).replace("\\", "").replace("**", "")
    return re.sub(r":(?:small|\w+-badge)\[(?::material/\w+: )?|\]", "", text)


def bars(page: AppTest) -> list[int]:
    """The progress bars' percentages."""
    return [element.proto.value for element in page.get("progress")]


@pytest.mark.parametrize("name", STATES)
def test_every_state_is_drawn_on_purpose(name: str) -> None:
    """Its badge, its figures or the reason why there are none, and the button that helps."""
    reading = STATES[name]
    page = drawn(name)
    text = written(page)
    assert "IMAI" in text
    assert [button.label for button in page.button] == ["Refresh" if reading.error is None else "Retry"]
    assert ("Remaining: " in text) == (reading.has_figures and not reading.unlimited)
    assert len(bars(page)) == (reading.usage_percentage is not None)
    if reading.error is not None:
        assert reading.error.message in text


@pytest.mark.parametrize(
    ("name", "bar"),
    [("0 % used", 0), ("25 % used", 25), ("95 % used", 95), ("100 % used", 100), ("overdrawn", 100)],
)
def test_the_bar_shows_the_percentage_and_stops_at_100(name: str, bar: int) -> None:
    """More than everything is still a full bar."""
    assert bars(drawn(name)) == [bar]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "25 % used",
            ["Active", "Used: 2,500 / 10,000 credits", "Remaining: 7,500 credits", "Updated just now"],
        ),
        ("80 % used", ["Low"]),
        ("95 % used", ["Almost exhausted"]),
        ("100 % used", ["Exhausted", "Remaining: 0 credits"]),
        ("overdrawn", ["Exhausted", "Remaining: -250 credits", "Used: 10,250 / 10,000", "overdrawn"]),
        (
            "above the allowance",
            ["Active", "Used: unknown / 10,000 credits", "More is left than the plan's allowance"],
        ),
        ("fractional", ["Remaining: 7,499.98 credits", "Used: 2,500.02 / 10,000 credits"]),
        ("huge", ["Remaining: 9,999,999,999.98 credits"]),
        ("total unknown", ["Not rated", "Total unknown: set IMAI_TOTAL_CREDITS to see usage."]),
        ("total unknown, nothing left", ["Exhausted", "Remaining: 0 credits"]),
        ("no limit", ["Active", "No limit", "Used: 180,118 characters"]),
        ("an hour old", ["Updated an hour ago"]),
        ("stale, unavailable", ["Unavailable", "Remaining: 7,500 credits", "Last good reading 2 hours ago"]),
        ("stale, error", ["Error", "Used: 2,500 / 10,000 credits", "The IMAI subscription is not active."]),
        ("rate limited with a time", ["Unavailable", "try again in 2 minutes."]),
        ("stale, exhausted", ["Exhausted", "Remaining: 7,500 credits", "Last good reading 2 hours ago"]),
        ("stale, was to renew", ["Was due to renew", "this reading is older"]),
        ("will last", ["At this pace it lasts until it renews"]),
        ("will run out", ["At this pace it runs out"]),
        ("timeout", ["Unavailable", "Last tried just now"]),
        ("unavailable with a pause", ["Unavailable", "Retry possible in 10 minutes"]),
        ("not configured", ["Not configured", "Please add IMAI_API_KEY to environment variables."]),
    ],
)
def test_a_state_says_what_an_admin_needs(name: str, expected: list[str]) -> None:
    """The words by which one look tells it."""
    text = written(drawn(name))
    for words in expected:
        assert words in text


@pytest.mark.parametrize("name", [name for name in STATES if name.startswith("noted")])
def test_a_card_says_whose_it_is_and_links_to_the_console(name: str) -> None:
    """The account's note and the address are in the last line; the service's note is the heading's help."""
    page = drawn(name)
    caption = page.caption[0].value
    assert "[Open console](<https://console.example/top-up?plan=(a)&b=$1%3Cx%3E>)" in caption
    assert "Marketing's card; ask finance@example.com" in caption.replace(":small[]", "").replace("\\", "")
    assert page.header[0].proto.help == r"Credits are counted by IMAI once a minute\."


def test_a_card_costs_five_elements() -> None:
    """Well, low or failed: each element costs the server and the browser as much as all of our code for a card."""
    for name in (
        "25 % used",
        "95 % used",
        "stale, unavailable",
        "timeout",
        "noted, 25 % used",
        "total unknown",
    ):
        page = drawn(name)
        kinds = [
            kind for kind in ("header", "button", "progress", "markdown", "text", "caption") if page.get(kind)
        ]
        assert len(kinds) == 4  # and the border around them
        assert all(len(page.get(kind)) == 1 for kind in kinds)


def test_while_a_provider_is_asked_its_card_says_so() -> None:
    """Its figures stay; whether they are still good is not known, so it is not called active."""

    def draw() -> None:
        from tests.ui.gallery import STATES, draw_card

        draw_card(STATES["25 % used"], is_fetching=True)

    text = written(AppTest.from_function(draw).run())
    assert "Refreshing …" in text
    assert "Active" not in text
    assert "Remaining: 7,500 credits" in text


def test_what_a_provider_is_called_is_never_read_as_markdown() -> None:
    """A name from outside appears as it stands."""

    def draw() -> None:
        from tests.ui.gallery import STATES, draw_card

        hostile = {"provider": "**X** <b> :red[y] $z$", "unit": "`u`"}
        draw_card(STATES["25 % used"].model_copy(update=hostile))

    page = AppTest.from_function(draw).run()
    assert r"\*\*X\*\* \<b\> \:red\[y\] \$z\$" in str(page.header[0].value)
    assert r"\`u\`" in page.get("progress")[0].proto.text


def test_an_unknown_icon_is_replaced() -> None:
    """The card is drawn, with a plain one."""

    def draw() -> None:
        from integrations.providers.imai import Imai
        from tests.ui.gallery import STATES, draw_card

        provider = Imai()
        provider.icon = ":material/send_mail:"
        draw_card(STATES["25 % used"], provider=provider)

    page = AppTest.from_function(draw).run()
    assert not page.exception
    assert page.header[0].proto.icon == ":material/api:"


@pytest.mark.parametrize(
    ("name", "written_down"),
    [
        ("a@b.c", r"a:small[]@b\.c"),
        ("wWw.b.c", r"wWw:small[]\.b\.c"),
        ("https://b.c", r"https:small[]\://b\.c"),
        ("a:@b", r"a\::small[]@b"),
        ("www", "www"),
    ],
)
def test_what_looks_like_an_address_is_cut_in_two(name: str, written_down: str) -> None:
    """Neither part looks like one, so that no browser makes a link of it."""
    assert card.escape(name) == written_down


@pytest.mark.parametrize(
    "zone", ["America", "../../etc/passwd", "x" * 5000, "Nowhere/At_All", "\0", "/etc/localtime"]
)
def test_a_zone_that_is_none_is_left_out(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """The browser says what it likes: a folder's name, one that is too long, one that is no name at all."""
    monkeypatch.setattr(ContextProxy, "timezone", property(lambda _self: zone))
    assert card.viewer_zone() is None

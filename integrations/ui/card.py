"""The card of a reading."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import streamlit as st

from integrations.providers.base import Provider
from integrations.quota import words
from integrations.quota.errors import Status
from integrations.quota.models import Reading
from integrations.ui import failure, icons

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

_LINK_SIGNS: Final = re.compile(r"(?<=www)(?=\.)|(?=://)|(?=@)", re.IGNORECASE)
"""Where what looks like an address can be cut in two, neither of which does."""


class Card:
    """One reading on the page: drawn at once, and where it is being refreshed updated in its place.

    A card is never drawn anew as a whole, and its button comes last: a browser that sees an element go takes its focus.

    Args:
        provider: whose reading it is.
        reading: with figures or without; its name is that of no other card.
        number: of this card among its provider's. Card and button go by it, as the card's name may change.
        refreshing: whether its provider is being asked for a new one; then it may be updated.
        rests_until: before this moment a click asks nothing, because readings may be taken only so often.
    """

    def __init__(
        self,
        provider: Provider[Any],
        reading: Reading,
        *,
        number: int = 0,
        refreshing: bool = False,
        rests_until: datetime | None = None,
    ) -> None:
        self.number = number
        self._provider = provider
        self._reading = reading
        self._key = f"{number} {provider.label}"
        with st.container(border=True, gap="xsmall", key=f"card {self._key}"):
            self._row = st.container(horizontal=True, wrap=False)
            with self._row, st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
                icon = icons.drawable(provider.icon)
                st.header(escape(reading.provider), icon=icon, anchor=anchor(reading), width="content")
                state = words.REFRESHING if refreshing else words.badge(reading)
                self._badge = st.badge(state.word, icon=state.icon, color=state.color)
            self._place = st.empty() if refreshing else None
            with self._body(reading, "-before" * refreshing), failure.contained(reading.provider):
                _draw_body(provider, reading, rests_until)

    def update(self, reading: Reading, *, rests_until: datetime | None) -> None:
        """Show the new reading on a card that was being refreshed."""
        self._reading = reading
        state = words.badge(reading)
        self._badge.badge(state.word, icon=state.icon, color=state.color)
        with self._body(reading), failure.contained(reading.provider):
            _draw_body(self._provider, reading, rests_until)

    def add_button(self, on_refresh: Callable[[], None]) -> None:
        """Draw Refresh or Retry, once.

        Args:
            on_refresh: what a click calls; it must check access itself.
        """
        # Never disabled, and of one type in every state: otherwise it is a new one, or loses the focus.
        self._row.button(
            "Refresh" if self._reading.status is Status.ACTIVE else "Retry",
            key=f"refresh {self._key}",
            icon=":material/refresh:",
            type="tertiary",
            on_click=on_refresh,
        )

    def _body(self, reading: Reading, suffix: str = "") -> "DeltaGenerator":
        # The key is its class in the style sheet, by which the bar has its colour; it may stand once in a run.
        key = f"bar-{words.tone(reading)}-{reading.provider}{suffix}"
        return (self._place or st).container(gap="xsmall", key=key)


def _draw_body(provider: Provider[Any], reading: Reading, rests_until: datetime | None) -> None:
    if reading.error is not None:
        st.text(reading.error.message)
    if reading.has_figures:
        _figures(provider, reading)
    if small_print := _small_print(reading, rests_until):
        st.caption(small_print)


def anchor(reading: Reading) -> str:
    """The card's address on the page: its name, with every other character as its number, so that no two are alike."""
    name = re.sub(r"\W", lambda sign: "-" if sign[0] == " " else f"-{ord(sign[0]):x}-", reading.provider)
    return f"card-{name}"


def _figures(provider: Provider[Any], reading: Reading) -> None:
    # The style sheet makes the bold part large.
    if reading.remaining_quota is not None:
        figure, unit = words.figure_and_unit(reading.remaining_quota, reading.unit)
        st.subheader(f"Remaining: **{escape(figure)}** {escape(unit)}".rstrip(), anchor=False)
    else:
        label, _, word = words.remaining(reading).rpartition(": ")
        st.subheader(f"{label}: **{word}**" if label else f"**{word}**", anchor=False)
    used = words.used(reading, total_hint=provider.total_hint)
    if reading.usage_percentage is not None and used is not None:
        share = min(float(reading.usage_percentage) / 100, 1.0)
        st.progress(share, text=f"{escape(used)} **{words.percentage(reading.usage_percentage)}**")
    elif used is not None:
        st.markdown(f":small[{escape(used)}]")


def _small_print(reading: Reading, rests_until: datetime | None) -> str:
    """The last line, as Markdown."""
    now = datetime.now(UTC)
    parts = [words.note(reading), words.pause(reading)]
    if rests_until is not None:
        parts.append(words.rest(rests_until, now=now))
    if reading.renews_at is not None:
        parts.append(words.renewal(reading.renews_at, now=now, zone=_viewer_zone()))
    written = [escape(part.removesuffix(".")) for part in parts if part is not None]
    if (age := words.freshness(reading, now=now)) is not None:
        written.append(f":small[{escape(age)}]")  # of the same size; the style sheet keeps it on one line
    return " · ".join(written)


def _viewer_zone() -> ZoneInfo | None:
    try:
        return ZoneInfo(st.context.timezone) if st.context.timezone else None
    except (KeyError, ValueError, OSError):  # the browser's word for it: unknown, no name, a folder, too long
        return None


def escape(text: str) -> str:
    """Text as it stands, for an element that would read it as Markdown."""
    # A browser looks for addresses once more after it has taken the escapes back, in each stretch of plain text by
    # itself. An empty element, which is neither seen nor copied nor heard, makes two stretches of one.
    return ":small[]".join(map(_escaped, _LINK_SIGNS.split(text)))


def _escaped(text: str) -> str:
    return "".join(
        f"\\{character}" if character in "\\`*_{}[]()<>#+-.!|~$:&" else character for character in text
    )

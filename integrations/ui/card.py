"""The card of a reading."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from integrations.errors import Status
from integrations.models import Reading
from integrations.providers.base import Provider
from integrations.ui import texts

HEIGHT = 170
"""Pixels of a usual card, for what stands in its place meanwhile."""


def draw(
    provider: Provider[Any],
    reading: Reading,
    *,
    on_refresh: Callable[[], None] | None,
    refreshing: bool = False,
    rests_until: datetime | None = None,
) -> None:
    """Draw one reading.

    Args:
        provider: whose reading it is.
        reading: with figures or without; its name is that of no other card.
        on_refresh: called on a click of Refresh or Retry, and must check access itself; None for the first of two
            drawings in one run of the page: the button before it stays in its place meanwhile, and keeps the focus.
        refreshing: whether its provider is being asked for a new one.
        rests_until: before this moment a click asks nothing, because readings may be taken only so often. The button
            stays enabled, as one that is disabled loses the focus.
    """
    state = texts.REFRESHING if refreshing else texts.badge(reading)
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, wrap=False):
            with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
                st.header(
                    escape(reading.provider), icon=provider.icon, anchor=anchor(reading), width="content"
                )
                st.badge(state.word, icon=state.icon, color=state.color)
            if on_refresh is not None:
                st.button(
                    "Refresh" if reading.status is Status.ACTIVE else "Retry",
                    key=f"refresh {reading.provider}",
                    icon=":material/refresh:",
                    type="tertiary",  # in every state: a button of another type is a new one, without the focus
                    on_click=on_refresh,
                )
        if reading.error is not None:
            st.text(reading.error.message)
        if reading.has_figures:
            _figures(provider, reading, is_first=on_refresh is None)
        if small_print := _small_print(reading, rests_until):
            st.caption(small_print)


def anchor(reading: Reading) -> str:
    """The card's address on the page: its name, with every other character as its number, so that no two are alike."""
    name = re.sub(r"\W", lambda sign: "-" if sign[0] == " " else f"-{ord(sign[0]):x}-", reading.provider)
    return f"card-{name}"


def announcement(readings: Iterable[Reading]) -> str:
    """What a refresh brought, for those who hear the page instead of seeing it."""
    return escape(" ".join(texts.announcement(reading) for reading in readings))


def _figures(provider: Provider[Any], reading: Reading, *, is_first: bool) -> None:
    # The style sheet makes the bold part large.
    if reading.remaining_quota is not None:
        figure, unit = texts.figure_and_unit(reading.remaining_quota, reading.unit)
        st.subheader(f"Remaining: **{escape(figure)}** {escape(unit)}".rstrip(), anchor=False)
    else:
        label, _, word = texts.remaining(reading).rpartition(": ")
        st.subheader(f"{label}: **{word}**" if label else f"**{word}**", anchor=False)
    used = texts.used(reading, total_hint=provider.total_hint)
    if reading.usage_percentage is not None and used is not None:
        # The key is the bar's class in the style sheet. A key may stand once in a run, and a card that is refreshed
        # is drawn twice in one.
        key = f"bar-{texts.tone(reading)}-{reading.provider}{'-first' * is_first}"
        with st.container(key=key):
            share = min(float(reading.usage_percentage) / 100, 1.0)
            st.progress(share, text=f"{escape(used)} **{texts.percentage(reading.usage_percentage)}**")
    elif used is not None:
        st.markdown(f":small[{escape(used)}]")


def _small_print(reading: Reading, rests_until: datetime | None) -> str:
    """The last line, as Markdown."""
    now = datetime.now(UTC)
    parts = [texts.note(reading), texts.pause(reading)]
    if rests_until is not None:
        parts.append(texts.rest(rests_until, now=now))
    if reading.renews_at is not None:
        parts.append(texts.renewal(reading.renews_at, now=now, zone=_viewer_zone()))
    written = [escape(part.removesuffix(".")) for part in parts if part is not None]
    if (age := texts.freshness(reading, now=now)) is not None:
        written.append(f":small[{escape(age)}]")  # of the same size; the style sheet keeps it on one line
    return " · ".join(written)


def _viewer_zone() -> ZoneInfo | None:
    try:
        return ZoneInfo(st.context.timezone) if st.context.timezone else None
    except (KeyError, ValueError, OSError):  # the browser's word for it: unknown, no name, a folder, too long
        return None


def escape(text: str) -> str:
    """Text as it stands, for an element that would read it as Markdown."""
    return "".join(
        f"\\{character}" if character in "\\`*_{}[]()<>#+-.!|~$:&" else character for character in text
    )

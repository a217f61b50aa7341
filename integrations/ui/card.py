"""The card of a provider."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from integrations.errors import Status
from integrations.models import Reading
from integrations.providers.base import Provider
from integrations.ui import texts

HEIGHT = 264
"""Pixels of a usual card, for what stands in its place meanwhile."""


def draw(
    provider: Provider[Any],
    reading: Reading,
    *,
    on_refresh: Callable[[], None] | None,
    rests_until: datetime | None = None,
) -> None:
    """Draw one reading.

    Args:
        provider: whose reading it is.
        reading: with figures or without.
        on_refresh: called on a click of Refresh or Retry, and must check access itself; None while that is under way.
        rests_until: before this moment a click asks nothing, because readings may be taken only so often.
    """
    state = texts.badge(reading) if on_refresh else texts.REFRESHING
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.header(f"{provider.icon} {escape(reading.provider)}", anchor=False)
            st.badge(state.word, icon=state.icon, color=state.color)
            if on_refresh is not None:  # meanwhile the old button stays in its place, and keeps the focus
                st.button(
                    "Refresh" if reading.status is Status.ACTIVE else "Retry",
                    key=f"refresh {reading.provider}",
                    icon=":material/refresh:",
                    on_click=on_refresh,
                    disabled=rests_until is not None,
                )
        if reading.error is not None:
            st.text(reading.error.message)
        if reading.has_figures:
            _figures(provider, reading)
        if small_print := _small_print(reading, rests_until):
            st.caption(escape(small_print))


def announcement(readings: tuple[Reading, ...]) -> str:
    """What a refresh brought, for those who hear the page instead of seeing it."""
    return escape(" ".join(texts.announcement(reading) for reading in readings))


def _figures(provider: Provider[Any], reading: Reading) -> None:
    st.subheader(escape(texts.remaining(reading)), anchor=False)
    if reading.usage_percentage is not None:
        share = min(float(reading.usage_percentage) / 100, 1.0)
        st.progress(share, text=f"{texts.percentage(reading.usage_percentage)} used")
    if line := texts.used(reading, total_hint=provider.total_hint):
        st.text(line)


def _small_print(reading: Reading, rests_until: datetime | None) -> str:
    now = datetime.now(UTC)
    parts = [texts.note(reading), texts.pause(reading)]
    if rests_until is not None:
        parts.append(texts.rest(rests_until, now=now))
    if reading.renews_at is not None:
        parts.append(texts.renewal(reading.renews_at, now=now, zone=_viewer_zone()))
    parts.append(texts.freshness(reading, now=now))
    return " · ".join(part.removesuffix(".") for part in parts if part is not None)


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

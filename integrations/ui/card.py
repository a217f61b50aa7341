"""The card of a provider."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from integrations.errors import Status
from integrations.models import IntegrationUsage
from integrations.providers.base import Provider
from integrations.ui import texts

HEIGHT = 236
"""Pixels of a usual card, for what stands in its place meanwhile."""


def draw(
    provider: Provider[Any], reading: IntegrationUsage, *, key: str, on_refresh: Callable[[], None]
) -> None:
    """Draw one reading.

    Args:
        provider: whose reading it is.
        reading: with figures or without.
        key: unique on the page.
        on_refresh: called on a click of Refresh or Retry; it must check access itself.
    """
    failed = reading.status is not Status.ACTIVE
    state = texts.badge(reading)
    with st.container(border=True, key=f"card-{key}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.header(f"{provider.icon} {escape(reading.provider)}", anchor=False)
            st.badge(state.word, icon=state.icon, color=state.color)
            st.button(
                "Retry" if failed else "Refresh",
                key=f"refresh-{key}",
                icon=":material/refresh:",
                on_click=on_refresh,
            )
        if reading.error is not None:
            st.text(reading.error.message)
        if reading.has_figures:
            _figures(provider, reading)
        for line in _small_print(reading):
            st.caption(escape(line))


def _figures(provider: Provider[Any], reading: IntegrationUsage) -> None:
    st.subheader(escape(texts.remaining(reading)), anchor=False)
    if reading.usage_percentage is not None:
        share = min(float(reading.usage_percentage) / 100, 1.0)
        st.progress(share, text=texts.percentage(reading.usage_percentage))
    if line := texts.used(reading, total_variable=provider.total_variable):
        st.text(line)


def _small_print(reading: IntegrationUsage) -> list[str]:
    now = datetime.now(UTC)
    lines = [texts.note(reading), texts.pause(reading)]
    if reading.renews_at is not None:
        lines.append(texts.renewal(reading.renews_at, now=now, zone=_viewer_zone()))
    lines.append(texts.freshness(reading, now=now))
    return [line for line in lines if line is not None]


def _viewer_zone() -> ZoneInfo | None:
    try:
        return ZoneInfo(st.context.timezone) if st.context.timezone else None
    except (ZoneInfoNotFoundError, ValueError):  # the browser's word for it
        return None


def escape(text: str) -> str:
    """Text as it stands, for an element that would read it as Markdown."""
    return "".join(
        f"\\{character}" if character in "\\`*_{}[]()<>#+-.!|~$:&" else character for character in text
    )

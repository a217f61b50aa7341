"""The card of one reading."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import streamlit as st

from integrations.providers.base import Provider
from integrations.quota import states, words
from integrations.quota.errors import Status
from integrations.quota.models import Reading
from integrations.ui import failure, icons

Zone = ZoneInfo | None

_LINK_SIGNS: Final = re.compile(r"(?<=www)(?=\.)|(?=://)|(?=@)", re.IGNORECASE)
"""Where a text can be split so that neither part looks like an address."""
_MARKDOWN_SIGNS: Final = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")


def draw(
    provider: Provider[Any],
    reading: Reading,
    *,
    number: int,
    is_fetching: bool,
    tried_at: datetime | None,
    refresh_allowed_at: datetime | None,
    on_refresh: Callable[[], None],
    now: datetime,
    zone: Zone,
) -> None:
    """Draw a card; its elements keep their places from run to run, so that its button keeps the focus.

    Args:
        provider: the provider of the reading.
        reading: with figures or without; no two cards have its name.
        number: of this card among the provider's; identifies card and button, as the name may change.
        is_fetching: whether its provider is being called.
        tried_at: the time of the last call.
        refresh_allowed_at: before this moment a click calls nobody; None: now.
        on_refresh: the callback of the button, which checks the permission itself.
        now: the moment from which ages and waits count.
        zone: the viewer's.
    """
    # Few elements: each costs the server and the browser about as much as all of our own code for a card.
    key = f"{number} {provider.label}"
    badge = states.REFRESHING if is_fetching else states.badge(reading)
    with st.container(border=True, gap="xsmall", key=f"card-{key}"):
        title = f"{escape(reading.provider)} :{badge.color}-badge[{badge.icon} {badge.word}]"
        help_ = escape(provider.service_note) if provider.service_note else None
        st.header(title, icon=icons.drawable(provider.icon), anchor=anchor(reading), help=help_)
        # Never disabled and always of one type: otherwise the browser makes a new button, without the focus.
        st.button(
            "Refresh" if reading.status is Status.ACTIVE else "Retry",
            key=f"refresh {key}",
            icon=":material/refresh:",
            type="tertiary",
            on_click=on_refresh,
        )
        with failure.render_errors_inline(reading.provider):
            with _toned(reading, key):
                if reading.has_figures:
                    _draw_figures(provider, reading)
                elif reading.error is not None:
                    st.text(reading.error.message)
            st.caption(_caption(provider, reading, tried_at, refresh_allowed_at, now, zone))


def anchor(reading: Reading) -> str:
    """Return the fragment of the card's address: its name, with other characters as numbers, so that it is unique."""
    name = re.sub(r"\W", lambda sign: "-" if sign[0] == " " else f"-{ord(sign[0]):x}-", reading.provider)
    return f"card-{name}"


def _toned(reading: Reading, key: str) -> AbstractContextManager[object]:
    """Return a container whose class gives the bar its color; a card in order needs none, and costs no more.

    The card's own key must not hold the tone: with another key the browser makes a new card, and the button loses the
    focus.
    """
    tone = states.tone(reading)
    return nullcontext() if tone == "ok" else st.container(key=f"tone-{tone}-{key}")


def _draw_figures(provider: Provider[Any], reading: Reading) -> None:
    """Draw what remains and what is used as one line, above the bar if there is a percentage."""
    used = words.used(reading, total_hint=provider.total_hint)
    text = _remaining(reading)
    if reading.usage_percentage is None:
        st.markdown(f"{text} :small[{escape(used)}]" if used else text)
        return
    share = min(float(reading.usage_percentage) / 100, 1.0)
    percentage = words.percentage(reading.usage_percentage)
    st.progress(share, text=f"{text} :small[{escape(used or '')} **{percentage}**]")


def _remaining(reading: Reading) -> str:
    """Return what remains, as Markdown; the style sheet makes the bold part large."""
    if reading.remaining_quota is not None:
        figure, unit = words.figure_and_unit(reading.remaining_quota, reading.unit)
        return f"Remaining: **{escape(figure)}** {escape(unit)}".rstrip()
    label, _, word = words.remaining(reading).rpartition(": ")
    return f"{label}: **{word}**" if label else f"**{word}**"


def _caption(
    provider: Provider[Any],
    reading: Reading,
    tried_at: datetime | None,
    refresh_allowed_at: datetime | None,
    now: datetime,
    zone: Zone,
) -> str:
    """Return the last line, as Markdown: each part in a span of its own, between which the style sheet draws dots."""
    parts = [
        words.balance_note(reading),
        words.retry_after_note(reading),
        None if refresh_allowed_at is None else words.next_refresh_note(refresh_allowed_at, now=now),
        words.renewal(reading, now=now, zone=zone),
        words.projection(reading, now=now),
        words.freshness(reading, tried_at, now=now),
    ]
    texts = [escape(part) for part in parts if part is not None]
    if reading.error is not None and reading.has_figures:  # in this line, so that the card keeps its height
        texts.insert(0, f"**{escape(reading.error.message)}**")
    if provider.console:
        texts.append(_console_link(provider.console))
    if provider.note:
        texts.append(escape(provider.note))
    return " ".join(f":small[{text}]" for text in texts)


def _console_link(address: str) -> str:
    for sign in "<>\\":
        address = address.replace(sign, f"%{ord(sign):X}")
    return f"[Open console](<{address}>)"


def viewer_zone() -> Zone:
    """Return the browser's time zone; None if it names none that is known."""
    try:
        return ZoneInfo(st.context.timezone) if st.context.timezone else None
    except (KeyError, ValueError, OSError):  # unknown, no name, a folder, too long
        return None


def escape(text: str) -> str:
    """Return Markdown that shows the text as it is."""
    # Streamlit links bare URLs after unescaping; an empty `:small[]` splits them.
    return ":small[]".join(_MARKDOWN_SIGNS.sub(r"\\\1", part) for part in _LINK_SIGNS.split(text))

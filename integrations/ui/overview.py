"""The line above the cards: what needs a person, and where it stands."""

from collections.abc import Iterable

import streamlit as st

from integrations.models import Reading
from integrations.ui import card, texts


def draw(readings: Iterable[Reading], *, waiting: int = 0) -> None:
    """A list of the states, the most urgent first, each with links to its cards; the active ones as a number.

    Args:
        readings: those of all cards that have one.
        waiting: how many providers are being asked of which nothing is known yet.
    """
    lines = [
        f"- {_badge(state)} {len(group) if state is texts.ACTIVE else ', '.join(map(_link, group))}"
        for state, group in texts.by_urgency(readings)
    ]
    if waiting:
        lines.append(f"- {_badge(texts.REFRESHING)} {waiting}")
    if lines:
        st.markdown("\n".join(lines))


def _badge(state: texts.Badge) -> str:
    return f":{state.color}-badge[{state.icon} {state.word}]"


def _link(reading: Reading) -> str:
    return f"[{card.escape(reading.provider)}](#{card.anchor(reading)})"

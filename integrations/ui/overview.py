"""The line above the cards: what needs a person, and where it stands."""

from collections.abc import Iterable

from integrations.models import Reading
from integrations.ui import card, texts


def written(readings: Iterable[Reading], *, waiting: str = "") -> str:
    """As Markdown, a list of the states, the most urgent first, with links to the cards; the active ones as a number.

    Args:
        readings: those of all cards that have one.
        waiting: the providers that are being asked and of which nothing is known yet: how many, or their names.
    """
    lines = [
        f"- {_badge(state)} {len(group) if state is texts.ACTIVE else ', '.join(map(_link, group))}"
        for state, group in texts.by_urgency(readings)
    ]
    if waiting:
        lines.append(f"- {_badge(texts.REFRESHING)} {waiting}")
    return "\n".join(lines)


def _badge(state: texts.Badge) -> str:
    return f":{state.color}-badge[{state.icon} {state.word}]"


def _link(reading: Reading) -> str:
    return f"[{card.escape(reading.provider)}](#{card.anchor(reading)})"

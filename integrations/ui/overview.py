"""The line above the cards: what needs a person, and where it stands."""

from collections.abc import Iterable, Sequence
from typing import Final

from integrations.quota import words
from integrations.quota.models import Reading
from integrations.ui import card

_MOST_NAMES: Final = 8
"""So many of those of which nothing is known are named: about as many names as are likely to stand there later."""


def written(readings: Iterable[Reading], *, waiting: Sequence[str] = ()) -> str:
    """As Markdown, a list of the states, the most urgent first, with links to the cards; the active ones as a number.

    Args:
        readings: those of all cards that have one.
        waiting: the names of the providers that are being asked and of which nothing is known yet.
    """
    lines = [
        f"- {_badge(state)} {len(group) if state is words.ACTIVE else ', '.join(map(_link, group))}"
        for state, group in words.by_urgency(readings)
    ]
    if waiting:
        names = ", ".join(map(card.escape, waiting[:_MOST_NAMES]))
        more = f" and {len(waiting) - _MOST_NAMES} more" if len(waiting) > _MOST_NAMES else ""
        lines.append(f"- {_badge(words.REFRESHING)} {names}{more}")
    return "\n".join(lines)


def _badge(state: words.Badge) -> str:
    return f":{state.color}-badge[{state.icon} {state.word}]"


def _link(reading: Reading) -> str:
    return f"[{card.escape(reading.provider)}](#{card.anchor(reading)})"

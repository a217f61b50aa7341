"""The overview above the cards: the states of all, the most urgent first."""

from collections.abc import Iterable, Sequence
from typing import Final

from integrations.quota import words
from integrations.quota.models import Reading
from integrations.ui import card

_MAX_NAMES: Final = 8
"""How many providers that were never read are named, so that the overview is about as long as it will be later."""


def markdown(readings: Iterable[Reading], *, waiting: Sequence[str] = ()) -> str:
    """Return a list of the states with links to the cards; active cards are only counted.

    Args:
        readings: of all cards that have one.
        waiting: the names of the providers that are being asked for the first time.
    """
    lines = [
        f"- {_badge(state)} {len(group) if state is words.ACTIVE else ', '.join(map(_link, group))}"
        for state, group in words.by_urgency(readings)
    ]
    if waiting:
        names = ", ".join(map(card.escape, waiting[:_MAX_NAMES]))
        more = f" and {len(waiting) - _MAX_NAMES} more" if len(waiting) > _MAX_NAMES else ""
        lines.append(f"- {_badge(words.REFRESHING)} {names}{more}")
    return "\n".join(lines)


def _badge(state: words.Badge) -> str:
    return f":{state.color}-badge[{state.icon} {state.word}]"


def _link(reading: Reading) -> str:
    return f"[{card.escape(reading.provider)}](#{card.anchor(reading)})"

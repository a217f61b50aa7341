"""The overview above the cards: the states of all, the most urgent first, with the quota that stops next."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from integrations.quota import states, words
from integrations.quota.models import Reading
from integrations.ui import card

_RATED: Final = frozenset({states.EXHAUSTED, states.CRITICAL, states.LOW})
"""The states whose cards are listed with what is left and its renewal."""
_MAX_NAMES: Final = 12
"""How many providers that were never read are named, so that the overview is about as long as it will be later."""


def tab_title(readings: Iterable[Reading]) -> str:
    """Return the title of the browser's tab, which begins with the number of cards that need a person."""
    count = sum(map(states.needs_person, readings))
    return f"({count}) Integrations" if count else "Integrations"


def markdown(readings: Iterable[Reading], *, now: datetime, waiting: Sequence[str] = ()) -> str:
    """Return a list of the states with links to the cards; active cards are only counted.

    Args:
        readings: of all cards that have one.
        now: the moment from which ages and waits count.
        waiting: the names of the providers that are being called for the first time.
    """
    lines = [
        f"- {_badge(state)} {_cards(state, group, now=now)}"
        for state, group in states.by_urgency(readings, now=now)
    ]
    if waiting:
        names = ", ".join(map(card.escape, waiting[:_MAX_NAMES]))
        more = f" and {len(waiting) - _MAX_NAMES} more" if len(waiting) > _MAX_NAMES else ""
        lines.append(f"- {_badge(states.REFRESHING)} :small[{names}{more}]")
    return "\n".join(lines)


def _badge(state: states.Badge) -> str:
    return f":{state.color}-badge[{state.icon} {state.word}]"


def _cards(state: states.Badge, group: Sequence[Reading], *, now: datetime) -> str:
    if state is states.ACTIVE:
        return str(len(group))
    details = (words.in_short(one, now=now) if state in _RATED else "" for one in group)
    entries = (
        f"{_link(one)} :small[{card.escape(text)}]" if text else _link(one)
        for one, text in zip(group, details, strict=True)
    )
    # The style sheet draws dots between them, and leaves the details out on a phone, which shows the first card.
    return " ".join(f":small[{entry}]" for entry in entries)


def _link(reading: Reading) -> str:
    return f"[{card.escape(reading.provider)}](#{card.anchor(reading)})"

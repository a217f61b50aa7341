"""The places of the cards, in an order that stays as long as the page is open."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import streamlit as st

from integrations import accounts
from integrations.quota import states
from integrations.quota.models import Reading
from integrations.readings.shared import CachedReadings

_RANKS: Final = "ranks of the cards"


@dataclass(frozen=True, slots=True)
class Slot:
    """A card, or the place of one whose provider was never read.

    Attributes:
        cached: the readings of its provider.
        number: of this card among the provider's.
        reading: None before the first.
    """

    cached: CachedReadings
    number: int
    reading: Reading | None

    @property
    def key(self) -> tuple[str, int]:
        """The name of the place, which the card's own name is not: that may change."""
        return self.cached.provider.label, self.number


def fix_order(all_cached: Iterable[CachedReadings], *, now: datetime) -> None:
    """Fix the order for as long as the page is open: the most urgent first, and last what was never read."""
    if _RANKS in st.session_state:
        return
    slots = _in_file_order(all_cached)
    if not accounts.keeps_order():
        slots.sort(key=lambda slot: _urgency(slot, now))
    st.session_state[_RANKS] = {slot.key: rank for rank, slot in enumerate(slots)}


def of(all_cached: Iterable[CachedReadings]) -> list[Slot]:
    """Return the places in their order; further cards that a provider turns out to have follow its first."""
    ranks: dict[tuple[str, int], int] = st.session_state[_RANKS]
    return sorted(
        _in_file_order(all_cached),
        key=lambda slot: ranks.get(slot.key, ranks.get((slot.key[0], 0), len(ranks))),
    )


def _in_file_order(all_cached: Iterable[CachedReadings]) -> list[Slot]:
    return [
        Slot(cached, number, reading)
        for cached in all_cached
        for number, reading in enumerate(cached.readings or [None] * cached.provider.quota_count)
    ]


def _urgency(slot: Slot, now: datetime) -> tuple[bool, object]:
    if slot.reading is None:
        return True, ()
    return False, states.urgency(slot.reading, now=now)

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


def of(all_cached: Iterable[CachedReadings], *, now: datetime) -> list[Slot]:
    """Return the places in the order that they had at the page's opening, the most urgent first.

    A provider that was not read by then comes last. Its further cards, if it turns out to have some, follow the first.
    """
    slots = [slot for cached in all_cached for slot in _of_provider(cached)]
    ranks: dict[tuple[str, int], int] = st.session_state.setdefault(_RANKS, {})
    if not ranks:
        at_opening = slots if accounts.keeps_order() else sorted(slots, key=lambda slot: _urgency(slot, now))
        ranks |= {slot.key: rank for rank, slot in enumerate(at_opening)}
    return sorted(slots, key=lambda slot: ranks.get(slot.key, ranks.get((slot.key[0], 0), len(ranks))))


def _of_provider(cached: CachedReadings) -> list[Slot]:
    readings = cached.readings or [None] * cached.provider.quota_count
    return [Slot(cached, number, reading) for number, reading in enumerate(readings)]


def _urgency(slot: Slot, now: datetime) -> tuple[bool, object]:
    if slot.reading is None:
        return True, ()
    return False, states.urgency(slot.reading, now=now)

"""The page's cards, each provider's in a fragment of its own, with the overview above them; and what refreshes them.

No run of the page waits long for a provider, since clicks are handled only after it. A provider is asked in the
background; where its answer takes longer, the card looks for it by itself.
"""

import functools
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import streamlit as st
from streamlit.errors import StreamlitAPIException

from integrations import accounts
from integrations.providers.base import Provider
from integrations.quota import words
from integrations.readings import cache
from integrations.ui import card, failure, overview, run, viewer

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

_MAX_WAIT_SECONDS: Final = 2.0
"""So long after its beginning a run of the page waits for a fetch. Later runs find it older, and do not wait."""
_POLL_SECONDS: Final = 0.1
"""Pause between two updates of the overview while a run waits."""
_OVERVIEW: Final = "overview"
_BY_ITSELF: Final = "runs by itself"
"""Session key: the next run of the whole page was caused by no person, and has nobody asked."""
_NOTE: Final = "note of "
"""Session key, with a provider's label: what its card is to tell of a click; None for what the fetch brings."""
_UNANNOUNCED: Final = "unannounced"
"""Session key: for each Refresh all whose outcome was not told yet, the labels of the providers that it had asked."""
_STAY_SECONDS: Final = "stay seconds of "
"""Session key, with a place of notes: how long the last one there is shown."""


def draw() -> None:
    """Draw the cards and the overview, for who has just been found to be allowed to see them."""
    if not st.session_state.pop(_BY_ITSELF, False):
        for provider in accounts.current():
            cache.begin_fetch(provider)
    awaited = [provider for provider in accounts.current() if _is_waited_for(provider)]
    place = None
    if _has_overview():
        with st.container(key="overview"):
            place = _draw_overview()
    with st.container(key="cards"):
        for provider in accounts.current():
            with st.container():
                # Parallel only where it may have to wait; the others are drawn in their order, and nothing moves later.
                _card_fragment(provider.label, parallel=provider in awaited)(provider)
                # The style sheet counts these and keeps as much room, until a thread has drawn what stands there.
                for _ in range(0 if cache.known(provider) else provider.quota_count):
                    st.empty()
    _wait_for_cards(place, awaited)
    _announce_all()


def refresh_all() -> None:
    """Have every provider asked that may be asked now; for a click."""
    if not viewer.may_read(touch=True):
        return
    asked = _ask([provider for provider in accounts.current() if cache.rests_until(provider) is None])
    if not asked:
        st.toast("No integration may be asked again yet.")
        return
    st.toast("Refreshing all integrations.")
    group = tuple(provider.label for provider in asked)
    groups = st.session_state.get(_UNANNOUNCED, ())
    if group not in groups:  # a second click meanwhile asks nothing of its own
        st.session_state[_UNANNOUNCED] = (*groups, group)


def _refresh(provider: Provider[Any]) -> None:
    # A callback runs before the page's first line, so it checks for itself; so does refresh_all.
    if not viewer.may_read(touch=True):
        return
    now = datetime.now(UTC)
    note = None
    if (until := cache.rests_until(provider)) is not None:
        note = f"{provider.label}: {words.rest(until, now=now).lower()}"
    elif not _ask([provider]):
        note = " ".join(words.nothing_asked(reading, now=now) for reading in cache.known(provider))
    key = _NOTE + provider.label
    if note is None or key not in st.session_state:  # what an earlier click brought is told first
        st.session_state[key] = note
    # A click's run is one of the whole page where it comes together with one that was wanted for another reason. It
    # must not be narrowed to a few fragments: the browser knows already that it began, and has stopped the timers of
    # all fragments, which only a run to its end starts again.
    if run.is_of_whole_page():
        return
    with suppress(StreamlitAPIException):  # on a page without overview: then the card's own fragment runs
        st.rerun([_fragment_key(provider.label), _OVERVIEW])


def _fragment_key(label: str) -> str:
    return f"cards of {label}"


@functools.cache
def _card_fragment(label: str, *, parallel: bool) -> Callable[[Provider[Any]], None]:
    """A provider's cards as a fragment with a key of its own, by which a click can ask for them."""
    decorate = st.fragment(parallel=parallel, run_every=viewer.PULSE_SECONDS, key=_fragment_key(label))
    return decorate(_draw_provider)


def _draw_provider(provider: Provider[Any]) -> None:
    # Every run checks, as a fragment also runs without the page around it, at times of a client's choosing.
    if not viewer.may_read():
        _run_whole_page()
        return
    if not cache.known(provider):
        cache.begin_fetch(provider)
    refreshing = cache.is_fetching(provider)  # before its readings are looked up, or new ones could be missed
    before = cache.known(provider)
    block = st.container()
    with block:
        drawn = _draw_readings(provider, before, refreshing=refreshing)
        places = [] if before else [st.empty() for _ in range(provider.quota_count)]
        for place in places:
            place.skeleton()
    cache.wait_for_fetch(provider, seconds=_MAX_WAIT_SECONDS)
    still = cache.is_fetching(provider)
    if places and not still:
        with block:
            drawn = _draw_readings(provider, cache.known(provider), places)
    elif refreshing and not still:
        _update(provider, drawn, before)
    for one in drawn:
        one.add_button(partial(_refresh, provider))
    if still:
        _look_again(provider)
    else:
        _announce(provider)
    if not run.is_of_whole_page():  # which does it at its end
        _announce_all()


def _draw_readings(
    provider: Provider[Any],
    readings: cache.Readings,
    places: Sequence["DeltaGenerator"] = (),
    *,
    refreshing: bool = False,
) -> list[card.Card]:
    """Draw the cards, the first ones in the places that were held for them; what is left of these goes.

    Gives those that could be drawn.
    """
    rests_until = None if refreshing else cache.rests_until(provider)
    drawn = []
    for number, reading in enumerate(readings):
        place = places[number] if number < len(places) else nullcontext()
        with place, failure.contained(reading.provider):
            drawn.append(
                card.Card(provider, reading, number=number, refreshing=refreshing, rests_until=rests_until)
            )
    for place in places[len(readings) :]:
        place.empty()
    return drawn


def _update(provider: Provider[Any], drawn: list[card.Card], before: cache.Readings) -> None:
    """Show the new readings on the cards that had those before."""
    readings = cache.known(provider)
    if [reading.provider for reading in readings] != [reading.provider for reading in before]:
        _run_by_itself()  # there are other quotas now, so other cards
        return
    for one in drawn:
        reading = readings[one.number]
        with failure.contained(reading.provider):
            one.update(reading, rests_until=cache.rests_until(provider))


def _run_by_itself() -> None:
    """Draw the whole page anew, and have nobody asked for it."""
    st.session_state[_BY_ITSELF] = True
    _run_whole_page()


def _run_whole_page() -> None:
    """Draw it anew. That ends this run, but not in a parallel fragment's own thread: whoever calls goes no further."""
    st.rerun()


def _is_waited_for(provider: Provider[Any]) -> bool:
    return cache.is_fetching(provider, younger_than=_MAX_WAIT_SECONDS)


@st.fragment(run_every=viewer.LOOK_SECONDS)
def _look_again(provider: Provider[Any]) -> None:
    """Draw the page anew as soon as the provider has answered."""
    if not cache.is_fetching(provider):
        _run_by_itself()


def _has_overview() -> bool:
    """From two cards on; where a single provider was not asked yet, it may turn out to have several."""
    providers = accounts.current()
    return len(providers) > 1 or (len(providers) == 1 and len(cache.known(providers[0])) != 1)


@st.fragment(run_every=viewer.PULSE_SECONDS, key=_OVERVIEW)
def _draw_overview() -> "DeltaGenerator":
    if not viewer.may_read():
        st.rerun()
    return _draw_overview_in(None)


def _draw_overview_in(place: "DeltaGenerator | None") -> "DeltaGenerator":
    """Draw it in the place that an earlier call gave, or in a new one."""
    # Whose reading has run out is counted by it until the new one comes: nothing moves meanwhile.
    providers = accounts.current()
    known = [cache.known(provider) for provider in providers]
    readings = [reading for those in known for reading in those]
    waiting = [provider.label for provider, those in zip(providers, known, strict=True) if not those]
    if len(providers) <= 1 and len(readings) <= 1 and not waiting:
        return (place or st).empty()
    written = overview.written(readings, waiting=waiting)
    if not readings:
        # In a container it is another element than the next, which has quite other lines: a browser takes none of them
        # for one that has moved.
        place = place or st.empty()
        place.container().markdown(written)
        return place
    # One element, replaced by the next: were it taken away first, a link in it could lose the focus.
    return (place or st).markdown(written)


def _wait_for_cards(place: "DeltaGenerator | None", awaited: list[Provider[Any]]) -> None:
    """Wait while cards in other threads wait for these; keep the overview true, which is there from two cards on.

    It is drawn once for all of which nothing was known: a line more or less of it moves every card.
    """
    while awaited:
        still = [provider for provider in awaited if _is_waited_for(provider)]
        if place is not None and len(still) < len(awaited) and all(map(cache.known, still)):
            _draw_overview_in(place)
        awaited = still
        if awaited:
            time.sleep(_POLL_SECONDS)


def _ask(providers: list[Provider[Any]]) -> list[Provider[Any]]:
    """Have these asked for a click; gives those that are being asked now, be it for an earlier click."""
    cache.refresh(*providers)
    due = [provider for provider in providers if cache.is_due(provider)]
    for provider in due:
        cache.begin_fetch(provider)
    return due


def _announce(provider: Provider[Any]) -> None:
    """Tell what a click on this card brought, once, from the card's own place.

    A browser tells notes apart by their place: in one for all cards, a note would be taken away by the next one.
    """
    key = _NOTE + provider.label
    if key not in st.session_state:
        return
    note = st.session_state.pop(key)
    if note is None:
        note = " ".join(map(words.announcement, cache.known(provider)))
    if note:
        st.empty().toast(card.escape(note), duration=_stay_seconds(provider.label))


def _announce_all() -> None:
    """Tell what each Refresh all brought, once, as soon as all have answered whom it had asked."""
    groups: tuple[tuple[str, ...], ...] = st.session_state.get(_UNANNOUNCED, ())
    providers = {provider.label: provider for provider in accounts.current()}
    for group in groups:
        asked = [providers[label] for label in group if label in providers]
        if any(cache.is_fetching(provider) for provider in asked):
            continue
        groups = tuple(other for other in groups if other != group)
        st.session_state[_UNANNOUNCED] = groups
        if asked:  # or the accounts were replaced meanwhile
            readings = [reading for provider in asked for reading in cache.known(provider)]
            others = [provider.label for provider in accounts.current() if provider not in asked]
            outcome = words.summary(readings, not_asked=others)
            st.toast(card.escape(outcome), duration=_stay_seconds("all"))


def _stay_seconds(place: str) -> int:
    """4 and 5 in turn: a note of the same words as one that is seen there is shown only where it differs in that."""
    seconds: int = 9 - st.session_state.get(_STAY_SECONDS + place, 5)
    st.session_state[_STAY_SECONDS + place] = seconds
    return seconds

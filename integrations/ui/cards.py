"""The page's cards, each provider's in a fragment of its own, with the overview above them; and what refreshes them.

No run of the page waits long for a provider, since clicks are heard only between two runs: whoever takes longer is
asked in the background, and the page looks by itself whether the answer has come.
"""

import functools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import streamlit as st
from streamlit.errors import StreamlitAPIException

from integrations import accounts, cache
from integrations.providers.base import Provider
from integrations.ui import card, overview, texts, visitor

_PATIENCE_SECONDS: Final = 2.0
"""How long a run of the page waits for providers, and a click on a card meanwhile for the end of the run."""
_GLANCE_SECONDS: Final = 0.1
"""How often it looks meanwhile what has come, for the overview."""
_LOOK_SECONDS: Final = 2
"""How often a card looks whether its provider has answered that took longer."""

_OPENED: Final = "opened"
_REFRESH: Final = "refresh"
_ANSWERED: Final = "answered"
_OVERVIEW: Final = "overview"
_TO_TELL: Final = "to tell"
"""Session key: the labels of the providers of which the next run of the page tells what a refresh brought."""


def _requested(provider: Provider[Any]) -> str:
    """Session key: why these cards are drawn; absent on the page's own looks."""
    return f"requested {provider.label}"


def _fragment_key(label: str) -> str:
    return f"cards of {label}"


def draw() -> None:
    """Draw the cards and the overview, for who has just been found to be allowed to see them."""
    place = None
    if _has_overview():
        with st.container(key="overview"):
            place = _draw_overview(_once())
    with st.container(key="cards"):
        for provider in accounts.current():
            st.session_state.setdefault(_requested(provider), _OPENED)
            # In a thread of its own where it may have to wait; the others come one after the other, at their places.
            draw_cards = _card_fragment(provider.label, parallel=cache.is_due(provider))
            draw_cards(provider, _once())
    _follow(place)


def _once() -> Iterator[bool]:
    """True once: the run that makes it has checked who looks. A fragment's later runs by itself find it used."""
    return iter((True,))


@functools.cache
def _card_fragment(label: str, *, parallel: bool) -> Callable[[Provider[Any], Iterator[bool]], None]:
    """A provider's cards as a fragment with a key of its own, by which a click can ask for them."""
    decorate = st.fragment(parallel=parallel, run_every=visitor.PULSE_SECONDS, key=_fragment_key(label))
    return decorate(_draw_provider)


def _draw_provider(provider: Provider[Any], checked: Iterator[bool]) -> None:
    if not next(checked, False) and not visitor.may_read():
        st.rerun()
    requested = st.session_state.pop(_requested(provider), None)
    place = st.empty()
    must_ask = requested in {_OPENED, _REFRESH}
    readings = _asked(provider, place) if must_ask else cache.latest(provider)
    if not readings:
        if requested == _REFRESH:
            st.session_state[_TO_TELL] = _to_tell() | {provider.label}
        if known := cache.known(provider):
            with place.container():
                _draw(provider, known, refreshing=True)
        _look_again(provider)
        return
    if requested == _REFRESH:
        with suppress(StreamlitAPIException):  # st.toast raises in a parallel fragment: then _follow tells it
            st.toast(card.announcement(readings))
    with place.container():
        _draw(provider, readings)


def _draw(provider: Provider[Any], readings: cache.Readings, *, refreshing: bool = False) -> None:
    for reading in readings:
        card.draw(
            provider,
            reading,
            on_refresh=partial(_refresh, provider),
            refreshing=refreshing,
            rests_until=None if refreshing else cache.rests_until(provider),
        )


def _asked(provider: Provider[Any], place: Any) -> cache.Readings:  # noqa: ANN401 - Streamlit's own type
    """The readings that hold now; none where the provider has not answered yet.

    Meanwhile those before stand in their place, marked, or a skeleton.
    """
    known = cache.known(provider)
    if not cache.is_due(provider):
        return known
    with place.container():
        for reading in known:
            card.draw(provider, reading, on_refresh=None, refreshing=True)
        if not known:
            st.skeleton(height=card.HEIGHT)
    answer = cache.ask(provider)
    return answer.result() if wait([answer], timeout=_PATIENCE_SECONDS).done else ()


@st.fragment(run_every=_LOOK_SECONDS)
def _look_again(provider: Provider[Any]) -> None:
    """Draw the page anew as soon as the provider has answered."""
    if not cache.is_asking(provider):
        st.session_state[_requested(provider)] = _ANSWERED  # whatever came: it is not asked again for this
        st.rerun()


@st.fragment(run_every=visitor.PULSE_SECONDS, key=_OVERVIEW)
def _draw_overview(checked: Iterator[bool]) -> Any:  # noqa: ANN401 - Streamlit's own type
    if not next(checked, False) and not visitor.may_read():
        st.rerun()
    place = st.empty()
    _draw_overview_in(place)
    return place


def _draw_overview_in(place: Any) -> None:  # noqa: ANN401 - Streamlit's own type
    # Whose reading has run out is counted by it until the new one comes: nothing moves meanwhile.
    known = [cache.known(provider) for provider in accounts.current()]
    readings = [reading for those in known for reading in those]
    if len(known) > 1 or len(readings) > 1:
        with place.container():
            overview.draw(readings, waiting=known.count(()))


def _has_overview() -> bool:
    """From two cards on; where a single provider was not asked yet, it may turn out to have several."""
    providers = accounts.current()
    return len(providers) > 1 or (len(providers) == 1 and len(cache.known(providers[0])) != 1)


def _follow(place: Any) -> None:  # noqa: ANN401 - Streamlit's own type
    """Keep the overview true while the cards are drawn, each in a thread of its own; tell what a refresh brought."""
    for _ in _answers():
        if place is not None:
            _draw_overview_in(place)
    told = [provider for provider in accounts.current() if provider.label in _to_tell()]
    if not told or any(cache.is_due(provider) or cache.is_asking(provider) for provider in told):
        return  # the run that follows the last answer tells it
    st.session_state[_TO_TELL] = frozenset()
    readings = [reading for provider in told for reading in cache.known(provider)]
    everything = len(told) == len(accounts.current()) > 1
    st.toast(card.escape(texts.summary(readings)) if everything else card.announcement(readings))


def _answers() -> Iterator[None]:
    """Each time that a provider has answered which is being asked, as long as a run may wait."""
    end = time.monotonic() + _PATIENCE_SECONDS
    waiting = [provider for provider in accounts.current() if cache.is_due(provider)]
    while waiting and time.monotonic() < end:
        time.sleep(_GLANCE_SECONDS)
        still = [provider for provider in waiting if cache.is_due(provider)]
        if len(still) < len(waiting):
            waiting = still
            yield


def _to_tell() -> frozenset[str]:
    labels: frozenset[str] = st.session_state.get(_TO_TELL, frozenset())
    return labels


def _refresh(provider: Provider[Any]) -> None:
    # A callback runs before the page's first line, so it checks for itself; so does refresh_all.
    if visitor.may_read(touch=True):
        if (until := cache.rests_until(provider)) is not None:
            st.toast(card.escape(f"{provider.label}: {texts.rest(until, now=datetime.now(UTC)).lower()}"))
            return
        st.session_state[_requested(provider)] = _REFRESH
        cache.refresh(provider)
        with suppress(StreamlitAPIException):  # on a page without overview: then the card's own fragment runs
            st.rerun([_fragment_key(provider.label), _OVERVIEW])


def refresh_all() -> None:
    """Have every provider asked that may be asked now; for a click."""
    if visitor.may_read(touch=True):
        for provider in accounts.current():
            if cache.rests_until(provider) is None:
                st.session_state[_requested(provider)] = _REFRESH
        st.session_state[_TO_TELL] = frozenset(provider.label for provider in accounts.current())
        cache.refresh_all()
        st.toast("Refreshing all integrations.")

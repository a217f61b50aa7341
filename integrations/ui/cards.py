"""The cards in one fragment, with the overview above them, and their refresh.

Everything is drawn from the readings that this process knows. While providers are being asked, a run waits briefly for
the first answer and draws again; after that a small fragment checks every second. Streamlit handles a click only after
the current run, so no run waits long.
"""

import time
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from datetime import UTC, datetime
from functools import partial
from typing import Final

import streamlit as st

from integrations import accounts
from integrations.quota.errors import Status
from integrations.quota.models import Reading
from integrations.readings import shared
from integrations.readings.shared import CachedReadings
from integrations.ui import card, failure, overview, slots, viewer
from integrations.ui.slots import Slot

_WAIT_SECONDS: Final = 0.5
"""The longest that a run waits for an answer, and so a click for a run."""
_GATHER_SECONDS: Final = 0.03
"""After one answer, so that several that arrive together are drawn together."""
_CHECK_SECONDS: Final = 1.0
_HOLD_SECONDS: Final = 4.0
"""How long the overview of a new panel waits for all providers, so that it is redrawn once, not with each of them."""
_HELD: Final = "held overview"
"""Session key: the providers that were unknown at the page's opening, and the end of the wait for them."""
_AUTOMATIC_RERUN: Final = "automatic rerun"
"""Session key: the page itself caused the next full run, which fetches nothing."""


@st.fragment(run_every=viewer.PULSE_SECONDS)
def draw() -> None:
    """Draw the overview and the cards; a full run fetches what is due, after the page has checked the permission."""
    is_full_run = viewer.is_full_run()
    if not is_full_run and not viewer.may_read():  # a client chooses when a fragment runs
        st.rerun()
    may_fetch = is_full_run and not st.session_state.pop(_AUTOMATIC_RERUN, False)
    all_cached = shared.of_all()
    slots.fix_order(all_cached, now=datetime.now(UTC))  # before the first answer
    for cached in all_cached:
        if may_fetch or not cached.readings:
            cached.start_fetch()
    fetching = [cached for cached in all_cached if cached.in_flight()]  # before the readings: they may change
    now = datetime.now(UTC)
    shown = slots.of(all_cached)
    is_held = _draw_overview(shown, now=now)
    _draw_cards(shown, fetching, now=now)
    _draw_hidden_buttons(shown)
    if fetching and _has_answer(fetching, seconds=_WAIT_SECONDS):
        time.sleep(_GATHER_SECONDS)
        if is_full_run:  # only the end of a full run restarts the timers of all fragments
            _run_page_again()
        st.rerun(scope="fragment")
    if fetching:
        _check_again(fetching, is_held=is_held)


def refresh_all() -> None:
    """Fetch from every provider that may be asked now; for a click."""
    if viewer.may_read(touch=True):
        for provider in accounts.current():
            shared.of(provider).request_refresh()


def _refresh(cached: CachedReadings) -> None:
    # Callbacks run before the page's first line, so each checks the permission itself.
    if viewer.may_read(touch=True):
        cached.request_refresh()


def _look_again() -> None:
    """Fetch what is due, as an opening does; for a tab that comes to the front."""
    if viewer.may_read(touch=True):
        shared.start_all()


def _retry_failed() -> None:
    """Call failed providers again, less and less often; for a tab that stays in front, which is no use of a session."""
    if viewer.may_read():
        for cached in shared.of_all():
            if cached.is_retry_due:
                cached.start_fetch()


def _draw_hidden_buttons(shown: Iterable[Slot]) -> None:
    """Draw the buttons that panel.js clicks; only the browser knows whether a tab is in front."""
    with st.container(key="looks"):
        st.button("Look again", key="look", on_click=_look_again)
        if any(slot.reading is not None and slot.reading.status is Status.UNAVAILABLE for slot in shown):
            st.button("Retry failed", key="retry-failed", on_click=_retry_failed)


def _draw_overview(shown: Sequence[Slot], *, now: datetime) -> bool:
    """Draw the overview from two cards on, and the tab's title; return whether it waits for more readings.

    A provider that was never read may turn out to have several cards.
    """
    waiting = list(dict.fromkeys(slot.cached.provider.label for slot in shown if slot.reading is None))
    held, until = st.session_state.setdefault(_HELD, (waiting, time.monotonic() + _HOLD_SECONDS))
    is_held = bool(waiting) and time.monotonic() < until
    hidden = held if is_held else ()
    readings = [
        slot.reading
        for slot in shown
        if slot.reading is not None and slot.cached.provider.label not in hidden
    ]
    st.set_page_config(page_title=overview.tab_title(readings))
    if len(shown) > 1 or waiting:
        with st.container(key="overview"):
            st.markdown(overview.markdown(readings, now=now, waiting=hidden or waiting))
    return is_held


def _draw_cards(shown: Iterable[Slot], fetching: Collection[CachedReadings], *, now: datetime) -> None:
    zone = card.viewer_zone()
    with st.container(key="cards"):
        for slot in shown:
            if slot.reading is None:
                st.skeleton()
                continue
            with failure.render_errors_inline(slot.reading.provider):
                _draw_card(slot.cached, slot.reading, slot.number, fetching, now=now, zone=zone)


def _draw_card(
    cached: CachedReadings,
    reading: Reading,
    number: int,
    fetching: Collection[CachedReadings],
    *,
    now: datetime,
    zone: card.Zone,
) -> None:
    is_fetching = cached in fetching
    card.draw(
        cached.provider,
        reading,
        number=number,
        is_fetching=is_fetching,
        tried_at=cached.record.last.at if cached.record else None,
        refresh_allowed_at=None if is_fetching else cached.manual_refresh_allowed_at,
        on_refresh=partial(_refresh, cached),
        now=now,
        zone=zone,
    )


def _has_answer(fetching: list[CachedReadings], *, seconds: float) -> bool:
    """Whether one of these fetches ends within this time."""
    futures = [future for cached in fetching if (future := cached.in_flight())]
    if len(futures) == len(fetching):
        done = wait(futures, seconds, FIRST_COMPLETED).done
        for future in done:
            future.result()  # raises a defect of ours
        return bool(done)
    return True


@st.fragment(run_every=_CHECK_SECONDS)
def _check_again(fetching: list[CachedReadings], *, is_held: bool) -> None:
    """Draw the page again as soon as a provider has answered, or the overview has waited long enough."""
    if _has_answer(fetching, seconds=0) or (is_held and time.monotonic() >= st.session_state[_HELD][1]):
        _run_page_again()


def _run_page_again() -> None:
    st.session_state[_AUTOMATIC_RERUN] = True
    st.rerun()

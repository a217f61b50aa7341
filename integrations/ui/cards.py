"""The cards in one fragment, with the overview above them, and their refresh.

Everything is drawn from the readings that this process knows. While providers are being asked, a run waits briefly for
the first answer and draws again; after that a small fragment checks every second. Streamlit handles a click only after
the current run, so no run waits long.
"""

import time
from concurrent.futures import FIRST_COMPLETED, wait
from datetime import UTC, datetime
from functools import partial
from typing import Final

import streamlit as st

from integrations import accounts
from integrations.readings import shared
from integrations.readings.shared import CachedReadings
from integrations.ui import card, failure, overview, viewer

_WAIT_SECONDS: Final = 0.5
"""The longest that a run waits for an answer, and so a click for a run."""
_GATHER_SECONDS: Final = 0.03
"""After one answer, so that several that arrive together are drawn together."""
_CHECK_SECONDS: Final = 1.0
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
    for cached in all_cached:
        if may_fetch or not cached.readings:
            cached.start_fetch()
    fetching = [cached for cached in all_cached if cached.in_flight()]  # before the readings: they may change
    now, zone = datetime.now(UTC), card.viewer_zone()
    _draw_overview(all_cached, now=now)
    with st.container(key="cards"):
        for cached in all_cached:
            _draw_cards(cached, is_fetching=cached in fetching, now=now, zone=zone)
    if fetching and _has_answer(fetching, seconds=_WAIT_SECONDS):
        time.sleep(_GATHER_SECONDS)
        if is_full_run:  # only the end of a full run restarts the timers of all fragments
            _run_page_again()
        st.rerun(scope="fragment")
    if fetching:
        _check_again(fetching)


def refresh_all() -> None:
    """Fetch from every provider that may be asked now; for a click."""
    if viewer.may_read(touch=True):
        for provider in accounts.current():
            shared.of(provider).request_refresh()


def _refresh(cached: CachedReadings) -> None:
    # Callbacks run before the page's first line, so each checks the permission itself.
    if viewer.may_read(touch=True):
        cached.request_refresh()


def _draw_overview(all_cached: list[CachedReadings], *, now: datetime) -> None:
    """Draw the overview from two cards on; a provider that was never read may turn out to have several."""
    readings = [reading for cached in all_cached for reading in cached.readings]
    waiting = [cached.provider.label for cached in all_cached if not cached.readings]
    if len(all_cached) > 1 or len(readings) > 1 or waiting:
        with st.container(key="overview"):
            st.markdown(overview.markdown(readings, now=now, waiting=waiting))


def _draw_cards(cached: CachedReadings, *, is_fetching: bool, now: datetime, zone: card.Zone) -> None:
    readings = cached.readings
    for number, reading in enumerate(readings):
        with failure.render_errors_inline(reading.provider):
            card.draw(
                cached.provider,
                reading,
                number=number,
                is_fetching=is_fetching,
                refresh_allowed_at=None if is_fetching else cached.manual_refresh_allowed_at,
                on_refresh=partial(_refresh, cached),
                now=now,
                zone=zone,
            )
    if not readings:
        for _ in range(cached.provider.quota_count):
            st.skeleton()


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
def _check_again(fetching: list[CachedReadings]) -> None:
    """Draw the page again as soon as a provider has answered."""
    if _has_answer(fetching, seconds=0):
        _run_page_again()


def _run_page_again() -> None:
    st.session_state[_AUTOMATIC_RERUN] = True
    st.rerun()

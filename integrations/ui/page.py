"""The one page: who may see it, its sidebar and its cards."""

import functools
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import streamlit as st
from streamlit.errors import StreamlitAPIException

from integrations import accounts, cache
from integrations.access import INTEGRATION_READ, Denial, Principal, auth
from integrations.providers.base import Provider
from integrations.settings import panel_settings
from integrations.state import StateError
from integrations.ui import card, overview, sign_in, texts, visitor

NO_PERMISSION: Final = "You don't have permission to view integrations."
_ICON: Final = Path(__file__).parent / "images" / "icon.png"
_SIDEBAR_WIDTH: Final = 256
_STILL_SIGNED_IN: Final = "still signed in"
_PULSE_SECONDS: Final = 45
"""How often an open page looks whether its session still stands and its ages are right."""
_GLANCE_SECONDS: Final = 0.1
"""How often the overview looks what has come, while providers are asked."""


def draw() -> None:
    """Draw the page for whoever looks at it."""
    st.set_page_config(page_title="Integrations", initial_sidebar_state=_SIDEBAR_WIDTH)
    principal = visitor.authenticate(touch=_opened_by_a_person())
    if principal is Denial.UNAVAILABLE:
        sign_in.draw_unavailable()
        _pulse()
    elif isinstance(principal, Principal):
        _draw_signed_in(principal)
    else:
        sign_in.draw()


@functools.cache
def _icon() -> str:
    """The icon as part of the page: an address that Streamlit makes up for a picture is good in one process alone."""
    return f"data:image/png;base64,{b64encode(_ICON.read_bytes()).decode()}"


def _opened_by_a_person() -> bool:
    """Whether this run is the page's opening; that and its buttons are a session's use, and nothing else is.

    The page also runs by itself: when its pulse finds a change, and when a lost connection comes back.
    """
    if "opened" in st.session_state:
        return False
    st.session_state["opened"] = True
    # A page that comes back names the session that it had, as the third of its protocols.
    return (st.context.headers.get("Sec-WebSocket-Protocol") or "").count(",") < 2  # noqa: PLR2004 - the third


def _may_read() -> bool:
    principal = visitor.authenticate()
    return isinstance(principal, Principal) and principal.may(INTEGRATION_READ)


def _draw_signed_in(principal: Principal) -> None:
    allowed = principal.may(INTEGRATION_READ)
    page = st.navigation(
        [st.Page(_draw_cards if allowed else _draw_refusal, title="Integrations")], position="hidden"
    )
    st.logo(_icon(), size="large")
    with st.sidebar:
        if allowed:
            st.page_link(page, label="Integrations", icon=":material/monitoring:", width="stretch")
            st.button("Refresh all", icon=":material/refresh:", on_click=_refresh_all, width="stretch")
        with st.container(horizontal=True, wrap=False, vertical_alignment="center", key="principal"):
            st.text(principal.display_name, width="stretch", wrap=False)
            st.button("Log out", icon=":material/logout:", type="tertiary", on_click=_log_out)
    if st.session_state.pop(_STILL_SIGNED_IN, False):
        st.error("You could not be logged out. Please try again.", icon=":material/error:")
    page.run()


def _draw_refusal() -> None:
    st.title("Integrations", anchor=False)
    st.error(NO_PERMISSION, icon=":material/lock:")
    _pulse()


def _draw_cards() -> None:
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", key="top"):
        st.title("Integrations", anchor=False)
        # The style sheet shows it where the sidebar, which has the same, is closed: on a phone.
        st.button(
            "Refresh all",
            key="refresh-all",
            icon=":material/refresh:",
            type="tertiary",
            on_click=_refresh_all,
        )
    if not accounts.current():
        st.info("No integrations are set up.")
        _pulse()
    place = None
    if _has_overview():
        with st.container(key="overview"):
            place = _draw_overview()
    with st.container(key="cards"):
        for provider in accounts.current():
            st.session_state.setdefault(_requested(provider), _OPEN)
            _card_fragment(provider.label)(provider)
    _follow(place)


def _follow(place: Any) -> None:  # noqa: ANN401 - Streamlit's own type
    """Keep the overview true while the cards are drawn, each in a thread of its own; tell what a refresh brought."""
    refreshed = st.session_state.pop(_REFRESHED_ALL, False)
    if place is None and not refreshed:
        return
    for _ in _answers():
        if place is not None:
            _draw_overview_in(place)
    if refreshed:
        st.toast(card.escape(texts.summary(_known())))


_OPEN: Final = "open"
_REFRESH: Final = "refresh"
_OVERVIEW: Final = "overview"
_REFRESHED_ALL: Final = "refreshed all"
"""Session key: whether this run of the page is to tell what a refresh of everything brought."""


def _requested(provider: Provider[Any]) -> str:
    """Session key: whether the page was opened or these cards are to be refreshed; absent on the page's own looks."""
    return f"requested {provider.label}"


def _fragment_key(label: str) -> str:
    return f"cards of {label}"


@functools.cache
def _card_fragment(label: str) -> Callable[[Provider[Any]], None]:
    """A provider's cards as a fragment with a key of its own, by which a click can ask for them."""
    decorate = st.fragment(parallel=True, run_every=_PULSE_SECONDS, key=_fragment_key(label))
    return decorate(_draw_provider)


def _draw_provider(provider: Provider[Any]) -> None:
    if not _may_read():
        st.rerun()
    requested = st.session_state.pop(_requested(provider), None)
    place = st.empty()
    readings = cache.latest(provider) if requested is None else _asked(provider, place)
    if requested == _REFRESH:
        with suppress(StreamlitAPIException):  # st.toast raises in a parallel fragment: then _follow tells it
            st.toast(card.announcement(readings))
    with place.container():
        for reading in readings:
            card.draw(
                provider,
                reading,
                on_refresh=partial(_refresh, provider),
                rests_until=cache.rests_until(provider),
            )


def _asked(provider: Provider[Any], place: Any) -> cache.Readings:  # noqa: ANN401 - Streamlit's own type
    """The readings that hold now; meanwhile those before stand in their place, marked, or a skeleton."""
    if cache.is_due(provider):
        if known := cache.known(provider):
            with place.container():
                for reading in known:
                    card.draw(provider, reading, on_refresh=None)
        else:
            with place.container(), st.skeleton(height=card.HEIGHT):
                return cache.current(provider)
    return cache.current(provider)


@st.fragment(run_every=_PULSE_SECONDS, key=_OVERVIEW)
def _draw_overview() -> Any:  # noqa: ANN401 - Streamlit's own type
    if not _may_read():
        st.rerun()
    place = st.empty()
    _draw_overview_in(place)
    return place


def _draw_overview_in(place: Any) -> None:  # noqa: ANN401 - Streamlit's own type
    # Whose reading has run out is counted by it until the new one comes: nothing moves meanwhile.
    providers = accounts.current()
    readings = _known()
    if len(providers) > 1 or len(readings) > 1:
        with place.container():
            overview.draw(readings, waiting=sum(not cache.known(provider) for provider in providers))


def _has_overview() -> bool:
    """From two cards on; where a single provider was not asked yet, it may turn out to have several."""
    providers = accounts.current()
    return len(providers) > 1 or (len(providers) == 1 and len(cache.known(providers[0])) != 1)


def _known() -> cache.Readings:
    return tuple(reading for provider in accounts.current() for reading in cache.known(provider))


def _answers() -> Iterator[None]:
    """Each time that a provider has answered which is being asked, until there is none to wait for.

    The threads of the cards ask. Should one of them not come so far, this ends with the deadline.
    """
    end = time.monotonic() + panel_settings().deadline_seconds
    waiting = [provider for provider in accounts.current() if cache.is_due(provider)]
    while waiting and time.monotonic() < end:
        time.sleep(_GLANCE_SECONDS)
        still = [provider for provider in waiting if cache.is_due(provider)]
        if len(still) < len(waiting):
            waiting = still
            yield


@st.fragment(run_every=_PULSE_SECONDS)
def _pulse() -> None:
    """Notice that the state of affairs has changed: draw the page anew where it has."""
    now = visitor.authenticate()
    state = now if isinstance(now, Denial) else (now.name, now.may(INTEGRATION_READ))
    if st.session_state.setdefault("pulse", state) != state:
        del st.session_state["pulse"]
        st.rerun()


def _refresh(provider: Provider[Any]) -> None:
    # A callback runs before the page's first line, so it checks for itself; so does _refresh_all.
    principal = visitor.authenticate(touch=True)
    if isinstance(principal, Principal) and principal.may(INTEGRATION_READ):
        st.session_state[_requested(provider)] = _REFRESH
        cache.refresh(provider)
        with suppress(StreamlitAPIException):  # on a page without overview: then the card's own fragment runs
            st.rerun([_fragment_key(provider.label), _OVERVIEW])


def _refresh_all() -> None:
    principal = visitor.authenticate(touch=True)
    if isinstance(principal, Principal) and principal.may(INTEGRATION_READ):
        for provider in accounts.current():
            if cache.rests_until(provider) is None:
                st.session_state[_requested(provider)] = _REFRESH
        st.session_state[_REFRESHED_ALL] = True
        cache.refresh_all()
        st.toast("Refreshing all integrations.")


def _log_out() -> None:
    try:
        auth().sign_out(visitor.session_id(), client=visitor.client())
    except StateError:
        st.session_state[_STILL_SIGNED_IN] = True

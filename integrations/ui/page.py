"""The one page: who may see it, its sidebar and its cards."""

import functools
from base64 import b64encode
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import streamlit as st
from streamlit.errors import StreamlitAPIException

from integrations import accounts, cache
from integrations.access import INTEGRATION_READ, Denial, Principal, SignInRefused, auth
from integrations.providers.base import Provider
from integrations.state import StateError
from integrations.ui import card, sign_in, visitor

NO_PERMISSION: Final = "You don't have permission to view integrations."
_IMAGES: Final = Path(__file__).parent / "images"
_STILL_SIGNED_IN: Final = "still signed in"
_PULSE_SECONDS: Final = 45
"""How often an open page looks whether its session still stands and its ages are right."""


def draw() -> None:
    """Draw the page for whoever looks at it."""
    st.set_page_config(page_title="Integrations", page_icon=_icon())
    principal = visitor.authenticate(touch=_opened_by_a_person())
    if principal is Denial.UNAVAILABLE:
        st.error(str(SignInRefused.UNAVAILABLE), icon=":material/lock:")
        _pulse()
    elif isinstance(principal, Principal):
        _draw_signed_in(principal)
    else:
        sign_in.draw()


@functools.cache
def _icon() -> str:
    """The icon as part of the page: an address that Streamlit makes up for a picture is good in one process alone."""
    return f"data:image/png;base64,{b64encode((_IMAGES / 'icon.png').read_bytes()).decode()}"


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
        st.text(principal.display_name)
        if allowed:
            st.page_link(page, label="Integrations", icon=":material/monitoring:")
            st.button("Refresh all", icon=":material/refresh:", on_click=_refresh_all, width="stretch")
        st.button("Log out", icon=":material/logout:", on_click=_log_out, width="stretch")
    if st.session_state.pop(_STILL_SIGNED_IN, False):
        st.error("You could not be logged out. Please try again.", icon=":material/error:")
    page.run()


def _draw_refusal() -> None:
    st.title("Integrations", anchor=False)
    st.error(NO_PERMISSION, icon=":material/lock:")
    _pulse()


def _draw_cards() -> None:
    st.title("Integrations", anchor=False)
    if not accounts.current():
        st.info("No integrations are set up.")
        _pulse()
    for provider in accounts.current():
        st.session_state.setdefault(_requested(provider), _OPEN)
        _draw_provider(provider)


_OPEN: Final = "open"
_REFRESH: Final = "refresh"


def _requested(provider: Provider[Any]) -> str:
    """Where it stands what a person asked of a card: to be opened, to be refreshed; absent in the page's own runs."""
    return f"wish {provider.label}"


@st.fragment(parallel=True, run_every=_PULSE_SECONDS)
def _draw_provider(provider: Provider[Any]) -> None:
    if not _may_read():
        st.rerun()
    wish = st.session_state.pop(_requested(provider), None)
    place = st.empty()
    if wish == _REFRESH:
        with place.container():
            for reading in cache.latest(provider):
                card.draw(provider, reading, on_refresh=None)
        readings = cache.current(provider)
        with suppress(StreamlitAPIException):  # from cards that run side by side no word leaves the card
            st.toast(card.announcement(readings))
    elif wish == _OPEN:
        with place.container(), st.skeleton(height=card.HEIGHT):
            readings = cache.current(provider)
    else:
        readings = cache.latest(provider)
    with place.container():
        for reading in readings:
            card.draw(
                provider,
                reading,
                on_refresh=partial(_refresh, provider),
                rests_until=cache.rests_until(provider),
            )


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


def _refresh_all() -> None:
    principal = visitor.authenticate(touch=True)
    if isinstance(principal, Principal) and principal.may(INTEGRATION_READ):
        for provider in accounts.current():
            if cache.rests_until(provider) is None:
                st.session_state[_requested(provider)] = _REFRESH
        cache.refresh_all()
        st.toast("Refreshing all integrations.")


def _log_out() -> None:
    try:
        auth().sign_out(visitor.session_id(), client=visitor.client())
    except StateError:
        st.session_state[_STILL_SIGNED_IN] = True

"""The one page: who may see it, and its sidebar."""

import functools
from base64 import b64encode
from pathlib import Path
from typing import Final

import streamlit as st

from integrations import accounts
from integrations.access import INTEGRATION_READ, Denial, Principal, auth
from integrations.state import StateError
from integrations.ui import cards, sign_in, viewer

NO_PERMISSION: Final = "You don't have permission to view integrations."
_ICON: Final = Path(__file__).parent / "images" / "icon.png"
_SIDEBAR_WIDTH: Final = 256
_STILL_SIGNED_IN: Final = "still signed in"


def draw() -> None:
    """Draw the page for whoever looks at it."""
    principal = viewer.authenticate(touch=_opened_by_a_person())
    may_read = isinstance(principal, Principal) and principal.may(INTEGRATION_READ)
    title = None if may_read else "Integrations"  # the cards' title has a number
    st.set_page_config(page_title=title, initial_sidebar_state=_SIDEBAR_WIDTH)
    if principal is Denial.UNAVAILABLE:
        sign_in.draw_unavailable()
    elif isinstance(principal, Principal):
        sign_in.remember(is_signed_in=True)
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
    return (st.context.headers.get("Sec-WebSocket-Protocol") or "").count(",") < 2


def _draw_signed_in(principal: Principal) -> None:
    allowed = principal.may(INTEGRATION_READ)
    page = st.navigation(
        [st.Page(_draw_cards if allowed else _draw_refusal, title="Integrations")], position="hidden"
    )
    st.logo(_icon(), size="large")
    with st.sidebar:
        if allowed:
            st.page_link(page, label="Integrations", icon=":material/monitoring:", width="stretch")
            st.button(
                "Refresh all",
                key="sidebar-refresh",
                icon=":material/refresh:",
                on_click=cards.refresh_all,
                width="stretch",
            )
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
            on_click=cards.refresh_all,
        )
    if not accounts.current():
        st.info("No integrations are set up.")
        _pulse()
        return
    cards.draw()


@st.fragment(run_every=viewer.PULSE_SECONDS)
def _pulse() -> None:
    """Notice that the state of affairs has changed: draw the page anew where it has."""
    now = viewer.authenticate()
    state = now if isinstance(now, Denial) else (now.name, now.may(INTEGRATION_READ))
    if st.session_state.setdefault("pulse", state) != state:
        del st.session_state["pulse"]
        st.rerun()


def _log_out() -> None:
    try:
        auth().sign_out(viewer.session_id(), client=viewer.client())
        sign_in.remember(is_signed_in=False)
    except StateError:
        st.session_state[_STILL_SIGNED_IN] = True

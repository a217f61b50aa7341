"""The viewer of the page: the session cookie and the address, from the websocket's handshake."""

from typing import Final

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from integrations.access import INTEGRATION_READ, Denial, Principal, auth
from integrations.access.requester import client_address

PULSE_SECONDS: Final = 45
"""How often an open page checks its session and updates its ages."""


def session_id() -> str | None:
    """Return the session id in the cookie."""
    return auth().session_id_in(st.context.headers.get_all("Cookie"))


def client() -> str:
    """Return the address, for the log."""
    return client_address(st.context.ip_address or "127.0.0.1")  # Streamlit gives None for a loopback address


def authenticate(*, touch: bool = False) -> Principal | Denial:
    """Return who is signed in, as the state says now.

    Args:
        touch: True for an action of the person, which counts as use of the session.
    """
    return auth().authenticate(session_id(), touch=touch, client=client())


def may_read(*, touch: bool = False) -> bool:
    """Whether the viewer may see the integrations now.

    Args:
        touch: True for an action of the person, which counts as use of the session.
    """
    principal = authenticate(touch=touch)
    return isinstance(principal, Principal) and principal.may(INTEGRATION_READ)


def is_full_run() -> bool:
    """Whether this run of the script draws the whole page, not a fragment alone."""
    context = get_script_run_ctx()
    return context is not None and not context.fragment_ids_this_run

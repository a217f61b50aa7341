"""Who looks at the page: the session's cookie and the address, as the websocket's handshake brought them."""

import time
from typing import Final

import streamlit as st

from integrations.access import INTEGRATION_READ, Denial, Principal, auth
from integrations.access.requester import client_address
from integrations.state import recent

PULSE_SECONDS: Final = 45
"""How often an open page looks whether its session still stands and its ages are right."""
LOOK_SECONDS: Final = 2
"""How often a card looks whether a provider has answered that takes long."""

_SEEN: Final = "seen"
"""Session key: whose session was looked up last, what was found, and until when that is recent."""


def session_id() -> str | None:
    """The session id in the cookie."""
    return auth().session_id_in(st.context.headers.get_all("Cookie"))


def client() -> str:
    """The address, for the log."""
    return client_address(st.context.ip_address or "127.0.0.1")  # Streamlit gives None for a loopback address


def authenticate(*, touch: bool = False) -> Principal | Denial:
    """Who is signed in here now, as the state says.

    Args:
        touch: True for what a person did, which counts as use of the session.
    """
    began, session = time.monotonic(), session_id()
    found = auth().authenticate(session, touch=touch, client=client())
    st.session_state[_SEEN] = session, found, recent.good_until(began)
    return found


def may_read(*, touch: bool = False) -> bool:
    """Whether who is signed in here now may see the integrations.

    The state is asked for what a person does, as for each run of the whole page (`authenticate`). The parts of the page
    take that answer while it is recent: a page of many cards would otherwise wait for a slow state once a card.

    Args:
        touch: True for what a person did, which counts as use of the session.
    """
    session, principal, until = st.session_state.get(_SEEN, (None, Denial.SIGNED_OUT, 0.0))
    if touch or session != session_id() or time.monotonic() >= until:
        principal = authenticate(touch=touch)
    return isinstance(principal, Principal) and principal.may(INTEGRATION_READ)

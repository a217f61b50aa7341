"""Who looks at the page: the session's cookie and the address, as the websocket's handshake brought them."""

from typing import Final

import streamlit as st

from integrations.access import INTEGRATION_READ, Denial, Principal, auth
from integrations.access.visitor import client_address

PULSE_SECONDS: Final = 45
"""How often an open page looks whether its session still stands and its ages are right."""
LOOK_SECONDS: Final = 2
"""How often a card looks whether a provider has answered that takes long."""


def session_id() -> str | None:
    """The session id in the cookie."""
    return auth().session_id_in(st.context.headers.get_all("Cookie"))


def client() -> str:
    """The address, for the log."""
    return client_address(st.context.ip_address or "127.0.0.1")  # Streamlit gives None for a loopback address


def authenticate(*, touch: bool = False) -> Principal | Denial:
    """Who is signed in here now.

    Args:
        touch: True for what a person did, which counts as use of the session.
    """
    return auth().authenticate(session_id(), touch=touch, client=client())


def may_read(*, touch: bool = False) -> bool:
    """Whether who is signed in here now may see the integrations."""
    principal = authenticate(touch=touch)
    return isinstance(principal, Principal) and principal.may(INTEGRATION_READ)
